"""What the store of journals answers."""

from dataclasses import dataclass
from enum import Enum

from gossipreg.journal.model import JournalId, LogEntry, ReplicaId
from gossipreg.journal.replica_data import StoredReplica


class StoreFault(Enum):
    """Why the store failed."""

    FULL = "full"
    DISK = "disk"
    """A write, a read or an fsync failed."""
    UNLINKED = "unlinked"
    """The file was removed, moved or replaced while it was in use."""
    LOCKED = "locked"
    """Another process uses the file."""
    DAMAGED = "damaged"
    """A row is not what was written; the next `open` finds out how far that goes."""
    OVERLOADED = "overloaded"
    """More waits for the disk than may."""
    INTERNAL = "internal"
    """A fault of this program."""


@dataclass(frozen=True, slots=True)
class WriteDone:
    """This write is on the disk: hand it to `Journals.written`."""

    number: int
    journal: JournalId


@dataclass(frozen=True, slots=True)
class RemovalDone:
    """This replica is not on the disk any more."""

    journal: JournalId
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class ReadDone:
    """Hand it to `Journals.read`. Without entries if the log does not have the first one any more."""

    journal: JournalId
    entries: tuple[LogEntry, ...]


@dataclass(frozen=True, slots=True)
class RecordsDone:
    """Hand it to `Journals.records_read`. None for a record that is not there."""

    number: int
    journal: JournalId
    values: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """Hand it to `Journals.write_failed`. Nothing more is written and no other result follows until `open`. What was
    asked for and not answered may or may not be on the disk."""

    fault: StoreFault
    reason: str
    """One line for the operator."""


StoreResult = WriteDone | RemovalDone | ReadDone | RecordsDone | StoreFailed


@dataclass(frozen=True, slots=True)
class LostReplica:
    """A replica that must not take part any more: it lacks something that it acknowledged, or is damaged."""

    journal: JournalId
    replica: ReplicaId
    reason: str


@dataclass(frozen=True, slots=True)
class StoreOpened:
    replicas: tuple[StoredReplica, ...]
    """Those that are sound, for `Journals`."""
    lost: tuple[LostReplica, ...] = ()
    """Those that were here and are not sound. They are gone from the database."""
    set_aside: str = ""
    """The name of the damaged file, which was renamed and replaced by one with what was sound; empty if none was."""
    fault: str = ""
    """What was wrong with it as a whole."""
    forgetting: bool = False
    """A note beside the database says that none of them may take part any more."""


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    waiting: int
    """Writes, removals and reads that were asked for and are not answered."""
    waiting_bytes: int
    commits: int
    """Since the store was made; each is one fsync."""
    writes: int
    longest_commit_s: float
    busy_s: float
    """For how long the thread works on the same thing: a disk that hangs."""
