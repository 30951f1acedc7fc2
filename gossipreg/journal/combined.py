"""Several state machines as the one of a journal: each understands kinds of entries of its own.

Owns: which part an entry goes to. Never knows: what an entry means. An entry of the journal's own kinds (a ballot, say)
goes to all parts. The parts share the records, so each has keys of its own; what they return for an entry is one tuple
of facts.
"""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

from gossipreg.journal.model import LogEntry
from gossipreg.journal.state import Records

Part = TypeVar("Part")


class FactMachine(Protocol):
    """A `StateMachine` that returns what an entry changed as facts."""

    @property
    def kinds(self) -> Collection[int]: ...

    def load(self, records: Records) -> None: ...

    def is_empty(self, records: Records) -> bool: ...

    def apply(self, entry: LogEntry, records: Records) -> tuple[object, ...]: ...


class CombinedMachine:
    """See `journal.state.StateMachine`."""

    def __init__(self, parts: Sequence[FactMachine]) -> None:
        """No two of them may understand the same kind."""
        self._parts = tuple(parts)
        self._by_kind = {kind: part for part in parts for kind in part.kinds}
        assert len(self._by_kind) == sum(len(part.kinds) for part in parts), "an entry has one meaning"

    @property
    def kinds(self) -> Collection[int]:
        return self._by_kind.keys()

    def part(self, kind: type[Part]) -> Part | None:
        """The part of this class; None: there is none."""
        return next((part for part in self._parts if isinstance(part, kind)), None)

    def load(self, records: Records) -> None:
        for part in self._parts:
            part.load(records)

    def is_empty(self, records: Records) -> bool:
        return all(part.is_empty(records) for part in self._parts)

    def apply(self, entry: LogEntry, records: Records) -> tuple[object, ...]:
        part = self._by_kind.get(entry.kind)
        if part is not None:
            return part.apply(entry, records)
        return tuple(fact for one in self._parts for fact in one.apply(entry, records))


def part_of(machine: object, kind: type[Part]) -> Part | None:
    """The part of this class of a machine that may be combined, or be that part itself; None if it has none."""
    if isinstance(machine, CombinedMachine):
        return machine.part(kind)
    return machine if isinstance(machine, kind) else None
