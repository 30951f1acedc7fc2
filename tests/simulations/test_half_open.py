"""A stream that is over at one end only: that end opens another one, and whoever waits for an answer sends again."""

from collections.abc import Callable

import pytest

from gossipreg.journal.messages import StateInstalled
from gossipreg.journal.model import JournalId
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import NodeId
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess
from simulations.network import out_of
from simulations.tcp import GIVE_UP_S
from simulations.world import World
from tests.simulations.streams import connected
from tests.simulations.test_journals import start, voter

FAR_BEHIND = JournalTuning(cut_bytes=8192, append_bytes=4096, piece_bytes=4096, replace_s=3600.0)


def reset(world: World, host: Host) -> None:
    """A firewall answers what this host sends with a reset."""
    world.connections.rejecting["firewall"] = out_of(frozenset({host.number}))


def drop(world: World, host: Host) -> None:
    """A firewall drops what this host sends, until its kernel gives up."""
    world.connections.rules["firewall"] = out_of(frozenset({host.number}))


def heal(world: World) -> None:
    world.connections.rejecting.clear()
    world.connections.rules.clear()


@pytest.mark.parametrize("fault", [reset, drop])
def test_the_other_end_learns_that_a_stream_is_over(fault: Callable[[World, Host], None]) -> None:
    world, one, _, here, there = connected()
    fault(world, one)
    here.send(world.hosts[1], "lost answer")
    world.run(GIVE_UP_S + 10.0)
    assert (here.notes, there.notes) == ([("closed", "n1")], [])
    assert world.connections.broken() == 1
    heal(world)
    world.run(15.0)
    assert here.notes == [("closed", "n1"), ("opened", "n1")]
    assert there.notes == [("closed", "n0"), ("opened", "n0")]
    assert world.connections.broken() == 0


def test_a_stream_that_both_ends_know_to_be_over_stays_so() -> None:
    world, one, other, here, there = connected()
    world.connections.close(one, other)
    world.run(60.0)
    assert (here.notes, there.notes) == ([], [("closed", "n0")])
    assert world.connections.broken() == 0


def test_a_process_that_is_gone_is_not_asked_for_a_stream() -> None:
    world, one, other, here, _ = connected()
    reset(world, one)
    here.send(other, "lost answer")
    world.run(0.5)
    world.connections.close(one, other)
    heal(world)
    world.run(60.0)
    assert here.notes == [("closed", "n1")]


def far_behind() -> tuple[World, Journaling, JournalId, Host]:
    """A voter that has been away while the log was cut, so it needs the state."""
    world = World(1)
    journaling = Journaling(world, FAR_BEHIND)
    for host in world.grow(4):
        journaling.start(host)
    world.run(0.5)
    journal = journaling.open(world.hosts[0])
    assert journal is not None
    assert world.until(lambda: journaling.is_whole(journal), 10.0)
    lags = voter(journaling, journal)
    world.crash(lags)
    for _ in range(60):
        leader = journaling.leader(journal)
        assert leader is not None
        assert journaling.propose(leader, journal, 2000)
        world.run(0.05)
    return world, journaling, journal, lags


@pytest.mark.parametrize("reset_s", [0.0, 0.5])
def test_a_lost_answer_to_a_piece_of_state_holds_no_turn(monkeypatch: pytest.MonkeyPatch, reset_s: float) -> None:
    """After a reset of half a second nothing goes over that stream: the leader would wait for the answer for ever.
    After a short one a later answer comes, and it is to a piece of before the stream broke."""
    world, journaling, journal, lags = far_behind()
    send = JournalProcess.send
    lost: list[StateInstalled] = []

    def losing(self: JournalProcess, node: NodeId, message: object) -> None:
        if isinstance(message, StateInstalled) and not lost:
            lost.append(message)
            reset(world, lags)
            send(self, node, message)
            world.after(reset_s, lambda: heal(world))
        else:
            send(self, node, message)

    monkeypatch.setattr(JournalProcess, "send", losing)
    start(world, journaling, lags)
    assert world.until(lambda: bool(lost), 30.0)
    assert world.until(lambda: journaling.is_whole(journal), 10.0)
    leader = journaling.leader(journal)
    assert leader is not None
    assert leader.journals is not None
    assert leader.journals.replays == (0, 0)


def test_the_next_message_alone_may_meet_a_reset() -> None:
    """The other end holds its own for open until the stream is opened again."""
    world, one, other, here, there = connected()
    world.connections.reset_next(one, other)
    world.run(5.0)
    assert (here.notes, there.notes) == ([], [])
    here.send(other, "lost")
    world.run(0.5)
    assert (here.notes, there.notes) == ([("closed", "n1")], [])
    world.run(15.0)
    here.send(other, "arrives")
    world.run(0.5)
    assert here.notes == [("closed", "n1"), ("opened", "n1")]
    assert there.notes == [("closed", "n0"), ("opened", "n0"), ("received", "arrives")]
