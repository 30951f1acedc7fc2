"""Histories that break naive logs, in their exact order."""

import pytest

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import AppendAnswer, Vote
from gossipreg.journal.model import NO_BALLOT, Ballot
from gossipreg.model import BootId
from tests.journal.by_hand import BIG, JOURNAL, Bench


def test_an_older_entry_is_not_committed_by_counting() -> None:
    """Raft, figure 8: a majority holds an entry of an older ballot, and a later leader may still replace it."""
    bench = Bench(5)
    s1, s2, s3, s4, s5 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3, s4, s5)
    assert s1.data.committed == 1
    s1.propose(BIG, 1)
    s1.write()
    bench.deliver(s1, s2)
    s2.write()
    s1.start()  # the answer of s2 is lost
    bench.elect(s5, s3, s4)
    s5.write()
    s5.start()
    bench.elect(s1, s2, s3)  # s3 has promised a higher ballot, and says so
    bench.elect(s1, s2, s3)
    s1.write()
    assert s1.data.log.last.index == 3
    bench.deliver(s1, s2, 1)
    s2.write()
    bench.deliver(s2, s1)
    for _ in range(3):  # s2 and s3 hold the big entry; only s1 has the entry of its new ballot
        bench.deliver(s1, s3, 1)
        s3.write()
        bench.deliver(s3, s1)
        if s3.data.log.last.index == 2:
            break
    assert [voter.data.log.last.index for voter in (s1, s2, s3)] == [3, 2, 2]
    assert s1.data.committed == 1
    bench.elect(s5, s2, s3, s4)
    assert s5.data.log.last.ballot.replica == s5.replica
    bench.exchange(s5, s2, s3, s4)
    assert s5.data.committed == s5.data.log.last.index
    assert s3.data.log.position_at(2) == s5.data.log.position_at(2)


def test_a_new_leader_acts_on_nothing_before_its_first_entry() -> None:
    bench = Bench(3)
    s1, s2, _ = bench.voters
    bench.elect(s1, s2)
    assert s1.claimed
    assert not s1.established
    with pytest.raises(ProposalRefused, match="changes its leader"):
        s1.propose(b"1", 1)
    with pytest.raises(ProposalRefused):
        s1.journals.confirm(JOURNAL, 1, bench.now)
    s1.write()
    assert not s1.established
    bench.exchange(s1, s2)
    assert s1.established


def acked(bench: Bench) -> list[int]:
    """The indexes that acknowledgements on their way name."""
    return [message.index for _, _, message in bench.sent if isinstance(message, AppendAnswer) and message.matches]


def test_nothing_is_acknowledged_before_it_is_on_the_disk() -> None:
    bench = Bench(3)
    s1, s2, _ = bench.voters
    s1.stand()
    assert not bench.sent, "its own promise is not on the disk"
    s1.write()
    bench.deliver(s1, s2)
    assert not any(isinstance(message, Vote) for _, _, message in bench.sent)
    s2.write()
    bench.deliver(s2, s1)
    s1.write()
    bench.deliver(s1, s2)
    bench.deliver(s2, s1)  # their logs match
    bench.deliver(s1, s2)
    assert [index for index in acked(bench) if index] == []
    s2.write()
    assert [index for index in acked(bench) if index] == [1]


def test_a_promise_outlives_a_restart() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2)
    bench.elect(s3, s2)
    promised = s2.data.promised
    assert promised.replica == s3.replica
    s2.start()
    assert s2.data.promised == promised
    s1.write()
    bench.exchange(s1, s2)
    assert not s1.established


def test_a_promise_that_was_not_written_was_not_given() -> None:
    bench = Bench(3)
    s1, s2, _ = bench.voters
    s1.stand()
    s1.write()
    bench.deliver(s1, s2)
    s2.start()
    assert s2.data.promised == NO_BALLOT
    assert not bench.deliver(s2, s1)


def test_a_fenced_leader_commits_nothing() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    bench.elect(s3, s2)
    bench.exchange(s3, s2)
    s1.propose(b"late", 7)
    bench.exchange(s1, s2)
    assert s1.settled[7].outcome is ProposalOutcome.UNKNOWN
    assert s1.journals.replicas[JOURNAL].leading is None
    bench.exchange(s3, s1, s2)
    assert s1.data.log.last == s3.data.log.last


def test_a_leader_does_not_go_on_with_its_ballot_after_a_restart() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    first = s1.data.promised
    s1.start()
    assert s1.journals.replicas[JOURNAL].leading is None
    bench.elect(s1, s2)
    assert s1.data.promised.round == first.round + 1


