"""The memory that clients which do not read can take: bounded, shared bytes counted once, and readers spared."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon import all_clients
from gossipreg.daemon.all_clients import COUNTED_FROM_BYTES, AllClients
from gossipreg.daemon.socket_client import SocketClient
from tests.daemon.conftest import ME, Sidecar

LARGE = [bytes(COUNTED_FROM_BYTES + number) for number in range(6)]
SMALL = bytes(10)


class Written:
    def __init__(self, all: AllClients) -> None:
        self.all = all
        self.pieces: list[bytes] = []
        self.gave_up = False

    def begin(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.all.begin_writing(self, [memoryview(piece) for piece in pieces])

    def end(self) -> None:
        self.pieces = []
        self.all.end_writing(self)

    def give_up(self) -> None:
        self.gave_up = True
        self.end()


@given(st.lists(st.tuples(st.integers(0, 4), st.lists(st.sampled_from([*LARGE, SMALL]), max_size=4)), max_size=40))
def test_bytes_that_many_share_count_once(steps: list[tuple[int, list[bytes]]]) -> None:
    all = AllClients()
    writers = [Written(all) for _ in range(5)]
    for number, pieces in steps:
        writer = writers[number]
        if writer.pieces:
            writer.end()
        else:
            writer.begin(pieces)
        here = {id(piece): piece for one in writers for piece in one.pieces if len(piece) >= COUNTED_FROM_BYTES}
        assert all.writing_bytes == sum(map(len, here.values()))
    for writer in writers:
        writer.end()
    assert all.writing_bytes == 0


def test_the_client_without_progress_for_longest_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_clients, "MAX_WRITING_BYTES", 2 * COUNTED_FROM_BYTES + 100)
    all = AllClients()
    first, second, third = (Written(all) for _ in range(3))
    first.begin([LARGE[0]])
    second.begin([LARGE[1]])
    all.progress(first)
    third.begin([LARGE[2]])
    assert [one.gave_up for one in (first, second, third)] == [False, True, False]


def test_a_single_message_may_be_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_clients, "MAX_WRITING_BYTES", 1)
    all = AllClients()
    only = Written(all)
    only.begin([LARGE[0]])
    assert not only.gave_up


async def test_clients_that_do_not_read_large_answers_are_cut_off(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_clients, "MAX_WRITING_BYTES", 3 << 20)
    by = SocketClient(ME)
    for number in range(200):
        await sidecar.methods.register({"name": "web", "port": 1 + number, "meta": {"a": "b" * 4000}}, by)
    clients = [await sidecar.client() for _ in range(8)]
    for client in clients:
        await client.send("registered")
    reader = await sidecar.client()
    assert len(await reader.call("registered")) == 200
    assert sidecar.methods.dropped["client_too_slow"] == 6  # two answers fit beside that of the reader
    assert sidecar.socket._all.writing_bytes <= 3 << 20
    with pytest.raises((EOFError, trio.BrokenResourceError)):
        await clients[0].next()
    assert len((await clients[-1].next())[3]) == 200
