"""The state that a journal's committed entries lead to: records, changed by a state machine.

Owns: the records, which entries are in them, and what changed since the last write. Never knows: what the records mean.

A state machine is deterministic: the same entries give the same records on every replica. So a replica that is far
behind gets the records instead of the entries, and two replicas that applied the same entries can be compared.
"""

from collections.abc import Collection, Iterator
from typing import Protocol

from gossipreg.journal.model import JOURNAL_KINDS, LogEntry


class Records:
    """A mapping of bytes to bytes that remembers what changed."""

    def __init__(self, records: dict[bytes, bytes]) -> None:
        self._records = records
        self._changed: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._records.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._records[key] = self._changed[key] = value

    def remove(self, key: bytes) -> None:
        if self._records.pop(key, None) is not None:
            self._changed[key] = None

    def all(self) -> dict[bytes, bytes]:
        """A copy."""
        return dict(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def take_changes(self) -> dict[bytes, bytes | None]:
        changed, self._changed = self._changed, {}
        return changed


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

    def apply(self, entry: LogEntry, records: Records) -> object:
        """Change the records as this entry says: by the entry and the records alone. Entries of the journal's own kinds
        come too: a ballot is where a new leader began. Never raises: an entry that makes no sense changes nothing, on
        every replica. The result is handed on as `AppliedEntry.result`."""


class JournalState:
    def __init__(self, machine: StateMachine, records: dict[bytes, bytes], applied: int) -> None:
        self.machine = machine
        self.records = Records(records)
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

    def install(self, records: dict[bytes, bytes], applied: int) -> None:
        self.records = Records(dict(records))
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
