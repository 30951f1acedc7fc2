"""Several state machines as the one of a journal."""

from collections.abc import Collection

import pytest

from gossipreg.journal.combined import CombinedMachine, part_of
from gossipreg.journal.model import NO_BALLOT, EntryKind, LogEntry
from gossipreg.journal.state import JournalState, Records


class Noting:
    """Notes the data of entries of its kind, and says of each entry that it came."""

    def __init__(self, kind: int) -> None:
        self.kinds: Collection[int] = (kind,)
        self.name = bytes((kind,))
        self.loaded: list[Records] = []

    def load(self, records: Records) -> None:
        self.loaded.append(records)

    def is_empty(self, records: Records) -> bool:
        return self.name not in records

    def apply(self, entry: LogEntry, records: Records) -> tuple[object, ...]:
        if entry.kind in self.kinds:
            records.put(self.name, entry.data)
        return ((self.name, entry.kind),)


class Other(Noting):
    pass


def entry(index: int, kind: int) -> LogEntry:
    return LogEntry(index, NO_BALLOT, 0, kind, b"x")


def combined() -> tuple[CombinedMachine, Noting, Other]:
    one, two = Noting(16), Other(48)
    return CombinedMachine((one, two)), one, two


def test_entry_goes_to_the_part_of_its_kind_alone() -> None:
    machine, _, _ = combined()
    records = Records({})
    state = JournalState(machine, records, 0)
    assert state.apply(entry(1, 48)) == ((b"0", 48),)
    assert records.all() == {b"0": b"x"}


def test_entries_of_the_journal_go_to_all_parts() -> None:
    machine, _, _ = combined()
    assert machine.apply(entry(1, EntryKind.BALLOT), Records({})) == ((b"\x10", 0), (b"0", 0))


def test_it_understands_the_kinds_of_all_parts_and_no_other() -> None:
    machine, _, _ = combined()
    state = JournalState(machine, Records({}), 0)
    assert {kind for kind in range(64) if state.understands(kind)} == {0, 1, 3, 16, 48}


def test_all_parts_are_loaded_and_it_is_empty_if_all_are() -> None:
    machine, one, two = combined()
    records = Records({})
    JournalState(machine, records, 0).install(records, 5)
    assert one.loaded == two.loaded == [records, records]
    assert machine.is_empty(records)
    records.put(two.name, b"x")
    assert not machine.is_empty(records)


def test_part_is_found_by_its_class() -> None:
    machine, one, two = combined()
    assert (part_of(machine, Other), machine.part(Noting), part_of(one, Noting)) == (two, one, one)
    assert [part_of(machine, dict), part_of(one, Other), part_of(None, Noting)] == [None, None, None]


def test_parts_with_a_kind_in_common_are_refused() -> None:
    with pytest.raises(AssertionError, match="one meaning"):
        CombinedMachine((Noting(16), Other(16)))
