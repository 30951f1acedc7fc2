"""Who leads after whom, and when: one history each."""

import pytest

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import AskLeader, PreVote, PreVoteAnswer, ReplicaHello
from gossipreg.journal.model import JournalId
from gossipreg.model import BootId
from tests.journal.by_hand import JOURNAL, TUNING, Bench
from tests.journal.cluster import Cluster, Sidecar


def opened(seed: int = 1, members: int = 5) -> tuple[Cluster, JournalId, Sidecar]:
    """A cluster with a journal of three voters, its id, and its owner, which leads."""
    cluster = Cluster(seed, members)
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 5.0)
    cluster.run(1.0)
    return cluster, journal, owner


def another_leads(cluster: Cluster, journal: JournalId, owner: Sidecar) -> bool:
    leader = cluster.leader(journal)
    return leader is not None and leader is not owner


def test_a_crashed_leader_is_followed_within_the_grace() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 3.0)


def test_a_leader_that_left_is_followed_at_once() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.LEFT)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 1.2)


def test_a_closed_port_answers_the_question_whether_it_leads() -> None:
    """A voter that has not heard of the death does not wait for an answer, so the other one is elected at once."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    bench.now += 5.0
    for voter in (s2, s3):
        voter.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: s1.data.promised}
        voter.see(s1, ProcessStanding.LIVES)
    s2.see(s1, ProcessStanding.LEFT)
    s2.act(s2.journals.advance(bench.now))
    assert [type(message) for message in bench.deliver(s2, s3)] == [PreVote]
    assert [type(message) for message in bench.deliver(s3, s1)] == [AskLeader]
    s3.act(s3.journals.closed(s2.node, bench.now, refused=True))
    s3.act(s3.journals.closed(s1.node, bench.now))
    assert not bench.deliver(s3, s2), "a stream that broke answers nothing"
    s3.act(s3.journals.closed(s1.node, bench.now, refused=True))
    (answer,) = bench.deliver(s3, s2)
    assert isinstance(answer, PreVoteAnswer)
    assert answer.granted


def test_a_refused_leader_may_restart_within_two_seconds() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.REFUSED)
    cluster.run(1.0)
    cluster.start(owner)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 4.0)
    assert max(ballot.round for _, ballot in cluster.ballots) == 2


def test_a_port_refused_to_a_voter_gives_the_leader_time() -> None:
    """Another member has declared it dead, so the registry does not say why."""
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.SILENT, refuses=True)
    cluster.run(1.5)
    cluster.start(owner)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 4.0)
    assert max(ballot.round for _, ballot in cluster.ballots) == 2


def test_a_leader_whose_port_stays_refused_is_followed() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.SILENT, refuses=True)
    cluster.run(2.2)
    assert not another_leads(cluster, journal, owner)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 2.0)


def test_a_dead_leader_is_asked_once_by_each_voter() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s2.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: s1.data.promised}
    s2.see(s1, ProcessStanding.LIVES)
    bench.now += 10.0
    s2.act(s2.journals.advance(bench.now))
    s2.see(s1, ProcessStanding.SILENT)
    assert [type(message) for message in bench.deliver(s2, s1)] == [AskLeader]
    s2.see(s3, ProcessStanding.SILENT)
    assert not bench.deliver(s2, s1)
    due = s2.journals.next_deadline()
    s2.act(s2.journals.closed(s3.node, bench.now, refused=True))
    assert s2.journals.next_deadline() == due, "another port was refused"
    s2.act(s2.journals.closed(s1.node, bench.now, refused=True))
    assert s2.journals.next_deadline() == pytest.approx(bench.now + TUNING.refused_grace_s)
    s2.act(s2.journals.closed(s1.node, bench.now + 1.0, refused=True))
    assert s2.journals.next_deadline() == pytest.approx(bench.now + TUNING.refused_grace_s)


def test_the_owner_gets_its_journal_back_after_ten_seconds() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 5.0)
    cluster.start(owner)
    began = cluster.now
    assert cluster.until(lambda: cluster.leader(journal) is owner, 30.0)
    assert cluster.now - began >= 10.0


def test_a_crash_looping_owner_waits_longer_each_time() -> None:
    cluster, journal, owner = opened()
    waits = []
    for _ in range(3):
        cluster.crash(owner)
        assert cluster.until(lambda: another_leads(cluster, journal, owner), 5.0)
        cluster.start(owner)
        began = cluster.now
        assert cluster.until(lambda: cluster.leader(journal) is owner, 120.0)
        waits.append(cluster.now - began)
    assert waits[0] < 15 < waits[1] < 25 < waits[2]


def test_one_wrong_verdict_deposes_nobody() -> None:
    cluster, journal, owner = opened()
    voter = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    cluster.slander(voter, owner, 20.0)
    cluster.run(30.0)
    assert cluster.leader(journal) is owner
    assert max(ballot.round for _, ballot in cluster.ballots) == 1


def test_a_leader_with_a_hung_disk_commits_on_the_disks_of_others() -> None:
    cluster, journal, owner = opened()
    owner.hung = True
    ticket = cluster.propose(owner, journal, b"1")
    cluster.run(1.0)
    assert ticket is not None
    assert owner.settled[ticket].copies == 2


def test_a_leader_that_cannot_commit_for_five_seconds_gives_up() -> None:
    cluster, journal, owner = opened()
    follower = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    owner.hung = follower.hung = True
    ticket = cluster.propose(owner, journal, b"1")
    cluster.run(4.5)
    assert journal in owner.claims
    cluster.run(1.0)
    assert ticket is not None
    assert owner.settled[ticket].outcome is ProposalOutcome.UNKNOWN
    follower.hung = False
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 15.0)


def test_a_leader_without_a_majority_gives_up_its_claim() -> None:
    cluster, journal, owner = opened()
    cluster.partition({owner.number}, {sidecar.number for sidecar in cluster.sidecars} - {owner.number})
    cluster.propose(owner, journal, b"1")
    assert cluster.until(lambda: journal not in owner.claims, 6.0)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 5.0)


def test_a_lost_voter_is_replaced_after_a_minute() -> None:
    cluster, journal, owner = opened()
    voter = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    cluster.crash(voter)
    cluster.lose_disk(voter)
    cluster.run(55.0)
    assert voter.number in cluster.voters(journal)
    assert cluster.until(lambda: len(cluster.voters(journal) - {voter.number}) == 3, 60.0)


def test_a_voter_without_its_disk_is_replaced_by_a_new_copy() -> None:
    cluster, journal, owner = opened(members=3)
    voter = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    before = voter.journals.replicas[journal].data.replica
    cluster.crash(voter)
    cluster.lose_disk(voter)
    cluster.start(voter)
    cluster.propose(owner, journal, b"1")
    cluster.run(150.0)
    assert journal in voter.journals.replicas
    assert voter.journals.replicas[journal].data.replica != before


def test_all_voters_restart_and_one_leads_again() -> None:
    cluster, journal, _ = opened()
    for sidecar in cluster.sidecars:
        cluster.crash(sidecar)
    cluster.run(5.0)
    for sidecar in cluster.sidecars:
        cluster.start(sidecar)
    assert cluster.until(lambda: cluster.leader(journal) is not None, 15.0)


def test_two_durable_hosts_keep_one_voter_and_a_learner() -> None:
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    journal = cluster.open(cluster.sidecars[0])
    cluster.run(20.0)
    configuration = cluster.sidecars[0].journals.replicas[journal].data.configuration
    assert (len(configuration.voters), len(configuration.learners)) == (1, 1)


def test_a_learner_is_kept_up_to_date() -> None:
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    owner, other = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(20.0)
    ours, theirs = owner.journals.replicas[journal].data, other.journals.replicas[journal].data
    for number in range(20):
        cluster.propose(owner, journal, b"%d" % number)
        cluster.run(0.1)
    assert theirs.state.records.all() == ours.state.records.all()
    cluster.crash(other)
    cluster.propose(owner, journal, b"while it was away")
    cluster.run(5.0)
    cluster.start(other)
    cluster.run(5.0)
    theirs = other.journals.replicas[journal].data
    assert theirs.state.records.get(b"while it was away")
    assert cluster.voters(journal) == {owner.number}


def test_a_learner_that_is_gone_is_dropped_and_taken_again() -> None:
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    owner, other = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(20.0)
    cluster.crash(other)
    cluster.lose_disk(other)
    cluster.run(100.0)
    ours = owner.journals.replicas[journal].data
    assert not ours.configuration.learners
    cluster.propose(owner, journal, b"1")
    cluster.start(other)
    cluster.run(20.0)
    assert len(ours.configuration.learners) == 1
    assert other.journals.replicas[journal].data.state.records.get(b"1")


def test_a_learner_gets_only_what_is_committed() -> None:
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    owner, other = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(20.0)
    ours, theirs = owner.journals.replicas[journal].data, other.journals.replicas[journal].data
    owner.hung = True
    cluster.propose(owner, journal, b"1")
    cluster.run(1.0)
    assert theirs.log.last.index == ours.committed == ours.log.last.index - 1
    owner.hung = False
    cluster.run(1.0)
    assert theirs.log.last == ours.log.last


def test_a_replica_greets_the_leader_unless_that_has_reached_it() -> None:
    """Else each new copy would do so when some member changes next, though its journal is at rest."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s2.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: s1.data.promised}
    s2.see(s1, ProcessStanding.LIVES)
    assert not bench.deliver(s2, s1)
    s2.start()
    s2.act(s2.journals.start(bench.now))
    assert [type(message) for message in bench.deliver(s2, s1)] == [ReplicaHello]
