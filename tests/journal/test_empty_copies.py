"""A copy that a leader asked for, and that got nothing from it."""

import pytest

from gossipreg.journal.effects import JournalEffect
from gossipreg.journal.messages import ReplicaMessage, ReplicaTaken, TakeReplica
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from gossipreg.model import NodeId
from tests.journal.cluster import Cluster, Sidecar

JOURNAL = JournalId(b"j" * 16)
LEADER = ReplicaId(b"l" * 16)


def empty_copy(monkeypatch: pytest.MonkeyPatch) -> tuple[Cluster, Sidecar, Sidecar]:
    """A copy at the second member, which the first one has asked for."""
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    leader, holder = cluster.sidecars
    taken: list[ReplicaMessage] = []

    def received(_: NodeId, message: ReplicaMessage, now: float) -> list[JournalEffect]:
        del now
        taken.append(message)
        return []

    monkeypatch.setattr(leader.journals, "receive", received)
    take = TakeReplica(journal=JOURNAL, sender=LEADER, receiver=ReplicaId(b""), number=1, owner=leader.node)
    cluster.act(holder, holder.journals.receive(leader.node, take, cluster.now))
    cluster.run(1.0)
    assert [type(message) for message in taken] == [ReplicaTaken]
    assert JOURNAL in holder.disk
    return cluster, leader, holder


def look(cluster: Cluster, sidecar: Sidecar) -> None:
    cluster.act(sidecar, sidecar.journals.members_changed(cluster.now))


def test_a_copy_that_nobody_came_for_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stayed on the disk for ever, and lists of sagas named its journal as missing."""
    cluster, leader, holder = empty_copy(monkeypatch)
    cluster.crash(leader)
    cluster.run(cluster.tuning.orphan_s - 10.0)
    assert JOURNAL in holder.journals.replicas
    cluster.run(20.0)
    assert JOURNAL not in holder.journals.replicas
    assert JOURNAL not in holder.disk


def test_a_copy_that_nobody_came_for_is_removed_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, leader, holder = empty_copy(monkeypatch)
    cluster.crash(leader)
    cluster.run(10.0)
    cluster.crash(holder)
    cluster.start(holder)
    cluster.run(cluster.tuning.orphan_s + 10.0)
    assert JOURNAL not in holder.disk


def test_a_copy_whose_journal_is_led_waits_for_its_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, leader, holder = empty_copy(monkeypatch)
    holder.view.rows[leader.node] = leader.boot, {JOURNAL: Ballot(1, LEADER)}
    look(cluster, holder)
    cluster.run(2 * cluster.tuning.orphan_s)
    assert JOURNAL in holder.journals.replicas


def test_the_wait_of_an_empty_copy_begins_when_its_leader_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, leader, holder = empty_copy(monkeypatch)
    cluster.run(cluster.tuning.orphan_s - 10.0)
    holder.view.rows[leader.node] = leader.boot, {JOURNAL: Ballot(1, LEADER)}
    look(cluster, holder)
    cluster.run(20.0)
    holder.view.rows[leader.node] = leader.boot, {}
    look(cluster, holder)
    cluster.run(cluster.tuning.orphan_s - 10.0)
    assert JOURNAL in holder.journals.replicas
    cluster.run(20.0)
    assert JOURNAL not in holder.journals.replicas


def test_a_copy_that_got_something_is_kept_without_a_leader() -> None:
    cluster = Cluster(1, 3)
    cluster.run(1.0)
    owner, *others = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    cluster.crash(owner)
    cluster.crash(others[0])
    cluster.run(2 * cluster.tuning.orphan_s)
    assert journal in others[1].journals.replicas


def test_a_copy_that_is_not_needed_any_more_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader hears nothing of the copy that it asked for, and the voter that it was for comes back. The question
    was open for ever, and so the copy was taken for one that is expected."""
    cluster = Cluster(1, 4)
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    [spare] = [one for one in cluster.sidecars if journal not in one.journals.replicas]
    away = next(one for one in cluster.sidecars if one not in (owner, spare))
    receive, lost = owner.journals.receive, list[ReplicaMessage]()

    def received(node: NodeId, message: ReplicaMessage, now: float) -> list[JournalEffect]:
        if isinstance(message, ReplicaTaken):
            lost.append(message)
            return []
        return receive(node, message, now)

    monkeypatch.setattr(owner.journals, "receive", received)
    cluster.crash(away)
    assert cluster.until(lambda: bool(lost), 200.0)
    cluster.start(away)
    cluster.run(200.0)
    assert (len(lost), len(cluster.voters(journal))) == (1, 3)
    assert journal not in spare.disk
