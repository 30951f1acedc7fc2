"""The last known table, kept in the data directory so that a sidecar answers at once after a restart.

Owns when it is written and read, and that neither delays anything else. Never knows its layout (`wire/kept_table.py`)
or its use (`core/local/last_known.py`).

While this sidecar is synced, the whole file is written at most every `KEEP_S`, and only if the table changed; otherwise
only its head is, which holds the time when the table was last in sync. Pages are built in short steps that let other
tasks run. A thread writes them to a new file, which replaces the old one when it is complete, so the file is always one
of the two. A damaged file is ignored.
"""

import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

from gossipreg.daemon.clock import wall_ms
from gossipreg.daemon.logs import Log
from gossipreg.errors import UnusableFile
from gossipreg.model import MAX_TABLE_BYTES
from gossipreg.wire.kept_table import (
    HEAD_BYTES,
    PAGE_BYTES,
    body_digest,
    decode_untrusted,
    encode_head,
    encode_record,
)
from gossipreg.wire.messages import Delta

if TYPE_CHECKING:
    from gossipreg.core.view import View

Result = TypeVar("Result")

FILE = "last-known"
KEEP_S = 10.0
LOOK_S = 0.5
"""The interval at which this sidecar looks whether it is synced, before the first write of a run."""
SHARE = 0.02
"""The share of the time that may go into writing: a table of 100,000 services takes some hundred milliseconds."""
TURN_S = 0.002
"""After this time of building pages other tasks run."""
WRITE_BYTES = 1 << 20
"""Bytes handed to the thread at one time, which bounds the memory however large the table is."""
FILE_MAX_BYTES = 2 * MAX_TABLE_BYTES
"""A larger file is not one of ours."""


