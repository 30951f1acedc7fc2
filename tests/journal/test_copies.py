"""How many copies a journal has, and what it takes with fewer than it should have."""

import pytest

from gossipreg.errors import BadConfig
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import Configuration, ReplicaPlace
from gossipreg.journal.tuning import JournalTuning
from tests.journal.by_hand import JOURNAL, Bench
from tests.journal.cluster import Cluster


def test_a_journal_with_too_few_copies_refuses_and_says_why() -> None:
    cluster = Cluster(1, 1, JournalTuning(min_copies=3))
    cluster.run(1.0)
    (owner,) = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(1.0)
    with pytest.raises(ProposalRefused, match="1 of at least 3 copies: let sidecars on 2 more hosts") as refused:
        owner.journals.propose(journal, b"1", 1, cluster.now)
    assert refused.value.code == "too_few_copies"


def test_what_ends_something_is_taken_with_too_few_copies() -> None:
    cluster = Cluster(1, 1, JournalTuning(min_copies=3))
    cluster.run(1.0)
    (owner,) = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(1.0)
    cluster.act(owner, owner.journals.propose(journal, b"1", 1, cluster.now, ends=True))
    cluster.run(1.0)
    assert owner.settled[1].copies == 1


def test_a_journal_is_extended_as_soon_as_there_are_hosts() -> None:
    cluster = Cluster(1, 3, JournalTuning(min_copies=3))
    owner, *others = cluster.sidecars
    for other in others:
        cluster.crash(other, ProcessStanding.LEFT)
    cluster.run(1.0)
    journal = cluster.open(owner)
    cluster.run(30.0)
    assert len(cluster.voters(journal)) == 1
    for other in others:
        cluster.start(other)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 5.0)
    assert cluster.propose(owner, journal, b"1") is not None


def test_one_more_host_keeps_a_learner_until_there_are_three() -> None:
    cluster = Cluster(1, 3)
    owner, second, third = cluster.sidecars
    cluster.crash(third, ProcessStanding.LEFT)
    cluster.run(1.0)
    journal = cluster.open(owner)
    cluster.run(30.0)
    assert cluster.voters(journal) == {owner.number}
    assert journal in second.journals.replicas
    cluster.start(third)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 5.0)


def test_while_voters_change_the_smaller_electorate_counts() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    leading = s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading._check_copies(3)
    leading.propose_configuration(Configuration((ReplicaPlace(s1.replica, s1.node, s1.node),)))
    assert s1.data.configuration.joint
    with pytest.raises(ProposalRefused, match="1 of at least 2 copies: let sidecars on 1 more host take"):
        leading._check_copies(2)


def test_no_more_copies_can_be_asked_for_than_are_made() -> None:
    with pytest.raises(BadConfig, match=r"journal\.min_copies is 3 and journal\.copies is 1"):
        JournalTuning(copies=1, min_copies=3)


def test_a_sidecar_without_space_takes_no_copies() -> None:
    cluster = Cluster(1, 3)
    cluster.sidecars[1].space_bytes = 0
    cluster.crash(cluster.sidecars[1])
    cluster.start(cluster.sidecars[1])
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    cluster.run(60.0)
    assert journal not in cluster.sidecars[1].journals.replicas
    assert cluster.voters(journal) == {owner.number}
