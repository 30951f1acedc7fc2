"""A copy that is lost while its leader waits for its answer, over a stream that does not break."""

from functools import partial

import pytest

from gossipreg.journal.effects import SendMessage
from gossipreg.journal.membership import ProcessStanding, SeenMember
from gossipreg.journal.messages import ReplicaLost, ReplicaMessage
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.stored import Disk


def three_copies() -> tuple[Cluster, JournalId, Sidecar, Sidecar]:
    """The journal, its owner, and another voter."""
    cluster = Cluster(1, 3)
    cluster.run(1.0)
    owner, second, _ = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 30.0)
    cluster.run(1.0)
    return cluster, journal, owner, second


def voters(owner: Sidecar, journal: JournalId) -> set[ReplicaId]:
    return {place.replica for place in owner.journals.replicas[journal].data.configuration.voters}


def test_a_database_that_was_lost_is_told_to_who_asked_meanwhile() -> None:
    """Found by the laboratory, scenario journal, seed 4099: the append came when the write had failed, nobody answered
    it, and the leader waited for ever: the copy was not replaced, and the journal not given back."""
    cluster, journal, owner, second = three_copies()
    lost = second.journals.replicas[journal].data.replica
    cluster.act(second, second.journals.write_failed(cluster.now))
    second.writing = []
    assert cluster.propose(owner, journal, b"1") is not None
    cluster.run(1.0)
    second.disk = Disk()
    cluster.act(second, second.journals.reopened((), cluster.now))
    assert cluster.until(lambda: lost not in voters(owner, journal) and len(voters(owner, journal)) == 3, 10.0)
    assert second.journals.replicas[journal].data.replica in voters(owner, journal)


def test_copies_that_are_given_up_are_told_to_who_has_no_answer() -> None:
    cluster, journal, owner, second = three_copies()
    lost = second.journals.replicas[journal].data.replica
    second.hung = True
    assert cluster.propose(owner, journal, b"1") is not None
    cluster.run(1.0)
    cluster.act(second, second.journals.retire(cluster.now))
    second.hung = False
    assert cluster.until(lambda: lost not in voters(owner, journal) and len(voters(owner, journal)) == 3, 10.0)


def test_a_database_that_is_whole_again_loses_nothing() -> None:
    cluster, journal, owner, second = three_copies()
    kept = second.journals.replicas[journal].data.replica
    cluster.act(second, second.journals.write_failed(cluster.now))
    second.writing = []
    assert cluster.propose(owner, journal, b"1") is not None
    cluster.run(1.0)
    cluster.act(second, second.journals.reopened(second.disk.begin(), cluster.now))
    cluster.run(30.0)
    assert kept in voters(owner, journal)
    assert second.journals.replicas[journal].data.log.last.index == owner.journals.replicas[journal].data.log.last.index


def test_no_notice_goes_to_the_member_itself() -> None:
    """Found by the laboratory, scenario journal, seed 130061: a member whose disk went back in time had led under the
    id of a copy that it lost, and sent itself a notice every half minute, for ever."""
    cluster, journal, owner, second = three_copies()
    data = second.journals.replicas[journal].data
    data.hear(Ballot(data.promised.round + 1, ReplicaId(b"e" * 16)), second.node)
    effects = second.journals.retire(cluster.now)
    told = {effect.node for effect in effects if isinstance(effect, SendMessage)}
    assert told == {owner.node, cluster.sidecars[2].node}


@pytest.mark.parametrize("lost", [1, 3])
def test_a_notice_that_is_lost_with_its_stream_is_sent_again(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is idle, so its leader would not ask."""
    cluster, journal, owner, second = three_copies()
    former = second.journals.replicas[journal].data.replica
    send = cluster._send
    notices: list[float] = []

    def losing(sender: Sidecar, receiver: Sidecar, message: ReplicaMessage) -> None:
        if isinstance(message, ReplicaLost) and receiver is owner:
            notices.append(cluster.now)
            if len(notices) <= lost:
                cluster.after(0.1, partial(cluster._failed, sender, sender.boot, receiver))
                return
        send(sender, receiver, message)

    monkeypatch.setattr(cluster, "_send", losing)
    cluster.act(second, second.journals.retire(cluster.now))
    assert cluster.until(lambda: former not in voters(owner, journal) and len(voters(owner, journal)) == 3, 15.0)
    cluster.run(60.0)
    assert len(notices) == lost + 1
    assert second.journals.next_deadline() == float("inf")


def test_a_notice_for_a_process_that_does_not_run_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, _, _, second = three_copies()
    monkeypatch.setattr(cluster, "_send", lambda sender, receiver, _: cluster._failed(sender, sender.boot, receiver))
    cluster.act(second, second.journals.retire(cluster.now))
    for sidecar in cluster.sidecars:
        second.view.members[sidecar.node] = SeenMember(ProcessStanding.SILENT, sidecar.boot, cluster.now)
    cluster.run(5.0)
    assert second.journals.next_deadline() == float("inf")
