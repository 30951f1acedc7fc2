"""The database of the history in the data directory: lines written, read and thrown away.

Owns: the file, its bound, and the filters of a query in SQL. Never knows threads, nor when a line is written.

Why SQLite and not files that are only appended to: a reader asks by time, member, service, kind or number, backwards
and forwards, and SQLite finds that in its own code, outside Python's lock, so that a search of 64 MiB does not hold up
the loop; room that old lines leave is used again without moving anything; a kill in the middle of a write leaves whole
lines; and one thing is to be set aside if the disk spoils it. A write-ahead log makes a batch of lines one short write
that waits for no disk: the history is no promise, so nothing is synchronised before the log is copied back. A kill of
the process loses nothing that was written; a loss of power may lose the last megabyte.

The file is locked by its connection (no shared memory file), so `sqlite3` tools read a copy of it.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgpack import packb, unpackb

from gossipreg.daemon.database_file import set_aside
from gossipreg.daemon.start import HISTORY_SPACE_MIN_BYTES
from gossipreg.history.history_line import HistoryLine, NamedMember
from gossipreg.history.history_query import ID_DIGITS_MIN, HistoryQuery
from gossipreg.model import fold_name

HISTORY_FILE = "history.db"
PAGE_BYTES = 4096
LOG_BYTES = 1024 * 1024
"""Of the write-ahead log, beside the file: it is copied back then."""
FULL_SHARE = 0.95
"""Of the space, from which on the oldest lines make room."""
ROOM_SHARE = 10
"""A tenth of the lines makes room at a time."""
BUSY_S = 1.0

_LAYOUT = 1
_TABLES = f"""
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, boot_s REAL NOT NULL, boot_id TEXT NOT NULL, kind TEXT NOT NULL,
    level TEXT NOT NULL, message TEXT NOT NULL, member_id TEXT, member TEXT, service TEXT NOT NULL,
    instance TEXT NOT NULL, more BLOB NOT NULL) STRICT;
