"""The state that a journal's committed entries lead to: records, changed by a state machine.

Owns: the records, which entries are in them, and what changed since the last write. Never knows: what the records mean.

A state machine is deterministic: the same entries give the same records on every replica. So a replica that is far
behind gets the records instead of the entries, and two replicas that applied the same entries can be compared.

Large records (payloads) are kept on the disk only. A state machine puts and removes them, and never reads one.
"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from gossipreg.journal.model import JOURNAL_KINDS, LogEntry

LARGE = b"\xff"
"""Records whose keys begin with this are large."""


RECORD_OVERHEAD_BYTES = 64
"""Of a record beside key and value, in a database: about."""


def is_large(key: bytes) -> bool:
    return key.startswith(LARGE)


class Records:
    """A mapping of bytes to bytes that remembers what changed. The values of large records are on the disk: in memory
    are their keys and sizes, and the values that are not on the disk yet. `Journals.read_records` reads the others."""

    def __init__(self, records: dict[bytes, bytes], large: Mapping[bytes, int] | None = None) -> None:
        """`large`: the sizes of the large records, whose values are on the disk."""
        self._records = records
        self._large = dict(large or {})
        self._kept: dict[bytes, tuple[int, bytes]] = {}
        """Large values that are not on the disk yet, each with the index of an entry: once the state with that entry is
        on the disk, so is the value. In the order of these indexes."""
        self._changed: dict[bytes, bytes | None] = {}
        small = sum(len(key) + len(value) for key, value in records.items())
        self.size_bytes = small + sum(len(key) + size for key, size in self._large.items())
        self.size_bytes += RECORD_OVERHEAD_BYTES * len(self)
        """What all records take, about, on the disk."""

    def get(self, key: bytes) -> bytes | None:
        """Raises ValueError for the key of a large record: what a state machine decides must not rest on its value."""
        if is_large(key):
            raise ValueError(f"the record {key[:32].hex()} is large: read it with Journals.read_records")
        return self._records.get(key)

    def _taken_by(self, key: bytes) -> int:
        size = self._large.get(key) if is_large(key) else len(self._records[key]) if key in self._records else None
        return 0 if size is None else len(key) + size + RECORD_OVERHEAD_BYTES

    def put(self, key: bytes, value: bytes) -> None:
        self.size_bytes += len(key) + len(value) + RECORD_OVERHEAD_BYTES - self._taken_by(key)
        if is_large(key):
            self._large[key] = len(value)
        else:
            self._records[key] = value
        self._changed[key] = value

    def remove(self, key: bytes) -> None:
        self.size_bytes -= self._taken_by(key)
        if is_large(key):
            removed = self._large.pop(key, None) is not None
            self._kept.pop(key, None)
        else:
            removed = self._records.pop(key, None) is not None
        if removed:
            self._changed[key] = None

    def all(self) -> dict[bytes, bytes]:
        """A copy of the small ones."""
        return dict(self._records)

    @property
    def large(self) -> Mapping[bytes, int]:
        """The sizes of the large ones, in bytes. A state machine decides nothing by them: while a state is installed,
        some that a later entry removes may be missing."""
        return MappingProxyType(self._large)

    def __contains__(self, key: bytes) -> bool:
        return key in self._large or key in self._records

    def __len__(self) -> int:
        return len(self._records) + len(self._large)

    # -- the disk ----------------------------------------------------------------------------------------------------

    def in_memory(self, key: bytes) -> bytes | None:
        """The value, small or large; None where it is only on the disk, and where there is no such record."""
        if not is_large(key):
            return self._records.get(key)
        if key in self._changed:
            return self._changed[key]
        kept = self._kept.get(key)
        return None if kept is None else kept[1]

    def take_changes(self, applied: int) -> dict[bytes, bytes | None]:
        """What changed since the last call; `applied` is the index up to which the records have the entries."""
        changed, self._changed = self._changed, {}
        for key, value in changed.items():
            if is_large(key):
                self._kept.pop(key, None)
                if value is not None:
                    self._kept[key] = applied, value
        return changed

    def on_disk(self, applied: int) -> None:
        """The state with the entries up to this index is on the disk: forget large values that are in it."""
        kept = self._kept
        while kept and next(iter(kept.values()))[0] <= applied:
            del kept[next(iter(kept))]


class StateMachine(Protocol):
    """What the entries of a journal mean. It may keep values that are derived from the records: `load` begins them, and
    `apply` keeps them in step."""

    @property
    def kinds(self) -> Collection[int]:
        """The kinds of entries that it understands, beside those of the journal itself (`JOURNAL_KINDS`). A replica
        that has to apply another one takes no part any more."""

    def load(self, records: Records) -> None:
        """Begin with these records, which later calls of `apply` change. Called first, and again whenever others take
        their place (the state of the leader was installed)."""

    def is_empty(self, records: Records) -> bool:
        """Whether nothing would be missed if these records were gone: no event, no dead letter, no saga that is open or
        remembered. Cheap: it is asked often."""

    def apply(self, entry: LogEntry, records: Records) -> object:
        """Change the records as this entry says: by the entry and the records alone. Entries of the journal's own kinds
        come too: a ballot is where a new leader began. Never raises: an entry that makes no sense changes nothing, on
        every replica. The result is handed on as `AppliedEntry.result`."""


class JournalState:
    def __init__(self, machine: StateMachine, records: Records, applied: int) -> None:
        self.machine = machine
        self.records = records
        self.applied = applied
        """The index of the last entry that is in the records."""
        assert not JOURNAL_KINDS.intersection(machine.kinds), "a ballot or a configuration has one meaning"
        machine.load(self.records)

    def understands(self, kind: int) -> bool:
        return kind in JOURNAL_KINDS or kind in self.machine.kinds

    def apply(self, entry: LogEntry) -> object:
        """Returns what the state machine makes of it."""
        assert entry.index == self.applied + 1, "entries are applied in order"
        result = self.machine.apply(entry, self.records)
        self.applied = entry.index
        return result

    def install(self, records: Records, applied: int) -> None:
        self.records = records
        self.applied = applied
        self.machine.load(self.records)


def pieces(records: dict[bytes, bytes], limit_bytes: int) -> Iterator[tuple[tuple[bytes, bytes], ...]]:
    """The records in the order of their keys, in pieces of about this size; at least one piece."""
    piece: list[tuple[bytes, bytes]] = []
    size = 0
    for key in sorted(records):
        piece.append((key, records[key]))
        size += len(key) + len(records[key])
        if size >= limit_bytes:
            yield tuple(piece)
            piece, size = [], 0
    yield tuple(piece)


def large_parts(sizes: Mapping[bytes, int], limit_bytes: int) -> Iterator[tuple[bytes, ...]]:
    """The keys of large records in order, in parts whose records have at most this size together, or are one record."""
    part: list[bytes] = []
    room = limit_bytes
    for key in sorted(sizes):
        size = len(key) + sizes[key]
        if part and size > room:
            yield tuple(part)
            part, room = [], limit_bytes
        part.append(key)
        room -= size
    if part:
        yield tuple(part)
