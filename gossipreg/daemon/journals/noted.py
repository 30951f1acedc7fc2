"""The file of acknowledged writes: how many writes each replica had when one was last reported as being on the disk.

A damaged write-ahead log looks to SQLite like the end of the log: what follows is dropped, and the database goes back
in time without a word. So does a database that was replaced by an old copy. A replica that went back must not vote: it
has forgotten promises and entries. This file, which lies beside the database, is what tells.

It is written after each commit and before the commit is reported, without an fsync, so it survives the end of the
process, but after a loss of power it may be older than the database; it is never newer. It is synchronised along with
the database's checkpoints.

A replica that was removed must not come back either. So the number of removals is noted, and once the database has
fewer, what is not noted counts as removed.

Form: slots of 64 bytes; slot 0 has the id of the database and the removals, slot n the replica in row n. Each has a
checksum; a slot that does not have the right one says nothing.
"""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from gossipreg.daemon.journals.forms import ReplicaSummary
from gossipreg.journal.model import JournalId, ReplicaId

NOTED = "journals.noted"
_SLOT = Struct(">16s16sQQ")
SLOT_BYTES = 64
_CHECKSUM_BYTES = SLOT_BYTES - _SLOT.size
assert _CHECKSUM_BYTES == 16


class NotedReplica(NamedTuple):
    replica: ReplicaId
    journal: JournalId
    writes: int
    last: int
    """The index of its last entry then."""


class NotedWrites(NamedTuple):
    """What the file says."""

    database: bytes
    """The id of the database that it belongs to; empty if there is no file."""
    removals: int
    """How many commits of that database removed a replica."""
    replicas: dict[ReplicaId, NotedReplica]


def read_noted(folder: Path) -> NotedWrites:
    """Raises OSError."""
    try:
        raw = (folder / NOTED).read_bytes()
    except FileNotFoundError:
        return NotedWrites(b"", 0, {})
    slots = [_unpack(raw[at : at + SLOT_BYTES]) for at in range(0, len(raw), SLOT_BYTES)]
    if not slots or slots[0] is None:
        return NotedWrites(b"", 0, {})
    replicas = [NotedReplica(ReplicaId(slot[0]), JournalId(slot[1]), *slot[2:]) for slot in slots[1:] if slot]
    return NotedWrites(slots[0][0], slots[0][2], {one.replica: one for one in replicas})


class NoteFile:
    """Open for writing. All methods raise OSError."""

    def __init__(self, folder: Path, database: bytes, removals: int, replicas: Mapping[int, ReplicaSummary]) -> None:
        """Make the file anew with these replicas, on the disk when this returns."""
        self._database = database
        new = folder / f"{NOTED}.new"
        self._fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._note_removals(removals)
            self.note(replicas)
            os.fsync(self._fd)
            new.rename(folder / NOTED)
            sync_folder(folder)
        except BaseException:
            os.close(self._fd)
            raise

    def note(self, replicas: Mapping[int, ReplicaSummary], gone: Collection[int] = (), removals: int = 0) -> None:
        """A commit is on the disk. `gone` are the rows of replicas that it removed, and `removals` the number of such
        commits, if it did."""
        for number, one in replicas.items():
            _write_all(self._fd, _pack(one.replica, one.journal, one.writes, one.last), number * SLOT_BYTES)
        for number in gone:
            _write_all(self._fd, bytes(SLOT_BYTES), number * SLOT_BYTES)
        if gone:
            self._note_removals(removals)

    def _note_removals(self, removals: int) -> None:
        _write_all(self._fd, _pack(self._database, b"", removals, 0), 0)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._fd)


def sync_folder(folder: Path) -> None:
    """Put the names in this directory on the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes, at: int) -> None:
    if os.pwrite(fd, data, at) != len(data):
        raise OSError("a write was cut short")


def _pack(id: bytes, journal: bytes, writes: int, last: int) -> bytes:
    content = _SLOT.pack(id, journal, writes, last)
    return content + blake2b(content, digest_size=_CHECKSUM_BYTES, person=b"noted").digest()


def _unpack(slot: bytes) -> tuple[bytes, bytes, int, int] | None:
    content = slot[: _SLOT.size]
    if len(slot) < SLOT_BYTES or slot[_SLOT.size :] != blake2b(content, digest_size=16, person=b"noted").digest():
        return None
    id, journal, writes, last = _SLOT.unpack(content)
    return id, journal, writes, last
