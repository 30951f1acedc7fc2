"""Nothing that a disk does holds up anybody: it may fail, hang, be full, or lose the file."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.history import history_disk
from gossipreg.daemon.history.history_database import HISTORY_FILE, HistoryDatabase
from gossipreg.daemon.history.history_disk import BATCH_MAX, QUEUE_MAX, HistoryDisk
from gossipreg.history.history_line import HistoryLine
from gossipreg.history.history_query import HistoryQuery

ALL = HistoryQuery(after=0, limit=5000)
GENEROUS_S = 60


class Told:
    """What a person is told of the disk."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def history_not_kept(self, why: str) -> None:
        self.told.append(f"not kept: {why}")

    def history_kept_again(self, lost: int) -> None:
        self.told.append(f"kept again, {lost} lost")

    def history_set_aside(self, message: str) -> None:
        self.told.append(message)


class FakeDatabase:
    """A database in memory that fails or hangs as the test says."""

    newest_seq, newest_kind = 0, ""

    def __init__(self) -> None:
        self.lines: list[HistoryLine] = []
        self.fault: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()
        self.at_once = 0

    def write(self, lines: list[HistoryLine], keep_from: float | None) -> int:
        del keep_from
        self.at_once += 1
        assert self.at_once == 1, "one thread at a time"
        self.entered.set()
        self.may_go_on.wait(GENEROUS_S)
        self.at_once -= 1
        if self.fault is not None:
            raise self.fault
        self.lines += lines
        return 0

    def read(self, query: HistoryQuery) -> tuple[list[HistoryLine], bool]:
        return self.lines[: query.limit], len(self.lines) > query.limit

    def first_at(self) -> float | None:
        return self.lines[0].at if self.lines else None

    def close(self) -> None:
        pass


def line(seq: int) -> HistoryLine:
    return HistoryLine(seq, float(seq), float(seq), "start", "info", f"line {seq}")


@pytest.fixture
def fake() -> Iterator[FakeDatabase]:
    database = FakeDatabase()
    yield database
    database.may_go_on.set()


@pytest.fixture
def told() -> Told:
    return Told()


def disk_of(folder: Path, told: Told, fake: FakeDatabase | None = None) -> HistoryDisk:
    opens: Callable[[], HistoryDatabase] | None = None if fake is None else lambda: cast(HistoryDatabase, fake)
    return HistoryDisk(
        folder, told, space_bytes=8 << 20, boot_id="b", keep_from=lambda: None, open_database=opens
    )  # fmt: skip


async def seqs(disk: HistoryDisk) -> list[int]:
    return [one.seq for one in (await disk.read(ALL)).lines]


async def test_a_line_is_read_before_and_after_it_is_written(tmp_path: Path, told: Told) -> None:
    disk = disk_of(tmp_path, told)
    disk.append(line(1))
    assert await seqs(disk) == [1]
    assert (await disk.read(ALL)).first_at == 1.0
    await disk.flush()
    disk.append(line(2))
    assert (await disk.read(ALL)).first_at == 1.0
    assert await seqs(disk) == [1, 2]
    await disk.close()
    assert told.told == []
    again = disk_of(tmp_path, told)
    assert await seqs(again) == [1, 2]
    assert (again.newest_seq, again.newest_kind) == (2, "start")
    await again.close()


async def test_lines_wait_for_a_disk_that_fails_and_none_is_lost(
    tmp_path: Path, told: Told, fake: FakeDatabase
) -> None:  # fmt: skip
    disk = disk_of(tmp_path, told, fake)
    fake.fault = OSError("disk I/O error")
    for seq in (1, 2, 3):
        disk.append(line(seq))
        await disk.flush()
    found = await disk.read(ALL)
    assert [one.seq for one in found.lines] == [1, 2, 3]
    assert "disk I/O error" in found.fault
    fake.fault = None
    await disk.flush()
    assert [one.seq for one in fake.lines] == [1, 2, 3]
    assert (await disk.read(ALL)).fault == ""
    assert told.told == [f"not kept: the history cannot be kept in {tmp_path}: disk I/O error", "kept again, 0 lost"]


