"""When a replica says to the leader how far it is, and how often it repeats that."""

from dataclasses import replace
from functools import partial

import pytest

from gossipreg.journal.membership import ProcessStanding, SeenMember
from gossipreg.journal.messages import AskLeader, LeaderAnswer, ReplicaDismissed, ReplicaHello, TakeReplica
from gossipreg.journal.model import Configuration, JournalId, ReplicaId
from gossipreg.journal.replica import Replica
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import BootId
from tests.journal.by_hand import JOURNAL, Bench, Voter
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_elections import opened


def greets(cluster: Cluster, lost: set[int]) -> list[tuple[float, int]]:
    """The times of the greetings from now on, and whom they are for. Those for members in `lost` do not arrive: no
    stream to them opens."""
    found: list[tuple[float, int]] = []
    send = cluster._send

    def note(sender: Sidecar, receiver: Sidecar, message: object) -> None:
        if isinstance(message, ReplicaHello):
            found.append((cluster.now, receiver.number))
            if receiver.number in lost:
                cluster.after(0.2, partial(cluster._failed, sender, sender.boot, receiver))
                return
        send(sender, receiver, message)  # type: ignore[arg-type]

    cluster._send = note  # type: ignore[method-assign]
    return found


def replica_that_was_away(lost: set[int]) -> tuple[Cluster, JournalId, Sidecar, list[tuple[float, int]]]:
    """A voter that crashed and starts again, and its greetings. Its leader does not try to reach it: it is as one that
    has been replaced."""
    cluster, journal, owner = opened()
    gone = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    cluster.crash(gone)
    assert cluster.until(lambda: gone.number not in cluster.voters(journal), 120.0)
    cluster.run(5.0)
    greetings = greets(cluster, lost)
    cluster.start(gone)
    return cluster, journal, gone, greetings


def test_a_leader_that_is_not_reached_is_greeted_less_and_less_often() -> None:
    lost = {0}
    cluster, journal, gone, greetings = replica_that_was_away(lost)
    cluster.run(600.0)
    assert 20 <= len(greetings) <= 32, "after 1 s, 2, 4, 8, 16, and then every 30 s, give or take a quarter"
    assert greetings[-1][0] - greetings[-2][0] > 20.0
    lost.clear()
    assert cluster.until(lambda: journal not in gone.journals.replicas, 38.0)


def test_the_next_leader_is_greeted_at_once() -> None:
    cluster, journal, gone, greetings = replica_that_was_away({0})
    cluster.run(200.0)
    owner = cluster.sidecars[0]
    cluster.act(owner, owner.journals.leaving(cluster.now))
    assert cluster.until(lambda: journal not in gone.journals.replicas, 5.0)
    assert greetings[-1][1] != owner.number


def test_a_leader_that_is_dead_is_greeted_no_more() -> None:
    cluster, _, gone, greetings = replica_that_was_away({0})
    cluster.run(2.0)
    owner, count = cluster.sidecars[0], len(greetings)
    assert count
    gone.view.members[owner.node] = SeenMember(ProcessStanding.SILENT, owner.boot, cluster.now)
    cluster.run(600.0)
    assert len(greetings) == count


def test_a_replica_that_was_reached_has_no_timer() -> None:
    cluster, journal, owner = opened()
    voter = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    cluster.crash(voter)
    greetings = greets(cluster, set())
    cluster.start(voter)
    cluster.run(20.0)
    assert len(greetings) == 1
    assert voter.journals.next_deadline() == float("inf")
    cluster.run(3600.0)
    assert len(greetings) == 1


def test_replicas_that_their_dead_leader_had_reached_say_nothing() -> None:
    cluster, journal, owner = opened()
    greetings = greets(cluster, set())
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(600.0)
    assert cluster.leader(journal) is not None
    assert greetings == []


