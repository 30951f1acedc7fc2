"""The file of the data directory's database: opened, brought to the present layout, and examined.

A database that cannot be read is renamed, never overwritten, and the start fails, so that the user knows that the next
start begins anew. A database of a newer version is left as it is.
"""

import os
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from gossipreg.daemon.identity import PRIVATE_KEY_BYTES
from gossipreg.errors import CannotStart, CannotStartYet, cannot_start
from gossipreg.generation import MAX_GENERATION
from gossipreg.model import NODE_ID_BYTES, Health

if TYPE_CHECKING:
    import sqlite3

DATABASE = "gossipreg.db"
_PARTS = ("-journal", "-wal")
MEND = "correct that, or choose another --data-dir"

_LAYOUTS = (
    """
CREATE TABLE identity (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), private_key BLOB NOT NULL) STRICT;
CREATE TABLE generation (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), last TEXT NOT NULL) STRICT;
""",
    """
CREATE TABLE services (id TEXT PRIMARY KEY, source TEXT NOT NULL, trusted INTEGER NOT NULL, params BLOB NOT NULL,
                       health INTEGER NOT NULL) STRICT;
CREATE TABLE peers (id BLOB PRIMARY KEY, host TEXT NOT NULL, port INTEGER NOT NULL) STRICT;
""",
    """
CREATE TABLE maintenance (id TEXT PRIMARY KEY, reason TEXT NOT NULL) STRICT;
""",
    """
ALTER TABLE services ADD COLUMN owner INTEGER;
""",
    """
ALTER TABLE services DROP COLUMN health;
CREATE TABLE check_health (service TEXT NOT NULL, key BLOB NOT NULL, health INTEGER NOT NULL, wall_ms INTEGER NOT NULL,
                           boot_s REAL NOT NULL, boot_id TEXT NOT NULL, PRIMARY KEY (service, key)) STRICT;
CREATE TABLE hold (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), wall_ms INTEGER NOT NULL, boot_s REAL NOT NULL,
                   boot_id TEXT NOT NULL, hold_s REAL NOT NULL) STRICT;
CREATE TABLE node_checks (id TEXT PRIMARY KEY, trusted INTEGER NOT NULL, given BLOB NOT NULL) STRICT;
""",
    """
ALTER TABLE generation ADD COLUMN met TEXT;
ALTER TABLE generation ADD COLUMN unmet TEXT;
""",
    """
CREATE TABLE event_groups (name TEXT NOT NULL, pattern TEXT NOT NULL, idle_s REAL NOT NULL,
                           PRIMARY KEY (name, pattern)) STRICT;
""",
)
"""The statements that each version of the layout added. A database's `user_version` says how many of them it has; the
others are run when it is opened."""
LAYOUT = len(_LAYOUTS)


class Damaged(Exception):
    """The database was set aside. The text says for the user where, and what to do."""