CREATE INDEX by_time ON lines (at);
PRAGMA user_version = {_LAYOUT};
"""
_WRITE = "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING"
"""A line that is there already was written by a thread that nobody waited for: the sidecar stopped meanwhile."""
_READ = "SELECT seq, at, boot_s, kind, level, message, member_id, member, service, instance, more, boot_id FROM lines"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class UnusableHistory(Exception):
    """The database was set aside, or is gone: open a new one. The text says what became of it."""


class HistoryDatabase:
    def __init__(self, folder: Path, *, space_bytes: int, boot_id: str) -> None:
        """Open or make it. Raises OSError, sqlite3.Error, UnusableHistory."""
        self._path = folder / HISTORY_FILE
        self._boot_id = boot_id
        self._pages = max(HISTORY_SPACE_MIN_BYTES, space_bytes) // PAGE_BYTES
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # so that nobody else may read it
        self._database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=BUSY_S)
        try:
            self._prepare()
            newest = self._database.execute("SELECT seq, kind FROM lines ORDER BY seq DESC LIMIT 1").fetchone()
        except BaseException as error:
            self._database.close()
            self._if_damaged(error)
            raise
        self.newest_seq: int = newest[0] if newest else 0
        """Of the newest line that was there when it was opened; 0: there was none."""
        self.newest_kind: str = newest[1] if newest else ""
        self._inode = _inode(self._path)

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run(f"PRAGMA page_size = {PAGE_BYTES}")
        run("PRAGMA auto_vacuum = INCREMENTAL")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // PAGE_BYTES}")
        run(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        run("PRAGMA cache_size = -512")
        found = run("PRAGMA user_version").fetchone()[0]
        if found == 0 and not run("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._database.executescript(f"BEGIN; {_TABLES} COMMIT;")
        elif found != _LAYOUT:
            raise UnusableHistory(self._aside(f"it has the format {found}, and not {_LAYOUT}"))
        self._shrink()
        run(f"PRAGMA max_page_count = {self._pages}")  # no less than the file has now

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, lines: Sequence[HistoryLine], keep_from: float | None) -> int:
        """Write those of these lines that are not there yet, all or none, and throw away those from before `keep_from`
        (wall time) and, where the space is used up, the oldest. Returns how many lines were thrown away for their
        space. Raises OSError, sqlite3.Error, UnusableHistory."""
        if _inode(self._path) != self._inode:
            self.close()
            raise UnusableHistory(f"{self._path} was removed or replaced while it was in use: a new one begins")
        try:
            thrown = self._make_room()
            try:
                self._write(lines, keep_from)
            except sqlite3.OperationalError as error:
                if not self._at_bound(error):
                    raise
                thrown += self._throw_oldest()
                self._write(lines, keep_from)
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._database.rollback()
            self._if_damaged(error)
            raise
        return thrown

    def _write(self, lines: Sequence[HistoryLine], keep_from: float | None) -> None:
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            if keep_from is not None:
                self._database.execute("DELETE FROM lines WHERE at < ?", (keep_from,))
            self._database.executemany(_WRITE, (self._row(line) for line in lines))

    def _row(self, line: HistoryLine) -> tuple[object, ...]:
        id, name = (None, None) if line.member is None else (line.member.id, line.member.name)
        return (
            line.seq, line.at, line.boot_s, line.boot_id or self._boot_id, line.kind, line.level, line.message, id,
            name, line.service, line.instance, packb(dict(line.more)),
        )  # fmt: skip

    def _make_room(self) -> int:
        thrown = 0
        while self._used_pages() > FULL_SHARE * self._pages:
            fewer = self._throw_oldest()
            thrown += fewer
            if not fewer:
                break
        return thrown

    def _used_pages(self) -> int:
        pages, free = (
            self._database.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "freelist_count")
        )
        return int(pages) - int(free)

    def _throw_oldest(self) -> int:
        """One line in ROOM_SHARE."""
        count = self._database.execute("SELECT count(*) FROM lines").fetchone()[0]
        limit = max(1, count // ROOM_SHARE)
        oldest = "DELETE FROM lines WHERE seq IN (SELECT seq FROM lines ORDER BY seq LIMIT ?)"
        return self._database.execute(oldest, (limit,)).rowcount

    def _at_bound(self, error: sqlite3.Error) -> bool:
        """Whether this is the bound of the file, and not a full disk."""
        pages = self._database.execute("PRAGMA page_count").fetchone()[0]
        return error.sqlite_errorcode == sqlite3.SQLITE_FULL and pages >= self._pages - 1

    def _shrink(self) -> None:
        """The space may be less than in the run before."""
        self._make_room()
        if self._database.execute("PRAGMA page_count").fetchone()[0] > self._pages:
            self._database.executescript("PRAGMA incremental_vacuum")  # `execute` frees one page alone
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, query: HistoryQuery) -> tuple[list[HistoryLine], bool]:
        """As `RecentLines.read`. Raises sqlite3.Error, UnusableHistory."""
        where, values = _where(query)
        order = "DESC" if query.newest else "ASC"
        try:
            rows = self._database.execute(f"{_READ}{where} ORDER BY seq {order} LIMIT ?", (*values, query.limit + 1))
            lines = [_line(row) for row in rows]
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._if_damaged(error)
            raise
        more = len(lines) > query.limit
        page = lines[: query.limit]
        return (page[::-1] if query.newest else page), more

    def first_at(self) -> float | None:
        """The wall time of the oldest line."""
        found = self._database.execute("SELECT at FROM lines ORDER BY seq LIMIT 1").fetchone()
        return None if found is None else float(found[0])

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._database.close()

    def _if_damaged(self, error: BaseException) -> None:
        """Set the file aside if that is what the error means. Raises UnusableHistory then."""
        damaged = isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
        missing = isinstance(error, sqlite3.OperationalError) and "no such" in str(error)
        if damaged or missing or isinstance(error, ValueError | TypeError):
            raise UnusableHistory(self._aside(str(error))) from None

    def _aside(self, fault: str) -> str:
        self.close()
        try:
            return f"{self._path} is damaged ({fault}), and was set aside as {set_aside(self._path)}: a new one begins"
        except OSError as error:
            raise OSError(error.errno, f"{self._path} is damaged, and cannot be set aside: {error.strerror}") from None


def _where(query: HistoryQuery) -> tuple[str, list[object]]:
    """The same as `history_query.fits`."""
    rules: list[str] = []
    values: list[object] = []

    def rule(text: str, *given: object) -> None:
        rules.append(text)
        values.extend(given)

    if query.after is not None:
        rule("seq > ?", query.after)
    if query.before is not None:
        rule("seq < ?", query.before)
    if query.since is not None:
        rule("at >= ?", query.since)
    if query.until is not None:
        rule("at < ?", query.until)
    if query.kind is not None:
        kinds = query.kind.split(",")
        begins = [one.removesuffix("*") for one in kinds]
        either = ["substr(kind, 1, ?) = ?" if one.endswith("*") else "length(kind) = ? AND kind = ?" for one in kinds]
        rule(f"({' OR '.join(either)})", *(value for begin in begins for value in (len(begin), begin)))
    if query.member is not None and len(query.member) >= ID_DIGITS_MIN:
        begin = query.member.lower()
        rule("(lower(member) = ? OR substr(member_id, 1, ?) = ?)", fold_name(query.member), len(begin), begin)
    elif query.member is not None:
        rule("lower(member) = ?", fold_name(query.member))
    if query.service is not None:
        rule("(instance = ? OR (service != '' AND lower(service) = ?))", query.service, fold_name(query.service))
    return (f" WHERE {' AND '.join(rules)}" if rules else ""), values


def _line(row: tuple[object, ...]) -> HistoryLine:
    seq, at, boot_s, kind, level, message, member_id, member, service, instance, more, boot_id = row
    about = None if member_id is None else NamedMember(str(member_id), str(member))
    if not isinstance(more, bytes):
        raise TypeError("a line's further facts are no bytes")
    return HistoryLine(
        int(str(seq)), float(str(at)), float(str(boot_s)), str(kind), str(level), str(message), about, str(service),
        str(instance), unpackb(more), str(boot_id),
    )  # fmt: skip


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
