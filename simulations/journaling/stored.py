"""What a disk holds of journals: the meaning of a list of transactions.

Owns: the replicas that the transactions lead to, and which entries each replica ever had on its disk. Never knows: when
a transaction reaches the disk. A transaction that no database could carry out (a promise that falls, a gap in a log, an
applied entry removed) raises AssertionError: the journals have asked for something impossible.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gossipreg.journal.effects import LogBase, ReadRecords, RemoveJournal, WriteJournal
from gossipreg.journal.model import NO_BALLOT, START, Ballot, Configuration, JournalId, LogEntry, Position, ReplicaId
from gossipreg.journal.replica_data import StoredReplica
from gossipreg.journal.state import is_large
from gossipreg.model import NodeId

Transaction = WriteJournal | RemoveJournal


@dataclass(slots=True)
class _Replica:
    journal: JournalId
    replica: ReplicaId
    owner: NodeId
    promised: Ballot = NO_BALLOT
    base: LogBase = field(default_factory=lambda: LogBase(START, 0, Configuration(())))
    entries: dict[int, LogEntry] = field(default_factory=dict)
    """By index, in order."""
    records: dict[bytes, bytes] = field(default_factory=dict)
    """With the values of the large ones."""
    applied: int = 0
    stages: dict[int, dict[bytes, bytes]] = field(default_factory=dict)

    def copy(self) -> "_Replica":
        stages = {number: dict(stage) for number, stage in self.stages.items()}
        return replace(self, entries=dict(self.entries), records=dict(self.records), stages=stages)

    @property
    def last_index(self) -> int:
        return next(reversed(self.entries), self.base.position.index)

    def change(self, write: WriteJournal) -> None:
        """Carry out the steps of a transaction, in the order of its fields."""
        if write.promised is not None:
            assert write.promised >= self.promised, "a promise never falls"
            self.promised = write.promised
        for stage, key, value in write.staged:
            self.stages.setdefault(stage, {})[key] = value
        if write.reset is not None:
            begun = {} if write.reset_stage is None else self.stages.pop(write.reset_stage)
            self.base, self.entries, self.records = write.reset, {}, begun
            self.applied = write.reset.position.index
        if write.truncate_after is not None:
            assert write.truncate_after >= self.applied, "what was applied is never removed"
            while self.last_index > write.truncate_after and self.entries:
                self.entries.popitem()
        for entry in write.entries:
            assert entry.index == self.last_index + 1, "a log has no gaps"
            self.entries[entry.index] = entry
        for key, changed in write.records:
            if changed is None:
                self.records.pop(key, None)
            else:
                self.records[key] = changed
        if write.applied is not None:
            self.applied = write.applied
        if write.base is not None:
            self._cut(write.base)
        for number in [number for number in self.stages if number < write.oldest_stage]:
            del self.stages[number]

    def _cut(self, base: LogBase) -> None:
        assert base.position.index <= self.applied, "only what is in the state is cut"
        for index in range(self.base.position.index + 1, base.position.index + 1):
            self.entries.pop(index, None)
        self.base = base

    def has(self, position: Position) -> bool:
        """Whether the log has this entry, or has cut it: what is cut was committed."""
        if position.index <= self.base.position.index:
            return True
        entry = self.entries.get(position.index)
        return entry is not None and entry.position == position


class StoredJournals:
    def __init__(self, transactions: Iterable[object] = ()) -> None:
        self._replicas: dict[JournalId, _Replica] = {}
        for transaction in transactions:
            if isinstance(transaction, WriteJournal | RemoveJournal):
                self.apply(transaction)
            else:
                self._begin()  # a process has opened the database
        self._begin()

    def _begin(self) -> None:
        """Stages end with the process that wrote them."""
        for one in self._replicas.values():
            one.stages.clear()

    def copy(self) -> "StoredJournals":
        """Return another one that holds the same, and that later transactions here do not change."""
        other = StoredJournals()
        other._replicas = {journal: one.copy() for journal, one in self._replicas.items()}
        return other

    def apply(self, transaction: Transaction) -> None:
        held = self._replicas.get(transaction.journal)
        if isinstance(transaction, RemoveJournal):
            if held is not None and held.replica == transaction.replica:
                del self._replicas[transaction.journal]
            return
        if held is None or held.replica != transaction.replica:
            assert transaction.reset is not None, "a new replica begins with a base"
            held = _Replica(transaction.journal, transaction.replica, transaction.owner)
            self._replicas[transaction.journal] = held
        held.change(transaction)

    def replicas(self) -> list[StoredReplica]:
        """Return what a sidecar begins with."""
        return [
            StoredReplica(
                one.journal, one.replica, one.owner, one.promised, one.base, tuple(one.entries.values()),
                {key: value for key, value in one.records.items() if not is_large(key)}, one.applied,
                {key: len(value) for key, value in one.records.items() if is_large(key)},
            )
            for one in self._replicas.values()
        ]  # fmt: skip

    def read(self, journal: JournalId, first: int, limit_bytes: int) -> tuple[LogEntry, ...]:
        """Return entries from this index on: at most so many bytes, at least one entry if there is one."""
        held, index, size = self._replicas.get(journal), first, 0
        found: list[LogEntry] = []
        while held is not None and (entry := held.entries.get(index)) is not None:
            size += len(entry.data)
            if found and size > limit_bytes:
                break
            found.append(entry)
            index += 1
        return tuple(found)

    def read_records(self, read: ReadRecords) -> tuple[bytes | None, ...]:
        held = self._replicas.get(read.journal)
        return tuple(None if held is None else held.records.get(key) for key in read.keys)

    def record(self, journal: JournalId, replica: ReplicaId, key: bytes) -> bytes | None:
        """Return the value of this record of this replica; None if there is none here."""
        held = self._replicas.get(journal)
        return held.records.get(key) if held is not None and held.replica == replica else None

    def holds(self, journal: JournalId, replica: ReplicaId) -> bool:
        held = self._replicas.get(journal)
        return held is not None and held.replica == replica

    def has(self, journal: JournalId, replica: ReplicaId, position: Position) -> bool:
        """Whether this replica has this entry here."""
        held = self._replicas.get(journal)
        return held is not None and held.replica == replica and held.has(position)
