"""The state that a sidecar keeps over a restart, in one SQLite database in its data directory.

Owns the lock, the database and its layout: the identity, the last generation, the services registered here, the last
health of their checks with its time, maintenance, and the addresses of the last known members. Never knows what a
registration means, nor threads: any thread may call `write`, one at a time (`store.py` does).

`write` returns when the statements are on the disk. A directory serves one daemon, which locks a file in it; the kernel
releases the lock however the process ends. A database that cannot be read is renamed, never overwritten, and the start
fails, so that the user knows that the next start begins anew. A database of a newer version is left as it is. The lock
file also holds the id, so that a start with an emptied database does not count as a first start.
"""

import fcntl
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from gossipreg.daemon.identity import (
    MAX_GENERATION,
    PRIVATE_KEY_BYTES,
    Identity,
    draw_generation,
    draw_identity,
    identity_of,
)
from gossipreg.daemon.kept import Hold, KeptHealth, KeptNodeCheck, KeptService, KeptState, Moment, Statement
from gossipreg.errors import CannotKeep, CannotStart, CannotStartYet, cannot_start
from gossipreg.model import NODE_ID_BYTES, Address, Health, NodeId

if TYPE_CHECKING:
    import sqlite3

DATABASE = "gossipreg.db"
LOCK = "lock"

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
)
"""The statements that each version of the layout added. `user_version` says how many a database has; it gets the
others."""
LAYOUT = len(_LAYOUTS)

Peers = dict[NodeId, Address]


def keep_maintenance(id: str, reason: str) -> Statement:
    return "INSERT OR REPLACE INTO maintenance VALUES (?, ?)", (id, reason)


def drop_maintenance(id: str) -> Statement:
    return "DELETE FROM maintenance WHERE id = ?", (id,)


def keep_peers(peers: Peers) -> list[Statement]:
    """These and no others."""
    rows = ((id, address.host, address.port) for id, address in peers.items())
    return [("DELETE FROM peers", ()), *(("INSERT INTO peers VALUES (?, ?, ?)", row) for row in rows)]


def keep_generation(generation: int) -> Statement:
    return _KEEP_GENERATION, (str(generation),)


TRIAL: list[Statement] = [("UPDATE generation SET last = last", ())]
"""Writes what stands there already, to see whether it can be written."""


class DataDirectory:
    """Holds the lock and the database until `close`. Raises CannotStart: locked, damaged, not writable."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._lock_fd = _lock(self.path)
        self._one_at_a_time = Lock()
        self.unwritten = ""
        """Why the generation that is in use could not be written at the start; empty where it was."""
        try:
            self._database = _open(self.path / DATABASE, self._lock_fd)
        except BaseException:
            os.close(self._lock_fd)
            raise

    def set_aside(self) -> list[str]:
        """The names of damaged databases that lie here."""
        return sorted(one.name for one in self.path.glob(f"{DATABASE}.damaged-*") if not one.name.endswith(_PARTS))

    def write(self, statements: Iterable[Statement]) -> None:
        """All of them or none, on the disk when this returns. Raises CannotKeep with what the disk says."""
        import sqlite3

        try:
            self._write(statements)
        except sqlite3.Error as error:
            raise CannotKeep(f"cannot write {self.path / DATABASE}: {error}; nothing was changed") from None

    def _write(self, statements: Iterable[Statement]) -> None:
        with self._one_at_a_time, self._database:
            for statement, values in statements:
                self._database.execute(statement, values)

    # -- read at the start -------------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """The one kept here; drawn and kept at the first call."""
        row = self._database.execute("SELECT private_key FROM identity").fetchone()
        if row is not None:
            identity = identity_of(row[0])
        else:
            identity = draw_identity()
            self._write_at_start("INSERT INTO identity VALUES (1, ?)", identity.private_key)
        _note(self._lock_fd, identity.id.hex())
        return identity

    def next_generation(self, wall_ms: int) -> int:
        """Choose a new generation above all kept here. It is durable when this returns, except on a full disk: a
        sidecar that was here before starts all the same, so that its services can be taken out, and `unwritten` says
        why. Its next generation is above this one too, unless the clock goes back meanwhile; then other members report
        this one, and it is raised."""
        row = self._database.execute("SELECT last FROM generation").fetchone()
        generation = draw_generation(wall_ms, int(row[0]) if row else 0)
        try:
            self._write_at_start(_KEEP_GENERATION, str(generation))
        except CannotStartYet as error:
            if row is None:
                raise
            self.unwritten = str(error).removesuffix(f"; {_MEND}")
        return generation

    def _write_at_start(self, statement: str, value: bytes | str) -> None:
        import sqlite3

        path = self.path / DATABASE
        try:
            self._write([(statement, (value,))])
        except sqlite3.Error as error:
            raise _cannot_use(path, f"cannot write {path}: {error}; {_MEND}", error) from None

    def keep_generation(self, generation: int) -> None:
        """This one is in use; durable when this returns. Raises CannotKeep."""
        self.write([(_KEEP_GENERATION, (str(generation),))])

    def kept(self) -> KeptState:
        return KeptState(self.services(), self.healths(), self.hold(), self.node_checks(), self.maintenance())

    def services(self) -> list[KeptService]:
        """In the order in which they were registered first."""
        columns = "id, source, trusted, params, owner"
        rows = self._database.execute(f"SELECT {columns} FROM services ORDER BY rowid").fetchall()
        return [KeptService(id, source, bool(trusted), params, owner) for id, source, trusted, params, owner in rows]

    def healths(self) -> list[KeptHealth]:
        """The kept health of the checks of services, and of the sidecar's own."""
        rows = self._database.execute("SELECT * FROM check_health").fetchall()
        return [KeptHealth(service, key, Health(health), Moment(*known)) for service, key, health, *known in rows]

    def hold(self) -> Hold | None:
        row = self._database.execute("SELECT wall_ms, boot_s, boot_id, hold_s FROM hold").fetchone()
        return None if row is None else Hold(Moment(*row[:3]), row[3])

    def node_checks(self) -> list[KeptNodeCheck]:
        rows = self._database.execute("SELECT * FROM node_checks ORDER BY rowid").fetchall()
        return [KeptNodeCheck(id, bool(trusted), given) for id, trusted, given in rows]

    def peers(self) -> Peers:
        rows = self._database.execute("SELECT * FROM peers ORDER BY rowid").fetchall()
        return {NodeId(id): Address(host, port) for id, host, port in rows}

    def maintenance(self) -> dict[str, str]:
        """The reasons, by id of the service."""
        return dict(self._database.execute("SELECT id, reason FROM maintenance ORDER BY rowid").fetchall())

    def close(self) -> None:
        self._database.close()
        os.close(self._lock_fd)


