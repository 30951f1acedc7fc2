"""Who this sidecar is, and what it keeps over a restart.

An identity is an Ed25519 key pair; the id is the truncated SHA-256 of its public half and names the member for ever.
A generation is drawn for each start. With a data directory both are kept in one SQLite database, written before the
first datagram leaves; without one they are new each time.

The key pair is drawn without a data directory too. Where datagrams are sealed the library is loaded anyway, and drawing
it takes 2 ms more. Without a key for the cluster it costs the import as well, measured as 15 ms and 1.4 MiB: that is
little for one kind of member instead of two.

One daemon a directory: a lock on a file in it, which the kernel lets go of when the process ends however it ends. A
database that cannot be read is renamed, never overwritten, and the start fails: the next one begins anew, knowingly.
"""

import fcntl
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gossipreg.errors import CannotStart
from gossipreg.model import NODE_ID_BYTES, NodeId
from gossipreg.wire.messages import MAX_VERSION

if TYPE_CHECKING:
    import sqlite3

DATABASE = "gossipreg.db"
LOCK = "lock"
PRIVATE_KEY_BYTES = 32
MAX_GENERATION = MAX_VERSION

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE identity (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), private_key BLOB NOT NULL) STRICT;
CREATE TABLE generation (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), last TEXT NOT NULL) STRICT;
"""
"""`user_version` is SCHEMA_VERSION. Registrations and the last known peers get tables of their own, in this database,
with the version that keeps them."""


@dataclass(frozen=True, slots=True)
class Identity:
    id: NodeId
    public_key: bytes
    private_key: bytes
    """The seed of the key pair; leaves this process only into the database."""

    def __repr__(self) -> str:
        return f"Identity({self.id.hex()})"


def draw_identity() -> Identity:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _identity_of(Ed25519PrivateKey.generate().private_bytes_raw())


def draw_generation(wall_ms: int, last: int = 0) -> int:
    """48 bits of wall-clock milliseconds and 16 random bits, above `last` whatever the clock says."""
    random_bits = int.from_bytes(os.urandom(2), "big")
    generation = (wall_ms << 16 | random_bits) & MAX_GENERATION
    return generation if generation > last else ((last >> 16) + 1) << 16 | random_bits


class DataDirectory:
    """Holds the lock and the database until `close`. Raises CannotStart: locked, damaged, not writable."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._lock_fd = _lock(self.path)
        try:
            self._database = _open(self.path / DATABASE)
        except BaseException:
            os.close(self._lock_fd)
            raise

    def identity(self) -> Identity:
        """The one kept here; drawn and kept at the first call."""
        row = self._database.execute("SELECT private_key FROM identity").fetchone()
        if row is not None:
            return _identity_of(row[0])
        identity = draw_identity()
        self._write("INSERT INTO identity VALUES (1, ?)", identity.private_key)
        return identity

    def _write(self, statement: str, value: bytes | str) -> None:
        import sqlite3

        try:
            with self._database:
                self._database.execute(statement, (value,))
        except sqlite3.Error as error:
            path = self.path / DATABASE
            raise CannotStart(f"cannot write {path}: {error}; mend that or choose another --data-dir") from None

    def next_generation(self, wall_ms: int) -> int:
        """A new one above all kept here; durable when this returns."""
        row = self._database.execute("SELECT last FROM generation").fetchone()
        generation = draw_generation(wall_ms, int(row[0]) if row else 0)
        self.keep_generation(generation)
        return generation

    def keep_generation(self, generation: int) -> None:
        """This one is in use; durable when this returns."""
        self._write("INSERT OR REPLACE INTO generation VALUES (1, ?)", str(generation))

    def close(self) -> None:
        self._database.close()
        os.close(self._lock_fd)


def _identity_of(private_key: bytes) -> Identity:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_key = Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()
    return Identity(NodeId(hashlib.sha256(public_key).digest()[:NODE_ID_BYTES]), public_key, private_key)


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"data directory {folder}: {error.strerror}; choose another --data-dir") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise CannotStart(
            f"data directory {folder} is locked: another sidecar uses it; stop that one or choose another --data-dir"
        ) from None
    return fd


def _open(path: Path) -> "sqlite3.Connection":
    import sqlite3  # not for a sidecar that keeps nothing

    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # so that it is nobody else's to read
        database = sqlite3.connect(path)
    except (OSError, sqlite3.Error) as error:
        raise CannotStart(f"cannot open {path}: {error}; mend that or choose another --data-dir") from None
    try:
        fault = _prepare(database)
    except sqlite3.OperationalError as error:  # the disk is full, or not writable: nothing is wrong with the data
        database.close()
        raise CannotStart(f"cannot use {path}: {error}; mend that or choose another --data-dir") from None
    except sqlite3.DatabaseError as error:
        fault = str(error)
    if fault:
        database.close()
        raise CannotStart(_set_aside(path, fault))
    return database


def _prepare(database: "sqlite3.Connection") -> str:
    """Set how it is written, make the tables in an empty one. Returns what is wrong with it, or nothing."""
    database.execute("PRAGMA synchronous = EXTRA")  # a commit is on the disk, its directory entry too
    found = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if found == 0 and tables == 0:
        database.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        return ""
    if found > SCHEMA_VERSION:
        raise CannotStart(f"the data directory was written by a newer version (format {found}): run that one")
    check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if check != "ok":
        return str(check)
    keys = database.execute("SELECT private_key FROM identity").fetchall()
    if any(len(key) != PRIVATE_KEY_BYTES for (key,) in keys):
        return "the private key has a wrong length"
    generations = database.execute("SELECT last FROM generation").fetchall()
    if any(not (last.isascii() and last.isdigit() and int(last) < MAX_GENERATION) for (last,) in generations):
        return "the generation is not a number"
    return ""


def _set_aside(path: Path, fault: str) -> str:
    """Rename the damaged database. Returns the message for the user."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    serial = 1
    while aside.exists():
        serial += 1
        aside = aside.with_name(f"{aside.name.split('~')[0]}~{serial}")
    for suffix in ("-journal", "-wal", ""):
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