class KeptTable:
    def __init__(self, folder: Path, cluster: str, log: Log, wall_ms: Callable[[], int] = wall_ms) -> None:
        self._path = folder / FILE
        self._new = folder / f"{FILE}.new"
        self._cluster = cluster
        self._log = log
        self._wall_ms = wall_ms
        self._thread = trio.CapacityLimiter(1)
        self._body_bytes = 0
        self._digest = b""
        self._written: int | None = None
        """The fingerprint of the table in the file."""
        self._tried = self._fails = False
        self.written = 0
        """The number of writes of the whole file in this run."""

    # -- at the start --------------------------------------------------------------------------------------------------

    def recall(self, alone_s: float, recall: Callable[[Iterable[Delta], float], None]) -> None:
        """Load the kept table, with the time for which it still counts: `alone_s` of wall time since it was last in
        sync. If nothing kept counts, a log line says why. It takes some 20 ms for 1,000 services."""
        gc.disable()  # everything built here stays: a search for garbage in it would take a fifth of the time
        try:
            if self._path.stat().st_size > FILE_MAX_BYTES:
                raise UnusableFile(f"it has more than {FILE_MAX_BYTES} bytes")
            kept = decode_untrusted(self._path.read_bytes(), self._cluster)
            age_s = (self._wall_ms() - kept.synced_at_ms) / 1000
            if 0 <= age_s < alone_s:
                recall(kept.deltas, alone_s - age_s)
            else:
                old = f"it is {age_s:.0f} s old, and the limit is {alone_s:g} s"
                why = "the clock was set back since then" if age_s < 0 else old
                self._log.info("kept_table_too_old", message=f"the table kept from the last run is not used: {why}")
        except FileNotFoundError:
            pass
        except (OSError, UnusableFile) as error:
            why = str(error.strerror if isinstance(error, OSError) else error)
            self._log.warning(
                "kept_table_ignored", file=str(self._path),
                message=f"the table kept from the last run is unusable: {why}; this sidecar answers once it is synced",
            )  # fmt: skip
        finally:
            gc.enable()

    # -- while it runs -------------------------------------------------------------------------------------------------

    async def run(self, view: "View") -> None:
        """Keep the table on the disk until cancelled."""
        while True:
            began = trio.current_time()
            spent_s = 0.0
            if view.knowledge.current:
                spent_s = await self._keep(view)
            pause_s = KEEP_S if self._tried else LOOK_S
            await trio.sleep(max(pause_s - (trio.current_time() - began), spent_s / SHARE))

    async def _keep(self, view: "View") -> float:
        """Write what has changed; returns the time of the loop that it took, in seconds."""
        fingerprint, spent_s = view.fingerprint, 0.0
        self._tried = True
        try:
            if fingerprint == self._written:
                await self._in_thread(partial(self._write_head, self._wall_ms()))
            else:
                spent_s = await self._write_all(view)
                self._written = fingerprint
        except OSError as error:
            if not self._fails:
                self._log.warning(
                    "table_not_kept", file=str(self._path),
                    message=f"cannot write the table: {error.strerror}; after a restart this sidecar cannot answer "
                    "before it is synced",
                )  # fmt: skip
            self._fails, self._written = True, None
        else:
            self._fails = False
        return spent_s

    def _write_head(self, synced_at_ms: int) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(fd, encode_head(self._cluster, synced_at_ms, self._body_bytes, self._digest), 0)
        finally:
            os.close(fd)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """One at a time. It is cancelled only where the process ends; what the thread does then may still be done."""
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._thread)

    @property
    def busy(self) -> bool:
        """Whether a thread waits for the disk."""
        return self._thread.borrowed_tokens > 0

    async def finish(self) -> None:
        """Return once no thread waits for the disk. What was being written is a file of its own, and is not used."""
        async with self._thread:
            pass

    async def _write_all(self, view: "View") -> float:
        synced_at_ms = self._wall_ms()
        writing = await self._in_thread(partial(_Writing, self._new))
        spent_s = 0.0
        try:
            pieces: list[bytes] = []
            waiting_bytes = 0
            turn_began = time.perf_counter()
            for record in records(view):
                pieces.append(record)
                waiting_bytes += len(record)
                took_s = time.perf_counter() - turn_began
                if waiting_bytes < WRITE_BYTES and took_s < TURN_S:
                    continue
                spent_s += took_s
                if waiting_bytes >= WRITE_BYTES:
                    await self._in_thread(partial(writing.write, pieces))
                    pieces, waiting_bytes = [], 0
                else:
                    await trio.lowlevel.checkpoint()
                turn_began = time.perf_counter()
            spent_s += time.perf_counter() - turn_began
            await self._in_thread(partial(writing.write, pieces))
            self._body_bytes, self._digest = writing.body_bytes, writing.digest.digest()
            head = encode_head(self._cluster, synced_at_ms, self._body_bytes, self._digest)
            await self._in_thread(partial(writing.finish, head, self._path))
        except OSError:
            await self._in_thread(writing.discard)
            raise
        self.written += 1
        return spent_s


class _Writing:
    """The new file, on its way. Its methods wait for the disk, so they are called in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.digest = body_digest()
        self.body_bytes = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.lseek(self._fd, HEAD_BYTES, os.SEEK_SET)

    def write(self, pieces: list[bytes]) -> None:
        data = memoryview(b"".join(pieces))
        self.digest.update(data)
        self.body_bytes += len(data)
        while data:
            data = data[os.write(self._fd, data) :]

    def finish(self, head: bytes, path: Path) -> None:
        """Replace the old file with this one, which is complete."""
        os.pwrite(self._fd, head, 0)
        os.fsync(self._fd)
        os.replace(self._path, path)
        os.close(self._fd)

    def discard(self) -> None:
        """Remove the unfinished file."""
        with suppress(OSError):
            os.close(self._fd)
        with suppress(OSError):
            os.unlink(self._path)


def records(view: "View") -> Iterator[bytes]:
    """The rows that answer, except for our own, in pages. The table may change between two pages: a page says where
    it begins, and a change that comes meanwhile is at the end of its row."""
    for id in list(view.table.rows):
        row = view.table.rows.get(id)
        if row is None or id == view.id or not row.answers:
            continue
        content = row.content
        assert content is not None, "a row without content does not answer"
        reached = 0
        while reached < content.counter:
            page = content.cut(id, reached, PAGE_BYTES)
            reached = page.reached
            yield encode_record(page)
