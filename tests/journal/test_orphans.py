"""Journals whose owner does not come back: ended where they hold nothing, kept where they hold something."""

from dataclasses import replace

import pytest

from gossipreg.journal import journals as journals_module
from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import AskLeader, ReplicaDismissed
from gossipreg.journal.model import NO_BALLOT, Ballot, Configuration, EntryKind, JournalId, Position
from gossipreg.journal.tuning import JournalTuning
from tests.journal.by_hand import JOURNAL, Bench, Voter
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_large_records import VALUES, behind, piece

ORPHAN_S = 30.0


def opened(members: int = 5) -> tuple[Cluster, JournalId, Sidecar]:
    cluster = Cluster(1, members, JournalTuning(orphan_s=ORPHAN_S, replace_s=600.0))
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == min(3, members) or members == 2, 10.0)
    cluster.run(2.0)
    return cluster, journal, owner


def holders(cluster: Cluster, journal: JournalId) -> list[int]:
    """The members that run and have a replica of which more is left than that the journal has ended."""
    return [
        sidecar.number
        for sidecar in cluster.sidecars
        if sidecar.up and journal in sidecar.journals.replicas and not sidecar.journals.replicas[journal].data.ended
    ]


def test_an_empty_journal_ends_when_its_owner_stays_away() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(ORPHAN_S - 5.0)
    assert len(holders(cluster, journal)) == 2
    cluster.run(20.0)
    assert holders(cluster, journal) == []
    assert not any(journal in sidecar.claims for sidecar in cluster.sidecars if sidecar.up)
    assert all(sidecar.journals.next_deadline() == float("inf") for sidecar in cluster.sidecars if sidecar.up)


def test_an_owner_that_comes_back_later_opens_another_journal() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(ORPHAN_S + 15.0)
    cluster.start(owner)
    assert cluster.until(lambda: owner.journals.own is None, 5.0)
    assert cluster.open(owner) != journal


def test_a_journal_with_contents_is_kept_and_shown_as_orphaned() -> None:
    cluster, journal, owner = opened()
    ticket = cluster.propose(owner, journal, b"1")
    cluster.run(1.0)
    assert ticket is not None
    assert owner.settled[ticket].outcome is ProposalOutcome.COMMITTED
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(ORPHAN_S - 5.0)
    leader = cluster.leader(journal)
    assert leader is not None
    assert not leader.journals.replicas[journal].orphaned
    cluster.run(60.0)
    assert leader.journals.replicas[journal].orphaned
    assert len(holders(cluster, journal)) == 2
    cluster.start(owner)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 30.0)
    assert not owner.journals.replicas[journal].orphaned
    assert owner.journals.replicas[journal].data.state.records.get(b"1")


def test_an_owner_that_is_back_in_time_keeps_its_journal() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(ORPHAN_S - 5.0)
    cluster.start(owner)
    cluster.run(60.0)
    assert len(holders(cluster, journal)) == 3
    assert owner.journals.own == journal


def test_a_voter_that_was_away_hears_that_the_journal_ended() -> None:
    cluster, journal, owner = opened()
    away = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(10.0)
    leader = cluster.leader(journal)
    assert leader is not None
    if away is leader:
        away = next(cluster.sidecars[number] for number in holders(cluster, journal) if number != leader.number)
    cluster.run(ORPHAN_S - 15.0)
    away.hung = True  # the end is not on its disk
    cluster.crash(away, ProcessStanding.SILENT)
    cluster.start(owner)
    cluster.run(0.0)
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(60.0)
    away.hung = False
    cluster.start(away)
    assert cluster.until(lambda: not holders(cluster, journal), 60.0), holders(cluster, journal)


def test_a_learner_that_was_away_asks_whether_the_journal_ended() -> None:
    bench = Bench(3)
    s1, _, s3 = bench.voters
    ended(bench)
    stored = s3.disk[JOURNAL]
    voters = stored.base.configuration.voters
    learns = replace(stored.base, configuration=Configuration(voters[:2], voters[2:]))
    s3.disk[JOURNAL] = replace(stored, base=learns)
    s3.start()
    s3.act(s3.journals.start(bench.now))
    assert [type(message) for message in bench.deliver(s3, s1)] == [AskLeader]
    s3.act(s3.journals.members_changed(bench.now))
    assert not bench.deliver(s3, s1), "it asks once"
    s1.write()
    bench.deliver(s1, s3)
    assert JOURNAL not in s3.journals.replicas


def ended(bench: Bench, *, elect: bool = True) -> None:
    """The first voter leads, and the journal has ended at it and at the second one."""
    s1, s2, _ = bench.voters
    if elect:
        bench.elect(s1, s2)
        bench.exchange(s1, s2)
    leading = s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.end_journal()
    s1.act(s1.journals.members_changed(bench.now))
    bench.exchange(s1, s2)


def has_ended(voter: Voter) -> bool:
    return JOURNAL in voter.journals.replicas and voter.data.ended


def test_that_a_journal_has_ended_outlives_a_restart() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    ended(bench)
    assert (has_ended(s1), has_ended(s2), has_ended(s3)) == (True, True, False)
    for voter in (s1, s2):
        voter.start()
        assert has_ended(voter)
        assert not voter.data.votes
        assert voter.journals.own is None
    s3.stand()
    s3.write()
    for voter in (s1, s2):
        bench.deliver(s3, voter)
        voter.write()
    assert [type(message) for message in bench.deliver(s1, s3)] == [ReplicaDismissed]
    assert JOURNAL not in s3.journals.replicas
    assert not s3.claimed


