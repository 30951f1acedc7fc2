"""How many copies a journal has, and what it takes with fewer than it should have."""

import pytest

from gossipreg.errors import BadConfig
from gossipreg.journal.effects import COPIES_TO_COME
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


@pytest.mark.parametrize("broken_s", [0.0, 0.3])
def test_while_copies_are_made_a_proposal_may_be_sent_again(broken_s: float) -> None:
    """Also where the streams to a member break at first."""
    cluster = Cluster(1, 3, JournalTuning(min_copies=3))
    owner, _, third = cluster.sidecars
    cluster.run(1.0)
    if broken_s:
        cluster.cut_streams(third)
        cluster.after(broken_s, cluster.mend_streams)
    until = cluster.now + 5.0
    journal = cluster.open(owner)
    codes: set[str] = set()

    def is_taken() -> bool:
        try:
            cluster.act(owner, owner.journals.propose(journal, b"1", 1, cluster.now))
            return True
        except ProposalRefused as refusal:
            codes.add(refusal.code)
            return False

    while not is_taken():
        cluster.run(0.001)
        assert cluster.now < until
    assert codes == {"unavailable", COPIES_TO_COME}, "before its first entry is committed, and after"


def refusal_where(why: str, min_copies: int) -> str:
    """The text with which the journal of a sidecar is refused for good, where one of two others gives it no copy."""
    cluster = Cluster(1, 3, JournalTuning(min_copies=min_copies))
    owner, _, third = cluster.sidecars
    cluster.run(1.0)
    match why:
        case "one is away":
            cluster.crash(third, ProcessStanding.LEFT)
        case "one refuses":
            third.space_bytes = 0
            cluster.crash(third)
            cluster.start(third)
        case "one cannot be reached":
            cluster.cut_streams(third)
    cluster.run(1.0)
    journal = cluster.open(owner)

    def refusal() -> str:
        with pytest.raises(ProposalRefused) as refused:
            owner.journals.propose(journal, b"1", 1, cluster.now)
        return str(refused.value) if refused.value.code == "too_few_copies" else ""

    assert cluster.until(lambda: bool(refusal()), 10.0)
    return refusal()


@pytest.mark.parametrize("why", ["one is away", "one refuses", "one cannot be reached"])
def test_copies_that_nobody_makes_are_not_waited_for(why: str) -> None:
    assert refusal_where(why, 3).startswith("the journal has 1 of at least 3 copies: let sidecars on 2 more hosts")


def test_a_second_copy_that_does_not_vote_is_not_waited_for() -> None:
    """Two voters are none: with two hosts the second one stays a learner."""
    text = refusal_where("one is away", 2)
    assert text.startswith("the journal has 1 of at least 2 copies: let sidecars on 1 more host take")


def test_a_copy_whose_member_died_is_not_waited_for() -> None:
    cluster = Cluster(1, 3, JournalTuning(min_copies=3))
    owner, second, third = cluster.sidecars
    cluster.crash(third, ProcessStanding.LEFT)
    cluster.run(1.0)
    journal = cluster.open(owner)
    assert cluster.until(lambda: journal in second.journals.replicas, 5.0)
    cluster.run(1.0)
    cluster.crash(second, ProcessStanding.SILENT)
    cluster.start(third)
    cluster.run(3.0)
    with pytest.raises(ProposalRefused) as refused:
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
