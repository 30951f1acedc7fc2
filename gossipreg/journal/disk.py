"""The disk of one replica: gathers what one transaction writes, and holds back what must wait for it.

Owns: which writes are under way, and up to which index the log is durable. Never knows: what the writes mean.

One transaction is under way at a time; what is asked for meanwhile goes with the next one, so many entries share one
fsync. A promise and an acknowledgement are effects that are held until everything that was written before them is on
the disk.
"""

from dataclasses import dataclass, field

from gossipreg.journal.context import JournalContext
from gossipreg.journal.effects import LogBase, SendMessage, WriteJournal
from gossipreg.journal.model import Ballot, JournalId, LogEntry, ReplicaId
from gossipreg.model import NodeId


@dataclass(frozen=True, slots=True)
class OwnVote:
    """Held like a message: our promise to ourselves is on the disk."""

    ballot: Ballot


Held = SendMessage | OwnVote


@dataclass(slots=True)
class _Batch:
    promised: Ballot | None = None
    reset: LogBase | None = None
    truncate_after: int | None = None
    entries: list[LogEntry] = field(default_factory=list)
    records: dict[bytes, bytes | None] = field(default_factory=dict)
    applied: int | None = None
    base: LogBase | None = None
    forced: bool = False
    """Somebody waits for it. Changes of the state alone wait for the next write."""
    held: list[Held] = field(default_factory=list)


class ReplicaDisk:
    def __init__(
        self, context: JournalContext, journal: JournalId, replica: ReplicaId, owner: NodeId, durable: int, applied: int
    ) -> None:
        self._context = context
        self._journal = journal
        self._replica = replica
        self._owner = owner
        self.durable = durable
        """The log is on the disk up to this index."""
        self._next = _Batch()
        self._writing: tuple[int, int, list[Held]] | None = None
        """(number, index up to which the log is durable then, what is held for it)"""
        self.applied = applied
        """The state is on the disk up to this index."""
        self._applied_then = applied
        self.failed = False

    @property
    def busy(self) -> bool:
        return self._writing is not None

    # -- what the next transaction writes ----------------------------------------------------------------------------

    def promise(self, ballot: Ballot) -> None:
        self._next.promised, self._next.forced = ballot, True

    def append(self, entry: LogEntry) -> None:
        self._next.entries.append(entry)
        self._next.forced = True

    def truncate(self, after: int) -> None:
        batch = self._next
        batch.entries = [entry for entry in batch.entries if entry.index <= after]
        before = batch.truncate_after
        batch.truncate_after = after if before is None else min(before, after)
        self.durable = min(self.durable, after)
        if self._writing is not None:
            number, durable, held = self._writing
            self._writing = number, min(durable, after), held

    def reset(self, base: LogBase, records: dict[bytes, bytes]) -> None:
        """Throw away log and state, and begin with these."""
        self._next = _Batch(promised=self._next.promised, held=self._next.held, reset=base, forced=True)
        self._next.records.update(records)
        self._next.applied = base.position.index
        self.durable = 0
        if self._writing is not None:
            number, _, held = self._writing
            self._writing = number, 0, held

    def record(self, changes: dict[bytes, bytes | None], applied: int) -> None:
        """The state changed; it is written along with the next transaction."""
        self._next.records.update(changes)
        self._next.applied = applied

    def cut(self, base: LogBase) -> None:
        self._next.base = base
        self._next.forced = True

    def hold(self, *held: Held) -> None:
        """Return these when everything that was asked for so far is on the disk."""
        self._next.held.extend(held)

    # -- writing -----------------------------------------------------------------------------------------------------

    def flush(self) -> list[Held]:
        """Begin the next transaction if none is under way. Returns what was held and waits for nothing."""
        batch = self._next
        if self.failed or self._writing is not None:
            return []
        if not batch.forced:
            held, batch.held = batch.held, []
            return held
        self._next = _Batch()
        number = self._context.next_write()
        last = self.durable if batch.reset is None else batch.reset.position.index
        last = batch.entries[-1].index if batch.entries else last
        self._writing = number, last, batch.held
        self._applied_then = self.applied if batch.applied is None else batch.applied
        self._context.effects.append(
            WriteJournal(
                number, self._journal, self._replica, self._owner, batch.promised, batch.reset, batch.truncate_after,
                tuple(batch.entries), tuple(batch.records.items()), batch.applied, batch.base,
            )
        )  # fmt: skip
        return []

    def written(self, number: int) -> list[Held]:
        """This write is on the disk. Returns what was held for it."""
        if self._writing is None or self._writing[0] != number:
            return []
        _, self.durable, held = self._writing
        self.applied = self._applied_then
        self._writing = None
        return held

    def fail(self) -> None:
        """A write failed: nothing more is written, and nothing that is held is returned."""
        self.failed = True
        self._writing, self._next = None, _Batch()