def test_member_that_is_told_of_an_end_remembers_it() -> None:
    """Its outbox may name the journal: without the mark it would wait for a journal that is nowhere."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    ended(bench)
    assert not has_ended(s3)
    s3.stand()
    s3.write()
    bench.deliver(s3, s2)
    s2.write()
    assert [type(message) for message in bench.deliver(s2, s3)] == [ReplicaDismissed]
    assert has_ended(s3)
    s3.write()
    s3.start()
    assert has_ended(s3), "also after a restart"
    assert not s3.data.votes
    assert s3.journals.own is None, "it opens another one"


def test_voter_that_is_behind_at_the_end_remembers_it() -> None:
    """The leader lets it go, since nobody may tell it otherwise. It took that for the word of a leader that goes on."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    ended(bench, elect=False)
    assert has_ended(s1)
    messages = [message for sender, receiver, message in bench.sent if (sender, receiver) == (s1, s3)]
    bench.sent.clear()
    assert isinstance(messages[-1], ReplicaDismissed)
    s3.act(s3.journals.receive(s1.node, messages[-1], bench.now))
    assert has_ended(s3)


def test_end_leaves_nothing_of_a_state_that_was_arriving() -> None:
    """Its large records stayed on the disk until the next start, and no limit counted them."""
    bench, s1, s2, s3 = behind(VALUES)
    for _ in range(3):
        assert piece(bench, s1, s3) is not None
    assert s3.disk.stages[s3.replica]
    over = ReplicaDismissed(journal=JOURNAL, sender=s2.replica, receiver=s3.replica, ballot=NO_BALLOT)
    s3.act(s3.journals.receive(s2.node, over, bench.now))
    s3.write()
    assert has_ended(s3)
    assert not s3.disk.stages[s3.replica]


def test_leader_that_was_replaced_hears_of_the_end_from_a_voter() -> None:
    """As far as it knows, the others follow it."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    bench.elect(s2, s3)
    bench.exchange(s2, s3)
    leading, replaced = s2.journals.replicas[JOURNAL].leading, s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.end_journal()
    s2.act(s2.journals.members_changed(bench.now))
    bench.exchange(s2, s3)
    bench.drop(s2, s1)
    assert replaced is not None
    assert replaced.is_followed
    s1.propose(b"1", 1)
    s1.write()
    bench.deliver(s1, s2)
    s2.write()
    bench.deliver(s2, s1)
    assert has_ended(s1)


def test_nothing_is_accepted_behind_the_end_of_a_journal() -> None:
    bench = Bench(3)
    s1, s2, _ = bench.voters
    bench.elect(s1, s2)
    bench.exchange(s1, s2)
    leading = s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.end_journal()
    with pytest.raises(ProposalRefused, match="changes its leader"):
        s1.propose(b"1", 1)
    assert not leading.may_change


def test_a_leader_that_was_replaced_ends_nothing() -> None:
    """It does not know that another one leads, and that something was acknowledged there."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    bench.elect(s2, s3)
    bench.exchange(s2, s3)
    s2.propose(b"kept", 1)
    bench.exchange(s2, s3)
    assert s2.settled[1].outcome is ProposalOutcome.COMMITTED
    leading = s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.end_journal()
    s1.act(s1.journals.members_changed(bench.now))
    bench.exchange(s1, s2, s3)
    bench.exchange(s2, s1, s3)
    assert not any(map(has_ended, bench.voters))
    assert all(voter.data.state.records.get(b"kept") for voter in bench.voters)


def test_the_next_leader_completes_an_end_that_it_has() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    leading = s1.journals.replicas[JOURNAL].leading
    assert leading is not None
    leading.end_journal()
    s1.act(s1.journals.members_changed(bench.now))
    s1.write()
    bench.deliver(s1, s2)
    s2.write()
    s1.start()  # and the answers are lost
    assert not any(map(has_ended, bench.voters))
    bench.elect(s2, s3)
    with pytest.raises(ProposalRefused):
        s2.propose(b"1", 1)
    bench.exchange(s2, s3, s1)
    assert has_ended(s2)
    assert JOURNAL not in s3.journals.replicas or s3.data.ended
    assert s2.journals.replicas[JOURNAL].leading is None


def test_the_oldest_ended_journals_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals_module, "MAX_ENDED", 0)
    bench = Bench(3)
    ended(bench)
    bench.exchange(bench.voters[0], bench.voters[1])
    assert all(JOURNAL not in voter.journals.replicas for voter in bench.voters[:2])
    assert all(JOURNAL not in voter.disk for voter in bench.voters[:2])


def test_last_journal_that_ended_is_not_forgotten_for_an_older_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy may be here for years before its journal ends, and was forgotten at once, since it began before others."""
    monkeypatch.setattr(journals_module, "MAX_ENDED", 1)
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    later = JournalId(b"k" * 16)
    s3.disk[later] = replace(s3.disk[JOURNAL], journal=later)
    s3.start()
    for journal in (later, JOURNAL):
        s3.journals.replicas[journal].data.log.last = Position(Ballot(1, s1.replica), 1)
        over = ReplicaDismissed(journal=journal, sender=s2.replica, receiver=s3.replica, ballot=NO_BALLOT)
        s3.act(s3.journals.receive(s2.node, over, bench.now))
    assert [*s3.journals.replicas] == [JOURNAL]


def test_the_end_is_no_kind_of_a_state_machine() -> None:
    bench = Bench(3)
    s1, s2, _ = bench.voters
    bench.elect(s1, s2)
    bench.exchange(s1, s2)
    with pytest.raises(AssertionError):
        s1.journals.propose(JOURNAL, b"", 1, bench.now, kind=EntryKind.END)