def open_database(path: Path) -> "sqlite3.Connection":
    """Open or make it. Raises CannotStart, or Damaged."""
    import sqlite3  # not for a sidecar that keeps nothing

    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # so that it is nobody else's to read
        database = sqlite3.connect(path, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise cannot_use(path, f"cannot open {path}: {error}; {MEND}", error) from None
    try:
        fault = _prepare(database, path)
    except sqlite3.OperationalError as error:  # the disk is full, or not writable: nothing is wrong with the data
        database.close()
        raise cannot_use(path, f"cannot use {path}: {error}; {MEND}", error) from None
    except sqlite3.DatabaseError as error:
        fault = str(error)
    except BaseException:
        database.close()
        raise
    if fault:
        database.close()
        raise Damaged(_set_aside(path, fault))
    return database


def _prepare(database: "sqlite3.Connection", path: Path) -> str:
    """Set how the database is written and make the missing tables. Returns its fault, empty if it has none."""
    import sqlite3

    database.execute("PRAGMA synchronous = EXTRA")  # a commit is on the disk, its directory entry too
    found = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if found > LAYOUT and _is_ours(database):
        raise CannotStart(f"{path} was written by a newer version (format {found}): run that one")
    if tables > 0 and (found == 0 or not _is_ours(database)):
        raise CannotStart(f"{path} is the database of another program: choose another --data-dir")
    if found < 0:
        return f"its format is {found}"
    if found > 0:
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            return str(check)
    try:
        if found < LAYOUT:
            added = " ".join(_LAYOUTS[found:])
            database.executescript(f"BEGIN; {added} PRAGMA user_version = {LAYOUT}; COMMIT;")
        return _fault_in_values(database)
    except sqlite3.OperationalError as error:
        if found > 0 and error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # a table or a column is missing
            return str(error)
        raise


def _is_ours(database: "sqlite3.Connection") -> bool:
    names = "SELECT count(*) FROM sqlite_schema WHERE name IN ('identity', 'generation')"
    return bool(database.execute(names).fetchone()[0])


def _fault_in_values(database: "sqlite3.Connection") -> str:
    keys = database.execute("SELECT private_key FROM identity").fetchall()
    if any(len(key) != PRIVATE_KEY_BYTES for (key,) in keys):
        return "the private key has a wrong length"
    generations = database.execute("SELECT last, met, unmet FROM generation").fetchall()
    if generations and not keys:
        return "the identity is missing"
    if not all(_is_generation(last) for (last, _, _) in generations):
        return "the generation is not a number that it could be"
    if not all(map(_is_generation, " ".join(one for row in generations for one in row if one is not None).split())):
        return "the generation is not a number that it could be"
    database.execute("SELECT id, source, trusted, params, owner FROM services LIMIT 0")  # the columns are there
    healths = database.execute("SELECT health FROM check_health").fetchall()
    if any(health not in list(Health) for (health,) in healths):
        return "a check's health is unknown"
    peers = database.execute("SELECT id, host, port FROM peers").fetchall()
    if not all(len(id) == NODE_ID_BYTES and _is_address(host, port) for id, host, port in peers):
        return "a member's address is none"
    return ""


def _is_generation(last: str) -> bool:
    return len(last) < 20 and last.isascii() and last.isdigit() and int(last) < MAX_GENERATION


def _is_address(host: str, port: int) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return 0 < port < 1 << 16


def set_aside(path: Path) -> str:
    """Rename a damaged database, with what belongs to it. Returns its new name. Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    serial = 1
    while aside.exists():
        serial += 1
        aside = aside.with_name(f"{aside.name.split('~')[0]}~{serial}")
    for suffix in (*_PARTS, ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside.name


def _set_aside(path: Path, fault: str) -> str:
    """Rename the damaged database. Returns the message for the user."""
    try:
        aside = set_aside(path)
    except OSError as error:
        return f"{path} is damaged ({fault}) and cannot be set aside: {error.strerror}; choose another --data-dir"
    return (
        f"{path} is damaged ({' '.join(fault.split())}) and was set aside as {aside}: put a backup in its place, "
        "or start again to begin with a new identity"
    )


def set_aside_in(folder: Path) -> list[str]:
    """The names of damaged databases that lie there."""
    return sorted(one.name for one in folder.glob(f"{DATABASE}.damaged-*") if not one.name.endswith(_PARTS))


def cannot_use(path: Path, message: str, error: Exception) -> CannotStart:
    """The exception for an error of SQLite or the system. A full disk and a busy file may get better by themselves."""
    import sqlite3

    if isinstance(error, sqlite3.Error):
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it says more about the same
        later = primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM)
        return CannotStartYet(message) if later or is_full(path.parent) else CannotStart(message)
    return cannot_start(message, error.errno if isinstance(error, OSError) else None)


def is_full(folder: Path) -> bool:
    """Whether the disk is full. SQLite says no more than "unable to open" if its journal finds no room."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)
