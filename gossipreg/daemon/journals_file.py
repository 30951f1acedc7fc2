"""The file of the journals in a data directory, for those who do not load journals: whether there is one, and the note
that its replicas are to be forgotten.

The note is a file beside it. It is on the disk before anything else follows from it, and is removed when the replicas
are gone from the database: a sidecar that is killed between the two forgets them at its next start.
"""

import os
from pathlib import Path

JOURNALS = "journals.db"
NOTED = "journals.noted"
"""What the database has to have, see `journals/noted.py`."""
FORGET = "journals.forget"


def has_journals(folder: Path) -> bool:
    """Whether there are journals, or were: a database that somebody removed is missed at once."""
    return (folder / JOURNALS).exists() or (folder / NOTED).exists()


def note_forgetting(folder: Path) -> bool:
    """No replica that is in this data directory now may take part any more. Returns whether there may be some. Raises
    OSError."""
    if not has_journals(folder):
        return False
    os.close(os.open(folder / FORGET, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    sync_folder(folder)
    return True


def is_forgetting(folder: Path) -> bool:
    return (folder / FORGET).exists()


def end_forgetting(folder: Path) -> None:
    """They are gone. Raises OSError."""
    (folder / FORGET).unlink(missing_ok=True)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Put the names in this directory on the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
