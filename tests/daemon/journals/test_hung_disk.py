"""A disk that hangs is noticed, and so is its end; nothing wakes up for a disk of which nothing is asked."""

from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.journals import hung_disk
from gossipreg.daemon.journals import store as store_module
from gossipreg.daemon.journals.hung_disk import HungDisk
from gossipreg.daemon.journals.journal_reports import JournalReports
from gossipreg.daemon.journals.results import StoreStatistics
from gossipreg.daemon.journals.store import JournalStore
from tests.daemon.journals.sidecars import alone, until
from tests.daemon.journals.test_journal_store import held


class Told:
    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []

    def disk_hangs(self, busy_s: float) -> None:
        self.said.append(("hangs", busy_s))

    def disk_answers(self) -> None:
        self.said.append(("answers", trio.current_time()))


class AskedStore:
    """Begins to work when the test says so; counts who looks."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.looked = 0

    def statistics(self) -> StoreStatistics:
        self.looked += 1
        busy_s = 0.0 if self.since is None else max(trio.current_time() - self.since, 0.001)
        return StoreStatistics(0, 0, 0, 0, 0.0, busy_s)


async def test_a_disk_is_said_to_hang_once_and_to_answer_again(autojump_clock: MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    store, told = AskedStore(), Told()
    watch = HungDisk(cast("JournalReports", told))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.watch, cast("JournalStore", store))
        await trio.sleep(100.0)
        assert store.looked == 0, "nothing was asked"
        began = store.since = trio.current_time()
        watch.asked()
        await trio.sleep(hung_disk.HUNG_S - 0.5)
        assert told.said == []
        await trio.sleep(10.0)
        [(what, after_s)] = told.said
        assert (what, round(after_s, 6)) == ("hangs", hung_disk.HUNG_S)
        store.since = None
        await trio.sleep(2.0)
        assert told.said[1][0] == "answers"
        assert 14.0 <= told.said[1][1] - began <= 16.0
        looked = store.looked
        await trio.sleep(100.0)
        assert store.looked == looked
        nursery.cancel_scope.cancel()


async def test_a_process_that_was_stopped_takes_no_disk_for_one_that_hangs(autojump_clock: MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    store, told = AskedStore(), Told()
    watch = HungDisk(cast("JournalReports", told))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.watch, cast("JournalStore", store))
        store.since = trio.current_time() - 3600.0
        watch.asked()
        await trio.sleep(2 * hung_disk.LOOK_S + 0.5)
        assert (store.looked, told.said) == (2, [])
        await trio.sleep(hung_disk.HUNG_S)
        assert [what for what, _ in told.said] == ["hangs"]
        nursery.cancel_scope.cancel()


async def test_work_that_goes_on_is_no_hang(autojump_clock: MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    store, told = AskedStore(), Told()
    watch = HungDisk(cast("JournalReports", told))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.watch, cast("JournalStore", store))
        for _ in range(20):
            store.since = trio.current_time()
            watch.asked()
            await trio.sleep(hung_disk.HUNG_S - 1.0)
        assert told.said == []
        nursery.cancel_scope.cancel()


async def test_a_hung_disk_is_a_trouble_until_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung_disk, "HUNG_S", 0.05)
    monkeypatch.setattr(hung_disk, "LOOK_S", 0.01)
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        with held() as disk:
            one.propose(journal, b"x", 1)
            await disk.entered()
            await until(lambda: one.shown_troubles().startswith("a disk that hangs: nothing of the journals"))
            disk.gate.set()
            await until(lambda: one.shown_troubles() == "")
        await until(lambda: 1 in one.follows.settled)
    assert "journal_disk_answers" in one.log.getvalue()


async def test_an_end_says_that_a_hung_disk_did_not_take_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CLOSE_S", 0.05)
    with ExitStack() as hung:
        async with alone(tmp_path, "a") as one:
            journal = await one.open_journal()
            disk = hung.enter_context(held())
            one.propose(journal, b"x", 1)
            await disk.entered()
            assert one.orchestration.unwritten() == ""
        assert one.orchestration.unwritten() == "journals.db may lack what was not acknowledged yet"


async def test_an_end_says_nothing_of_a_disk_that_took_all(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        await one.commit(await one.open_journal(), b"x", 1)
    assert one.orchestration.unwritten() == ""
