"""A member that leaves: it hands over what it leads, and says so where a journal stops without it."""

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import HandOver, ReplicaLeaving
from gossipreg.journal.model import JournalId
from tests.journal.by_hand import JOURNAL, Bench
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_elections import another_leads, opened


def leave(cluster: Cluster, sidecar: Sidecar, limit_s: float = 15.0) -> float:
    """Begin to leave; how long it took until the member might."""
    began = cluster.now
    cluster.act(sidecar, sidecar.journals.leaving(cluster.now))
    assert cluster.until(lambda: sidecar.journals.may_leave, limit_s)
    return cluster.now - began


def followers(cluster: Cluster, journal: JournalId, owner: Sidecar) -> list[Sidecar]:
    return [cluster.sidecars[number] for number in sorted(cluster.voters(journal) - {owner.number})]


def test_a_member_without_journals_may_leave_at_once() -> None:
    cluster = Cluster(1, 3)
    cluster.run(1.0)
    assert not cluster.sidecars[0].journals.may_leave
    assert leave(cluster, cluster.sidecars[0]) == 0.0


def test_a_leader_that_leaves_hands_over_first() -> None:
    cluster, journal, owner = opened()
    assert leave(cluster, owner) < 0.5
    assert another_leads(cluster, journal, owner)
    cluster.crash(owner, ProcessStanding.LEFT)
    leader = cluster.leader(journal)
    assert leader is not None
    ticket = cluster.propose(leader, journal, b"1")
    cluster.run(1.0)
    assert ticket is not None
    assert leader.settled[ticket].outcome is ProposalOutcome.COMMITTED


def test_a_leader_hands_over_to_a_voter_that_lives() -> None:
    cluster, journal, owner = opened()
    dead, alive = followers(cluster, journal, owner)
    cluster.crash(dead)
    cluster.run(2.0)
    leave(cluster, owner)
    assert cluster.leader(journal) is alive


def test_a_follower_of_a_whole_journal_leaves_at_once() -> None:
    cluster, journal, owner = opened()
    sent = cluster.messages
    assert leave(cluster, followers(cluster, journal, owner)[0]) == 0.0
    assert cluster.messages == sent


def test_one_of_a_bare_majority_is_replaced_before_it_leaves() -> None:
    cluster, journal, owner = opened()
    dead, leaving = followers(cluster, journal, owner)
    cluster.crash(dead)
    cluster.run(2.0)
    assert leave(cluster, leaving) <= 2.1
    cluster.crash(leaving, ProcessStanding.LEFT)
    cluster.run(0.5)
    assert leaving.number not in cluster.voters(journal)
    ticket = cluster.propose(owner, journal, b"1")
    cluster.run(1.0)
    assert ticket is not None
    assert owner.settled[ticket].outcome is ProposalOutcome.COMMITTED


def test_without_another_host_one_of_a_bare_majority_waits_2_s() -> None:
    cluster, journal, owner = opened(members=3)
    dead, leaving = followers(cluster, journal, owner)
    cluster.crash(dead)
    cluster.run(2.0)
    assert 1.9 < leave(cluster, leaving) < 2.2
    assert cluster.leader(journal) is owner


def test_a_leader_whose_heir_does_not_stand_leaves_in_time() -> None:
    """It stepped down, and then waited for a change of the members that would say that the time of its wait begins."""
    cluster, journal, owner = opened(members=3)
    gone, heir = followers(cluster, journal, owner)
    cluster.crash(gone, ProcessStanding.LEFT)
    cluster.run(1.0)
    cluster.cut_streams(heir)
    assert leave(cluster, owner) < 10.0
    assert journal not in owner.claims


def test_the_last_voter_keeps_the_journal_when_the_others_leave() -> None:
    cluster, journal, owner = opened(members=3)
    first, second = followers(cluster, journal, owner)
    assert leave(cluster, first) == 0.0
    cluster.crash(first, ProcessStanding.LEFT)
    cluster.run(1.0)
    assert leave(cluster, second) < 0.5
    cluster.crash(second, ProcessStanding.LEFT)
    assert cluster.voters(journal) == {owner.number}
    ticket = cluster.propose(owner, journal, b"1")
    cluster.run(120.0)
    assert ticket is not None
    assert owner.settled[ticket].outcome is ProposalOutcome.COMMITTED
    for other in (first, second):
        cluster.start(other)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 60.0), "it has three copies once there are members"


def test_the_last_but_one_that_leaves_hands_the_journal_over() -> None:
    cluster, journal, owner = opened(members=3)
    first, last = followers(cluster, journal, owner)
    leave(cluster, first)
    cluster.crash(first, ProcessStanding.LEFT)
    cluster.run(1.0)
    leave(cluster, owner)
    cluster.crash(owner, ProcessStanding.LEFT)
    cluster.run(1.0)
    assert (cluster.voters(journal), cluster.leader(journal)) == ({last.number}, last)
    ticket = cluster.propose(last, journal, b"1")
    cluster.run(1.0)
    assert ticket is not None
    assert last.settled[ticket].outcome is ProposalOutcome.COMMITTED


def test_a_leader_without_another_voter_leaves_and_withdraws() -> None:
    cluster, journal, owner = opened()
    for other in followers(cluster, journal, owner):
        cluster.crash(other)
    cluster.run(2.0)
    leave(cluster, owner)
    assert journal not in owner.claims


def test_the_only_voter_of_a_journal_leaves_at_once() -> None:
    cluster = Cluster(1, 1)
    cluster.run(1.0)
    (owner,) = cluster.sidecars
    cluster.open(owner)
    cluster.run(1.0)
    assert leave(cluster, owner) == 0.0


def test_a_voter_with_a_hung_disk_does_not_hold_up_a_leader() -> None:
    cluster, journal, owner = opened()
    for other in followers(cluster, journal, owner):
        other.hung = True
    assert leave(cluster, owner) < 10.0
    assert journal not in owner.claims


def test_a_member_that_leaves_stands_no_more() -> None:
    cluster, journal, owner = opened(members=3)
    first, second = followers(cluster, journal, owner)
    cluster.hung = False  # type: ignore[attr-defined]
    cluster.act(first, first.journals.leaving(cluster.now))
    second.hung = True
    cluster.crash(owner, ProcessStanding.LEFT)
    cluster.run(20.0)
    assert cluster.leader(journal) is None
    second.hung = False
    assert cluster.until(lambda: cluster.leader(journal) is second, 30.0)


def test_a_member_that_leaves_takes_no_journal_over() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s2.act(s2.journals.leaving(bench.now))
    s2.act(
        s2.journals.receive(
            s1.node,
            HandOver(journal=JOURNAL, sender=s1.replica, receiver=s2.replica, ballot=s1.data.promised),
            bench.now,
        )
    )
    assert not s2.writes


def test_a_voter_that_said_it_leaves_and_is_back_is_not_replaced() -> None:
    cluster, journal, owner = opened(members=3)
    dead, back = followers(cluster, journal, owner)
    cluster.crash(dead)
    cluster.run(2.0)
    leave(cluster, back)
    cluster.crash(back, ProcessStanding.LEFT)
    cluster.start(back)
    cluster.start(dead)
    cluster.run(30.0)
    assert back.number in cluster.voters(journal)
    assert back.journals.replicas[journal].data.replica in {
        place.replica for place in owner.journals.replicas[journal].data.configuration.voters
    }


def test_a_notice_of_leaving_is_for_the_leader_alone() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    notice = ReplicaLeaving(journal=JOURNAL, sender=s1.replica, receiver=s2.replica)
    assert s2.journals.receive(s1.node, notice, bench.now) == []
