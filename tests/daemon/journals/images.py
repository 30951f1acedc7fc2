"""Copies of the journals' files as a crash would leave them, and what is found in them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gossipreg.daemon.journals.database import JournalDatabase
from gossipreg.daemon.journals.opening import open_journals
from gossipreg.daemon.journals.results import StoreOpened
from gossipreg.daemon.journals_file import JOURNALS
from gossipreg.journal.model import JournalId
from gossipreg.journal.replica_data import StoredReplica

WAL = f"{JOURNALS}-wal"


def copy_files(folder: Path, to: Path) -> Path:
    """What the disk would have if the process ended now."""
    to.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            shutil.copy2(path, to)
    return to


def wal_bytes(folder: Path) -> int:
    return (folder / WAL).stat().st_size


def cut_wal(folder: Path, size: int, garbage: bytes = b"") -> None:
    """The write-ahead log ends here, or goes on with something else."""
    with open(folder / WAL, "r+b") as file:
        file.truncate(size)
        file.seek(size)
        file.write(garbage)


@contextmanager
def opened(folder: Path) -> Iterator[tuple[JournalDatabase, StoreOpened]]:
    database, found = open_journals(folder)
    try:
        yield database, found
    finally:
        database.close()


def by_journal(found: StoreOpened) -> dict[JournalId, StoredReplica]:
    assert len({one.journal for one in found.replicas}) == len(found.replicas)
    return {one.journal: one for one in found.replicas}


def look_into(folder: Path) -> StoreOpened:
    with opened(folder) as (_, found):
        return found


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A new directory, in memory where there is such a file system: an fsync costs nothing there."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="journals-") as folder:
        yield Path(folder)
