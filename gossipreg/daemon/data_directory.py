"""The state that a sidecar keeps over a restart, in one SQLite database in its data directory.

Owns the lock and what is read and written: the identity, the last generation, the services registered here, the last
health of their checks with its time, maintenance, the groups of events that ran here, and the addresses of the last
known members. Never knows what a
registration means, nor threads: any thread may call `write`, one at a time (`store.py` does). The tables are in
`database_file.py`.

`write` returns when the statements are on the disk. A directory serves one daemon, which locks a file in it; the kernel
releases the lock however the process ends. The lock file also holds the id, so that a start with an emptied database
does not count as a first start.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from gossipreg.daemon.database_file import DATABASE, MEND, Damaged, cannot_use, open_database, set_aside_in
from gossipreg.daemon.identity import Identity, draw_generation, draw_identity, identity_of
from gossipreg.daemon.kept import (
    Hold,
    KeptEventGroup,
    KeptHealth,
    KeptNodeCheck,
    KeptService,
    KeptState,
    Moment,
    Statement,
)
from gossipreg.errors import CannotKeep, CannotStart, CannotStartYet, OutcomeUnknown, cannot_start
from gossipreg.generation import MAX_GENERATION
from gossipreg.model import NODE_ID_BYTES, Address, Health, NodeId

LOCK = "lock"
GENERATION_DIGITS = len(str(MAX_GENERATION))
UNMET_MAX = 64
"""Generations of starts that met nobody; of more, the oldest count as if they had."""

Peers = dict[NodeId, Address]


def keep_maintenance(id: str, reason: str) -> Statement:
    return "INSERT OR REPLACE INTO maintenance VALUES (?, ?)", (id, reason)


def drop_maintenance(id: str) -> Statement:
    return "DELETE FROM maintenance WHERE id = ?", (id,)


def keep_peers(peers: Peers) -> list[Statement]:
    """Replace all kept members by these."""
    rows = ((id, address.host, address.port) for id, address in peers.items())
    return [("DELETE FROM peers", ()), *(("INSERT INTO peers VALUES (?, ?, ?)", row) for row in rows)]


def keep_generation(generation: int) -> Statement:
    return _KEEP_GENERATION, (str(generation), str(generation))


NOTE_MET: Statement = ("UPDATE generation SET met = last, unmet = ''", ())
"""The process in use has met another member: others may hold its generation from now on, and hold no older one."""


TRIAL: list[Statement] = [("UPDATE generation SET last = last", ())]
"""A write that changes nothing, to see whether the database can be written."""


class DataDirectory:
    """Holds the lock and the database until `close`. Raises CannotStart: locked, damaged, not writable."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._lock_fd = _lock(self.path)
        self._one_at_a_time = Lock()
        self.unwritten = ""
        """Why the generation that is in use could not be written at the start; empty if it was."""
        self._raised = 0
        """The last generation that was chosen after the start; 0: none was."""
        self.generation_before = 0
        """The last one before that in use whose process has met another member; where none has, the first. 0: none."""
        self.own_generations: frozenset[int] = frozenset()
        """Those after that one: their processes are not known to have met anybody."""
        try:
            _refuse_emptied(self.path / DATABASE, self._lock_fd)
            self._database = open_database(self.path / DATABASE)
        except Damaged as error:
            _note(self._lock_fd, "")
            os.close(self._lock_fd)
            raise CannotStart(str(error)) from None
        except BaseException:
            os.close(self._lock_fd)
            raise

    def set_aside(self) -> list[str]:
        """The names of damaged databases that lie here."""
        return set_aside_in(self.path)

    def write(self, statements: Iterable[Statement]) -> None:
        """All of them or none, on the disk when this returns. Raises CannotKeep with what the disk says; then nothing
        was changed. Raises OutcomeUnknown where they are in the database, and the directory could not be flushed after
        that: a power loss may bring back the rollback journal, and with it what was there before. Any other failed
        flush comes before the commit, and SQLite takes the transaction back."""
        import sqlite3

        raised = self._raised
        try:
            self._write(statements)
        except sqlite3.Error as error:
            if raised:
                _note_generation(self._lock_fd, raised)
            path = self.path / DATABASE
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_DIR_FSYNC:
                text = f"cannot flush the folder of {path}: {error}; it may be done or not: see `gossipreg info`"
                raise OutcomeUnknown(text) from None
            raise CannotKeep(f"cannot write {path}: {error}; nothing was changed") from None

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
        why; the lock file has it then, which takes no room."""
        last, met, unmet = self._generations()
        noted = _noted_generation(self._lock_fd)
        own = [one for one in (*unmet, noted) if one > met]
        self.generation_before, self.own_generations = met or min(own, default=0), frozenset(own)
        generation = draw_generation(wall_ms, max(last, noted))
        try:
            self._write_at_start(_DRAWN, str(generation), str(met), " ".join(map(str, (*own, generation))))
        except CannotStartYet as error:
            if not last:
                raise
            self.unwritten = str(error).removesuffix(f"; {MEND}")
            _note_generation(self._lock_fd, generation)
        return generation

    def _generations(self) -> tuple[int, int, list[int]]:
        """(the last one, the last one that met anybody, those after it); 0 stands for none."""
        row = self._database.execute("SELECT last, met, unmet FROM generation").fetchone()
        if row is None:
            return 0, 0, []
        last, met, unmet = int(row[0]), row[1], row[2]
        if unmet is None:
            return last, last, []  # of a release that noted nothing of this
        own = sorted(map(int, unmet.split()))
        return last, max(int(met or 0), *own[:-UNMET_MAX], 0), own[-UNMET_MAX:]

    def _write_at_start(self, statement: str, *values: bytes | str) -> None:
        import sqlite3

        path = self.path / DATABASE
        try:
            self._write([(statement, values)])
        except sqlite3.Error as error:
            raise cannot_use(path, f"cannot write {path}: {error}; {MEND}", error) from None

    def raised(self, generation: int) -> None:
        """This higher one is in use from now on, and is about to be written. The lock file has it where the next write
        fails. Never waits for the disk."""
        self._raised = generation

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

    def event_groups(self) -> list[KeptEventGroup]:
        rows = self._database.execute("SELECT name, pattern, idle_s FROM event_groups ORDER BY rowid").fetchall()
        return [KeptEventGroup(*row) for row in rows]

    def peers(self) -> Peers:
        rows = self._database.execute("SELECT * FROM peers ORDER BY rowid").fetchall()
        return {NodeId(id): Address(host, port) for id, host, port in rows}

    def maintenance(self) -> dict[str, str]:
        """The reasons, by id of the service."""
        return dict(self._database.execute("SELECT id, reason FROM maintenance ORDER BY rowid").fetchall())

    def close(self) -> None:
        """Where a thread still waits for the disk all stays open until the process ends: nobody else may use the
        directory before that."""
        if self._one_at_a_time.acquire(blocking=False):
            self._database.close()
            os.close(self._lock_fd)


_DRAWN = "INSERT OR REPLACE INTO generation (only_row, last, met, unmet) VALUES (1, ?, ?, ?)"
_KEEP_GENERATION = "UPDATE generation SET last = ?, unmet = unmet || ' ' || ?"


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (None, error)
        raise cannot_start(f"data directory {folder}: {why}; choose another --data-dir", number) from None
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = f"cannot open {folder / LOCK}: {error.strerror}; {MEND}"
        raise cannot_start(f"data directory {folder}: {why}", error.errno) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise CannotStartYet(
            f"data directory {folder} is locked: another sidecar uses it; stop that one or choose another --data-dir"
        ) from None
    return fd


def _note(lock_fd: int, id: str) -> None:
    """Write the id of the directory's member into the lock file; empty for none."""
    with suppress(OSError):  # a full disk: it is written at the next start
        if os.pread(lock_fd, 2 * NODE_ID_BYTES, 0) != id.encode():
            os.ftruncate(lock_fd, 0)
            os.pwrite(lock_fd, id.encode(), 0)


def _note_generation(lock_fd: int, generation: int) -> None:
    """Write a generation that the database could not take behind the id. A full disk overwrites what is there."""
    with suppress(OSError):
        os.pwrite(lock_fd, f" {generation:<{GENERATION_DIGITS}}".encode(), 2 * NODE_ID_BYTES)
        os.fdatasync(lock_fd)


def _noted_generation(lock_fd: int) -> int:
    """0: none is noted."""
    noted = os.pread(lock_fd, GENERATION_DIGITS + 1, 2 * NODE_ID_BYTES).strip()
    return min(int(noted), MAX_GENERATION) if noted.isdigit() else 0


def _refuse_emptied(path: Path, lock_fd: int) -> None:
    """Raise CannotStart if the database is empty or gone, and was not before."""
    noted = os.pread(lock_fd, 2 * NODE_ID_BYTES, 0).decode(errors="replace")
    if noted and not (path.exists() and path.stat().st_size):
        how = "empty" if path.exists() else "missing"
        raise CannotStart(
            f"{path} is {how}, and it held the identity {noted}: restore a backup, or remove "
            f"{path.parent / LOCK} to begin with a new identity"
        )
