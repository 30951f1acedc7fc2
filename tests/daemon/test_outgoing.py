"""The messages to one client come whole and in order, however large they are and however late the client reads."""

import socket
from collections import Counter

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon import outgoing
from gossipreg.daemon.all_clients import AllClients
from gossipreg.daemon.outgoing import CHUNK_BYTES, Outgoing

LAST = b"last"
LIMIT_BYTES = 150_000

sizes = st.one_of(st.integers(1, 200), st.integers(CHUNK_BYTES - 2, CHUNK_BYTES + 2), st.integers(20_000, 400_000))
messages = st.lists(st.lists(sizes, min_size=1, max_size=4), min_size=1, max_size=30)


def framed(number: int, sizes: list[int]) -> list[bytes]:
    """A message in pieces of these sizes, behind its length and its number."""
    pieces = [bytes([number % 251]) * size for size in sizes]
    return [sum(sizes).to_bytes(4) + number.to_bytes(4), *pieces]


def unframed(data: bytes) -> list[int | bytes]:
    """The numbers of the messages; the last one may be LAST. Fails for what is no whole message."""
    found: list[int | bytes] = []
    while data:
        if data == LAST:
            return [*found, LAST]
        size, number = int.from_bytes(data[:4]), int.from_bytes(data[4:8])
        assert data[8 : 8 + size] == bytes([number % 251]) * size
        found.append(number)
        data = data[8 + size :]
    return found


@given(messages, st.integers(0, 30))
def test_messages_come_whole_and_a_slow_reader_is_told(sent: list[list[int]], read_after: int) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        for one in (ours, theirs):
            one.setblocking(False)
        dropped: Counter[str] = Counter()
        all = AllClients()
        out = Outgoing(ours, all, dropped, lambda _code, _message: LAST)
        received = bytearray()

        async def read() -> None:
            with trio.move_on_after(30):
                while True:
                    await trio.lowlevel.wait_readable(theirs)
                    if not (data := theirs.recv(100_000)):
                        return
                    received.extend(data)

        async with trio.open_nursery() as reader:
            async with trio.open_nursery() as nursery:
                out.nursery = nursery
                for number, sizes in enumerate(sent):
                    out.push(*framed(number, sizes))
                    if number == read_after:
                        reader.start_soon(read)
                        await out.wait_flushed()
                if len(sent) <= read_after:
                    reader.start_soon(read)
                out.end()
                await out.wait_flushed()
            out.close()
            ours.close()
        theirs.close()
        told = unframed(bytes(received))
        numbers = [one for one in told if one is not LAST]
        assert numbers == [*range(len(numbers))]
        assert (LAST in told) == (dropped["client_too_slow"] > 0) == (len(numbers) < len(sent))
        assert all.queued_bytes == all.writing_bytes == 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outgoing, "MAX_QUEUE_BYTES", LIMIT_BYTES)
        trio.run(run)


async def test_a_client_that_is_cut_off_while_it_sends_sees_a_plain_end() -> None:
    ours, theirs = socket.socketpair()
    for one in (ours, theirs):
        one.setblocking(False)
    out = Outgoing(ours, AllClients(), Counter(), lambda _code, _message: LAST)
    theirs.send(b"a request that nobody reads any more")
    received = bytearray()
    async with trio.open_nursery() as nursery:
        out.nursery = nursery
        for number in range(100):
            out.push(*framed(number, [100_000]))
        assert out.ending, "it is cut off"
        nursery.start_soon(_receive_some, theirs, received)
    out.close()
    ours.close()
    while data := theirs.recv(100_000):  # not ECONNRESET
        received += data
    theirs.close()
    assert unframed(bytes(received))[-1] is LAST


async def _receive_some(sock: socket.socket, received: bytearray) -> None:
    """Until the connection's nursery is cancelled."""
    while True:
        await trio.lowlevel.wait_readable(sock)
        received += sock.recv(100_000)
