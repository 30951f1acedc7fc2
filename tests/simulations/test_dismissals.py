"""Journals in the laboratory: a replica that was replaced while it was away hears that, whatever is lost on the way."""

import pytest

from gossipreg.journal.messages import ReplicaDismissed, ReplicaHello
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import NodeId
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess
from simulations.network import between
from simulations.world import World
from tests.simulations.test_journals import opened, start, voter

TUNING = JournalTuning(replace_s=3.0, replace_spread_s=1.0)


def holds(journaling: Journaling, host: Host, journal: JournalId) -> bool:
    process = journaling.processes[host.number]
    return process.runs and process.journals is not None and journal in process.journals.replicas


def replaced() -> tuple[World, Journaling, JournalId, Host]:
    """A voter crashed and was replaced."""
    world, journaling, journal = opened(tuning=TUNING)
    gone = voter(journaling, journal)
    former = journaling.processes[gone.number].journals
    assert former is not None
    id = former.replicas[journal].data.replica
    world.crash(gone)
    assert world.until(lambda: is_replaced(journaling, journal, id), 40.0)
    return world, journaling, journal, gone


def is_replaced(journaling: Journaling, journal: JournalId, id: ReplicaId) -> bool:
    replica = journaling.replica(journal)
    return replica is not None and replica.data.place_of(id) is None and journaling.is_whole(journal)


@pytest.mark.parametrize("kind", [ReplicaHello, ReplicaDismissed])
def test_a_greeting_or_a_dismissal_that_is_lost_is_sent_again(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sender learns that at best: the other end holds the stream for open. The leader has no timer for a replica
    that it has let go."""
    world, journaling, journal, gone = replaced()
    send = JournalProcess.send
    lost: list[object] = []

    def losing(self: JournalProcess, node: NodeId, message: object) -> None:
        peer = world.by_id[node]
        if not isinstance(message, kind) or lost:
            send(self, node, message)
            return
        lost.append(message)
        if world.connections.open_between(self.host, peer):
            world.connections.reset_next(self.host, peer)
            send(self, node, message)

    monkeypatch.setattr(JournalProcess, "send", losing)
    start(world, journaling, gone)
    assert world.until(lambda: bool(lost), 20.0)
    assert holds(journaling, gone, journal)
    assert world.until(lambda: not holds(journaling, gone, journal), 5.0)


def test_a_voter_replaced_while_it_was_cut_off_hears_of_it() -> None:
    """It did not restart, and its leader was there all the time, as far as it can tell: it received nothing."""
    world, journaling, journal = opened(tuning=TUNING)
    gone = voter(journaling, journal)
    process = journaling.processes[gone.number]
    assert process.journals is not None
    id = process.journals.replicas[journal].data.replica
    world.network.rules["cut"] = between(lambda end: end.number == gone.number)
    assert world.until(lambda: is_replaced(journaling, journal, id), 60.0)
    world.run(60.0)
    assert holds(journaling, gone, journal)
    del world.network.rules["cut"]
    assert world.until(lambda: not holds(journaling, gone, journal), 60.0)
