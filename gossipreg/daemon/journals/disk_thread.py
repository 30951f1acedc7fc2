"""The thread that does the work of the journals' store: it alone touches the database.

It is a thread of its own, and not one of trio's: a disk that hangs keeps it for as long as it hangs, and nobody else.
Everything that waits is one commit, at most `BATCH_BYTES` or `BATCH_ENTRIES` (a larger write is a commit of its own),
and is reported when that is on the disk.

The queue has a number for each time that the database was opened. What was asked for before a failure and comes after
it is dropped, but a removal is kept, and done when the database is opened again: a replica that was given up must not
come back.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from trio import RunFinishedError

from gossipreg.daemon.journals.database import JournalDatabase, fault_of
from gossipreg.daemon.journals.opening import open_journals
from gossipreg.daemon.journals.results import (
    ReadDone,
    RecordsDone,
    RemovalDone,
    StoreFailed,
    StoreOpened,
    StoreResult,
    WriteDone,
)
from gossipreg.daemon.journals_file import JOURNALS, end_forgetting, is_forgetting, note_forgetting
from gossipreg.errors import CannotStart
from gossipreg.journal.effects import ReadLog, ReadRecords, RemoveJournal, WriteJournal
from gossipreg.journal.model import JournalId

BATCH_BYTES = 1024 * 1024
BATCH_ENTRIES = 4_096

StoreAsk = WriteJournal | RemoveJournal | ReadLog | ReadRecords


@dataclass(frozen=True, slots=True)
class OpenAsk:
    """Close the database if it is open, and open it."""


@dataclass(frozen=True, slots=True)
class NoteAsk:
    """Note beside the database that what is in it now is to be forgotten, or that it is gone."""

    forgetting: bool


@dataclass(frozen=True, slots=True)
class StopAsk:
    """Close the database and end."""


DiskAsk = StoreAsk | NoteAsk | OpenAsk | StopAsk


@dataclass(frozen=True, slots=True)
class DiskReport:
    """From the thread to the loop."""

    epoch: int
    """The number of the `OpenAsk` that this follows from."""
    results: tuple[StoreResult, ...] = ()
    size_bytes: int = 0
    """Of what was asked for and is done."""
    space: Mapping[JournalId, int] = field(default_factory=dict)
    """Of the journals that changed; of all after an open."""
    opened: StoreOpened | CannotStart | None = None
    ended: bool = False


class DiskThread:
    def __init__(self, folder: Path, post: Callable[[DiskReport], None]) -> None:
        """`post` hands a report to the loop. It is called in the thread, and raises RunFinishedError if the loop has
        ended."""
        self._folder = folder
        self._post = post
        self._asked: SimpleQueue[tuple[int, DiskAsk]] = SimpleQueue()
        self._next: deque[tuple[int, DiskAsk]] = deque()
        self._database: JournalDatabase | None = None
        self._epoch = 0
        self._removals: dict[RemoveJournal, None] = {}
        """Asked for while the database could not be written."""
        self._to_note: bool | None = None
        """What the note beside the database is to say, if it does not yet: see `NoteAsk`."""
        self.current_epoch = 0
        """Set by the loop. What has a lower number is not worth doing any more."""
        self.busy_since: float | None = None
        """Since when (time.monotonic) it works on the same thing; None while it waits for something to do."""
        self.commits = self.writes = 0
        self.longest_commit_s = 0.0
        self._thread = threading.Thread(target=self._run, name="journals", daemon=True)  # a hung one ends with us

    def start(self) -> None:
        self._thread.start()

    def ask(self, epoch: int, asked: DiskAsk) -> None:
        """Never waits."""
        self._asked.put((epoch, asked))

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._step():
                self.busy_since = None
        except RunFinishedError:  # nobody waits for anything any more
            pass
        finally:
            self._close()

    def _step(self) -> bool:
        """Do the next thing; False at the end."""
        if not self._next:
            self._next.append(self._asked.get())
        self.busy_since = time.monotonic()
        while True:
            try:
                self._next.append(self._asked.get_nowait())
            except Empty:
                break
        epoch, asked = self._next[0]
        if isinstance(asked, StopAsk):
            self._close()
            self._post(DiskReport(epoch, ended=True))
            return False
        if isinstance(asked, OpenAsk):
            self._next.popleft()
            self._open(epoch)
        elif isinstance(asked, NoteAsk):
            self._next.popleft()
            self._to_note = asked.forgetting
            self._note(epoch)
        else:
            self._work(epoch, self._batch())
        return True

    def _batch(self) -> list[StoreAsk]:
        """What is done in one commit: all that waits, up to the bounds, of one epoch."""
        epoch = self._next[0][0]
        batch: list[StoreAsk] = []
        size = entries = 0
        while self._next and self._next[0][0] == epoch:
            asked = self._next[0][1]
            if isinstance(asked, NoteAsk | OpenAsk | StopAsk):
                break
            if isinstance(asked, WriteJournal):
                size += asked.size_bytes
                entries += len(asked.entries)
                if batch and (size > BATCH_BYTES or entries > BATCH_ENTRIES):
                    break
            self._next.popleft()
            batch.append(asked)
        return batch

    def _work(self, epoch: int, batch: list[StoreAsk]) -> None:
        if self._database is None or epoch < max(self._epoch, self.current_epoch):
            self._removals.update(dict.fromkeys(one for one in batch if isinstance(one, RemoveJournal)))
            return
        try:
            self._do(epoch, self._database, batch)
        except RunFinishedError:
            raise
        except Exception as error:
            self._removals.update(dict.fromkeys(one for one in batch if isinstance(one, RemoveJournal)))
            self._post(DiskReport(epoch, (StoreFailed(fault_of(error, self._folder), self._reason(error)),)))
            self._close()  # which may take long on such a disk

    def _do(self, epoch: int, database: JournalDatabase, batch: list[StoreAsk]) -> None:
        writes = [one for one in batch if isinstance(one, WriteJournal | RemoveJournal)]
        if writes:
            began = time.monotonic()
            space = database.write(writes)
            self.longest_commit_s = max(self.longest_commit_s, time.monotonic() - began)
            self.commits += 1
            self.writes += len(writes)
            self._post(DiskReport(epoch, tuple(_done(one) for one in writes), sum(map(size_of, writes)), space))
        for one in batch:
            if isinstance(one, ReadLog):
                self._post(DiskReport(epoch, (ReadDone(one.journal, database.read(one)),)))
            elif isinstance(one, ReadRecords):
                values = database.read_records(one)
                self._post(DiskReport(epoch, (RecordsDone(one.number, one.journal, values),)))
        database.tidy()

    def _open(self, epoch: int) -> None:
        self._close()
        self._epoch = epoch
        try:
            self._write_note()
            forgetting = is_forgetting(self._folder)
            self._database, opened = open_journals(self._folder)
            if self._removals:
                removed = {one.replica for one in self._removals}
                self._database.write([*self._removals])
                self._removals.clear()
                kept = tuple(one for one in opened.replicas if one.replica not in removed)
                opened = replace(opened, replicas=kept)
            opened = replace(opened, forgetting=forgetting)
            self._post(DiskReport(epoch, space=self._database.space, opened=opened))
        except CannotStart as error:
            self._close()
            self._post(DiskReport(epoch, opened=error))
        except RunFinishedError:
            raise
        except Exception as error:
            self._close()
            self._post(DiskReport(epoch, opened=CannotStart(self._reason(error))))

    def _note(self, epoch: int) -> None:
        """A disk that does not take the note fails; it is tried again with the next open."""
        try:
            self._write_note()
        except OSError as error:
            self._post(DiskReport(epoch, (StoreFailed(fault_of(error, self._folder), self._reason(error)),)))
            self._close()

    def _write_note(self) -> None:
        """Raises OSError."""
        if self._to_note is None:
            return
        if self._to_note:
            note_forgetting(self._folder)
        else:
            end_forgetting(self._folder)
        self._to_note = None

    def _reason(self, error: Exception) -> str:
        text = " ".join(str(error).split()) or type(error).__name__
        path = self._folder / JOURNALS
        return f"cannot keep journals in {path}: {text}; this sidecar takes part in no journal until it can"

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


def size_of(asked: StoreAsk) -> int:
    """What it holds in memory while it waits."""
    return asked.size_bytes if isinstance(asked, WriteJournal) else 0


def _done(one: WriteJournal | RemoveJournal) -> WriteDone | RemovalDone:
    if isinstance(one, WriteJournal):
        return WriteDone(one.number, one.journal)
    return RemovalDone(one.journal, one.replica)
