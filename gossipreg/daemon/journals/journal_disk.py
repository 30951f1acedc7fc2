"""The journals' store over the life of a sidecar: opened when it is first needed, and again after each failure.

Owns: when the database is opened, and the note that all replicas are to be forgotten. Never knows: what a replica is
for. The owner is told what was found, what was done, and that the store failed.
"""

from pathlib import Path
from typing import Protocol

import trio

from gossipreg.daemon.journals.disk_thread import StoreAsk
from gossipreg.daemon.journals.hung_disk import HungDisk
from gossipreg.daemon.journals.journal_reports import JournalReports
from gossipreg.daemon.journals.results import (
    RemovalDone,
    StoreFailed,
    StoreFault,
    StoreOpened,
    StoreResult,
    StoreStatistics,
)
from gossipreg.daemon.journals.store import JournalStore
from gossipreg.daemon.journals_file import has_journals
from gossipreg.errors import CannotStart
from gossipreg.journal.effects import RemoveJournal
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.retry import Retry

REOPEN = Retry(1.0, 5.0)
"""Between attempts to open a database that failed."""


class DiskOwner(Protocol):
    def on_opened(self, opened: StoreOpened) -> None:
        """The database was opened, or opened again, and this is in it."""

    def on_done(self, result: StoreResult) -> None:
        """What was asked for is done, or the store failed: then nothing more comes until `on_opened`."""


class JournalDisk:
    def __init__(self, folder: Path, owner: DiskOwner, reports: JournalReports) -> None:
        """`folder` is the data directory."""
        self._folder = folder
        self._owner = owner
        self._reports = reports
        self._needed = trio.Event()
        self._store: JournalStore | None = None
        self._removing: dict[ReplicaId, None] = {}
        self._hung = HungDisk(reports)
        self.fails = False
        """It could not be opened, or failed, and was not opened again yet."""
        self.forgetting = False
        """Whether the replicas that the database holds must not take part; known once it was opened."""
        self.unfinished = False
        """The disk hung at the end, so that what was asked for by then may not be written."""
        if has_journals(folder):
            self.need()

    def need(self) -> None:
        """Open the database if that was not asked for yet; it is made if there is none."""
        self._needed.set()

    @property
    def needed(self) -> bool:
        """Whether there are journals, or somebody asked for one."""
        return self._needed.is_set()

    def submit(self, asked: StoreAsk) -> None:
        """Do this, behind what was asked for before."""
        if isinstance(asked, RemoveJournal):
            self._removing[asked.replica] = None
        if self._store is not None:
            self._store.submit(asked)
            self._hung.asked()

    @property
    def space(self) -> dict[JournalId, int]:
        """Bytes of each journal on the disk, about."""
        return {} if self._store is None else dict(self._store.space)

    def statistics(self) -> StoreStatistics | None:
        """None as long as there is no store."""
        return None if self._store is None else self._store.statistics()

    @property
    def removing(self) -> bool:
        """Whether replicas that were given up are in the database yet."""
        return bool(self._removing)

    # -- forgetting --------------------------------------------------------------------------------------------------

    def begin_forgetting(self) -> None:
        """The replicas that the database holds must not take part any more. That is noted before they are removed, and
        until they are gone, for a start after a crash."""
        if self.needed:  # else there is no database
            self.forgetting = True
            if self._store is not None:
                self._store.note_forgetting(forgetting=True)

    def _end_forgetting(self) -> None:
        self.forgetting = False
        if self._store is not None:
            self._store.note_forgetting(forgetting=False)

    # -- the store ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep it open, from when it is needed until cancelled. What was asked for by then is written, as far as that
        does not take too long."""
        await self._needed.wait()
        store = JournalStore(self._folder)
        try:
            async with store:
                await self._use(store)
        finally:
            self.unfinished = not store.ended

    async def _use(self, store: JournalStore) -> None:
        self._store = store
        if self.forgetting:
            store.note_forgetting(forgetting=True)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hung.watch, store)
                await self._keep_open(store)
        finally:
            self._store = None

    async def _keep_open(self, store: JournalStore) -> None:
        wait_s = 0.0
        while True:
            self._hung.asked()
            try:
                opened = await store.open()
            except CannotStart as error:
                self._on_failure(None, str(error))
            else:
                wait_s = 0.0
                self._on_opened(opened)
                failure = await self._follow(store)
                self._on_failure(failure.fault, failure.reason)
            wait_s = REOPEN.after(wait_s) if wait_s else REOPEN.first_s
            await trio.sleep(wait_s)

    def _on_opened(self, opened: StoreOpened) -> None:
        self._reports.opened(opened)
        if self.fails:
            self.fails = False
            self._reports.kept_again()
        self._removing.clear()
        self.forgetting = self.forgetting or opened.forgetting
        if not opened.replicas and self.forgetting:
            self._end_forgetting()
        self._owner.on_opened(opened)

    async def _follow(self, store: JournalStore) -> StoreFailed:
        """Hand on what was done, until the store fails."""
        while True:
            for result in await store.results():
                if isinstance(result, RemovalDone):
                    self._on_removed(result)
                self._owner.on_done(result)
                if isinstance(result, StoreFailed):
                    return result

    def _on_removed(self, removal: RemovalDone) -> None:
        self._removing.pop(removal.replica, None)
        if not self._removing and self.forgetting:
            self._end_forgetting()

    def _on_failure(self, fault: StoreFault | None, reason: str) -> None:
        self.fails = True
        self._reports.not_kept(fault, reason)
