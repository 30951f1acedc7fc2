"""A journal in use, whose voters have faster disks than the others: it gets its copies all the same."""

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from gossipreg.journal.progress import Mode
from gossipreg.journal.tuning import JournalTuning
from tests.journal.cluster import Cluster, Sidecar

EVERY_S = 0.002
"""Between two entries: more than one comes while a slow disk writes."""


class SlowDisks(Cluster):
    fast: frozenset[int] = frozenset({0})
    """The members with fast disks."""

    def _write_later(self, sidecar: Sidecar) -> None:
        boot, (least, most) = sidecar.boot, (0.0005, 0.001) if sidecar.number in self.fast else (0.008, 0.015)
        self.after(self.rng.uniform(least, most), lambda: self._write(sidecar, boot))


def busy(cluster: Cluster, journal: JournalId, leader: Sidecar, seconds: float) -> None:
    """Entries come all the time."""
    for number in range(int(seconds / EVERY_S)):
        cluster.propose(leader, journal, b"%d" % number)
        cluster.run(EVERY_S)


def test_a_busy_journal_gets_its_copies() -> None:
    """It had one for as long as it was busy, since no learner held everything at any moment."""
    cluster = SlowDisks(1, 3)
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    busy(cluster, journal, owner, 5.0)
    assert len(cluster.voters(journal)) == 3


def test_a_dead_voter_of_a_busy_journal_is_replaced() -> None:
    cluster = SlowDisks(1, 4, JournalTuning(replace_s=2.0, replace_spread_s=1.0))
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    dead, alive = (one for one in cluster.sidecars[1:] if one.number in cluster.voters(journal))
    cluster.fast |= {alive.number}
    cluster.crash(dead, ProcessStanding.SILENT)
    busy(cluster, journal, owner, 8.0)
    voters = cluster.voters(journal)
    assert (len(voters), dead.number in voters) == (3, False)
    acked = owner.settled[max(owner.settled)]
    assert acked.copies >= 2


def test_learners_that_answer_once_and_hang_do_not_vote() -> None:
    """The journal goes on with its one voter: a change that needs them would hold it up."""
    cluster = Cluster(1, 3)
    cluster.run(1.0)
    owner, *others = cluster.sidecars
    for other in others:
        cluster.crash(other)
    journal = cluster.open(owner)
    busy(cluster, journal, owner, 1.0)
    for other in others:
        cluster.start(other)
    while not all(_follows(owner, journal, other) for other in others):
        cluster.run(0.0001)
    for other in others:
        other.hung = True
    busy(cluster, journal, owner, 2.0)
    assert cluster.voters(journal) == {owner.number}
    assert owner.settled[max(owner.settled)].outcome is ProposalOutcome.COMMITTED


def _follows(leader: Sidecar, journal: JournalId, other: Sidecar) -> bool:
    leading = leader.journals.replicas[journal].leading
    assert leading is not None
    return any(
        one.place.node == other.node and one.mode is Mode.FOLLOWING and not one.current
        for one in leading.followers.values()
    )
