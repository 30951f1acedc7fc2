"""Recovery by hand: one replica becomes the only voter, and says what may be missing."""

import pytest

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import ReplicaLost
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from gossipreg.journal.recovery import RecoveredJournal, VotersLive
from gossipreg.journal.tuning import JournalTuning
from tests.journal.by_hand import JOURNAL, TUNING, Bench
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_elections import opened


def recover(cluster: Cluster, sidecar: Sidecar, journal: JournalId) -> RecoveredJournal:
    done, effects = sidecar.journals.recover(journal, cluster.now)
    cluster.act(sidecar, effects)
    return done


def survivor(members: int = 5) -> tuple[Cluster, JournalId, Sidecar, list[Sidecar]]:
    """A journal of which one voter is left; the others have lost their disks."""
    cluster, journal, owner = opened(members=members)
    for number in range(3):
        cluster.propose(owner, journal, b"%d" % number)
        cluster.run(0.5)
    left, gone = (cluster.sidecars[number] for number in sorted(cluster.voters(journal) - {owner.number}))
    for lost in (owner, gone):
        cluster.crash(lost)
        cluster.lose_disk(lost)
    cluster.run(40.0)
    assert cluster.leader(journal) is None
    return cluster, journal, left, [owner, gone]


def test_one_voter_of_three_is_recovered_and_copied_anew() -> None:
    cluster, journal, left, _ = survivor()
    before = left.journals.replicas[journal].data
    expected = before.configuration, before.log.last, before.committed
    done = recover(cluster, left, journal)
    assert (done.replaced, done.end, done.committed) == expected
    assert cluster.until(lambda: cluster.leader(journal) is left, 1.0)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 30.0)
    records = left.journals.replicas[journal].data.state.records
    assert all(records.get(b"%d" % number) for number in range(3))
    ticket = cluster.propose(left, journal, b"after")
    cluster.run(1.0)
    assert ticket is not None
    assert left.settled[ticket].copies >= 2


def test_recovered_journal_has_ballots_above_all_of_before() -> None:
    """A copy that was away knows none of the elections since, and its claim must not look older than the end."""
    cluster, journal, left, _ = survivor()
    before = left.journals.replicas[journal].data.promised
    recover(cluster, left, journal)
    assert cluster.until(lambda: cluster.leader(journal) is left, 1.0)
    claimed = left.claims[journal]
    assert claimed > Ballot(before.round + 1_000_000, ReplicaId(b"\xff" * 16))
    assert (before.era, claimed.era) == (0, 1)
    cluster.crash(left)
    cluster.start(left)
    assert cluster.until(lambda: cluster.leader(journal) is not None, 30.0)
    leader = cluster.leader(journal)
    assert leader is not None
    assert leader.claims[journal].era == 1, "an election begins no era"


def test_voters_that_come_back_without_their_disks_get_new_copies() -> None:
    cluster, journal, left, others = survivor(members=3)
    for other in others:
        cluster.start(other)
    cluster.run(60.0)
    assert cluster.leader(journal) is None
    recover(cluster, left, journal)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 30.0), cluster.voters(journal)


def test_an_old_voter_that_comes_back_is_dismissed() -> None:
    cluster, journal, owner = opened(members=5)
    cluster.propose(owner, journal, b"1")
    cluster.run(1.0)
    left, back = (cluster.sidecars[number] for number in sorted(cluster.voters(journal) - {owner.number}))
    before = back.journals.replicas[journal].data.replica
    cluster.crash(back)
    cluster.crash(owner)
    cluster.lose_disk(owner)
    cluster.run(30.0)
    recover(cluster, left, journal)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 30.0)
    cluster.start(back)
    cluster.run(10.0)
    assert journal not in back.journals.replicas or back.journals.replicas[journal].data.replica != before
    assert cluster.leader(journal) is left


def test_a_learner_can_be_promoted_by_hand() -> None:
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    owner, other = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(20.0)
    cluster.propose(owner, journal, b"1")
    cluster.run(1.0)
    cluster.crash(owner)
    cluster.lose_disk(owner)
    cluster.run(5.0)
    recover(cluster, other, journal)
    assert cluster.until(lambda: cluster.leader(journal) is other, 1.0)
    assert other.journals.replicas[journal].data.state.records.get(b"1")


def test_a_learner_hears_that_the_only_voter_has_lost_its_disk() -> None:
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    owner, other = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(20.0)
    cluster.crash(owner)
    cluster.lose_disk(owner)
    cluster.run(5.0)
    cluster.start(owner)
    cluster.run(5.0)
    recover(cluster, other, journal)
    assert cluster.until(lambda: cluster.leader(journal) is other, 1.0)


