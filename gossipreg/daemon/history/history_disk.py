"""Between the history and its disk: a bounded queue, and a thread that writes what waits.

Owns: the queue, when the disk is tried again, and what is lost if it takes nothing for long. Never knows: what a line
says, or how the file is made (`history_database.py`).

Nothing that a disk does can hold up anybody: lines are put into a queue, a thread of its own writes them, and readers
wait READ_S at most and then get what is not written yet, with the reason. A disk that fails or hangs is tried again
until it takes what waits. Of more lines than QUEUE_MAX the oldest are lost, and counted; a line tells of them later.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import trio

from gossipreg.history.history_line import HistoryLine
from gossipreg.history.history_query import HistoryQuery, fits
from gossipreg.quick_dataclass import dataclass

if TYPE_CHECKING:
    from gossipreg.daemon.history.history_database import HistoryDatabase

FLUSH_S = 0.5
"""What comes within it is one write. A kill of the process loses the lines of that time."""
AGAIN_S = 10.0
"""The pause before a disk that failed is tried again."""
HANGS_S = 10.0
"""A write that takes longer is told as a disk that hangs."""
READ_S = 5.0
QUEUE_MAX = 10_000
"""Lines that wait for the disk: some 5 MB."""
BATCH_MAX = 1000
Result = TypeVar("Result")

TRIM_S = 3600.0
"""Old lines are thrown away that often where no line is written."""


class HistoryDiskReports(Protocol):
    """What a person is told of the disk."""

    def history_not_kept(self, why: str) -> None: ...

    def history_kept_again(self, lost: int) -> None: ...

    def history_set_aside(self, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class HistoryRead:
    lines: list[HistoryLine]
    more: bool
    first_at: float | None
    """The wall time of the oldest line that is kept."""
    fault: str
    """Why lines may be missing; empty: none are."""


class HistoryDisk:
    def __init__(
        self, folder: Path, reports: HistoryDiskReports, *, space_bytes: int, boot_id: str,
        keep_from: Callable[[], float | None], open_database: "Callable[[], HistoryDatabase] | None" = None,
    ) -> None:  # fmt: skip
        """Open the file, which takes some milliseconds; a file that cannot be used is reported, and tried again.
        `keep_from()` is the wall time from which on lines are kept; None: all are, for now."""
        self._folder = folder
        self._reports = reports
        self._space_bytes = space_bytes
        self._boot_id = boot_id
        self._keep_from = keep_from
        self._open = open_database or self._open_here
        self._database: HistoryDatabase | None = None
        self._queue: deque[HistoryLine] = deque()
        self._batch: list[HistoryLine] = []
        """Being written."""
        self._written_seq = 0
        """Of the newest line that this process has written. A write that was abandoned may be done all the same."""
        self._wake = trio.Event()
        self._thread = trio.CapacityLimiter(1)
        self._busy_since: float | None = None
        self._looked_at = 0.0
        self._busy_s = 0.0
        """How long the write under way has taken, of the time that counts."""
        self._fault = ""
        self._lost = 0
        """Lines that were dropped since the disk took any."""
        self._trimmed_at = trio.current_time()
        self.dropped = 0
        """Lines that were dropped in all."""
        self.newest_seq, self.newest_kind = 0, ""
        """Of the run before."""
        try:
            self._told(self._begin())
        except Exception as error:
            self._failed(error)
        else:
            assert self._database is not None, "it was opened"
            self.newest_seq, self.newest_kind = self._database.newest_seq, self._database.newest_kind

    @property
    def opened(self) -> bool:
        """Whether the file could be read at the start."""
        return self._database is not None

    @property
    def waiting(self) -> int:
        """Lines that are not written yet."""
        return len(self._queue) + len(self._batch)

    @property
    def busy(self) -> bool:
        """Whether a thread waits for the disk."""
        return self._thread.borrowed_tokens > 0

    def _open_here(self) -> "HistoryDatabase":
        from gossipreg.daemon.history.history_database import HistoryDatabase  # not without a data directory

        return HistoryDatabase(self._folder, space_bytes=self._space_bytes, boot_id=self._boot_id)

    def _begin(self) -> list[str]:
        """Open the file. Returns what was set aside. In a thread, but at the start. Raises OSError, sqlite3.Error."""
        from gossipreg.daemon.history.history_database import UnusableHistory

        aside: list[str] = []
        try:
            self._database = self._open()
        except UnusableHistory as error:
            aside.append(str(error))
            try:
                self._database = self._open()
            except UnusableHistory:
                raise OSError("it is unusable just after it was made") from None
        return aside

    # -- writing -------------------------------------------------------------------------------------------------------

    def append(self, line: HistoryLine) -> None:
        """Write this line soon."""
        self._queue.append(line)
        self._bound()
        self._wake.set()

    def _bound(self) -> None:
        while len(self._queue) > QUEUE_MAX:
            self._queue.popleft()
            self._lost += 1
            self.dropped += 1

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            await trio.sleep(FLUSH_S)
            self._wake = trio.Event()
            await self.flush()
            if self._fault:
                await trio.sleep(AGAIN_S)
                self._wake.set()

    async def flush(self) -> None:
        """Write what waits; returns when it is written, or cannot be."""
        while True:
            if not await self._write() or not self._queue:
                return

    async def _write(self) -> bool:
        """One batch. Returns whether the disk took it."""
        batch = self._batch = list(islice(self._queue, BATCH_MAX))
        for _ in batch:
            self._queue.popleft()
        self._busy_since = self._looked_at = trio.current_time()
        self._busy_s = 0.0
        try:
            aside = await self._in_thread(partial(self._write_batch, batch, self._keep_from()))
        except Exception as error:
            self._put_back()
            self._failed(error)
            return False
        except BaseException:
            self._put_back()
            raise
        finally:
            self._busy_since = None
        self._batch = []
        self._told(aside)
        if self._fault:
            self._fault, lost, self._lost = "", self._lost, 0
            self._reports.history_kept_again(lost)
        return True

    def _put_back(self) -> None:
        self._queue.extendleft(reversed(self._batch))
        self._batch = []
        self._bound()

    def _write_batch(self, batch: list[HistoryLine], keep_from: float | None) -> list[str]:
        """Returns what was set aside. In a thread."""
        from gossipreg.daemon.history.history_database import UnusableHistory

        aside = [] if self._database is not None else self._begin()
        batch = [line for line in batch if line.seq > self._written_seq]
        for last in (False, True):
            assert self._database is not None, "it was opened"
            try:
                self._database.write(batch, keep_from)
                self._written_seq = batch[-1].seq if batch else self._written_seq
                break
            except UnusableHistory as error:
                self._database = None
                if last:
                    raise OSError(str(error)) from None
                aside += [str(error), *self._begin()]
        return aside

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """One at a time, also where the one before was abandoned and has not ended."""
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._thread)

    def _told(self, aside: list[str]) -> None:
        for message in aside:
            self._reports.history_set_aside(message)

    def _failed(self, error: Exception) -> None:
        self._fail(f"the history cannot be kept in {self._folder}: {' '.join(str(error).split())}")

    def _fail(self, fault: str) -> None:
        fails, self._fault = bool(self._fault), fault
        if not fails:
            self._reports.history_not_kept(fault)

    def look(self) -> None:
        """Tell of a disk that hangs, and have old lines thrown away. To be called every few seconds."""
        now = trio.current_time()
        if self._busy_since is not None and self._hangs(now):
            self._fail(f"the disk of the history hangs: it took nothing for {now - self._busy_since:.0f} s")
        elif now - self._trimmed_at >= TRIM_S:
            self._trimmed_at = now
            self._wake.set()

    def _hangs(self, now: float) -> bool:
        """Between two looks at most half of HANGS_S counts: if more has passed, this process may not have run, and
        neither did the thread."""
        self._busy_s += min(now - self._looked_at, HANGS_S / 2)
        self._looked_at = now
        return self._busy_s >= HANGS_S

    # -- reading -------------------------------------------------------------------------------------------------------

    async def read(self, query: HistoryQuery) -> HistoryRead:
        """The lines that fit, of the disk and of the queue."""
        queued = (*self._batch, *self._queue)
        waiting = [line for line in queued if fits(line, query)]
        found: tuple[list[HistoryLine], bool, float | None, str] = [], False, None, ""
        fault = self._fault
        if self._database is not None:
            with trio.move_on_after(READ_S) as patience:
                try:
                    found = await self._in_thread(partial(self._read, query))
                except Exception as error:
                    fault = f"the history cannot be read: {' '.join(str(error).split())}"
            if patience.cancelled_caught:
                fault = f"the disk of the history did not answer within {READ_S:g} s"
        lines, more, first_at, damage = found
        if first_at is None and queued:
            first_at = queued[0].at
        if damage:
            self._told([damage])
            fault = damage
        newest = lines[-1].seq if lines else 0
        lines += [line for line in waiting if line.seq > newest]
        more = more or len(lines) > query.limit
        page = lines[-query.limit :] if query.newest else lines[: query.limit]
        return HistoryRead(page, more, first_at, fault)

    def _read(self, query: HistoryQuery) -> tuple[list[HistoryLine], bool, float | None, str]:
        """The lines, whether there are more, the time of the oldest, and the damage that was found. In a thread."""
        from gossipreg.daemon.history.history_database import UnusableHistory

        if self._database is None:
            return [], False, None, ""
        try:
            return (*self._database.read(query), self._database.first_at(), "")
        except UnusableHistory as error:
            self._database = None  # the next write opens a new one
            return [], False, None, str(error)

    async def close(self) -> None:
        """Write what waits, and close the file."""
        await self.flush()
        database, self._database = self._database, None
        if database is not None:
            await self._in_thread(database.close)