async def test_a_disk_that_hangs_holds_up_nobody(
    tmp_path: Path, told: Told, fake: FakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(history_disk, "READ_S", 0.05)
    monkeypatch.setattr(history_disk, "HANGS_S", 0.0)
    disk = disk_of(tmp_path, told, fake)
    fake.may_go_on.clear()
    async with trio.open_nursery() as nursery:
        disk.append(line(1))
        nursery.start_soon(disk.flush)
        with trio.fail_after(GENEROUS_S):
            await trio.to_thread.run_sync(fake.entered.wait, GENEROUS_S)
            for seq in range(2, QUEUE_MAX + 502):
                disk.append(line(seq))
            disk.look()
            found = await disk.read(ALL)
        assert found.lines[0].seq == 1  # the one that is being written
        assert "did not answer within 0.05 s" in found.fault
        assert disk.dropped == 500
        assert told.told == ["not kept: the disk of the history hangs: it took nothing for 0 s"]
        fake.may_go_on.set()
    assert told.told[1:] == ["kept again, 500 lost"]
    assert len(fake.lines) == QUEUE_MAX + 1
    assert [one.seq for one in fake.lines] == sorted(one.seq for one in fake.lines)


async def test_a_process_that_was_stopped_takes_no_disk_for_one_that_hangs(
    tmp_path: Path, told: Told, fake: FakeDatabase, mock_clock: MockClock
) -> None:
    disk = disk_of(tmp_path, told, fake)
    fake.may_go_on.clear()
    disk.append(line(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disk.flush)
        await trio.to_thread.run_sync(fake.entered.wait, GENEROUS_S)
        mock_clock.jump(3600.0)
        disk.look()
        assert told.told == []
        mock_clock.jump(history_disk.HANGS_S)
        disk.look()
        assert told.told == ["not kept: the disk of the history hangs: it took nothing for 3610 s"]
        fake.may_go_on.set()


async def test_the_end_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, told: Told, fake: FakeDatabase) -> None:
    disk = disk_of(tmp_path, told, fake)
    fake.may_go_on.clear()
    disk.append(line(1))
    with trio.fail_after(GENEROUS_S):
        with trio.move_on_after(0.05) as patience:
            await disk.close()
        assert patience.cancelled_caught
        with trio.move_on_after(0.05):
            await disk.close()
    assert await trio.to_thread.run_sync(fake.entered.wait, GENEROUS_S)


async def test_a_stop_in_the_middle_of_a_write_loses_no_line(tmp_path: Path, told: Told) -> None:
    entered, may_go_on = threading.Event(), threading.Event()

    class Gated(HistoryDatabase):
        def write(self, lines: Sequence[HistoryLine], keep_from: float | None) -> int:
            entered.set()
            may_go_on.wait(GENEROUS_S)
            return super().write(lines, keep_from)

    disk = HistoryDisk(
        tmp_path, told, space_bytes=8 << 20, boot_id="b", keep_from=lambda: None,
        open_database=lambda: Gated(tmp_path, space_bytes=8 << 20, boot_id="b"),
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disk.run)
        disk.append(line(1))
        assert await trio.to_thread.run_sync(entered.wait, GENEROUS_S)
        nursery.cancel_scope.cancel()
    disk.append(line(2))
    may_go_on.set()
    await disk.close()
    assert told.told == []
    assert await seqs(disk_of(tmp_path, told)) == [1, 2]


async def test_many_lines_are_written_in_batches_in_their_order(
    tmp_path: Path, told: Told, fake: FakeDatabase
) -> None:  # fmt: skip
    disk = disk_of(tmp_path, told, fake)
    for seq in range(1, 2 * BATCH_MAX + 2):
        disk.append(line(seq))
    await disk.flush()
    assert [one.seq for one in fake.lines] == list(range(1, 2 * BATCH_MAX + 2))


async def test_a_file_deleted_in_use_is_told_and_the_lines_go_to_a_new_one(tmp_path: Path, told: Told) -> None:
    disk = disk_of(tmp_path, told)
    disk.append(line(1))
    await disk.flush()
    (tmp_path / HISTORY_FILE).unlink()
    disk.append(line(2))
    await disk.flush()
    assert await seqs(disk) == [2]
    assert ["was removed or replaced" in one for one in told.told] == [True]
    await disk.close()


async def test_a_damaged_file_does_not_prevent_the_start(tmp_path: Path, told: Told) -> None:
    (tmp_path / HISTORY_FILE).write_bytes(b"rubbish" * 1000)
    disk = disk_of(tmp_path, told)
    disk.append(line(1))
    await disk.flush()
    assert await seqs(disk) == [1]
    assert ["set aside as history.db.damaged-" in one for one in told.told] == [True]
    assert (disk.opened, disk.newest_kind) == (True, "")
    await disk.close()


async def test_a_folder_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path, told: Told) -> None:
    folder = tmp_path / "later"
    disk = disk_of(folder, told)
    assert not disk.opened
    disk.append(line(1))
    await disk.flush()
    assert [one.startswith("not kept: the history cannot be kept in") for one in told.told] == [True]
    assert await seqs(disk) == [1]
    folder.mkdir()
    await disk.flush()
    assert told.told[1:] == ["kept again, 0 lost"]
    assert await seqs(disk) == [1]
    await disk.close()


async def test_damage_that_a_reader_meets_is_told_and_the_next_lines_are_kept(tmp_path: Path, told: Told) -> None:
    disk = disk_of(tmp_path, told)
    for seq in range(1, 3000):
        disk.append(line(seq))
    await disk.close()
    path = tmp_path / HISTORY_FILE
    data = bytearray(path.read_bytes())
    data[20 * 4096 : 24 * 4096] = bytes([0xAA]) * (4 * 4096)
    path.write_bytes(data)
    disk = disk_of(tmp_path, told)
    found = await disk.read(ALL)
    assert "set aside as history.db.damaged-" in found.fault
    assert told.told == [found.fault]
    disk.append(line(3000))
    await disk.flush()
    assert await seqs(disk) == [3000]
    await disk.close()


async def test_a_write_that_was_abandoned_at_the_end_is_not_made_twice(
    tmp_path: Path, told: Told, fake: FakeDatabase
) -> None:
    """The sidecar ends while its disk hangs, and then the disk goes on."""
    disk = disk_of(tmp_path, told, fake)
    fake.may_go_on.clear()
    disk.append(line(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disk.flush)
        await trio.to_thread.run_sync(fake.entered.wait, GENEROUS_S)
        nursery.cancel_scope.cancel()
    disk.append(line(2))
    fake.may_go_on.set()
    await disk.close()
    assert [one.seq for one in fake.lines] == [1, 2]
    assert told.told == []
