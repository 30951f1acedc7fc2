"""The loop asks and goes on; one thread writes, one commit for all that waits; after a fault nothing is written until
the database was opened and examined again."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.journals import store as store_module
from gossipreg.daemon.journals.database import JournalDatabase
from gossipreg.daemon.journals.disk_thread import BATCH_BYTES, BATCH_ENTRIES
from gossipreg.daemon.journals.results import (
    ReadDone,
    RemovalDone,
    StoreFailed,
    StoreFault,
    StoreResult,
    WriteDone,
)
from gossipreg.daemon.journals.store import JournalStore
from gossipreg.daemon.journals_file import JOURNALS
from gossipreg.errors import CannotStart
from gossipreg.journal.effects import ReadLog, RemoveJournal, WriteJournal
from gossipreg.journal.model import Ballot, JournalId, LogEntry
from gossipreg.model import NodeId
from tests.daemon.journals.images import WAL
from tests.daemon.journals.test_journals_that_went_back import BASE, A, B, R, S

BOUND_S = 60.0


def begun(number: int, journal: JournalId = A) -> WriteJournal:
    return WriteJournal(number, journal, R if journal == A else S, NodeId(b"o" * 16), reset=BASE)


def entries(number: int, first: int, count: int = 1, data: bytes = b"d", journal: JournalId = A) -> WriteJournal:
    replica = R if journal == A else S
    added = (LogEntry(index, Ballot(1, replica), 0, 2, data) for index in range(first, first + count))
    return WriteJournal(number, journal, replica, NodeId(b"o" * 16), entries=tuple(added))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[JournalStore]:
    with trio.fail_after(BOUND_S):
        async with JournalStore(folder) as store:
            await store.open()
            yield store


async def until(store: JournalStore, count: int) -> list[StoreResult]:
    """The next results."""
    found: list[StoreResult] = []
    while len(found) < count:
        found += await store.results()
    return found


class Hanging:
    """The disk hangs until `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self._entered = threading.Event()
        self._write = JournalDatabase.write

    def write(self, database: JournalDatabase, asked: list[WriteJournal | RemoveJournal]) -> dict[JournalId, int]:
        self._entered.set()
        self.gate.wait(BOUND_S)
        return self._write(database, asked)

    async def entered(self) -> None:
        """The thread waits for the disk."""
        await trio.to_thread.run_sync(self._entered.wait)


@contextmanager
def held() -> Iterator[Hanging]:
    hanging = Hanging()
    with patch.object(JournalDatabase, "write", lambda database, asked: hanging.write(database, asked)):
        try:
            yield hanging
        finally:
            hanging.gate.set()


def broken(error: Exception) -> AbstractContextManager[object]:
    """Every write fails."""
    return patch.object(JournalDatabase, "write", side_effect=error)


async def test_what_waits_is_one_commit_and_is_reported_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with held() as disk:
            store.submit(begun(1))
            await disk.entered()
            for number in range(2, 40):
                store.submit(entries(number, number - 1))
            store.submit(begun(40, B))
            assert store.statistics().waiting == 40
            disk.gate.set()
            results = await until(store, 40)
        assert results == [WriteDone(number, B if number == 40 else A) for number in range(1, 41)]
        assert (store.statistics().commits, store.statistics().writes) == (2, 40)
        assert (store.statistics().waiting, store.statistics().waiting_bytes) == (0, 0)
        again = await store.open()
        assert {one.journal: len(one.entries) for one in again.replicas} == {A: 38, B: 0}


@pytest.mark.parametrize(
    ("count", "data", "writes", "commits"),
    [(1, bytes(BATCH_BYTES // 4 - 64), 8, 2), (BATCH_ENTRIES // 2, b"", 4, 2), (1, bytes(2 * BATCH_BYTES), 3, 3)],
)
async def test_a_commit_is_bounded(count: int, data: bytes, writes: int, commits: int, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        await until(store, 1)
        with held() as disk:
            store.submit(begun(2, B))
            await disk.entered()
            for number in range(writes):
                store.submit(entries(3 + number, 1 + number * count, count, data))
            disk.gate.set()
            await until(store, 1 + writes)
        assert store.statistics().commits == 2 + commits


async def test_the_loop_goes_on_while_the_disk_hangs(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with held() as disk:
            store.submit(begun(1))
            with trio.move_on_after(0.01) as scope:
                await store.results()
            assert scope.cancelled_caught
            disk.gate.set()
            assert await until(store, 1) == [WriteDone(1, A)]
        assert store.statistics().longest_commit_s > 0


async def test_a_disk_that_hangs_does_not_keep_the_sidecar_from_ending(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Nothing else sets a time, so the clock jumps over the wait for the disk alone."""
    assert autojump_clock.autojump_threshold == 0
    with held():
        async with JournalStore(tmp_path) as store:
            await store.open()
            store.submit(begun(1))
            before = trio.current_time()
        assert trio.current_time() - before == pytest.approx(store_module.CLOSE_S)


async def test_what_was_asked_for_before_the_end_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        store.submit(entries(2, 1, 5))
    async with JournalStore(tmp_path) as store:
        assert [len(one.entries) for one in (await store.open()).replicas] == [5]


async def test_reads_give_entries_from_the_disk(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        store.submit(entries(2, 1, 20, bytes(1000)))
        store.submit(ReadLog(A, 3, 5_000))
        store.submit(ReadLog(A, 21, 5_000))
        store.submit(ReadLog(B, 1, 5_000))
        *_, some, none, nowhere = await until(store, 5)
        assert isinstance(some, ReadDone)
        assert [entry.index for entry in some.entries] == [3, 4, 5, 6]
        assert (none, nowhere) == (ReadDone(A, ()), ReadDone(B, ()))


async def test_space_follows_what_is_written_and_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        store.submit(entries(2, 1, 10, bytes(1000)))
        await until(store, 2)
        assert 10_000 < store.space[A] < 12_000
        store.submit(RemoveJournal(A, R))
        assert await until(store, 1) == [RemovalDone(A, R)]
        assert store.space == {}


# -- faults ------------------------------------------------------------------------------------------------------------


async def test_after_a_failed_write_nothing_is_written_until_it_is_opened(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        await until(store, 1)
        with broken(OSError(28, "No space left on device")):
            store.submit(entries(2, 1))
            (failed,) = await until(store, 1)
        assert isinstance(failed, StoreFailed)
        assert failed.fault is StoreFault.FULL
        assert str(tmp_path / JOURNALS) in failed.reason
        assert "No space left on device" in failed.reason
        store.submit(entries(3, 1))
        store.submit(ReadLog(A, 1, 1))
        assert store.statistics().waiting == 0
        again = await store.open()
        assert [(one.journal, one.entries) for one in again.replicas] == [(A, ())]
        store.submit(entries(4, 1))
        assert await until(store, 1) == [WriteDone(4, A)]


async def test_a_removal_is_done_though_the_disk_failed(tmp_path: Path) -> None:
    """Asked for before the failure was known, and after it."""
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        store.submit(begun(2, B))
        await until(store, 2)
        with broken(OSError("gone")):
            store.submit(RemoveJournal(A, R))
            (failed,) = await until(store, 1)
            assert isinstance(failed, StoreFailed)
            store.submit(RemoveJournal(B, S))
        assert (await store.open()).replicas == ()
        assert (await store.open()).replicas == ()


@pytest.mark.parametrize("name", [JOURNALS, WAL])
@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_file_that_was_taken_away_is_noticed_before_a_commit(name: str, how: str, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        await until(store, 1)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).rename(tmp_path / "old")
        if how == "replaced":
            (tmp_path / name).write_bytes(content)
        store.submit(entries(2, 1))
        (failed,) = await until(store, 1)
        assert isinstance(failed, StoreFailed)
        assert failed.fault is StoreFault.UNLINKED
        assert f"{tmp_path / name} was removed, moved or replaced" in failed.reason
        again = await store.open()
        assert [one.entries for one in again.replicas] in ([()], [])
        assert bool(again.lost) == (not again.replicas)


async def test_a_data_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    async with opened(folder) as store:
        store.submit(begun(1))
        await until(store, 1)
        folder.rename(tmp_path / "moved")
        store.submit(entries(2, 1))
        (failed,) = await until(store, 1)
        assert isinstance(failed, StoreFailed)
        assert failed.fault is StoreFault.UNLINKED
        with pytest.raises(CannotStart, match="No such file or directory"):
            await store.open()
        (tmp_path / "moved").rename(folder)
        assert [one.journal for one in (await store.open()).replicas] == [A]


async def test_a_write_that_follows_from_nothing_is_a_fault_and_not_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        store.submit(entries(2, 5))
        failed = (await until(store, 1))[-1]
        assert isinstance(failed, StoreFailed)
        assert failed.fault is StoreFault.INTERNAL
        assert "a log has no gaps" in failed.reason
        assert all(one.entries == () for one in (await store.open()).replicas)


async def test_more_than_may_wait_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    """What waits then is not written any more."""
    async with opened(tmp_path) as store:
        with held() as disk, patch.object(store_module, "WAITING_MOST", 10):
            store.submit(begun(1))
            await disk.entered()
            for number in range(2, 30):
                store.submit(entries(number, number - 1))
            (failed,) = await until(store, 1)
            assert isinstance(failed, StoreFailed)
            assert failed.fault is StoreFault.OVERLOADED
            assert failed.reason.startswith("the disk does not keep up: 11 writes with ")
            disk.gate.set()
            again = await store.open()
        assert [(one.journal, one.entries) for one in again.replicas] == [(A, ())]
        assert store.statistics().writes == 1
        store.submit(begun(99, B))
        assert await until(store, 1) == [WriteDone(99, B)]


async def test_damage_that_a_read_meets_loses_that_journal_alone(tmp_path: Path) -> None:
    """The store fails, and the next `open` says which journals are concerned."""
    marked = b"this entry is to be damaged"
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        store.submit(begun(2, B))
        store.submit(entries(3, 1, 1, marked + bytes(3000)))
        store.submit(entries(4, 2, 200, bytes(3000)))
        await until(store, 4)
        await store.open()  # all is in the database, not in its log
        raw = (tmp_path / JOURNALS).read_bytes()
        with open(tmp_path / JOURNALS, "r+b") as file:
            file.write(raw.replace(marked, marked.upper()))  # there are stale copies in the file too
        store.submit(ReadLog(A, 1, 1))
        (failed,) = await until(store, 1)
        assert isinstance(failed, StoreFailed)
        assert failed.fault is StoreFault.DAMAGED
        assert "entry 1 is not what was written" in failed.reason
        again = await store.open()
        assert [one.journal for one in again.replicas] == [B]
        assert [(one.journal, one.reason) for one in again.lost] == [(A, "entry 1 is not what was written")]
        store.submit(entries(5, 1, journal=B))
        assert await until(store, 1) == [WriteDone(5, B)]


async def test_what_is_read_at_opening_is_on_the_disk_before_it_counts(tmp_path: Path) -> None:
    """A process that was killed may have written its log and not synchronised it."""
    async with opened(tmp_path) as store:
        store.submit(begun(1))
        await until(store, 1)
        log = (tmp_path / WAL).read_bytes()
    (tmp_path / WAL).write_bytes(log)
    synchronised: list[str] = []

    def fsync(fd: int) -> None:
        synchronised.append(Path(f"/proc/self/fd/{fd}").readlink().name)

    with patch("gossipreg.daemon.journals.opening.os.fsync", fsync):
        async with opened(tmp_path):
            assert WAL in synchronised
