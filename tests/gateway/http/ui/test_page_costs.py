"""What pages may cost: a slow reader holds nobody up and little memory, and no reading blocks the loop for long."""

import json
import socket
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gossipreg.gateway.http import connections
from gossipreg.gateway.http.ui import board, page_stream
from gossipreg.gateway.http.ui.board import EVERY_S, ITEMS_AN_EVENT, PIECE, Board, BoardItem
from tests.daemon.conftest import ME
from tests.gateway.http.conftest import Served
from tests.gateway.http.ui.page_reader import PageReader, open_page


async def unread_page(served: Served, view: str) -> PageReader:
    """A page whose reader takes nothing, and whose kernel buffers are small."""
    page = await open_page(served, view)
    await page.next("hello")
    [connection] = [one for one in served.http.server.connections if one.stream is not None]
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    page.client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return page


async def test_a_slow_reader_gets_the_newest_and_holds_little(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "EVERY_S", 0.0)
    monkeypatch.setattr(page_stream, "ROOM_BYTES", 2_000)
    meta = {f"k{number}": "v" * 100 for number in range(10)}
    tags = [f"tag-{number}-{'x' * 200}" for number in range(20)]
    page = await unread_page(served, "services")
    most = 0
    for number in range(1, 81):
        body = {"Name": f"s{number % 10}", "ID": "a", "Port": number, "Tags": [*tags, f"last-{number}"], "Meta": meta}
        assert (await served.put("/v1/agent/service/register", body)).status == 200
        most = max(most, *(len(one.out) for one in served.http.server.connections))
    event = len(tags) * 250 * 10
    assert most < 2_000 + event, "one event beside what was there"
    seen: dict[str, str] = {}
    while seen.get("s0") != "last-80":
        shown = await page.next("services")
        seen.update({one["key"]: one["tags"][0] for one in shown["items"]})


async def test_a_reader_that_takes_nothing_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SEND_S", 0.3)
    for number in range(1, 200):
        await served.services.register(
            {"name": f"s{number}", "port": number, "tags": ["x" * 1000] + [f"{'t' * 900}{n}" for n in range(4)]},
            by=ME, holder=None,
        )  # fmt: skip
    page = await unread_page(served, "services")
    other = await open_page(served, "overview")
    await other.next("overview")
    with trio.fail_after(30):
        while served.http.api.parts.page_streams > 1:
            await wait_all_tasks_blocked(0.01)
    assert served.http.server.connections is not None
    await served.register("late", 1)
    await other.next("overview", lambda data: data["services"]["names"] == 200)
    del page


class ReadsAStep(trio.abc.Instrument):
    """The most readings of items in one step of a task: other tasks run between steps."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self.now = 0

    def read(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)


async def test_a_long_board_is_read_in_pieces_and_written_once(autojump_clock: object) -> None:
    assert autojump_clock
    steps, reads = ReadsAStep(), Counter[int]()

    def read(key: int, before: BoardItem | None) -> BoardItem | None:
        steps.read()
        reads[key] += 1
        return before or BoardItem(key, b"%d" % key)

    things = Board[int]("things", keys=lambda: range(5_000), read=read, key_text=str)
    got: list[bytes] = []

    async def send(_kind: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        got.append(data)

    trio.lowlevel.add_instrument(steps)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(things.run)
        for _ in range(3):
            nursery.start_soon(things.show, send)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    trio.lowlevel.remove_instrument(steps)
    assert steps.most == PIECE
    assert set(reads.values()) == {1}, "however many look, and nothing is read again unless it is touched"
    assert len(got) == 3 * 5_000 / ITEMS_AN_EVENT
    assert got[0].startswith(b'{"kind":"current","items":[0,1,2')


async def test_the_first_items_are_sent_while_others_are_read(autojump_clock: object) -> None:
    assert autojump_clock
    reads = 0

    def read(key: int, _before: BoardItem | None) -> BoardItem | None:
        nonlocal reads
        reads += 1
        return None if key in gone else BoardItem(key, b"%d" % key)

    gone: set[int] = set()
    things = Board[int]("things", keys=lambda: range(1_000), read=read, key_text=str)
    got: list[tuple[int, dict[str, Any]]] = []

    async def send(_kind: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        got.append((reads, json.loads(data)))
        if len(got) == 2:  # what was sent already is gone before all is sent
            gone.add(7)
            things.touch([7])
            await things.filled.wait()
            await trio.sleep(EVERY_S * 2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(things.run)
        nursery.start_soon(things.show, send)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert got[0][0] < 500
    current = [one for _, one in got if one["kind"] == "current"]
    assert sorted(item for one in current for item in one["items"]) == list(range(1_000))
    assert [one["last"] for one in current] == [False] * (len(current) - 1) + [True]
    assert got[-1][1]["gone"] == ["7"], "an earlier piece had it"


async def test_changes_come_together_four_times_a_second(autojump_clock: object) -> None:
    assert autojump_clock
    value = 0

    def read(key: int, _before: BoardItem | None) -> BoardItem | None:
        return None if value == 100 else BoardItem(value, b"[%d,%d]" % (key, value))

    things = Board[int]("things", keys=lambda: [1, 2], read=read, key_text=lambda key: f"key {key}")
    got: list[tuple[float, bytes]] = []
    begin = trio.current_time()

    async def send(_kind: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        got.append((trio.current_time() - begin, data))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(things.run)
        nursery.start_soon(things.show, send)
        for value in range(1, 101):  # noqa: B007  # what is read
            await trio.sleep(0.02)
            things.touch([1])
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    between = [after - before for (before, _), (after, _) in pairwise(got[1:])]
    assert min(between) >= EVERY_S
    assert 6 <= len(got) <= 11
    assert got[-1][1] == b'{"kind":"changed","items":[],"gone":["key 1"]}'
