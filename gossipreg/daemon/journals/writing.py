"""Writes the transactions of journals into the database: one WriteJournal after the other, many in one commit.

Owns: what is known of each replica here (`ReplicaSummary`), as it is on the disk. Never knows: threads, files, who
waits. `tests/journal/stored.py` has the meaning of a write in a few lines.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from gossipreg.daemon.journals.forms import (
    CHECKSUM_BYTES,
    ROW_BYTES,
    SUMS,
    ReplicaSummary,
    checksum_of,
    encode_entry,
    encode_record,
    encode_summary,
)
from gossipreg.daemon.journals.statements import chunks, with_keys, with_rows
from gossipreg.daemon.journals.tables import entry_key
from gossipreg.journal.effects import LogBase, RemoveJournal, WriteJournal
from gossipreg.journal.model import NO_BALLOT, JournalId, LogEntry, ReplicaId
from gossipreg.journal.replica_data import StoredReplica


@dataclass(slots=True)
class Stage:
    """Records that are no part of a state yet: those of a state that arrives. They have a number of their own, which
    becomes that of the replica with the last piece, so that they need not be written again."""

    number: int
    records: int = 0
    records_bytes: int = 0
    records_sum: int = 0


class WrongWrite(Exception):
    """A write does not follow from those before it: a fault of this program. Nothing is written."""


class JournalWriter:
    def __init__(self, database: sqlite3.Connection, replicas: dict[int, ReplicaSummary]) -> None:
        """`replicas` is what the database holds, by the number of the row."""
        self._database = database
        self._replicas = {one.journal: (number, one) for number, one in replicas.items()}
        self._numbers = {*replicas}
        self._touched: dict[JournalId, tuple[int, ReplicaSummary] | None] = {}
        """What this transaction changes: copies; None: removed."""
        self._stages: dict[ReplicaId, dict[int, Stage]] = {}
        """By the numbers that writes give them. (A transaction that fails ends the life of this writer.)"""

    def find(self, journal: JournalId) -> tuple[int, ReplicaSummary] | None:
        """The number of its row and the summary, as they are on the disk."""
        return self._replicas.get(journal)

    def replicas(self) -> dict[int, ReplicaSummary]:
        return dict(self._replicas.values())

    # -- a transaction -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._touched = {}
        self._database.execute("BEGIN IMMEDIATE")

    def finish(self) -> tuple[dict[int, ReplicaSummary], dict[int, ReplicaSummary]]:
        """Write the summaries; all but the commit. Returns the replicas that will be new, and those that will be gone,
        by row."""
        kept = dict(filter(None, self._touched.values()))
        rows = [(number, one.replica, one.journal, encode_summary(one)) for number, one in kept.items()]
        self._write_rows(_PUT_REPLICAS, rows)
        new = {number: one for number, one in kept.items() if number not in self._numbers}
        before = dict(filter(None, (self._replicas.get(journal) for journal in self._touched)))
        return new, {number: one for number, one in before.items() if number not in kept}

    def commit(self) -> dict[int, ReplicaSummary]:
        """Returns the summaries that changed, by row."""
        self._database.execute("COMMIT")
        changed: dict[int, ReplicaSummary] = {}
        for journal, one in self._touched.items():
            if before := self._replicas.pop(journal, None):
                self._numbers.discard(before[0])
            if one is not None:
                self._replicas[journal] = one
                changed[one[0]] = one[1]
        self._numbers |= changed.keys()
        self._touched = {}
        return changed

    # -- what a transaction does -------------------------------------------------------------------------------------

    def remove(self, removal: RemoveJournal) -> None:
        found = self._now(removal.journal)
        if found is not None and found[1].replica == removal.replica:
            self._remove(*found)
            self._touched[removal.journal] = None

    def write(self, write: WriteJournal) -> None:
        """Raises WrongWrite."""
        number, one = self._open(write)
        if write.promised is not None:
            _expect(write.promised >= one.promised, "a promise never goes down")
            one.promised = write.promised
        for wanted in dict.fromkeys(stage for stage, _, _ in write.staged):
            stage = self._stage(one.replica, wanted)
            staged = {key: value for at, key, value in write.staged if at == wanted}
            self._record(stage.number, one.replica, stage, staged, empty=False)
        if write.reset is not None:
            number = self._reset(number, one, write.reset, write.reset_stage)
        if write.truncate_after is not None:
            _expect(write.truncate_after >= one.applied, "what was applied is never removed")
            if write.truncate_after < one.last:
                self._delete_entries(number, one, write.truncate_after + 1, one.last)
                one.last = write.truncate_after
        if write.entries:
            self._append(number, one, write.entries)
        if write.records:
            empty = write.reset is not None and write.reset_stage is None
            self._record(number, one.replica, one, dict(write.records), empty=empty)
        if write.applied is not None:
            one.applied = write.applied
        if write.base is not None:
            self._cut(number, one, write.base)
        self._drop_stages(one.replica, write.oldest_stage)
        _expect(one.base.position.index <= one.applied <= one.last, "what is applied is in the log, or was")
        one.writes += 1

    def take_over(
        self, stored: StoredReplica, writes: int, large: Iterable[Sequence[tuple[bytes, bytes]]]
    ) -> None:  # fmt: skip
        """Write a whole replica, which had so many writes; `large` are its large records, in parts."""
        one = stored
        self.write(
            WriteJournal(
                0, one.journal, one.replica, one.owner, one.promised, one.base, None, one.entries,
                tuple(one.records.items()), one.applied,
            )
        )  # fmt: skip
        for part in large:
            self.write(WriteJournal(0, one.journal, one.replica, one.owner, records=tuple(part)))
        now = self._now(one.journal)
        assert now is not None, "it was just written"
        now[1].writes = writes

    def _now(self, journal: JournalId) -> tuple[int, ReplicaSummary] | None:
        """As it is in this transaction."""
        return self._touched[journal] if journal in self._touched else self._replicas.get(journal)

    def _open(self, write: WriteJournal) -> tuple[int, ReplicaSummary]:
        """The replica that a write is for; a new one replaces the one of before."""
        found = self._now(write.journal)
        if found is not None and found[1].replica == write.replica:
            if write.journal not in self._touched:
                found = found[0], found[1].copy()
        else:
            if write.reset is None:
                raise WrongWrite("a new replica begins with a base")
            if found is not None:
                self._remove(*found)
            start = write.reset.position.index
            number = self._free_number()
            found = (
                number,
                ReplicaSummary(write.replica, write.journal, write.owner, NO_BALLOT, write.reset, start, start),
            )
        self._touched[write.journal] = found
        return found

    def _free_number(self) -> int:
        taken = self._numbers | {one[0] for one in self._touched.values() if one is not None}
        taken |= {stage.number for stages in self._stages.values() for stage in stages.values()}
        return next(number for number in count(1) if number not in taken)

    def _remove(self, number: int, one: ReplicaSummary) -> None:
        for stage in self._stages.pop(one.replica, {}).values():
            self._database.execute(_DROP_ALL_RECORDS, (stage.number,))
        self._delete(number, one)

    def _delete(self, number: int, one: ReplicaSummary) -> None:
        self._clear(number, one)
        self._database.execute("DELETE FROM replicas WHERE number = ?", (number,))

    def _clear(self, number: int, one: ReplicaSummary) -> None:
        keys = entry_key(number, 0), entry_key(number + 1, 0) - 1
        self._database.execute("DELETE FROM entries WHERE key BETWEEN ? AND ?", keys)
        self._database.execute(_DROP_ALL_RECORDS, (number,))
        one.entries_bytes = one.entries_sum = one.records = one.records_bytes = one.records_sum = 0

    def _reset(self, number: int, one: ReplicaSummary, base: LogBase, stage_number: int | None) -> int:
        """Returns the number that the replica has now."""
        if stage_number is None:
            self._clear(number, one)
        else:
            stage = self._stages.get(one.replica, {}).pop(stage_number, None)
            if stage is None:
                raise WrongWrite(f"stage {stage_number} has no records")
            self._delete(number, one)
            number = stage.number
            one.records, one.records_bytes, one.records_sum = stage.records, stage.records_bytes, stage.records_sum
            self._touched[one.journal] = number, one
        one.base, one.last, one.applied = base, base.position.index, base.position.index
        return number

    def _stage(self, replica: ReplicaId, number: int) -> Stage:
        stages = self._stages.setdefault(replica, {})
        if number not in stages:
            stages[number] = Stage(self._free_number())
        return stages[number]

    def _drop_stages(self, replica: ReplicaId, oldest: int) -> None:
        """Those with lower numbers."""
        stages = self._stages.get(replica, {})
        for number in [number for number in stages if number < oldest]:
            self._database.execute(_DROP_ALL_RECORDS, (stages.pop(number).number,))

    def _append(self, number: int, one: ReplicaSummary, entries: Sequence[LogEntry]) -> None:
        for at, entry in enumerate(entries, one.last + 1):
            _expect(entry.index == at, "a log has no gaps")
        for part in chunks(entries):
            rows = [(entry_key(number, entry.index), encode_entry(one.replica, entry)) for entry in part]
            self._write_rows(_PUT_ENTRIES, rows)
            one.entries_bytes += sum(len(row) for _, row in rows) + ROW_BYTES * len(rows)
            one.entries_sum = (one.entries_sum + sum(checksum_of(row) for _, row in rows)) % SUMS
        one.last = entries[-1].index

    def _cut(self, number: int, one: ReplicaSummary, base: LogBase) -> None:
        index = base.position.index
        _expect(one.base.position.index <= index <= one.applied, "only what is in the state is cut")
        self._delete_entries(number, one, one.base.position.index + 1, index)
        one.base = base

    def _delete_entries(self, number: int, one: ReplicaSummary, first: int, last: int) -> None:
        if first > last:
            return
        keys = entry_key(number, first), entry_key(number, last)
        rows, size, checksums = self._database.execute(_SUM_OF_ENTRIES, keys).fetchone()
        _expect(rows == last - first + 1, f"entries {first} to {last} are not all there")
        self._database.execute("DELETE FROM entries WHERE key BETWEEN ? AND ?", keys)
        one.entries_bytes -= size + ROW_BYTES * rows
        one.entries_sum = (one.entries_sum - _sum_of(checksums)) % SUMS

    def _record(
        self, number: int, replica: ReplicaId, one: ReplicaSummary | Stage, changes: Mapping[bytes, bytes | None], *,
        empty: bool,
    ) -> None:  # fmt: skip
        """`empty`: there are no records yet."""
        if not empty:
            for keys in chunks(list(changes)):
                self._forget_records(number, one, keys)
            for keys in chunks([key for key, value in changes.items() if value is None]):
                self._database.execute(with_keys(_DROP_RECORDS, len(keys)), (number, *keys))
        for part in chunks([(key, value) for key, value in changes.items() if value is not None]):
            rows = [(number, key, encode_record(replica, key, value)) for key, value in part]
            self._write_rows(_PUT_RECORDS, rows)
            one.records += len(rows)
            one.records_bytes += sum(len(key) + len(row) for _, key, row in rows) + ROW_BYTES * len(rows)
            one.records_sum = (one.records_sum + sum(checksum_of(row) for *_, row in rows)) % SUMS

    def _forget_records(self, number: int, one: ReplicaSummary | Stage, keys: Sequence[bytes]) -> None:
        """Take the records of these keys out of the summary."""
        rows, size, checksums = self._database.execute(
            with_keys(_SUM_OF_RECORDS, len(keys)), (number, *keys)
        ).fetchone()
        one.records -= rows
        one.records_bytes -= size + ROW_BYTES * rows
        one.records_sum = (one.records_sum - _sum_of(checksums)) % SUMS

    def _write_rows(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        for part in chunks(rows):
            values = [value for row in part for value in row]
            self._database.execute(with_rows(statement, len(part), len(part[0])), values)


_PUT_ENTRIES = "INSERT INTO entries VALUES {}"
_PUT_REPLICAS = (
    "INSERT INTO replicas VALUES {} ON CONFLICT (number) DO UPDATE SET replica = excluded.replica, "
    "journal = excluded.journal, summary = excluded.summary"
)
_PUT_RECORDS = (
    "INSERT INTO records (replica, key, value) VALUES {} "
    "ON CONFLICT (replica, key) DO UPDATE SET value = excluded.value"
)
_DROP_ALL_RECORDS = "DELETE FROM records WHERE replica = ?"
_DROP_RECORDS = "DELETE FROM records WHERE replica = ? AND key IN ({})"
_SUM_OF_ENTRIES = (
    f"SELECT count(*), coalesce(sum(length(entry)), 0), coalesce(group_concat(hex(substr(entry, 1, {CHECKSUM_BYTES})),"
    " ''), '') FROM entries WHERE key BETWEEN ? AND ?"
)
_SUM_OF_RECORDS = (
    "SELECT count(*), coalesce(sum(length(key) + length(value)), 0), "
    f"coalesce(group_concat(hex(substr(value, 1, {CHECKSUM_BYTES})), ''), '') "
    "FROM records WHERE replica = ? AND key IN ({})"
)


def remove_stages(database: sqlite3.Connection, replicas: Collection[int]) -> None:
    """Remove the records that belong to no replica: the stages of a process that has ended. Raises sqlite3.Error."""
    number: int | None = 0
    while number is not None:
        number = database.execute("SELECT min(replica) FROM records WHERE replica > ?", (number,)).fetchone()[0]
        if number is not None and number not in replicas:
            database.execute(_DROP_ALL_RECORDS, (number,))


def _sum_of(checksums: str) -> int:
    """Of checksums in hexadecimal, one after the other."""
    digits = 2 * CHECKSUM_BYTES
    return sum(int(checksums[at : at + digits], 16) for at in range(0, len(checksums), digits))


def _expect(holds: bool, rule: str) -> None:
    if not holds:
        raise WrongWrite(rule)
