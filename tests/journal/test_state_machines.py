"""What a state machine is called for: its entries, and the records it begins with."""

from collections.abc import Collection

import pytest

from gossipreg.journal.model import EntryKind, LogEntry
from gossipreg.journal.replica_data import OutOfService
from gossipreg.journal.state import Records
from tests.journal.by_hand import JOURNAL, Bench, Voter

ADD = 7
"""An entry of this kind adds to a number; one of DATA sets it."""


class Sums:
    """Keeps numbers by their names, and their sum beside the records."""

    def __init__(self, kinds: Collection[int] = (EntryKind.DATA, ADD)) -> None:
        self.kinds = frozenset(kinds)
        self.sum = -1
        self.loads = 0

    def load(self, records: Records) -> None:
        self.loads += 1
        self.sum = sum(int(value) for value in records.all().values())

    def is_empty(self, records: Records) -> bool:
        return not len(records)

    def apply(self, entry: LogEntry, records: Records) -> int | None:
        if entry.kind not in self.kinds:
            return None
        name, number = entry.data.split(b"=")
        before = int(records.get(name) or b"0")
        after = int(number) + (before if entry.kind == ADD else 0)
        records.put(name, b"%d" % after)
        self.sum += after - before
        return after


def sums(voter: Voter) -> Sums:
    machine = voter.journals.machine(JOURNAL)
    assert isinstance(machine, Sums)
    return machine


def led(bench: Bench) -> tuple[Voter, Voter, Voter]:
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    return s1, s2, s3


def test_a_state_machine_keeps_what_it_derives_from_the_records() -> None:
    bench = Bench(3, Sums)
    s1, s2, s3 = led(bench)
    s1.propose(b"one=5", 1)
    s1.propose(b"one=2", 2, ADD)
    s1.propose(b"two=10", 3)
    bench.exchange(s1, s2, s3)
    assert [sums(voter).sum for voter in bench.voters] == [17, 17, 17]
    results = [(applied.entry.kind, applied.result) for applied in s2.applied]
    assert results == [(EntryKind.BALLOT, None), (EntryKind.DATA, 5), (ADD, 7), (EntryKind.DATA, 10)]


def test_a_state_machine_begins_with_the_records_on_the_disk() -> None:
    bench = Bench(3, Sums)
    s1, s2, s3 = led(bench)
    s1.propose(b"one=5", 1)
    bench.exchange(s1, s2, s3)
    s1.propose(b"two=1", 2)
    bench.exchange(s1, s2, s3)  # writes the state that has the first
    s2.start()
    assert sums(s2).sum == 5
    assert sums(s2).loads == 1
    bench.elect(s3, s2)
    bench.exchange(s3, s2)
    assert sums(s2).sum == 6, "the rest of the log is applied to what was loaded"


def test_a_state_machine_begins_again_with_an_installed_state() -> None:
    bench = Bench(3, Sums)
    s1, s2, s3 = led(bench)
    s1.propose(b"one=2", 1)
    bench.exchange(s1, s2)
    s1.propose(b"one=5", 2)
    bench.exchange(s1, s2)
    s1.data.disk.cut(s1.data.log.cut(s1.data.disk.applied))
    bench.drop(s1, s3)
    s1.journals.closed(s3.node, bench.now)
    bench.now += 60.0
    s1.act(s1.journals.advance(bench.now))
    bench.exchange(s1, s3, s2)
    assert s3.data.context.counts["journal.states_installed"] == 1
    assert (sums(s3).sum, sums(s3).loads) == (5, 2)
    s1.propose(b"one=1", 3, ADD)
    bench.exchange(s1, s3, s2)
    assert sums(s3).sum == 6


def test_an_entry_of_an_unknown_kind_puts_a_replica_out_of_service() -> None:
    bench = Bench(3, Sums)
    s1, s2, s3 = bench.voters
    bench.machine = lambda: Sums([EntryKind.DATA])
    s3.start()  # an older release
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    s1.propose(b"one=5", 1, ADD)
    bench.exchange(s1, s2, s3)
    assert [voter.data.out for voter in bench.voters] == [None, None, OutOfService.UNKNOWN_KIND]
    assert sums(s3).sum == 0
    assert s3.data.state.applied == s2.data.state.applied - 1


def test_a_kind_without_a_meaning_is_not_proposed() -> None:
    bench = Bench(3, Sums)
    s1, *_ = led(bench)
    with pytest.raises(AssertionError, match="no entry of kind 8 means anything to Sums"):
        s1.propose(b"one=5", 1, 8)
    with pytest.raises(AssertionError):
        s1.propose(b"", 1, EntryKind.BALLOT)


def test_a_sidecar_without_a_replica_has_no_state_machine() -> None:
    bench = Bench(1, Sums)
    assert bench.voters[0].journals.machine(JOURNAL) is not None
    bench.voters[0].act(bench.voters[0].journals.retire(bench.now))
    assert bench.voters[0].journals.machine(JOURNAL) is None
