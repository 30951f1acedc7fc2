"""Streams between hosts: when each side learns that one is over, and what it still reads."""

import pytest

from simulations.host import Host
from simulations.network import between, into
from simulations.tcp import GIVE_UP_S
from tests.simulations.streams import LATENCY_S, connected, pair, start


def test_a_cut_that_lasts_breaks_the_stream_at_both_ends() -> None:
    world, one, other, here, there = connected()
    world.network.rules["cut"] = between(lambda end: end.number)
    began = world.now
    here.send(other, 1)
    there.send(one, 2)
    world.run(GIVE_UP_S - 0.01)
    assert (here.notes, there.notes) == ([], [])
    world.run(1.0)
    assert (here.notes, there.notes) == ([("closed", "n1")], [("closed", "n0")])
    assert here.times == there.times == pytest.approx([began + GIVE_UP_S])


def test_a_cut_between_idle_ends_is_not_noticed() -> None:
    world, _, other, here, there = connected()
    world.network.rules["cut"] = between(lambda end: end.number)
    world.run(3600.0)
    world.network.rules.clear()
    here.send(other, 1)
    world.run(1.0)
    assert here.notes == []
    assert there.messages == [1]


def test_an_end_that_gave_up_resets_the_other_when_it_sends() -> None:
    world, one, other, here, there = connected()
    world.network.rules["cut"] = between(lambda end: end.number)
    here.send(other, 1)
    world.run(60.0)
    assert (here.notes, there.notes) == ([("closed", "n1")], [])
    world.network.rules.clear()
    there.send(one, 2)
    world.run(1.0)
    assert there.notes == [("closed", "n0")]
    there.send(one, 3)
    world.run(1.0)
    assert here.messages == [3]


def test_a_process_that_dies_is_noticed_after_a_latency() -> None:
    world, _, other, here, there = connected()
    there.send(world.hosts[0], "last words")
    began = world.now
    world.crash(other)
    world.run(1.0)
    assert here.notes == [("received", "last words"), ("closed", "n1")]
    assert here.times[1] == pytest.approx(began + LATENCY_S)


def test_the_end_of_a_process_is_repeated_if_it_is_lost() -> None:
    world, _, other, here, _ = connected()
    world.network.rules["cut"] = between(lambda end: end.number)
    world.crash(other)
    world.run(1.0)
    assert here.notes == []
    world.network.rules.clear()
    world.run(2.0)
    assert here.notes == [("closed", "n1")]


def test_a_vanished_host_is_noticed_only_by_sending() -> None:
    world, _, other, here, _ = connected()
    world.crash(other, refuses=False)
    world.run(3600.0)
    assert here.notes == []
    began = world.now
    here.send(other, 1)
    world.run(60.0)
    assert here.notes == [("closed", "n1")]
    assert here.times == pytest.approx([began + GIVE_UP_S])


def test_a_host_that_vanished_and_is_back_resets_the_stream() -> None:
    world, _, other, here, _ = connected()
    world.lose_power(other)
    world.run(60.0)
    there = start(world, other)
    here.send(other, 1)
    world.run(1.0)
    assert here.notes == [("closed", "n1")]
    assert there.notes == [], "the message is lost"
    here.send(other, 2)
    world.run(1.0)
    assert there.notes == [("opened", "n0"), ("received", 2)]


def test_a_new_process_replaces_the_stream_of_the_old_one() -> None:
    world, one, other, here, _ = connected()
    world.lose_power(other)
    there = start(world, other)
    there.send(one, 1)
    world.run(1.0)
    assert here.notes == [("closed", "n1"), ("opened", "n1"), ("received", 1)]
    assert there.notes == [("opened", "n0")]


def test_messages_in_flight_to_a_process_that_dies_are_lost() -> None:
    world, _, other, here, _ = connected()
    here.send(other, 1)
    world.run(LATENCY_S / 2)
    world.crash(other)
    again = start(world, other)
    world.run(1.0)
    assert again.notes == []
    assert here.notes == [("closed", "n1")]


def test_a_process_may_close_a_stream_itself() -> None:
    world, one, other, here, there = connected()
    here.send(other, 1)
    world.connections.close(one, other)
    world.run(1.0)
    assert here.notes == []
    assert there.notes == [("received", 1), ("closed", "n0")]


def test_a_process_that_closed_a_stream_hears_no_more_of_it() -> None:
    world, _, other, here, there = pair()
    there.on_message = lambda peer, _: world.connections.close(other, peer)
    here.send(other, 1, 2)
    world.run(1.0)
    assert there.messages == [1]
    assert here.notes == [("opened", "n1"), ("closed", "n1")]


def test_a_process_that_starts_again_takes_nothing_of_its_old_stream() -> None:
    world, _, other, here, there = pair()

    def start_again(_peer: Host, _message: object) -> None:
        world.crash(other)
        start(world, other)

    there.on_message = start_again
    here.send(other, 1, 2)
    world.run(1.0)
    assert there.messages == [1]
    assert here.notes == [("opened", "n1"), ("closed", "n1")]


def test_a_process_that_closed_a_stream_reads_nothing_of_it() -> None:
    world, _, other, here, there = connected()
    there.on_message = lambda peer, _: world.connections.close(other, peer)
    world.stall(other)
    here.send(other, 1, 2)
    world.run(1.0)
    world.resume(other)
    assert there.messages == [1]


@pytest.mark.parametrize("again", [False, True])
def test_a_process_that_ends_reads_nothing_more(again: bool) -> None:
    world, _, other, here, there = connected()

    def end(_peer: Host, _message: object) -> None:
        world.crash(other)
        if again:
            world.start(other)

    there.on_message = end
    world.stall(other)
    here.send(other, 1, 2)
    world.run(1.0)
    world.resume(other)
    assert there.messages == [1]


def test_a_process_that_goes_on_blocked_reads_its_disk_only() -> None:
    world, _, other, here, there = connected()
    world.stall(other)
    here.send(other, 1)
    done: list[int] = []
    world.disk(other).write(1, lambda: done.append(1), lambda _: None)
    world.run(1.0)
    assert done == there.messages == []
    world.resume(other, blocked=True)
    assert (done, there.messages) == ([1], [])
    world.resume(other)
    assert there.messages == [1]


def test_a_late_end_of_an_old_process_does_not_end_a_new_stream() -> None:
    world, one, other, here, _ = pair()
    world.network.rules["deaf"] = into(frozenset({one.number}))
    here.send(other, 1)
    world.run(0.1)
    world.crash(other)
    there = start(world, other)
    world.run(0.15)
    world.network.rules.clear()
    there.send(one, 2)
    world.run(3.0)
    assert here.notes == [("opened", "n1"), ("received", 2)]
    assert there.notes == [("opened", "n0"), ("received", 1)]
