"""What a disk holds after a transaction: the meaning of WriteJournal, for tests."""

from dataclasses import replace

from gossipreg.journal.effects import RemoveJournal, WriteJournal
from gossipreg.journal.model import NO_BALLOT, JournalId
from gossipreg.journal.replica_data import StoredReplica

Disk = dict[JournalId, StoredReplica]


def apply_write(disk: Disk, write: WriteJournal | RemoveJournal) -> None:
    if isinstance(write, RemoveJournal):
        if write.journal in disk and disk[write.journal].replica == write.replica:
            del disk[write.journal]
        return
    before = disk.get(write.journal)
    if before is None or before.replica != write.replica:
        assert write.reset is not None, "a new replica begins with a base"
        before = StoredReplica(write.journal, write.replica, write.owner, NO_BALLOT, write.reset, (), {}, 0)
    after = before
    if write.promised is not None:
        assert write.promised >= before.promised, "a promise never goes down"
        after = replace(after, promised=write.promised)
    if write.reset is not None:
        after = replace(after, base=write.reset, entries=(), records={}, applied=write.reset.position.index)
    entries = list(after.entries)
    if write.truncate_after is not None:
        assert write.truncate_after >= after.applied, "what was applied is never removed"
        entries = [entry for entry in entries if entry.index <= write.truncate_after]
    for entry in write.entries:
        assert entry.index == (entries[-1].index if entries else after.base.position.index) + 1, "a log has no gaps"
        entries.append(entry)
    records = dict(after.records)
    for key, value in write.records:
        if value is None:
            records.pop(key, None)
        else:
            records[key] = value
    applied = after.applied if write.applied is None else write.applied
    base = after.base
    if write.base is not None:
        assert write.base.position.index <= applied, "only what is in the state is cut"
        base = write.base
        entries = [entry for entry in entries if entry.index > base.position.index]
    disk[write.journal] = replace(after, base=base, entries=tuple(entries), records=records, applied=applied)
