"""The row `journal-store`: what a durable write of a journal costs, beside what an fsync costs on the same disk."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.run import Figures, Run

WRITERS = (1, 16, 64)
SYNCED_BYTES = 4 * 4096
"""Of one fsync: about what SQLite writes for one entry."""
BOUND_S = 600.0


def journal_store(run: Run) -> list[Figures]:
    """A write of an entry of 1 KiB to the store of journals, until it is on the disk, with 1, 16 and 64 writers that
    each wait for theirs, with a journal each: with writes and commits a second, CPU of a write, and the memory that the
    store takes; `journal-fsync`, 16 KiB added to a file and an fsync, in the same folder (of TMPDIR)."""
    with TemporaryDirectory(prefix="journal-store-") as folder:
        figures = [_fsyncs(run, Path(folder) / "synced")]
        for writers in WRITERS:
            run.progress(f"journal-store: {writers} writers")
            own = Path(folder) / str(writers)
            own.mkdir()
            figures.append(_writes(run, own, writers))
    return figures


def _fsyncs(run: Run, path: Path) -> Figures:
    values: list[float | None] = []
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for rep in range(run.reps):
            os.pwrite(fd, bytes(SYNCED_BYTES), rep * SYNCED_BYTES)
            since = time.perf_counter()
            os.fdatasync(fd)
            values.append(1000 * (time.perf_counter() - since))
    finally:
        os.close(fd)
    return Figures("journal-fsync", 1, values)


def _writes(run: Run, folder: Path, writers: int) -> Figures:
    """A process of its own, so that its memory is that of the store."""
    command = [sys.executable, "-m", "scripts.benchmarks.journal_writers", str(folder), str(writers), str(run.reps)]
    with run.stop.held():
        ended = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S)
    if ended.returncode:
        raise Failed(f"{writers} writers: {ended.stderr.strip().splitlines()[-1]}")
    found = json.loads(ended.stdout)
    names = ("writes_a_second", "commits_a_second", "cpu_us", "memory_kib")
    return Figures("journal-store", writers, found["ms"], also={name: found[name] for name in names})