def test_recovered_journal_outlives_those_that_know_its_end() -> None:
    """Two of three voters ended it while its owner was away. The owner came back alone, was recovered, and got new
    voters. One of the two, asked for a copy later, said that the journal has ended, and each copy believed the next."""
    cluster = Cluster(1, 5, JournalTuning(orphan_s=30.0, replace_s=20.0, replace_spread_s=1.0))
    owner, *others = cluster.sidecars
    know, new = others[:2], others[2:]
    for one in new:
        cluster.crash(one, ProcessStanding.LEFT)
    cluster.run(1.0)
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    cluster.crash(owner, ProcessStanding.SILENT)
    assert cluster.until(lambda: all(one.journals.replicas[journal].data.ended for one in know), 60.0)
    for one in know:
        cluster.crash(one, ProcessStanding.SILENT)
    cluster.run(5.0)
    cluster.start(owner)
    cluster.run(30.0)
    cluster.applied.clear()  # the end is no part of what follows
    recover(cluster, owner, journal)
    for one in new:
        cluster.start(one)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 60.0)
    ticket = cluster.propose(owner, journal, b"1")
    cluster.run(2.0)
    assert ticket is not None
    assert owner.settled[ticket].outcome is ProposalOutcome.COMMITTED
    for one in know:
        cluster.start(one)
    cluster.crash(new[0], ProcessStanding.SILENT)
    cluster.run(200.0)
    assert cluster.leader(journal) is owner
    assert owner.journals.replicas[journal].data.state.records.get(b"1")
    cluster.crash(new[1], ProcessStanding.SILENT)
    cluster.run(30.0)
    assert owner.journals.replicas[journal].data.state.records.get(b"1"), "nor may it end while no voter answers"
    cluster.start(new[1])
    assert cluster.until(lambda: cluster.leader(journal) is owner, 60.0)


def test_looking_at_a_recovery_changes_nothing() -> None:
    cluster, journal, left, _ = survivor()
    data = left.journals.replicas[journal].data
    before = data.promised, data.log.last, data.configuration
    would, effects = left.journals.recover(journal, cluster.now, sure=False)
    cluster.act(left, effects)
    cluster.run(20.0)
    assert (data.promised, data.log.last, data.configuration) == before
    assert cluster.leader(journal) is None
    assert recover(cluster, left, journal) == would


def test_a_journal_that_is_led_is_not_recovered() -> None:
    cluster, journal, owner = opened()
    cluster.run(5.0)
    with pytest.raises(ProposalRefused, match="this sidecar leads"):
        owner.journals.recover(journal, cluster.now)
    follower = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    with pytest.raises(ProposalRefused, match=f"member {owner.node.hex()} leads this journal") as refused:
        follower.journals.recover(journal, cluster.now)
    assert refused.value.code == "led"


def test_a_journal_that_can_be_led_is_not_recovered() -> None:
    cluster, journal, owner = opened()
    cluster.run(5.0)
    left = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    cluster.crash(owner, ProcessStanding.SILENT)
    assert cluster.until(lambda: left.journals.replicas[journal]._candidacy.leaderless, 2.0)
    with pytest.raises(ProposalRefused, match="2 of 3 voters live") as refused:
        left.journals.recover(journal, cluster.now)
    assert refused.value.code == "majority"


def test_a_sidecar_without_a_copy_says_so() -> None:
    cluster, _, owner = opened()
    with pytest.raises(ProposalRefused, match="no copy of that journal"):
        owner.journals.recover(JournalId(b"?" * 16), cluster.now)


