"""A state that comes to a voter whose log has it already, and entries behind it."""

from dataclasses import replace

import pytest

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.messages import InstallState
from tests.journal import by_hand
from tests.journal.by_hand import BIG, TUNING, Bench, Voter


def state_behind_two_appends(monkeypatch: pytest.MonkeyPatch) -> tuple[Bench, Voter, Voter]:
    """A leader, and a voter that has taken its entries 2 and 3, and whose disk is slow. Its stream broke meanwhile, and
    the log of the leader begins with entry 2 now, so a state is on its way."""
    monkeypatch.setattr(by_hand, "TUNING", replace(TUNING, cut_bytes=4096))
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s1.propose(BIG, 2)
    s1.propose(BIG + b"3", 3)
    bench.deliver(s1, s2)
    bench.deliver(s1, s3, at_most=1)
    s1.write()
    s3.write()
    bench.deliver(s3, s1)
    s1.propose(b"4", 4)
    s1.write()
    assert (s1.data.committed, s1.data.log.base.position.index) == (2, 2)
    assert (s2.data.committed, s2.data.log.last.index) == (1, 3)
    s1.act(s1.journals.closed(s2.node, bench.now))
    bench.now += 1.0
    s1.act(s1.journals.advance(bench.now))
    assert [type(message) for message in bench.deliver(s1, s2)] == [InstallState]
    return bench, s1, s2


def test_a_state_removes_no_entry_that_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the leader tells its publisher that two disks have it, and dies; and the other two voters go on without."""
    bench, s1, s2 = state_behind_two_appends(monkeypatch)
    s2.write()
    bench.deliver(s2, s1)
    assert s1.settled[3].outcome is ProposalOutcome.COMMITTED
    bench.voters.remove(s1)
    s3 = bench.voters[-1]
    bench.drop(s1, s2)
    bench.drop(s1, s3)
    bench.elect(s2, s3)
    bench.exchange(s2, s3)
    assert s2.established
    assert BIG + b"3" in s2.data.state.records.all()


def test_a_voter_with_the_entries_of_a_state_is_led_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, s1, s2 = state_behind_two_appends(monkeypatch)
    bench.exchange(s1, s2)
    assert s2.data.committed == s1.data.committed == 4
    assert s2.data.state.records.all() == s1.data.state.records.all()
