"""Opens the journals' database, and finds out which replicas may still take part.

A replica may not if a row of it is damaged, or if it had more writes reported as done than the database has. Then the
damaged file is renamed, and what is sound goes on in a new one: so what is in the database in use is always sound, and
no damage is left for a later write to meet. A replica that is not in the new file is lost for good, as its id is.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gossipreg.daemon.database_file import cannot_use, set_aside
from gossipreg.daemon.journals.database import JournalDatabase
from gossipreg.daemon.journals.forms import DamagedRow, ReplicaSummary
from gossipreg.daemon.journals.loading import ExaminedReplicas, examine, read_records
from gossipreg.daemon.journals.noted import NotedWrites, read_noted
from gossipreg.daemon.journals.results import LostReplica, StoreOpened
from gossipreg.daemon.journals.tables import LOG, MEND, PARTS, DamagedDatabase, connect, is_damage
from gossipreg.daemon.journals.writing import JournalWriter, remove_stages
from gossipreg.daemon.journals_file import JOURNALS, sync_folder
from gossipreg.journal.effects import RemoveJournal
from gossipreg.journal.state import large_parts

_NEW = f"{JOURNALS}.new"
_PART_BYTES = 1024 * 1024
"""Of large records that are copied at a time."""


def open_journals(folder: Path) -> tuple[JournalDatabase, StoreOpened]:
    """Open the database in this directory, or make it. Raises CannotStart with one line: it cannot be used now, is of a
    newer version, or not ours."""
    path = folder / JOURNALS
    database: sqlite3.Connection | None = None
    try:
        _end_interrupted(folder)
        noted = read_noted(folder)
        database, found = _examined(path, noted)
        if database is not None and not found.unsound:
            _remove_stages(database, found)
        summaries, aside = found.summaries, ""
        if found.unsound or database is None:
            aside = _replace(path, database, found, noted)
            database = _connect_new(path)
            summaries = examine(database).summaries
        _sync_log(path)
        opened = StoreOpened(tuple(found.stored.values()), tuple(found.lost), aside, found.fault)
        return JournalDatabase(folder, database, summaries), opened
    except BaseException as error:
        if database is not None:
            database.close()
        if isinstance(error, OSError | sqlite3.Error):
            raise cannot_use(path, f"cannot use {path}: {error}; {MEND}", error) from None
        raise


def _sync_log(path: Path) -> None:
    """Have what was just read on the disk before anybody counts on it. A process that was killed may have written a
    commit and not synchronised it: the file has it, and a loss of power would take it away again. Only the log: to
    close a descriptor of the database itself would give up SQLite's lock on it."""
    try:
        fd = os.open(path.with_name(path.name + LOG), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _connect_new(path: Path) -> sqlite3.Connection:
    """A database that was just made."""
    try:
        return connect(path)
    except DamagedDatabase as error:
        raise OSError(f"it is damaged just after it was made: {error}") from None


def _examined(path: Path, noted: NotedWrites) -> tuple[sqlite3.Connection | None, ExaminedReplicas]:
    """What the database holds, without what lacks acknowledged writes. None for a database that cannot be read."""
    database: sqlite3.Connection | None = None
    try:
        database = connect(path)
        found = examine(database)
    except DamagedDatabase as error:
        if database is not None:
            database.close()
        database, found = None, ExaminedReplicas(fault=str(error), unsound=True)
    except BaseException:
        if database is not None:
            database.close()
        raise
    _compare(found, noted)
    return database, found


def _remove_stages(database: sqlite3.Connection, found: ExaminedReplicas) -> None:
    """Remove what the last process had received of states that did not arrive. Nobody has read these rows, so this may
    be where damage is met."""
    try:
        remove_stages(database, found.summaries)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        found.fault, found.unsound = str(error), True


def _compare(found: ExaminedReplicas, noted: NotedWrites) -> None:
    """Take out the replicas that lack writes which were reported as done."""
    here = {one.replica for one in found.summaries.values()} | {one.replica for one in found.lost}
    for number, one in list(found.summaries.items()):
        if noted.database and (reason := _went_back(found.id, noted, number, one)):
            found.lose(number, reason)
    gone = [one for one in noted.replicas.values() if one.replica not in here and one.writes]
    found.lost += [LostReplica(one.journal, one.replica, "it is not in the database any more") for one in gone]


def _went_back(id: bytes, noted: NotedWrites, number: int, one: ReplicaSummary) -> str:
    """In what way this replica is an older one than that which was in use last; empty if it is not."""
    known = noted.replicas.get(one.replica)
    if noted.database != id:
        return "the database is not the one that was in use last: another was put in its place"
    if known is None:
        return "" if number in noted.unreadable else "the database went back to before it was removed"
    if known.writes > one.writes:
        missing = f"{known.writes - one.writes} of its {known.writes} acknowledged writes are missing"
        return f"{missing}: its log ends at {one.last}, and {known.last} was acknowledged"
    return ""


def _replace(path: Path, old: sqlite3.Connection | None, found: ExaminedReplicas, noted: NotedWrites) -> str:
    """Rename the damaged file, which is closed, and put one in its place that has what is sound. Returns the name of
    the old one."""
    new = path.with_name(_NEW)
    database = _connect_new(new)
    try:
        writer = JournalWriter(database, {})
        writer.begin()
        if id := found.id or noted.database:
            database.execute("UPDATE store SET id = ?", (id,))
        for number, stored in [*found.stored.items()]:
            try:
                writer.take_over(stored, found.summaries[number].writes, _large(old, number, found))
            except DamagedRow as damage:  # it was sound a moment ago
                writer.remove(RemoveJournal(stored.journal, stored.replica))
                found.lose(number, str(damage))
        writer.finish()
        writer.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        database.close()
    if any(new.with_name(new.name + part).exists() for part in PARTS):
        raise OSError(f"{new.name} has a log of its own still")
    fd = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(path.parent)
    if old is not None:
        old.close()
    aside = set_aside(path)
    new.rename(path)
    sync_folder(path.parent)
    return aside


def _large(
    database: sqlite3.Connection | None, number: int, found: ExaminedReplicas
) -> Iterator[list[tuple[bytes, bytes]]]:
    """The large records of a replica that was examined, in parts. Raises DamagedRow, sqlite3.Error."""
    for keys in large_parts(found.stored[number].large, _PART_BYTES):
        assert database is not None, "a database that cannot be read has no replicas"
        try:
            values = read_records(database, number, found.summaries[number], keys)
        except sqlite3.Error as error:
            if is_damage(error):
                raise DamagedRow(str(error)) from None
            raise
        if None in values:
            raise DamagedRow("a record is missing")
        yield [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]


def _end_interrupted(folder: Path) -> None:
    """A replacement that was interrupted after the damaged file was renamed is completed, and begun anew otherwise."""
    new = folder / _NEW
    if new.exists() and not (folder / JOURNALS).exists():
        new.rename(folder / JOURNALS)
        sync_folder(folder)
    for part in ("", *PARTS):
        new.with_name(new.name + part).unlink(missing_ok=True)
