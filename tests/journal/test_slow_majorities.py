"""A leader that needs a voter for its majority which is far behind, or whose disk hangs."""

import pytest

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from gossipreg.journal.tuning import JournalTuning
from tests.journal.cluster import Cluster, Sidecar

SLOW = {"cut_bytes": 4096, "piece_bytes": 1024, "replay_bytes_a_second": 2048}
"""A state of 30 KiB takes 15 s: three times as long as a leader may be stuck. As one of 100 MiB otherwise."""


def far_behind() -> tuple[Cluster, JournalId, Sidecar, Sidecar]:
    """A leader that only one of the other two voters can make a majority with, and that needs the whole state; it is
    about to start."""
    cluster = Cluster(1, 3, JournalTuning(**SLOW))
    cluster.run(1.0)
    owner, second, third = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 30.0)
    cluster.crash(third, ProcessStanding.SILENT)
    cluster.run(2.0)
    for number in range(60):
        cluster.propose(owner, journal, b"%d" % number + b"x" * 500)
        cluster.run(0.1)
    assert owner.journals.replicas[journal].data.log.base.position.index > 10, "the log is cut"
    cluster.crash(second, ProcessStanding.SILENT)
    cluster.run(1.0)
    return cluster, journal, owner, third


def test_a_leader_waits_for_a_voter_that_gets_the_whole_state() -> None:
    """It gave up after 5 s, and again with each ballot: nobody led, though two of three voters lived."""
    cluster, journal, owner, third = far_behind()
    cluster.start(third)
    ticket = cluster.propose(owner, journal, b"after")
    assert ticket is not None
    assert cluster.until(lambda: ticket in owner.settled, 40.0)
    assert owner.settled[ticket].outcome is ProposalOutcome.COMMITTED
    cluster.run(1.0)
    assert third.journals.replicas[journal].data.state.records.get(b"after")


def test_a_new_leader_waits_for_a_voter_that_gets_the_whole_state() -> None:
    cluster, journal, owner, third = far_behind()
    cluster.crash(owner)
    cluster.start(owner)
    cluster.start(third)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 60.0)


def test_a_voter_that_catches_up_no_more_is_not_waited_for() -> None:
    """Its disk hangs, so it never has the state, whose small records were in its memory."""
    cluster, journal, owner, third = far_behind()
    cluster.start(third)
    cluster.propose(owner, journal, b"after")
    cluster.run(7.0)
    assert journal in owner.claims
    third.hung = True
    assert cluster.until(lambda: journal not in owner.claims, 30.0)


@pytest.mark.parametrize("busy", [False, True])
def test_a_leader_that_is_cut_off_gives_up_in_time(busy: bool) -> None:
    """Whatever was committed just before."""
    cluster = Cluster(1, 3)
    cluster.run(1.0)
    owner, *_ = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 30.0)
    for number in range(2000 if busy else 0):
        cluster.propose(owner, journal, b"%d" % number)
        cluster.run(0.001)
    cluster.cut_streams(owner)
    cluster.propose(owner, journal, b"last")
    cluster.run(cluster.tuning.stuck_s + 0.1)
    assert journal not in owner.claims