_KEEP_GENERATION = "INSERT OR REPLACE INTO generation VALUES (1, ?)"
_PARTS = ("-journal", "-wal")
_MEND = "mend that or choose another --data-dir"


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError) as error:
        number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (None, error)
        raise cannot_start(f"data directory {folder}: {why}; choose another --data-dir", number) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise CannotStartYet(
            f"data directory {folder} is locked: another sidecar uses it; stop that one or choose another --data-dir"
        ) from None
    return fd


def _cannot_use(path: Path, message: str, error: Exception) -> CannotStart:
    """The class for what SQLite or the system says: a full disk and a busy file may mend themselves."""
    import sqlite3

    if isinstance(error, sqlite3.Error):
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it says more about the same
        later = primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM)
        return CannotStartYet(message) if later or _is_full(path.parent) else CannotStart(message)
    return cannot_start(message, error.errno if isinstance(error, OSError) else None)


def _is_full(folder: Path) -> bool:
    """SQLite says no more than "unable to open" where its journal finds no room."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)


def _note(lock_fd: int, id: str) -> None:
    """Write beside the lock whose directory this is; nothing: nobody's."""
    with suppress(OSError):  # a full disk: it is written at the next start
        if os.pread(lock_fd, 2 * NODE_ID_BYTES + 1, 0) != id.encode():
            os.ftruncate(lock_fd, 0)
            os.pwrite(lock_fd, id.encode(), 0)


def _refuse_emptied(path: Path, lock_fd: int) -> None:
    """Raises CannotStart where the database is empty or gone, and was not before."""
    noted = os.pread(lock_fd, 2 * NODE_ID_BYTES, 0).decode(errors="replace")
    if noted and not (path.exists() and path.stat().st_size):
        how = "empty" if path.exists() else "gone"
        raise CannotStart(
            f"{path} is {how}, and held the identity {noted}: put a backup in its place, or remove "
            f"{path.parent / LOCK} to begin with a new identity"
        )


def _open(path: Path, lock_fd: int) -> "sqlite3.Connection":
    import sqlite3  # not for a sidecar that keeps nothing

    _refuse_emptied(path, lock_fd)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # so that it is nobody else's to read
        database = sqlite3.connect(path, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _cannot_use(path, f"cannot open {path}: {error}; {_MEND}", error) from None
    try:
        fault = _prepare(database, path)
    except sqlite3.OperationalError as error:  # the disk is full, or not writable: nothing is wrong with the data
        database.close()
        raise _cannot_use(path, f"cannot use {path}: {error}; {_MEND}", error) from None
    except sqlite3.DatabaseError as error:
        fault = str(error)
    except BaseException:
        database.close()
        raise
    if fault:
        database.close()
        _note(lock_fd, "")
        raise CannotStart(_set_aside(path, fault))
    return database


def _prepare(database: "sqlite3.Connection", path: Path) -> str:
    """Set how it is written, make the tables that are missing. Returns what is wrong with it, or nothing."""
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
    generations = database.execute("SELECT last FROM generation").fetchall()
    if generations and not keys:
        return "the identity is missing"
    if not all(_is_generation(last) for (last,) in generations):
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


def _set_aside(path: Path, fault: str) -> str:
    """Rename the damaged database. Returns the message for the user."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    serial = 1
    while aside.exists():
        serial += 1
        aside = aside.with_name(f"{aside.name.split('~')[0]}~{serial}")
    for suffix in (*_PARTS, ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            try:
                part.rename(aside.with_name(aside.name + suffix))
            except OSError as error:
                return (
                    f"{path} is damaged ({fault}) and cannot be set aside: {error.strerror}; choose another --data-dir"
                )
    return (
        f"{path} is damaged ({' '.join(fault.split())}) and was set aside as {aside.name}: put a backup in its place, "
        "or start again to begin with a new identity"
    )
