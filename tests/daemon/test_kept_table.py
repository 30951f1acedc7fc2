"""The last known table in the data directory: writing it delays nothing else, and it never prevents a start."""

import io
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from gossipreg.core.node import Node
from gossipreg.daemon import kept_table
from gossipreg.daemon.kept_table import FILE, KEEP_S, KeptTable
from gossipreg.daemon.logs import Log
from gossipreg.model import NodeId
from gossipreg.wire.kept_table import PAGE_BYTES
from gossipreg.wire.messages import Delta
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node, row_content

WALL_MS = 1_700_000_000_000
ALONE_S = 900.0


class _Kept:
    """A kept table in a folder, with a wall clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wall_ms = WALL_MS
        self.log = io.StringIO()
        self.table = self.again()

    def again(self) -> KeptTable:
        """A kept table as the next run of the sidecar makes it."""
        self.table = KeptTable(self.folder, "default", Log(stream=self.log), lambda: self.wall_ms)
        return self.table

    def recalled(self) -> tuple[list[NodeId], float] | None:
        """The owners of the rows that the next run loads, and the time for which these count."""
        found: list[tuple[list[NodeId], float]] = []

        def take(deltas: Iterable[Delta], counts_s: float) -> None:
            found.append(([delta.id for delta in deltas], counts_s))

        self.again().recall(ALONE_S, take)
        return found[0] if found else None

    @property
    def path(self) -> Path:
        return self.folder / FILE

    def message(self) -> str:
        """The last line of the log; it may be asked for once."""
        lines = self.log.getvalue().splitlines()
        self.log.truncate(0)
        self.log.seek(0)
        assert len(lines) == 1, lines
        return lines[0]


@pytest.fixture
def kept(tmp_path: Path) -> _Kept:
    return _Kept(tmp_path)


def _node(members: int = 3, services: int = 2) -> Node:
    node = a_node()
    for number in range(1, members + 1):
        speaker = Speaker(number)
        speaker.content = row_content(speaker.boot_id, speaker.address, services=services, name=f"speaker-{number}")
        speaker.handshake(node, START)
    return node


async def _write(kept: _Kept, node: Node) -> None:
    await kept.table._keep(node)


async def test_what_is_kept_is_recalled_with_the_time_that_is_left(kept: _Kept) -> None:
    node = _node()
    await _write(kept, node)
    kept.wall_ms += 100_000
    found = kept.recalled()
    assert found is not None
    ids, counts_s = found
    assert sorted(set(ids)) == sorted(id for id in node.table.rows if id != node.id)
    assert counts_s == 800
    assert kept.log.getvalue() == ""
    assert os.listdir(kept.folder) == [FILE]
    assert kept.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("later_ms", "why"),
    [
        (-1, "the clock was set back since then"),
        (900_000, "it is 900 s old, and the limit is 900 s"),
        (86_400_000, "86400 s old"),
    ],
)
async def test_what_is_too_old_or_from_the_future_does_not_count(kept: _Kept, later_ms: int, why: str) -> None:
    await _write(kept, _node())
    kept.wall_ms += later_ms
    assert kept.recalled() is None
    assert why in kept.message()


async def test_a_damaged_file_is_ignored_with_one_line(kept: _Kept) -> None:
    await _write(kept, _node())
    data = bytearray(kept.path.read_bytes())
    data[-1] ^= 1
    kept.path.write_bytes(data)
    assert kept.recalled() is None
    assert "kept_table_ignored" in (line := kept.message())
    assert "its body is damaged" in line


async def test_a_file_that_cannot_be_read_is_ignored_with_one_line(kept: _Kept) -> None:
    kept.path.mkdir()
    assert kept.recalled() is None
    assert "Is a directory" in kept.message()


def test_a_first_start_has_nothing_and_says_nothing(kept: _Kept) -> None:
    assert kept.recalled() is None
    assert kept.log.getvalue() == ""


async def test_it_is_written_at_most_every_ten_seconds(
    kept: _Kept, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert autojump_clock.autojump_threshold == 0
    node, began, ended = _node(), list[float](), list[float]()
    write_all = kept.table._write_all

    async def noted(view: Node) -> float:
        began.append(trio.current_time())
        try:
            return await write_all(view)
        finally:
            ended.append(trio.current_time())

    monkeypatch.setattr(kept.table, "_write_all", noted)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.table.run, node)
        for number in range(10, 200):
            Speaker(number).handshake(node, START)
            await trio.sleep(KEEP_S / 20)
            while len(ended) < len(began):  # virtual time would run on while the thread writes
                await trio.lowlevel.checkpoint()
            if len(began) == 4:
                break
        nursery.cancel_scope.cancel()
    assert len(began) == 4
    assert min(later - before for before, later in pairwise(began)) >= KEEP_S


async def test_of_an_unchanged_table_only_the_head_is_written(kept: _Kept) -> None:
    node = _node()
    await _write(kept, node)
    before = kept.path.stat()
    kept.wall_ms += 60_000
    await _write(kept, node)
    after = kept.path.stat()
    assert (kept.table.written, before.st_ino, before.st_size) == (1, after.st_ino, after.st_size)
    found = kept.recalled()
    assert found is not None
    assert found[1] == ALONE_S


async def test_nothing_is_written_while_not_in_sync(kept: _Kept, autojump_clock: MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    node = a_node(synced=False)
    Speaker(1).handshake(node, START)
    with trio.move_on_after(60):
        await kept.table.run(node)
    assert os.listdir(kept.folder) == []


async def test_a_disk_that_is_full_is_said_once_and_tried_again(kept: _Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    node = _node()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for _ in range(3):
            await _write(kept, node)
    assert "No space left on device" in kept.message()
    assert os.listdir(kept.folder) == []
    await _write(kept, node)
    assert kept.recalled() is not None


async def test_others_have_their_turn_while_a_large_table_is_written(
    kept: _Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_table, "TURN_S", 0.0)
    node = _node(members=5, services=400)
    turns = 0
    async with trio.open_nursery() as nursery:

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        nursery.start_soon(count)
        await kept.table._write_all(node)
        nursery.cancel_scope.cancel()
    assert turns >= kept.path.stat().st_size // PAGE_BYTES
