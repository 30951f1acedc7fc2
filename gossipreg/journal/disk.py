"""The disk of one replica: gathers what one transaction writes, and holds back what must wait for it.

Owns: which writes are under way, and up to which index the log is durable. Never knows: what the writes mean.

One transaction is under way at a time; what is asked for meanwhile goes with the next one, so many entries share one
fsync. A promise and an acknowledgement are effects that are held until everything that was written before them is on
the disk.

Large records of a state that arrives piece by piece are written as they come, to a stage: a set of rows that is no part
of the state until a reset names it. So the memory for an arriving state does not grow with its large records, and the
state of before stays whole until the last piece is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gossipreg.journal.context import JournalContext
from gossipreg.journal.effects import LogBase, SendMessage, WriteJournal
from gossipreg.journal.model import Ballot, JournalId, LogEntry, ReplicaId
from gossipreg.journal.state import RECORD_OVERHEAD_BYTES
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
    staged: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    reset_stage: int | None = None
    oldest_stage: int = 0
    changed_bytes: int = 0
    """Of the changes of the state."""
    forced: bool = False
    """Somebody waits for it. Changes of the state alone wait for the next write, unless they are large."""
    held: list[Held] = field(default_factory=list)


CHANGES_BYTES = 256 * 1024
"""Changes of the state wait for the next write up to this size. They are in memory until then."""


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
        self._stage = 0
        self.staged_bytes = 0
        """Of the large records of a state that is arriving, about."""
        self.failed = False

    @property
    def busy(self) -> bool:
        return self._writing is not None

    @property
    def reset_waits(self) -> bool:
        """Whether the write that resets the state was not asked for yet."""
        return self._next.reset is not None

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

    def reset(self, base: LogBase, records: dict[bytes, bytes], stage: int | None = None) -> None:
        """Throw away log and state, and begin with these, and with the records of that stage."""
        before = self._next
        self._next = _Batch(
            promised=before.promised, held=before.held, reset=base, staged=before.staged, reset_stage=stage,
            oldest_stage=before.oldest_stage if stage is None else stage + 1, forced=True,
        )  # fmt: skip
        self._next.records.update(records)
        self._next.applied = base.position.index
        self.durable = self.staged_bytes = 0
        if self._writing is not None:
            number, _, held = self._writing
            self._writing = number, 0, held

    def record(self, changes: dict[bytes, bytes | None], applied: int) -> None:
        """The state changed; it is written along with the next transaction."""
        batch = self._next
        batch.records.update(changes)
        batch.applied = applied
        batch.changed_bytes += sum(len(key) + len(value or b"") for key, value in changes.items())
        if batch.changed_bytes > CHANGES_BYTES:
            batch.forced = True

    # -- a state that arrives ----------------------------------------------------------------------------------------

    def begin_stage(self) -> int:
        """Returns the number of a stage. Those of before are thrown away, along with the next transaction."""
        self._stage += 1
        self.staged_bytes = 0
        self._next.oldest_stage = self._stage
        return self._stage

    def stage(self, stage: int, records: Mapping[bytes, bytes]) -> None:
        """Write these records to this stage."""
        self._next.staged.extend((stage, key, value) for key, value in records.items())
        self.staged_bytes += sum(len(key) + len(value) + RECORD_OVERHEAD_BYTES for key, value in records.items())
        self._next.forced = True

    def drop_stages(self) -> None:
        """The state that was arriving does not come: throw away what there is of it, along with the next
        transaction."""
        self.begin_stage()

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
                tuple(batch.entries), tuple(batch.records.items()), batch.applied, batch.base, tuple(batch.staged),
                batch.reset_stage, batch.oldest_stage,
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
        self.staged_bytes = 0
        self._writing, self._next = None, _Batch()
