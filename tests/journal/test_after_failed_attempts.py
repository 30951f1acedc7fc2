"""Voters whose attempts to lead have failed for long: what ends their waits, so that somebody leads soon."""

from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_elections import opened

Two = tuple[Cluster, JournalId, Sidecar, Sidecar]


def without_streams(cluster: Cluster, one: Sidecar, other: Sidecar) -> None:
    """Cut the streams of these two; what they know of each other does not change."""
    cluster.cut = {frozenset((one.number, other.number))}
    cluster._break(one, other)


def waiting(seed: int) -> Two:
    """A journal whose owner is gone; the two voters left cannot reach each other, and the first has the newer log."""
    cluster, journal, owner = opened(seed)
    newer, older = (cluster.sidecars[number] for number in sorted(cluster.voters(journal) - {owner.number}))
    cluster.crash(older)
    cluster.run(2.0)
    cluster.propose(owner, journal, b"1")
    cluster.run(1.0)
    without_streams(cluster, newer, older)
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.start(older)
    cluster.run(100.0)
    assert cluster.leader(journal) is None
    return cluster, journal, newer, older


def test_a_voter_stands_when_one_with_an_older_log_does() -> None:
    """Found by the laboratory: only the first of two can win, and it waited for half a minute more."""
    cluster, journal, newer, older = waiting(9)
    first, second = older.journals.next_deadline(), newer.journals.next_deadline()
    assert first + 3.0 < second, "else the test proves nothing: choose another seed"
    cluster.cut = set()
    assert cluster.until(lambda: cluster.leader(journal) is newer, first - cluster.now + 1.0)


def test_a_voter_stands_soon_after_another_came_back_to_life() -> None:
    cluster, journal, newer, older = waiting(1)
    cluster.cut = set()
    cluster.crash(older)
    cluster.run(60.0)
    assert newer.journals.next_deadline() - cluster.now > 4.0, "else the test proves nothing: choose another seed"
    cluster.start(older)
    assert cluster.until(lambda: cluster.leader(journal) is newer, 3.0)


def test_a_leader_that_could_not_commit_stands_where_only_it_can_win() -> None:
    """Found by the laboratory: it stands last, and after half a minute; but without its vote nobody wins."""
    cluster, journal, owner = opened(1)
    one, other = (cluster.sidecars[number] for number in sorted(cluster.voters(journal) - {owner.number}))
    cluster.crash(one, ProcessStanding.SILENT)
    without_streams(cluster, owner, other)
    cluster.propose(owner, journal, b"1")
    assert cluster.until(lambda: journal not in owner.claims, 6.0)
    cluster.cut = set()
    assert cluster.until(lambda: cluster.leader(journal) is owner, 12.0)