def test_a_replica_whose_member_was_taken_for_dead_greets_again() -> None:
    """It stood still: others have replaced it, and it has seen no member change."""
    cluster = Cluster(1, 4, JournalTuning(replace_s=3.0, replace_spread_s=1.0))
    cluster.run(1.0)
    owner, *_ = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 5.0)
    gone = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    others = [sidecar for sidecar in cluster.sidecars if sidecar is not gone]
    cluster.cut_streams(gone)
    cluster._tell(gone, ProcessStanding.SILENT, others)
    assert cluster.until(lambda: gone.number not in cluster.voters(journal), 20.0)
    cluster.cut = set()
    cluster._tell(gone, ProcessStanding.LIVES, others)
    cluster.run(60.0)
    assert journal in gone.journals.replicas, "nobody has told it yet"
    gone.view.incarnation = 1, 1
    cluster.act(gone, gone.journals.members_changed(cluster.now))
    assert cluster.until(lambda: journal not in gone.journals.replicas, 5.0)


def learner() -> tuple[Bench, Voter, Voter]:
    """The first voter of two, and a learner that nobody leads."""
    bench = Bench(3)
    s1, _, s3 = bench.voters
    base = s3.disk[JOURNAL].base
    voters = base.configuration.voters
    learns = replace(base, configuration=Configuration(voters[:2], voters[2:]))
    s3.disk[JOURNAL] = replace(s3.disk[JOURNAL], base=learns)
    s3.start()
    s3.act(s3.journals.start(bench.now))
    return bench, s1, s3


def test_a_question_of_a_learner_that_is_lost_is_asked_again() -> None:
    bench, s1, s3 = learner()
    bench.drop(s3, s1)
    bench.now += 2.0
    s3.act(s3.journals.advance(bench.now))
    assert [type(message) for message in bench.deliver(s3, s1)] == [AskLeader]


def test_a_question_of_a_learner_that_is_answered_is_asked_no_more() -> None:
    bench, _, s3 = learner()
    for voter in bench.voters[:2]:
        bench.deliver(s3, voter)
        assert [type(message) for message in bench.deliver(voter, s3)] == [LeaderAnswer]
    assert s3.journals.next_deadline() == float("inf")


def test_a_learner_does_not_ask_its_own_member() -> None:
    """It had lost a voter of this journal, and nobody would answer for that."""
    bench, s1, s3 = learner()
    stored = s3.disk[JOURNAL]
    first, second = stored.base.configuration.voters
    learns = replace(stored.base.configuration, voters=(first, second._replace(node=s3.node)))
    s3.disk[JOURNAL] = replace(stored, base=replace(stored.base, configuration=learns))
    bench.forget_messages_of(s3)
    s3.start()
    s3.act(s3.journals.start(bench.now))
    assert [(sender, receiver) for sender, receiver, _ in bench.sent] == [(s3, s1)]


def test_an_answer_to_another_question_answers_none_of_a_learner() -> None:
    """As a voter it asked whether this one leads, for a pre-vote; whether the journal is still there it did not ask."""
    bench, s1, s3 = learner()
    s3.see(s1, ProcessStanding.SILENT)
    bench.drop(s3, s1)
    late = LeaderAnswer(journal=JOURNAL, sender=s1.replica, receiver=s3.replica, number=7, leads=False)
    s3.act(s3.journals.receive(s1.node, late, bench.now))
    s3.see(s1, ProcessStanding.LIVES)
    assert [type(message) for message in bench.deliver(s3, s1)] == [AskLeader]


def test_a_lost_replica_that_greets_is_let_go() -> None:
    """It went back in time, was let go, and did not hear that."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    leading = s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.followers[s2.replica].lose()
    hello = ReplicaHello(
        journal=JOURNAL, sender=s2.replica, receiver=s1.replica, promised=s2.data.promised, position=s2.data.log.last
    )
    s1.act(s1.journals.receive(s2.node, hello, bench.now))
    bench.deliver(s1, s2)
    assert JOURNAL not in s2.journals.replicas


def test_an_input_of_one_journal_looks_at_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sidecar may hold 1,000 of them, and a member that comes back greets for each."""
    cluster = Cluster(1, 2)
    cluster.run(1.0)
    owner, other = cluster.sidecars
    ours, theirs = cluster.open(owner), cluster.open(other)
    cluster.run(20.0)
    assert {ours, theirs} <= owner.journals.replicas.keys()
    looked: list[JournalId] = []
    monkeypatch.setattr(Replica, "settle", lambda replica: looked.append(replica.data.journal))
    owner.journals.confirm(ours, 1, cluster.now)
    data = owner.journals.replicas[theirs].data
    ask = AskLeader(journal=theirs, sender=data.replica, receiver=data.replica, number=1)
    owner.journals.receive(other.node, ask, cluster.now)
    assert looked == [ours, theirs]


