"""The store of all journals of a sidecar: asked by the loop, done by a thread, and the loop never waits for the disk.

    async with JournalStore(folder) as store:
        opened = await store.open()                     # raises CannotStart
        journals = Journals(..., stored=opened.replicas)
        ...
        store.submit(effect)                            # WriteJournal, RemoveJournal, ReadLog, ReadRecords; never waits
        ...
        for result in await store.results():
            match result:
                case WriteDone():   journals.written(result.number, result.journal, now)
                case ReadDone():    journals.read(result.journal, result.entries, now)
                case RecordsDone(): journals.records_read(result.journal, result.number, result.values, now)
                case StoreFailed(): journals.write_failed(now)

After a StoreFailed nothing is written until `open` succeeds again, after a pause that the caller chooses; what it
returns goes to `Journals.reopened`. Results come in the order in which the writes were asked for, each once. A read
sees all writes that were asked for before it, and maybe later ones.

Bounds: `WAITING_MOST` and `WAITING_BYTES` wait for the disk. More means that it does not keep up, and the store fails:
to wait would stop the loop, and to drop a write would be a lie. Results are no more than what was asked for.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import trio

from gossipreg.daemon.journals.disk_thread import DiskReport, DiskThread, NoteAsk, OpenAsk, StopAsk, StoreAsk, size_of
from gossipreg.daemon.journals.results import (
    StoreFailed,
    StoreFault,
    StoreOpened,
    StoreResult,
    StoreStatistics,
)
from gossipreg.errors import CannotStart
from gossipreg.journal.effects import RemoveJournal
from gossipreg.journal.model import JournalId

WAITING_MOST = 16_384
"""Each replica has one write under way, and each follower that is behind one read."""
WAITING_BYTES = 1024 * 1024 * 1024
"""Two whole journals that are taken over at the same time, and some more."""
CLOSE_S = 2.0
"""A disk that hangs for longer is left alone: the thread ends with the process. A stop has a few seconds in all, and
what was acknowledged is on the disk already."""


class JournalStore:
    def __init__(self, folder: Path) -> None:
        """`folder` is the data directory, which is there and locked."""
        self._thread = DiskThread(folder, self._post)
        self._token: trio.lowlevel.TrioToken | None = None
        self._ended = trio.Event()
        self._epoch = 0
        self._failed = True
        """Or not opened yet."""
        self._opened: StoreOpened | CannotStart | None = None
        self._open_done = trio.Event()
        self._results: list[StoreResult] = []
        self._arrived = trio.Event()
        self._waiting = self._waiting_bytes = 0
        self._space: dict[JournalId, int] = {}

    async def __aenter__(self) -> "JournalStore":
        self._token = trio.lowlevel.current_trio_token()
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was asked for is written first, as far as that takes no longer than `CLOSE_S`."""
        self._thread.ask(self._epoch, StopAsk())
        with trio.move_on_after(CLOSE_S, shield=True):
            await self._ended.wait()

    @property
    def ended(self) -> bool:
        """Whether all that was asked for is done, and the database is closed."""
        return self._ended.is_set()

    # -- the database ------------------------------------------------------------------------------------------------

    async def open(self) -> StoreOpened:
        """Open the database and examine it; close it before, if it is open. Waits as long as the disk takes. Raises
        CannotStart with one line: the database cannot be used now, or is of a newer version."""
        self._epoch += 1
        self._thread.current_epoch = self._epoch
        self._failed, self._opened, self._open_done = True, None, trio.Event()
        self._results.clear()
        self._thread.ask(self._epoch, OpenAsk())
        await self._open_done.wait()
        assert self._opened is not None
        if isinstance(self._opened, CannotStart):
            raise self._opened
        return self._opened

    def submit(self, asked: StoreAsk) -> None:
        """Do this, in the order of the calls. Never waits. Each call has one result, unless the store fails before.
        While the store is not open, a removal is kept and done with the next `open`; other things are dropped."""
        if self._failed:
            if isinstance(asked, RemoveJournal):
                self._thread.ask(self._epoch, asked)
            return
        self._waiting += 1
        self._waiting_bytes += size_of(asked)
        self._thread.ask(self._epoch, asked)
        if self._waiting > WAITING_MOST or self._waiting_bytes > WAITING_BYTES:
            self._overload()

    def note_forgetting(self, *, forgetting: bool) -> None:
        """Note beside the database, in the order of the calls, that what is in it now is to be forgotten, or that it is
        gone. Never waits, and is done also while the store is not open. The store fails if the disk does not take it;
        then it is tried again with the next `open`."""
        self._thread.ask(self._epoch, NoteAsk(forgetting))

    async def results(self) -> list[StoreResult]:
        """What was done since the last call; waits until there is something."""
        while not self._results:
            self._arrived = trio.Event()
            await self._arrived.wait()
        results, self._results = self._results, []
        return results

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def space(self) -> Mapping[JournalId, int]:
        """Bytes of each journal on the disk, about, as of the last result."""
        return self._space

    def statistics(self) -> StoreStatistics:
        thread = self._thread
        busy_since = thread.busy_since
        return StoreStatistics(
            self._waiting, self._waiting_bytes, thread.commits, thread.writes, thread.longest_commit_s,
            0.0 if busy_since is None else time.monotonic() - busy_since,
        )  # fmt: skip

    # -- from the thread ---------------------------------------------------------------------------------------------

    def _post(self, report: DiskReport) -> None:
        """Called in the thread."""
        assert self._token is not None, "the thread starts after that"
        self._token.run_sync_soon(self._take, report)

    def _take(self, report: DiskReport) -> None:
        if report.ended:
            self._ended.set()
        if report.epoch != self._epoch:
            return
        if report.opened is not None:
            self._opened = report.opened
            self._failed = isinstance(report.opened, CannotStart)
            self._waiting = self._waiting_bytes = 0
            self._space = dict(report.space)
            self._open_done.set()
            return
        for journal, size in report.space.items():
            self._space[journal] = size
            if not size:
                del self._space[journal]
        self._waiting -= len(report.results)
        self._waiting_bytes -= report.size_bytes
        self._hand_out(report.results)

    def _hand_out(self, results: Iterable[StoreResult]) -> None:
        for result in results:
            self._results.append(result)
            if isinstance(result, StoreFailed):
                self._failed = True
                self._waiting = self._waiting_bytes = 0
        if self._results:
            self._arrived.set()

    def _overload(self) -> None:
        """The thread may hang, so it is not waited for: what it does yet is not reported any more."""
        reason = (
            f"the disk does not keep up: {self._waiting} writes with {self._waiting_bytes} bytes wait for it; "
            "this sidecar takes part in no journal until it does"
        )
        self._epoch += 1
        self._thread.current_epoch = self._epoch
        self._hand_out([StoreFailed(StoreFault.OVERLOADED, reason)])
