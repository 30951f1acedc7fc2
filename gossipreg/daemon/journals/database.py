"""The journals' database while it is in use: transactions, reads, and the care that nothing is lost without a word.

Owns: the order of a commit, and that it goes to the file that was opened. Never knows threads. After any exception but
CannotStart it must be closed: what is in memory may differ from what is on the disk.
"""

import errno
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from gossipreg.daemon.database_file import is_full
from gossipreg.daemon.journals.forms import DamagedRow, ReplicaSummary
from gossipreg.daemon.journals.loading import read_entries, read_records
from gossipreg.daemon.journals.noted import NoteFile
from gossipreg.daemon.journals.results import StoreFault
from gossipreg.daemon.journals.tables import begin_life, checkpoint, give_back, id_of
from gossipreg.daemon.journals.writing import JournalWriter
from gossipreg.daemon.journals_file import JOURNALS
from gossipreg.journal.effects import ReadLog, ReadRecords, RemoveJournal, WriteJournal
from gossipreg.journal.model import JournalId, LogEntry

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""Of the write-ahead log, about; then it begins anew."""
_WRITE_BYTES = 3 * 4096
"""What a write adds to the log beside its content, about: pages are written as a whole."""


class UnlinkedDatabase(Exception):
    """The file that is open is not the one at its path any more."""


class JournalDatabase:
    def __init__(self, folder: Path, database: sqlite3.Connection, replicas: dict[int, ReplicaSummary]) -> None:
        """Takes over a database that was examined. Writes something, so that a disk that does not take it is known
        now. Raises OSError, sqlite3.Error."""
        self._database = database
        self._path = folder / JOURNALS
        self._writer = JournalWriter(database, replicas)
        begin_life(database)
        self._files = [self._path, self._path.with_name(f"{JOURNALS}-wal")]
        self._inodes = [_inode(path) for path in self._files]
        self._log_bytes = 0
        self._noted = NoteFile(folder, id_of(database), replicas)

    @property
    def space(self) -> dict[JournalId, int]:
        """Bytes of each journal, about."""
        return {one.journal: one.space_bytes for one in self._writer.replicas().values()}

    def write(self, asked: Sequence[WriteJournal | RemoveJournal]) -> dict[JournalId, int]:
        """All of them in one transaction, which is on the disk when this returns. Returns the space of the journals
        that changed; 0 for those that are gone. Raises OSError, sqlite3.Error, UnlinkedDatabase, WrongWrite."""
        self._writer.begin()
        for one in asked:
            if isinstance(one, WriteJournal):
                self._writer.write(one)
                self._log_bytes += one.size_bytes + _WRITE_BYTES
            else:
                self._writer.remove(one)
        new, gone = self._writer.finish()
        self.look()
        self._noted.prepare(new, gone)
        changed = self._writer.commit()
        self._noted.note(changed, gone)
        space = {one.journal: one.space_bytes for one in changed.values()}
        return {one.journal: space.get(one.journal, 0) for one in asked}

    def look(self) -> None:
        """Raises UnlinkedDatabase if what is written now would be found by nobody."""
        for path, inode in zip(self._files, self._inodes, strict=True):
            if _inode(path) != inode:
                raise UnlinkedDatabase(f"{path} was removed, moved or replaced while it was in use")

    def read(self, asked: ReadLog) -> tuple[LogEntry, ...]:
        """Raises sqlite3.Error, DamagedRow."""
        found = self._writer.find(asked.journal)
        if found is None:
            return ()
        return read_entries(self._database, *found, asked.first, asked.limit_bytes)

    def read_records(self, asked: ReadRecords) -> tuple[bytes | None, ...]:
        """Raises sqlite3.Error, DamagedRow."""
        found = self._writer.find(asked.journal)
        if found is None:
            return (None,) * len(asked.keys)
        return read_records(self._database, *found, asked.keys)

    def tidy(self) -> None:
        """What may be done after writes, now and then. Raises OSError, sqlite3.Error."""
        if self._log_bytes < CHECKPOINT_BYTES:
            return
        self.look()
        self._noted.sync()
        checkpoint(self._database)
        self._log_bytes = 0
        if give_back(self._database):
            self._log_bytes = CHECKPOINT_BYTES // 2

    def close(self) -> None:
        """SQLite copies its log into the database, unless the file is not the one at its path any more."""
        self._noted.close()
        self._database.close()


def _inode(path: Path) -> tuple[int, int] | None:
    """The file that has this name."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if found.st_nlink else None


def fault_of(error: BaseException, folder: Path) -> StoreFault:
    """Why the store failed, by the exception. SQLite does not always say that the disk is full."""
    fault = _fault_of(error)
    return StoreFault.FULL if fault is StoreFault.DISK and is_full(folder) else fault


def _fault_of(error: BaseException) -> StoreFault:
    match error:
        case UnlinkedDatabase():
            return StoreFault.UNLINKED
        case DamagedRow():
            return StoreFault.DAMAGED
        case sqlite3.Error():
            return _FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, StoreFault.DISK)
        case OSError():
            return StoreFault.FULL if error.errno in _FULL else StoreFault.DISK
        case _:
            return StoreFault.INTERNAL


_FULL = (errno.ENOSPC, errno.EDQUOT)
_FAULTS = {
    sqlite3.SQLITE_FULL: StoreFault.FULL,
    sqlite3.SQLITE_BUSY: StoreFault.LOCKED,
    sqlite3.SQLITE_LOCKED: StoreFault.LOCKED,
    sqlite3.SQLITE_CORRUPT: StoreFault.DAMAGED,
    sqlite3.SQLITE_NOTADB: StoreFault.DAMAGED,
}
