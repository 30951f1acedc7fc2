"""Reads replicas from the journals' database, and examines every row that it reads.

A replica is sound if all that its summary speaks of is there and is what was written: the entries from the base to the
last one without a gap, the records, the checksum of each row, and their sums. Damage of one replica says nothing of the
others.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gossipreg.daemon.journals.forms import (
    ROW_BYTES,
    SUMS,
    DamagedRow,
    ReplicaSummary,
    checksum_of,
    decode_entry,
    decode_record,
    decode_summary,
)
from gossipreg.daemon.journals.results import LostReplica
from gossipreg.daemon.journals.statements import chunks, with_keys
from gossipreg.daemon.journals.tables import DamagedDatabase, as_blob, entry_key, id_of, index_of, is_damage
from gossipreg.journal.log import entry_bytes
from gossipreg.journal.model import JournalId, LogEntry, ReplicaId
from gossipreg.journal.replica_data import StoredReplica
from gossipreg.journal.state import is_large

_BLOBS = {name: as_blob(name) for name in ("replica", "journal", "summary", "entry", "key", "value")}
_REPLICAS = "SELECT number, {replica}, {journal}, {summary} FROM replicas ORDER BY number".format(**_BLOBS)
_ENTRIES = "SELECT key, {entry} FROM entries WHERE key BETWEEN ? AND ? ORDER BY key".format(**_BLOBS)
_RECORDS = "SELECT {key}, {value} FROM records WHERE replica = ?".format(**_BLOBS)
_RECORDS_OF = f"{_RECORDS} AND key IN ({{}})"


@dataclass(slots=True)
class ExaminedReplicas:
    """What a database holds: replicas by the number of their rows, and what cannot be used."""

    summaries: dict[int, ReplicaSummary] = field(default_factory=dict)
    stored: dict[int, StoredReplica] = field(default_factory=dict)
    lost: list[LostReplica] = field(default_factory=list)
    id: bytes = b""
    """Of the database; empty if it cannot be read."""
    fault: str = ""
    """What SQLite finds wrong with the file."""
    unsound: bool = False
    """The file has something that must not stay in it: what is sound is to be moved to another one."""

    def lose(self, number: int, reason: str) -> None:
        one = self.summaries.pop(number)
        del self.stored[number]
        self.unsound = True
        self.lost.append(LostReplica(one.journal, one.replica, reason))


def examine(database: sqlite3.Connection) -> ExaminedReplicas:
    """Read all replicas. Raises sqlite3.Error if the disk does not work, and DamagedDatabase if nothing can be read."""
    found = ExaminedReplicas()
    try:
        found.id = id_of(database)
        rows = database.execute(_REPLICAS).fetchall()
    except sqlite3.Error as error:
        if is_damage(error):
            raise DamagedDatabase(str(error)) from None
        raise
    journals: set[bytes] = set()
    for number, replica, journal, row in rows:
        try:
            summary = decode_summary(replica, journal, row)
            if journal in journals:
                raise DamagedRow("there is another replica of its journal")
            found.stored[number] = _load(database, number, summary)
            found.summaries[number] = summary
            journals.add(journal)
        except DamagedRow as damage:
            found.lost.append(LostReplica(JournalId(journal), ReplicaId(replica), str(damage)))
    found.fault = _fault(database)
    found.unsound = bool(found.fault or found.lost)
    return found


def _fault(database: sqlite3.Connection) -> str:
    """What SQLite finds wrong with the file, rows apart; empty if nothing."""
    try:
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        if is_damage(error):
            return str(error)
        raise
    return "" if check == "ok" else " ".join(str(check).split())


def _load(database: sqlite3.Connection, number: int, summary: ReplicaSummary) -> StoredReplica:
    try:
        entries = tuple(_entries(database, number, summary))
        records, large = _records(database, number, summary)
    except sqlite3.Error as error:
        if is_damage(error):
            raise DamagedRow(str(error)) from None
        raise
    if not summary.base.position.index <= summary.applied <= summary.last:
        raise DamagedRow("its state is not one of its log")
    return StoredReplica(
        summary.journal, summary.replica, summary.owner, summary.promised, summary.base, entries, records,
        summary.applied, large,
    )  # fmt: skip


def _entries(database: sqlite3.Connection, number: int, summary: ReplicaSummary) -> Iterator[LogEntry]:
    at, size, checksums = summary.base.position.index, 0, 0
    keys = entry_key(number, 0), entry_key(number + 1, 0) - 1
    for key, row in database.execute(_ENTRIES, keys):
        if index_of(key) != at + 1:
            raise DamagedRow(f"entry {at + 1} is missing")
        at += 1
        yield decode_entry(summary.replica, at, row)
        size += len(row) + ROW_BYTES
        checksums += checksum_of(row)
    if at != summary.last:
        raise DamagedRow(f"its log ends at {at}, and {summary.last} was written")
    if (size, checksums % SUMS) != (summary.entries_bytes, summary.entries_sum):
        raise DamagedRow("an entry is not the last one that was written at its place")


def _records(
    database: sqlite3.Connection, number: int, summary: ReplicaSummary
) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    """The small records, and the sizes of the large ones: those are examined and not kept."""
    records: dict[bytes, bytes] = {}
    large: dict[bytes, int] = {}
    size, checksums = 0, 0
    for key, row in database.execute(_RECORDS, (number,)):
        value = decode_record(summary.replica, key, row)
        if is_large(key):
            large[key] = len(value)
        else:
            records[key] = value
        size += len(key) + len(row) + ROW_BYTES
        checksums += checksum_of(row)
    if (count := len(records) + len(large)) != summary.records:
        raise DamagedRow(f"its state has {count} records, and {summary.records} were written")
    if (size, checksums % SUMS) != (summary.records_bytes, summary.records_sum):
        raise DamagedRow("a record is not the last one that was written for its key")
    return records, large


def read_records(
    database: sqlite3.Connection, number: int, summary: ReplicaSummary, keys: Sequence[bytes]
) -> tuple[bytes | None, ...]:
    """The values of these records; None for one that is not there. Raises DamagedRow."""
    found: dict[bytes, bytes] = {}
    for part in chunks(keys):
        for key, row in database.execute(with_keys(_RECORDS_OF, len(part)), (number, *part)):
            found[key] = decode_record(summary.replica, key, row)
    return tuple(found.get(key) for key in keys)


def read_entries(
    database: sqlite3.Connection, number: int, summary: ReplicaSummary, first: int, limit_bytes: int
) -> tuple[LogEntry, ...]:
    """Entries from this index on: at most so many bytes, at least one; none where the log does not have the first.
    Raises DamagedRow."""
    if not summary.base.position.index < first <= summary.last:
        return ()
    found: list[LogEntry] = []
    size = 0
    keys = entry_key(number, first), entry_key(number, summary.last)
    for key, row in database.execute(_ENTRIES, keys):
        if index_of(key) != first + len(found):
            break
        entry = decode_entry(summary.replica, index_of(key), row)
        size += entry_bytes(entry)
        if found and size > limit_bytes:
            return tuple(found)
        found.append(entry)
    if first + len(found) <= summary.last:
        raise DamagedRow(f"entry {first + len(found)} is missing")
    return tuple(found)