def test_a_leader_that_was_replaced_dismisses_no_copy_of_the_next() -> None:
    """It stood still, and a new copy had greeted it before the next leader reached that one, which counts on it now."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    first = s1.data.promised
    s1.journals.replicas[JOURNAL].leading = None
    bench.elect(s2, s3)
    bench.exchange(s2, s3)
    assert s3.data.log.last.ballot == s2.data.promised > first
    for voter, ballot, kept in ((s1, first, True), (s2, s2.data.promised, False)):
        dismissed = ReplicaDismissed(journal=JOURNAL, sender=voter.replica, receiver=s3.replica, ballot=ballot)
        s3.act(s3.journals.receive(voter.node, dismissed, bench.now))
        assert (JOURNAL in s3.journals.replicas) == kept


def test_a_voter_that_is_let_go_and_does_not_hear_it_greets_again() -> None:
    """Its log says that it is in no configuration any more."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s3.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: s1.data.promised}
    leading = s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.propose_configuration(Configuration(s1.data.configuration.voters[:2]))
    s1.act(s1.journals.members_changed(bench.now))
    s1.write()
    bench.deliver(s1, s3)
    s3.write()
    assert s3.data.configuration.joint
    bench.drop(s3, s1)
    bench.exchange(s1, s2)
    assert any(isinstance(message, ReplicaDismissed) for _, _, message in bench.sent)
    bench.drop(s1, s3)
    bench.now += 2.0
    s3.act(s3.journals.advance(bench.now))
    assert [type(message) for message in bench.deliver(s3, s1)] == [ReplicaHello]
    bench.deliver(s1, s3)
    assert JOURNAL not in s3.journals.replicas


def test_a_voter_that_a_late_append_reached_greets_the_next_leader() -> None:
    """It stood still while another one took over and replaced it, and read what its first leader had sent before."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2)
    first = s1.data.promised
    bench.elect(s2, s1)
    bench.exchange(s2, s1)
    leading = s2.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.propose_configuration(Configuration(s2.data.configuration.voters[:2]))
    s2.act(s2.journals.members_changed(bench.now))
    bench.exchange(s2, s1)
    bench.drop(s2, s3)
    s3.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: first}
    s3.act(s3.journals.members_changed(bench.now))
    bench.drop(s3, s1)
    assert bench.deliver(s1, s3)
    s3.write()
    bench.drop(s3, s1)
    s3.view.rows[s2.node] = BootId(b"\2" * 8), {JOURNAL: s2.data.promised}
    s3.act(s3.journals.members_changed(bench.now))
    assert bench.deliver(s3, s2) == [], "a leader reaches its voters by itself"
    bench.now += 2.0
    s3.act(s3.journals.advance(bench.now))
    assert [type(message) for message in bench.deliver(s3, s2)] == [ReplicaHello]
    bench.deliver(s2, s3)
    assert JOURNAL not in s3.journals.replicas


def test_a_new_copy_that_is_not_wanted_any_more_is_let_go() -> None:
    """Its leader was deposed, or had asked others meanwhile: nobody sends it anything."""
    cluster = Cluster(1, 3)
    cluster.run(1.0)
    owner, second, third = cluster.sidecars
    third.space_bytes = 0
    cluster.crash(third)
    cluster.start(third)
    journal = cluster.open(owner)
    cluster.run(5.0)
    assert journal not in third.journals.replicas
    third.space_bytes = 1
    third.journals._foreign_space_bytes = 1
    data = second.journals.replicas[journal].data
    take = TakeReplica(
        journal=journal, sender=data.replica, receiver=ReplicaId(b""), number=1, owner=owner.node
    )  # fmt: skip
    cluster.act(third, third.journals.receive(second.node, take, cluster.now))
    assert journal in third.journals.replicas
    assert cluster.until(lambda: journal not in third.journals.replicas, 5.0)
