"""A leader that is asked to prove that it leads, reaches no majority, and has nothing to commit."""

from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import Configuration, JournalId
from tests.journal.by_hand import JOURNAL, TUNING, Bench
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_elections import another_leads, opened


def asks(cluster: Cluster, journal: JournalId, leader: Sidecar, seconds: int) -> None:
    """Somebody waits for a proof, and asks again every second."""
    for number in range(seconds):
        if leader.journals.replicas[journal].leading is not None:
            cluster.act(leader, leader.journals.confirm(journal, number, cluster.now))
        cluster.run(1.0)


def test_a_leader_that_no_majority_answers_gives_up_its_claim() -> None:
    """No stream to it opens, and gossip comes: so the others take it for alive, and for their leader."""
    cluster, journal, owner = opened()
    cluster.cut_streams(owner)
    asks(cluster, journal, owner, 4)
    assert cluster.leader(journal) is owner
    asks(cluster, journal, owner, 4)
    assert journal not in owner.claims
    for other in cluster.sidecars[1:]:
        other.view.rows[owner.node] = owner.boot, {}  # gossip brings this
        cluster.act(other, other.journals.members_changed(cluster.now))
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 5.0)


def test_a_leader_that_nobody_asks_any_more_keeps_its_claim() -> None:
    """The one question was lost with its stream, which works again."""
    cluster, journal, owner = opened()
    cluster.cut_streams(owner)
    asks(cluster, journal, owner, 1)
    cluster.mend_streams()
    cluster.run(30.0)
    assert cluster.leader(journal) is owner
    assert owner.journals.next_deadline() == float("inf"), "an idle journal has no timer"


def test_a_leader_that_is_answered_keeps_its_claim() -> None:
    cluster, journal, owner = opened()
    asks(cluster, journal, owner, 20)
    assert (cluster.leader(journal), owner.confirmed) == (owner, set(range(20)))
    assert owner.journals.next_deadline() == float("inf")


def test_a_leader_whose_streams_work_again_in_time_keeps_its_claim() -> None:
    cluster, journal, owner = opened()
    cluster.cut_streams(owner)
    asks(cluster, journal, owner, 3)
    cluster.mend_streams()
    asks(cluster, journal, owner, 20)
    assert cluster.leader(journal) is owner


def test_a_leader_that_gave_up_stands_once_a_voter_is_back() -> None:
    """Found by the laboratory, scenario saga, seed 140094: both voters that were left had led and given up, so each
    waited half a minute for the other to lead."""
    cluster, journal, owner = opened(members=3)
    first, second = cluster.sidecars[1:]
    for other in (first, second):
        cluster.crash(other, ProcessStanding.SILENT)
    cluster.run(2.0)
    cluster.propose(owner, journal, b"1")
    cluster.run(8.0)
    assert journal not in owner.claims
    cluster.start(first)
    first.journals.replicas[journal]._candidacy.forbid(30.0)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 5.0)


def test_a_leader_that_gave_up_leaves_it_to_the_voters_that_live() -> None:
    """They live, but do not answer it; another voter may have a majority, and needs time to be elected."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    for other in (s2, s3):
        s1.see(other, ProcessStanding.SILENT)
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    for other in (s2, s3):
        s1.see(other, ProcessStanding.LIVES)
    s1.propose(b"x", 1)
    s1.write()
    bench.now += TUNING.stuck_s
    gave_up_at = bench.now
    s1.act(s1.journals.advance(bench.now))
    assert s1.journals.replicas[JOURNAL].leading is None
    while not s1.journals.electing:
        bench.now += 1.0
        s1.act(s1.journals.advance(bench.now))
    assert bench.now - gave_up_at >= TUNING.abdicated_s


def test_proof_asked_of_replaced_voters_comes_with_the_next() -> None:
    """Else the leader would take itself for cut off, though it is the only voter by now."""
    bench = Bench(2)
    leader, other = bench.voters
    bench.elect(leader, other)
    bench.exchange(leader, other)
    leader.act(leader.journals.confirm(JOURNAL, 1, bench.now))
    bench.drop(leader, other)
    voters = leader.data.configuration.voters
    leading = leader.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.propose_configuration(Configuration(voters[:1], (), voters))
    leader.act(leader.journals.members_changed(bench.now))
    bench.exchange(leader, other)
    assert (leader.data.configuration, leader.confirmed) == (Configuration(voters[:1]), set())
    bench.now += 1.0
    leader.act(leader.journals.confirm(JOURNAL, 2, bench.now))
    assert leader.confirmed == {1, 2}
    assert leader.journals.next_deadline() == float("inf"), "nothing is waited for any more"
