"""Streams between hosts: when they open, what they carry, and the faults that strike only them."""

from collections.abc import Callable

import pytest

from simulations.network import FRAME_BYTES, Link, between, into, out_of
from simulations.tcp import CONNECT_S, GIVE_UP_S
from tests.simulations.streams import LATENCY_S, Noting, Pair, connected, pair, processes

# -- opening -----------------------------------------------------------------------------------------------------------


def test_the_first_message_opens_a_stream_in_a_round_trip() -> None:
    world, _, other, here, there = pair()
    began = world.now
    here.send(other, 1, 2)
    world.run(1.0)
    assert here.notes == [("opened", "n1")]
    assert there.notes == [("opened", "n0"), ("received", 1), ("received", 2)]
    assert here.times == pytest.approx([began + 2 * LATENCY_S])
    assert there.times == pytest.approx([began + LATENCY_S, began + 3 * LATENCY_S, began + 3 * LATENCY_S])


def test_both_sides_connect_at_once_and_make_one_stream() -> None:
    world, one, other, here, there = pair()
    here.send(other, "from here")
    world.run(LATENCY_S / 2)
    there.send(one, "from there")
    world.run(1.0)
    assert here.notes == [("opened", "n1"), ("received", "from there")]
    assert there.notes == [("opened", "n0"), ("received", "from here")]
    assert world.connections.open_between(one, other)


def test_a_refused_connect_fails_after_a_round_trip() -> None:
    world, _, other, here, _ = pair()
    world.crash(other)
    began = world.now
    here.send(other, 1)
    world.run(10.0)
    assert here.notes == [("refused", "n1")]
    assert here.times == pytest.approx([began + 2 * LATENCY_S])


def test_a_host_without_a_listening_process_refuses() -> None:
    world, _, _, here, _ = pair()
    here.send(world.add(), 1)
    world.run(1.0)
    assert here.notes == [("refused", "n2")]


def test_a_connect_to_a_silent_host_fails_after_5_s() -> None:
    world, _, other, here, _ = pair()
    world.crash(other, refuses=False)
    began = world.now
    here.send(other, 1)
    world.run(10.0)
    assert here.notes == [("closed", "n1")]
    assert here.times == pytest.approx([began + CONNECT_S])


def test_a_lost_connect_is_sent_again() -> None:
    world, _, other, here, there = pair()
    world.network.rules["cut"] = between(lambda end: end.number)
    here.send(other, 1)
    world.run(0.5)
    world.network.rules.clear()
    world.run(1.0)
    assert there.messages == [1]


def test_a_lost_answer_to_a_connect_is_sent_again() -> None:
    world, one, other, here, there = pair()
    world.network.rules["deaf"] = into(frozenset({one.number}))
    here.send(other, 1)
    world.run(0.5)
    there.send(one, 2)
    world.run(0.1)
    assert here.notes == []
    world.network.rules.clear()
    world.run(0.3)  # the SYN is sent again after 1 s only
    assert here.notes == [("opened", "n1"), ("received", 2)]
    assert there.notes == [("opened", "n0"), ("received", 1)]


def test_a_connect_to_a_stalled_process_fails_after_5_s() -> None:
    """The kernel would take it, but the process does not answer the handshake."""
    world, _, other, here, there = pair()
    world.stall(other)
    here.send(other, 1)
    world.run(10.0)
    assert here.notes == [("closed", "n1")]
    world.resume(other)
    world.run(1.0)
    assert there.notes == []


def test_a_host_has_no_stream_to_itself() -> None:
    _, one, _, here, _ = pair()
    with pytest.raises(ValueError, match="n0 cannot open a stream to n0"):
        here.send(one, 1)


# -- what a stream carries ---------------------------------------------------------------------------------------------


def test_a_cut_link_holds_messages_up_and_keeps_their_order() -> None:
    world, _, other, here, there = connected()
    world.network.rules["cut"] = between(lambda end: end.number)
    began = world.now
    here.send(other, 1, 2)
    world.run(5.0)
    world.network.rules.clear()
    here.send(other, 3)
    world.run(GIVE_UP_S)
    assert there.messages == [1, 2, 3]
    assert there.times == pytest.approx([began + 0.2 * (1 + 2 + 4 + 8 + 16) + LATENCY_S] * 3)
    assert here.notes == []


def test_a_lost_ack_that_a_later_one_replaces_leaves_no_timer() -> None:
    world, _, other, here, there = connected()
    world.network.rules["no acks"] = out_of(frozenset({other.number}))
    here.send(other, 1)
    world.run(0.06)
    world.network.rules.clear()
    here.send(other, 2)
    world.run(0.14)
    world.network.rules["cut"] = between(lambda end: end.number)
    lost_at = world.now
    here.send(other, 3)
    world.run(0.01)
    world.network.rules.clear()
    world.run(1.0)
    assert there.messages == [1, 2, 3]
    assert there.times[-1] == pytest.approx(lost_at + 0.2 + LATENCY_S)


