"""The file of the journals' database: made, opened, and told apart from files that are not ours to change.

Write-ahead log with synchronous=FULL: a commit is one fsync, of that log. The file is locked for as long as it is open,
so the index of the log is in our memory instead of a mapped file, and a full disk cannot end the process. The space of
removed rows is used again; what is free beyond that is given back (`give_back`).
"""

import os
import sqlite3
from pathlib import Path

from gossipreg.daemon.database_file import cannot_use
from gossipreg.errors import CannotStart

LOG = "-wal"
PARTS = (LOG, "-journal")
LAYOUT = 1
CACHE_KIB = 256
KEPT_WAL_BYTES = 8 * 1024 * 1024
"""A large transaction makes a large log; it is cut to this when it begins anew."""
_OURS = 0x676A6F75
"""The `application_id` of our databases."""
MEND = "correct that; until then this sidecar takes part in no journal"

_TABLES = f"""
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE store (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), id BLOB NOT NULL, layout INTEGER NOT NULL,
                    opens INTEGER NOT NULL) STRICT;
CREATE TABLE replicas (number INTEGER PRIMARY KEY, replica BLOB NOT NULL, journal BLOB NOT NULL,
                       summary BLOB NOT NULL) STRICT;
CREATE TABLE entries (key INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
CREATE TABLE records (number INTEGER PRIMARY KEY, replica INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
                      UNIQUE (replica, key)) STRICT;
INSERT INTO store VALUES (1, randomblob(16), {LAYOUT}, 0);
PRAGMA application_id = {_OURS};
PRAGMA user_version = {LAYOUT};
COMMIT;
"""
"""`layout` is the number of the layout again, beside the file's `user_version`, so that damage is not taken for a newer
version; all later layouts have it. `replica` in `records` is the number of the replica; `key` in `entries` is made by
`entry_key`."""

INDEX_BITS = 44
"""Of the key of an entry: enough for 50 years of 10,000 entries a second."""
MAX_REPLICAS = 1 << 63 - INDEX_BITS


class DamagedDatabase(Exception):
    """The file is not what was written. The text says in what way."""


def entry_key(number: int, index: int) -> int:
    """The row of an entry: those of one replica lie together, in order. Raises ValueError."""
    if not (0 < number < MAX_REPLICAS and 0 <= index < 1 << INDEX_BITS):
        raise ValueError(f"entry {index} of the replica in row {number} has no key of 63 bits")
    return number << INDEX_BITS | index


def index_of(key: int) -> int:
    return key & (1 << INDEX_BITS) - 1


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, or make it. Raises CannotStart: it cannot be used now, is of a newer version, or not ours.
    Raises DamagedDatabase."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # so that it is nobody else's to read
        database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise cannot_use(path, f"cannot open {path}: {error}; {MEND}", error) from None
    try:
        _prepare(database, path)
        return database
    except sqlite3.Error as error:
        database.close()
        if is_damage(error):
            raise DamagedDatabase(str(error)) from None
        raise cannot_use(path, f"cannot use {path}: {error}; {MEND}", error) from None
    except BaseException:
        database.close()
        raise


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    for setting in ("synchronous = FULL", f"cache_size = -{CACHE_KIB}", "secure_delete = OFF", "trusted_schema = OFF"):
        database.execute(f"PRAGMA {setting}")
    database.execute("PRAGMA wal_autocheckpoint = 0")  # `checkpoint` does it, after the writes were reported
    database.execute(f"PRAGMA journal_size_limit = {KEPT_WAL_BYTES}")
    found = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if found == 0 and tables == 0:
        database.executescript(_TABLES)
        found = LAYOUT
    elif database.execute("PRAGMA application_id").fetchone()[0] != _OURS and not _has_our_tables(database):
        raise CannotStart(f"{path} is the database of another program: choose another --data-dir")
    noted = _noted_layout(database)
    if found > LAYOUT and noted in (found, None):
        raise CannotStart(f"{path} was written by a newer version (format {found}): run that one")
    if found != LAYOUT or noted != LAYOUT:
        raise DamagedDatabase(f"its format is {found}")
    mode = database.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise CannotStart(f"{path} cannot have a write-ahead log (its mode is {mode}): choose another --data-dir")


def as_blob(column: str) -> str:
    """Read this column as bytes, whatever damage has made of it."""
    return f"ifnull(CAST({column} AS BLOB), x'')"


def id_of(database: sqlite3.Connection) -> bytes:
    found: bytes = database.execute(f"SELECT {as_blob('id')} FROM store").fetchone()[0]
    return found


def _has_our_tables(database: sqlite3.Connection) -> bool:
    names = "SELECT count(*) FROM sqlite_schema WHERE name IN ('store', 'replicas', 'entries', 'records')"
    return bool(database.execute(names).fetchone()[0] == 4)


def _noted_layout(database: sqlite3.Connection) -> int | None:
    """None if it cannot be told."""
    try:
        row = database.execute("SELECT CAST(layout AS INTEGER) FROM store").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            return None
        raise
    return None if row is None else row[0]


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the content is wrong, not that the disk does not work now."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def begin_life(database: sqlite3.Connection) -> None:
    """Write something, to see that the disk can be written; the write-ahead log is there then."""
    database.execute("UPDATE store SET opens = opens + 1")


def checkpoint(database: sqlite3.Connection) -> None:
    """Copy what is in the write-ahead log into the database, so that the log begins anew."""
    database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


GIVEN_BACK_PAGES = 256
"""At a time, so that no write waits long for it."""


def give_back(database: sqlite3.Connection) -> bool:
    """Give a part of the free space back to the file system, if more than half of the file is free. Returns whether
    something was given back."""
    free = database.execute("PRAGMA freelist_count").fetchone()[0]
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    if free < max(KEPT_WAL_BYTES // 4096, pages // 2):
        return False
    # `execute` would free one page: there is a row without columns for each, and it stops at the first.
    database.executescript(f"PRAGMA incremental_vacuum({GIVEN_BACK_PAGES})")
    return True
