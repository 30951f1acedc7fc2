"""The file of acknowledged writes: how many writes each replica had when one was last reported as being on the disk.

A damaged write-ahead log looks to SQLite like the end of the log: what follows is dropped, and the database goes back
in time without a word. So does a database that was replaced by an old copy. A replica that went back must not vote: it
has forgotten promises and entries. This file, which lies beside the database, is what tells.

It is written after each commit and before the commit is reported, without an fsync, so it survives the end of the
process, but after a loss of power it may be older than the database; it is never newer. It is synchronised along with
the database's checkpoints.

A replica that was removed must not come back either. So a new replica is noted, with an fsync, before the commit that
begins it, and one that is not noted was removed.

Form: slots of 64 bytes; slot 0 has the id of the database, slot n the replica in row n. Each has a checksum; a slot
that does not have the right one says nothing.
"""

import errno
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from gossipreg.blake2 import blake2b
from gossipreg.daemon.journals.forms import ReplicaSummary
from gossipreg.daemon.journals_file import NOTED, sync_folder
from gossipreg.journal.model import JournalId, ReplicaId

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
    """The id of the database that it belongs to; empty if there is no file, or none that can be read."""
    replicas: dict[ReplicaId, NotedReplica]
    unreadable: frozenset[int]
    """The rows whose slots say nothing."""


def read_noted(folder: Path) -> NotedWrites:
    """Raises OSError."""
    try:
        raw = (folder / NOTED).read_bytes()
    except FileNotFoundError:
        raw = b""
    slots = [raw[at : at + SLOT_BYTES] for at in range(0, len(raw), SLOT_BYTES)]
    found = [_unpack(slot) for slot in slots]
    if not found or found[0] is None:
        return NotedWrites(b"", {}, frozenset())
    replicas = [NotedReplica(ReplicaId(slot[0]), JournalId(slot[1]), *slot[2:]) for slot in found[1:] if slot]
    unreadable = frozenset(at for at, slot in enumerate(slots) if found[at] is None and any(slot))
    return NotedWrites(found[0][0], {one.replica: one for one in replicas}, unreadable)


class NoteFile:
    """Open for writing. All methods raise OSError."""

    def __init__(self, folder: Path, database: bytes, replicas: Mapping[int, ReplicaSummary]) -> None:
        """Make the file anew with these replicas, on the disk when this returns."""
        new = folder / f"{NOTED}.new"
        self._fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._write(0, _pack(database, b"", 0, 0))
            self.note(replicas)
            os.fsync(self._fd)
            new.rename(folder / NOTED)
            sync_folder(folder)
        except BaseException:
            os.close(self._fd)
            raise

    def prepare(self, new: Mapping[int, ReplicaSummary], gone: Mapping[int, ReplicaSummary]) -> None:
        """Before the commit that begins and removes these replicas: if it does not come about, they may be missing, and
        they may be there."""
        for number, one in [*new.items(), *gone.items()]:
            self._write(number, _pack(one.replica, one.journal, 0, one.last))
        if new:
            self.sync()

    def note(self, changed: Mapping[int, ReplicaSummary], gone: Collection[int] = ()) -> None:
        """A commit is on the disk that changed some replicas and removed others."""
        for number, one in changed.items():
            self._write(number, _pack(one.replica, one.journal, one.writes, one.last))
        for number in gone:
            self._write(number, bytes(SLOT_BYTES))

    def _write(self, slot: int, content: bytes) -> None:
        if os.pwrite(self._fd, content, slot * SLOT_BYTES) != SLOT_BYTES:
            raise OSError(errno.EIO, "a write was cut short")

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._fd)


def _pack(id: bytes, journal: bytes, writes: int, last: int) -> bytes:
    content = _SLOT.pack(id, journal, writes, last)
    return content + blake2b(content, digest_size=_CHECKSUM_BYTES, person=b"noted").digest()


def _unpack(slot: bytes) -> tuple[bytes, bytes, int, int] | None:
    content = slot[: _SLOT.size]
    if len(slot) < SLOT_BYTES or slot[_SLOT.size :] != blake2b(content, digest_size=16, person=b"noted").digest():
        return None
    id, journal, writes, last = _SLOT.unpack(content)
    return id, journal, writes, last