def test_lost_segments_cost_time_and_nothing_else() -> None:
    world, one, other, here, there = connected()
    world.network.loss = 0.3
    for number in range(200):
        here.send(other, number)
        there.send(one, -number)
        world.run(0.01)
    world.run(30.0)
    assert there.messages == list(range(200))
    assert here.messages == [-number for number in range(200)]


def test_a_stalled_process_reads_later() -> None:
    world, _, other, here, there = connected()
    world.stall(other)
    here.send(other, 1, 2)
    world.run(2 * GIVE_UP_S)
    assert (here.notes, there.notes) == ([], []), "its kernel acks"
    world.resume(other)
    assert there.messages == [1, 2]


def test_a_blocked_process_sends_and_reads_later() -> None:
    world, one, other, here, there = connected()
    world.block(one)
    here.send(other, 1)
    there.send(one, 2)
    world.run(1.0)
    assert (here.notes, there.notes) == ([], [])
    world.resume(one)
    world.run(1.0)
    assert (here.messages, there.messages) == ([2], [1])


def test_a_narrow_line_delays_large_messages() -> None:
    world, _, other, here, there = connected()
    world.network.link = Link(1000.0, 100_000)
    here.send(other, bytes(1000 - FRAME_BYTES))
    world.run(1.0 + LATENCY_S - 0.001)
    assert there.notes == []
    world.run(0.002)
    assert len(there.messages) == 1


def test_what_is_sent_is_counted_and_nothing_is_sent_when_idle() -> None:
    world, _, other, here, _ = connected()
    streams = world.connections
    segments, size = streams.segments, streams.bytes
    here.send(other, b"four")
    world.run(3600.0)
    assert (streams.segments - segments, streams.bytes - size) == (1, 4 + FRAME_BYTES)


# -- faults of streams alone -------------------------------------------------------------------------------------------


def test_a_broken_stream_is_noticed_by_both_and_made_anew() -> None:
    world, one, other, here, there = connected()
    world.connections.break_(one, other)
    world.run(1.0)
    assert (here.notes, there.notes) == ([("closed", "n1")], [("closed", "n0")])
    here.send(other, 1)
    world.run(1.0)
    assert there.messages == [1]


def test_one_way_stalls_data_and_acks_of_one_direction() -> None:
    world, one, other, here, there = connected()
    world.connections.rules["one way"] = out_of(frozenset({one.number}))
    here.send(other, 1)
    there.send(one, 2)
    world.run(GIVE_UP_S - 0.1)
    assert here.messages == [2]
    assert there.messages == []
    world.run(1.0)
    assert here.notes[-1] == ("closed", "n1"), "no ack of its bytes"
    assert there.notes[-1] == ("closed", "n0"), "no ack either"


def test_silent_firewall_stops_streams_and_lets_datagrams_pass() -> None:
    world, hosts, noting = processes(2)
    world.start(hosts[1], [hosts[0]])
    there = Noting(world, hosts[1])
    world.connections.rules["firewall"] = between(lambda end: end.number)
    began = world.now
    noting[0].send(hosts[1], 1)
    world.run(10.0)
    assert noting[0].notes == [("closed", "n1")]
    assert noting[0].times == pytest.approx([began + CONNECT_S])
    assert there.notes == []
    assert world.converged(), "datagrams pass"


@pytest.mark.parametrize("begin", [pair, connected])
def test_a_refusing_firewall_resets_whoever_sends(begin: Callable[[], Pair]) -> None:
    world, _, other, here, there = begin()
    world.connections.rejecting["firewall"] = between(lambda end: end.number)
    here.send(other, 1)
    world.run(1.0)
    assert here.notes == [("refused" if begin is pair else "closed", "n1")]
    assert there.notes == [], "the firewall answers the sender only"


def test_streams_change_no_datagram() -> None:
    """Streams have a generator of their own, so a world with them sends the datagrams of a world without."""

    def datagrams(send: bool) -> tuple[int, int]:
        world, hosts, noting = processes(3)
        world.start(hosts[2], [hosts[0]])
        Noting(world, hosts[2])
        world.network.loss = 0.1
        for number in range(100):
            if send:
                noting[0].send(hosts[2], number)
                world.disk(hosts[1]).write(number, lambda: None, lambda _: None)
            world.run(0.1)
        return world.traffic()

    assert datagrams(send=True) == datagrams(send=False)
