"""What a disk holds after a transaction: the meaning of WriteJournal and ReadRecords, for tests."""

from collections.abc import Iterable
from dataclasses import replace

from gossipreg.journal.effects import ReadRecords, RemoveJournal, WriteJournal
from gossipreg.journal.model import NO_BALLOT, JournalId, ReplicaId
from gossipreg.journal.replica_data import StoredReplica
from gossipreg.journal.state import is_large


class Disk(dict[JournalId, StoredReplica]):
    """Its replicas have the values of large records among the others. A copy has no stages, as the disk of a process
    that starts."""

    def __init__(self, replicas: dict[JournalId, StoredReplica] | None = None) -> None:
        super().__init__(replicas or {})
        self.stages: dict[ReplicaId, dict[int, dict[bytes, bytes]]] = {}

    def opened(self) -> "Disk":
        """With the sizes of the large records only, as a sidecar finds it."""
        return Disk({journal: without_large(one) for journal, one in self.items()})

    def begin(self) -> list[StoredReplica]:
        """A process begins with this."""
        self.stages.clear()
        return [*self.opened().values()]

    def read(self, asked: ReadRecords) -> tuple[bytes | None, ...]:
        records = self[asked.journal].records if asked.journal in self else {}
        return tuple(records.get(key) for key in asked.keys)


def without_large(stored: StoredReplica) -> StoredReplica:
    small = {key: value for key, value in stored.records.items() if not is_large(key)}
    sizes = {key: len(value) for key, value in stored.records.items() if is_large(key)}
    return replace(stored, records=small, large=sizes)


def apply_all(disk: Disk, writes: Iterable[object]) -> None:
    """What the end of a process leaves of what it had asked for."""
    for write in writes:
        if isinstance(write, WriteJournal | RemoveJournal):
            apply_write(disk, write)


def apply_write(disk: Disk, write: WriteJournal | RemoveJournal) -> None:
    if isinstance(write, RemoveJournal):
        if write.journal in disk and disk[write.journal].replica == write.replica:
            del disk[write.journal]
            disk.stages.pop(write.replica, None)
        return
    before = disk.get(write.journal)
    if before is None or before.replica != write.replica:
        assert write.reset is not None, "a new replica begins with a base"
        if before is not None:
            disk.stages.pop(before.replica, None)
        before = StoredReplica(write.journal, write.replica, write.owner, NO_BALLOT, write.reset, (), {}, 0)
    after = before
    stages = disk.stages.setdefault(write.replica, {})
    for stage, key, value in write.staged:
        assert is_large(key), "small records stay in memory until the last piece"
        stages.setdefault(stage, {})[key] = value
    if write.promised is not None:
        assert write.promised >= before.promised, "a promise never goes down"
        after = replace(after, promised=write.promised)
    if write.reset is not None:
        begun: dict[bytes, bytes] = {} if write.reset_stage is None else stages.pop(write.reset_stage)
        after = replace(after, base=write.reset, entries=(), records=begun, applied=write.reset.position.index)
    entries = list(after.entries)
    if write.truncate_after is not None:
        assert write.truncate_after >= after.applied, "what was applied is never removed"
        entries = [entry for entry in entries if entry.index <= write.truncate_after]
    for entry in write.entries:
        assert entry.index == (entries[-1].index if entries else after.base.position.index) + 1, "a log has no gaps"
        entries.append(entry)
    records = dict(after.records)
    for key, changed in write.records:
        if changed is None:
            records.pop(key, None)
        else:
            records[key] = changed
    applied = after.applied if write.applied is None else write.applied
    base = after.base
    if write.base is not None:
        assert write.base.position.index <= applied, "only what is in the state is cut"
        base = write.base
        entries = [entry for entry in entries if entry.index > base.position.index]
    disk[write.journal] = replace(after, base=base, entries=tuple(entries), records=records, applied=applied)
    for stage in [stage for stage in stages if stage < write.oldest_stage]:
        del stages[stage]