def test_entries_that_were_never_committed_count_after_recovery() -> None:
    """Nobody can say whether they were acknowledged, so they are kept, and counted for the operator."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s1.propose(b"uncertain", 1)
    s1.write()
    bench.deliver(s1, s2)
    s2.write()
    s2.start()
    for gone in (s1, s3):
        s2.see(gone, ProcessStanding.SILENT)
    done, effects = s2.journals.recover(JOURNAL, bench.now)
    s2.act(effects)
    assert (done.end.index, done.uncertain) == (2, done.end.index - done.committed)
    assert done.uncertain >= 1
    bench.now += 0.1
    s2.act(s2.journals.advance(bench.now))
    for _ in range(4):
        s2.write()
    assert s2.established
    assert s2.data.state.records.get(b"uncertain")
    s2.propose(b"next", 2)
    s2.write()
    assert s2.settled[2].outcome is ProposalOutcome.COMMITTED


def test_a_recovery_outlives_a_restart() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    for gone in (s1, s3):
        s2.see(gone, ProcessStanding.SILENT)
    s2.act(s2.journals.recover(JOURNAL, bench.now)[1])
    s2.write()
    s2.start()
    assert [place.replica for place in s2.data.configuration.voters] == [s2.replica]
    s2.act(s2.journals.start(bench.now))
    s2.act(s2.journals.advance(bench.now))
    for _ in range(4):
        s2.write()
    assert s2.established


def test_voters_that_said_to_be_lost_count_as_gone() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s2.see(s1, ProcessStanding.SILENT)
    bench.now += 5.0
    with pytest.raises(ProposalRefused, match="2 of 3 voters live"):
        s2.journals.recover(JOURNAL, bench.now)
    lost = ReplicaLost(journal=JOURNAL, sender=s3.replica, receiver=s2.replica)
    s2.act(s2.journals.receive(s3.node, lost, bench.now))
    done, _ = s2.journals.recover(JOURNAL, bench.now)
    assert len(done.replaced.voters) == 3


def test_former_voter_of_the_own_member_counts_as_lost() -> None:
    """A member that had lost its disk and got a new replica said that it lives and has not lost its disk."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s2.see(s1, ProcessStanding.SILENT)
    bench.now += 5.0
    with pytest.raises(ProposalRefused, match="2 of 3 voters live"):
        s2.journals.recover(JOURNAL, bench.now, sure=False)
    s2.data.replica = ReplicaId(b"another one" + bytes(5))
    done, _ = s2.journals.recover(JOURNAL, bench.now, sure=False)
    assert len(done.replaced.voters) == 3


def test_a_leader_that_gives_up_still_knows_which_voters_are_lost() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    for voter in (s2, s3):
        lost = ReplicaLost(journal=JOURNAL, sender=voter.replica, receiver=s1.replica)
        s1.act(s1.journals.receive(voter.node, lost, bench.now))
    s1.propose(b"x", 1)
    s1.write()
    bench.now += TUNING.stuck_s
    s1.act(s1.journals.advance(bench.now))
    assert s1.journals.replicas[JOURNAL].leading is None
    done, _ = s1.journals.recover(JOURNAL, bench.now, sure=False)
    assert len(done.replaced.voters) == 3


def test_voters_that_are_asked_say_that_they_have_lost_their_disks() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    bench.now += 5.0
    for voter in (s1, s3):
        voter.disk.clear()
        voter.start()
    with pytest.raises(VotersLive) as refused:
        s2.journals.recover(JOURNAL, bench.now)
    assert set(refused.value.nodes) == {s1.node, s2.node, s3.node}
    s2.act(s2.journals.ask_voters(JOURNAL, bench.now))
    for voter in (s1, s3):
        bench.deliver(s2, voter)
        bench.deliver(voter, s2)
    done, _ = s2.journals.recover(JOURNAL, bench.now, sure=False)
    assert len(done.replaced.voters) == 3


def test_a_voter_that_is_asked_and_has_its_copy_counts() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    bench.now += 5.0
    s1.disk.clear()
    s1.start()
    s2.act(s2.journals.ask_voters(JOURNAL, bench.now))
    for voter in (s1, s3):
        bench.deliver(s2, voter)
        bench.deliver(voter, s2)
    with pytest.raises(VotersLive) as refused:
        s2.journals.recover(JOURNAL, bench.now)
    assert set(refused.value.nodes) == {s2.node, s3.node}


def test_it_leads_at_once_though_an_attempt_is_under_way() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    for gone in (s1, s3):
        s2.see(gone, ProcessStanding.SILENT)
    bench.now += 5.0
    s2.act(s2.journals.advance(bench.now))
    assert s2.journals.electing == {JOURNAL}
    s2.act(s2.journals.recover(JOURNAL, bench.now)[1])
    for _ in range(4):
        s2.act(s2.journals.advance(bench.now))
        s2.write()
    assert s2.established


def test_a_sidecar_that_is_not_in_sync_recovers_nothing() -> None:
    """It sees no other voter yet, though a majority may live and have a leader."""
    cluster, journal, owner = opened()
    follower = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    cluster.crash(follower)
    cluster.run(1.0)
    cluster.start(follower)
    assert follower.view.synced_at is None
    with pytest.raises(ProposalRefused, match="not in sync"):
        recover(cluster, follower, journal)
    cluster.run(5.0)
    assert cluster.leader(journal) is owner