def test_an_entry_that_only_the_dead_leader_had_is_replaced() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s1.propose(b"lost", 1)
    s1.write()
    bench.forget_messages_of(s1)
    bench.elect(s2, s3)
    bench.exchange(s2, s3)
    s2.propose(b"kept", 2)
    bench.exchange(s2, s3)
    assert s2.settled[2].outcome is ProposalOutcome.COMMITTED
    bench.drop(s2, s1)
    s1.start()
    s2.journals.closed(s1.node, bench.now)
    bench.now += 60.0
    s2.act(s2.journals.advance(bench.now))
    bench.exchange(s2, s1, s3)
    assert s1.data.log.last == s2.data.log.last
    assert s1.data.state.records.get(b"lost") is None
    assert s1.data.state.records.get(b"kept") is not None


def test_a_leader_proves_that_it_leads_without_a_write() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s1.act(s1.journals.confirm(JOURNAL, 5, bench.now))
    assert not s1.confirmed
    bench.deliver(s1, s2)
    bench.deliver(s2, s1)
    assert s1.confirmed == {5}
    assert not s1.writes


def test_a_later_proof_counts_for_those_that_were_lost() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s1.act(s1.journals.confirm(JOURNAL, 5, bench.now))
    bench.drop(s1, s2)
    bench.drop(s1, s3)
    s1.act(s1.journals.confirm(JOURNAL, 4, bench.now))
    s1.act(s1.journals.confirm(JOURNAL, 9, bench.now))
    bench.deliver(s1, s2, at_most=1)
    bench.drop(s1, s2)
    bench.deliver(s2, s1)
    assert s1.confirmed == {5, 4}, "the third was asked for later"


def test_a_proof_is_got_however_many_were_lost_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader whose streams were cut for a quarter of an hour never had a proof again, and so no undo was sent."""
    monkeypatch.setattr("gossipreg.journal.confirmations.MAX_ROUNDS", 3)
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    for number in range(1, 6):
        s1.act(s1.journals.confirm(JOURNAL, number, bench.now))
        bench.drop(s1, s2)
        bench.drop(s1, s3)
    s1.act(s1.journals.confirm(JOURNAL, 9, bench.now))
    bench.deliver(s1, s2)
    bench.deliver(s2, s1)
    assert s1.confirmed == {4, 5, 9}, "those that were remembered"


def test_a_fenced_leader_gets_no_proof() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    bench.elect(s3, s2)
    s1.act(s1.journals.confirm(JOURNAL, 5, bench.now))
    bench.deliver(s1, s2)
    bench.deliver(s1, s3)
    s2.write()
    s3.write()
    bench.deliver(s2, s1)
    assert s1.journals.replicas[JOURNAL].leading is None
    assert not s1.confirmed


def test_a_voter_with_a_newer_log_refuses_its_vote() -> None:
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2)
    bench.exchange(s1, s2)
    s1.propose(b"1", 1)
    bench.exchange(s1, s2)
    assert s1.settled[1].outcome is ProposalOutcome.COMMITTED
    bench.elect(s3, s2)
    bench.elect(s3, s2)
    assert not s3.claimed


def test_an_idle_leader_gives_way_to_a_higher_promise() -> None:
    """Its log is the newest, so nobody else of two can be elected; and being idle, it sends nothing that is refused."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s3.stand()
    s3.write()  # it has promised itself, and its request reaches nobody
    bench.forget_messages_of(s3)
    s1.propose(b"1", 1)
    bench.exchange(s1, s2)
    bench.forget_messages_of(s3)
    assert s1.settled[1].outcome is ProposalOutcome.COMMITTED
    s3.journals.replicas[JOURNAL]._candidacy.leaderless = True
    s3.journals.replicas[JOURNAL]._candidacy.stand()
    s3.act(s3.journals.members_changed(bench.now))
    bench.deliver(s3, s1)
    assert s1.journals.replicas[JOURNAL].leading is None
    bench.elect(s1, s3)
    bench.exchange(s1, s3)
    assert s1.established == {*s1.claimed}
    assert s3.data.log.last == s1.data.log.last


def test_an_idle_leader_gives_way_to_one_that_leads_with_a_higher_ballot() -> None:
    """It was replaced as a voter while it was away, so no message of the others reaches it: their row says it."""
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s1.see(s2, ProcessStanding.LIVES)
    s1.view.rows[s2.node] = BootId(bytes([2]) * 8), {JOURNAL: Ballot(1, s1.replica)}
    s1.act(s1.journals.members_changed(bench.now))
    assert s1.journals.replicas[JOURNAL].leading is not None, "that ballot is no higher"
    s1.view.rows[s2.node] = BootId(bytes([2]) * 8), {JOURNAL: Ballot(4, s2.replica)}
    s1.see(s2, ProcessStanding.SILENT)
    assert s1.journals.replicas[JOURNAL].leading is not None, "that process does not run"
    s1.see(s2, ProcessStanding.LIVES)
    assert s1.journals.replicas[JOURNAL].leading is None
