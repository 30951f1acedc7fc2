"""What strangers and broken members do to the gossip port for TCP costs little, and keeps no member out."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from gossipreg.daemon.streams import link
from gossipreg.daemon.streams.accepting import HALF_OPEN_MAX
from gossipreg.streams import connection
from gossipreg.streams.connection import StreamConnection, StreamEnded, StreamMessage
from gossipreg.streams.values import BY_PEER, GONE
from tests.daemon.streams.by_hand import answered_by, connected, open_by_hand, rest_of
from tests.daemon.streams.members import GENEROUS_S, Book, StreamSide, piece, running, two_sides, wait_for
from tests.streams.ends import RING, all_to_send, an_end

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\xb0\x00\x40" + bytes(64)])
async def test_a_port_scanner_learns_nothing(sent: bytes) -> None:
    a, b = two_sides()
    async with running(a, b):
        async with await connected(a) as stream:
            await stream.send_all(sent)
            assert await rest_of(stream) == b""
        await wait_for(lambda: a.streams.statistics()["streams_half_open"] == 0)
        assert a.dropped("stream_bad_hello") + a.dropped("stream_unknown_key") == 1
        b.ask(a, 1)
        await a.until(lambda side: side.numbers)


async def test_a_silent_connection_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.1)
    a, _ = two_sides()
    async with running(a), await connected(a) as stream:
        assert await rest_of(stream) == b""
        assert a.dropped("stream_late") == 1


async def test_a_flood_of_half_open_connections_keeps_no_member_out() -> None:
    a, b = two_sides()
    async with running(a, b):
        flood = [await connected(a) for _ in range(3 * HALF_OPEN_MAX)]
        await wait_for(lambda: a.dropped("stream_crowded") == 2 * HALF_OPEN_MAX)
        assert a.streams.statistics()["streams_half_open"] == HALF_OPEN_MAX
        b.ask(a, 1)
        await a.until(lambda side: side.numbers)
        assert b.closed == []
        for stream in flood:
            await stream.aclose()
        await wait_for(lambda: a.streams.statistics()["streams_half_open"] == 0)


async def test_who_has_said_hello_gives_way_last() -> None:
    a, _ = two_sides()
    async with running(a):
        stream, ours = await answered_by(a, an_end(3))
        flood = [await connected(a) for _ in range(2 * HALF_OPEN_MAX)]
        await wait_for(lambda: a.dropped("stream_crowded") == HALF_OPEN_MAX + 1)
        await stream.send_all(all_to_send(ours))
        await a.until(lambda side: side.opened)
        for one in (stream, *flood):
            await one.aclose()


async def test_a_recorded_hello_takes_nobodys_place() -> None:
    """A stranger sends a hello of a member again: the stream of that member goes on."""
    a, b = two_sides()
    async with running(a, b):
        recorded = StreamConnection.opening(b.own, a.id, RING.keys[0], os.urandom, trio.current_time())
        hello = recorded.data_to_send()
        b.ask(a, 1)
        await a.until(lambda side: side.numbers)
        async with await connected(a) as stream:
            await stream.send_all(hello + bytes(500))
            await rest_of(stream)
        b.ask(a, 2)
        await a.until(lambda side: side.numbers == [1, 2])
        assert a.closed == b.closed == []
        assert a.dropped("stream_bad_frame") == 1


async def test_a_peer_that_stops_reading_loses_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "STALLED_S", 0.2)
    a, _ = two_sides()
    async with running(a):
        stream, ours = await open_by_hand(a, an_end(3))
        async with stream:
            await a.until(lambda side: side.opened)
            for _ in range(12):
                a.send(an_end(3).member.id, piece(1_000_000))
            await a.until(lambda side: side.closed)
            assert a.closed == ["stream_stalled"]
            assert a.dropped("stream_stalled") == 1
            rest = ours.receive_bytes(await rest_of(stream), trio.current_time())
            assert all(isinstance(one, StreamMessage) for one in rest), "no last word in the middle of a frame"
            assert ours.receive_eof() == [StreamEnded(GONE)]


async def test_a_slow_reader_keeps_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes progress, though it takes longer for all of it than the bound for a writer without progress."""
    monkeypatch.setattr(link, "STALLED_S", 0.5)
    a, _ = two_sides()
    async with running(a):
        stream, ours = await open_by_hand(a, an_end(3))
        async with stream:
            await a.until(lambda side: side.opened)
            for _ in range(4):
                a.send(an_end(3).member.id, piece(1_000_000))
            arrived = 0
            began = trio.current_time()
            with trio.fail_after(GENEROUS_S):
                while arrived < 4:
                    data = await stream.receive_some(65536)
                    arrived += len(ours.receive_bytes(data, trio.current_time()))
                    await trio.sleep(0.01)
            assert trio.current_time() - began > 0.5
            assert a.closed == []


PROCESS = """
import sys, trio
from gossipreg.model import Address
from tests.daemon.streams.by_hand import answered_by, connected, open_by_hand, rest_of
from tests.daemon.streams.members import Book, StreamSide, running
from tests.streams.ends import an_end

async def main():
    book = Book()
    side = StreamSide(book, an_end(2, boot=int(sys.argv[2]), generation=int(sys.argv[2])))
    book.addresses[an_end(1).member.id] = (Address("127.0.0.1", int(sys.argv[1])),)
    async with running(side):
        side.ask(an_end(1).member.id, int(sys.argv[2]))
        await trio.sleep_forever()

trio.run(main)
"""


async def test_a_killed_process_is_told_and_its_successor_takes_over() -> None:
    book = Book()
    a = StreamSide(book, an_end(1))
    command = [sys.executable, "-c", PROCESS, str(a.address[0].port)]
    async with running(a):
        first = subprocess.Popen([*command, "1"], cwd=ROOT)
        try:
            await a.until(lambda side: side.numbers == [1])
        finally:
            first.send_signal(signal.SIGKILL)
            first.wait()
        await a.until(lambda side: side.closed)
        assert a.closed[0] in ("gone", "broke")
        second = subprocess.Popen([*command, "2"], cwd=ROOT)
        try:
            await a.until(lambda side: side.numbers == [1, 2])
        finally:
            second.kill()
            second.wait()


async def test_bytes_changed_on_the_way_end_the_stream() -> None:
    a, _ = two_sides()
    async with running(a):
        stream, ours = await open_by_hand(a, an_end(3))
        async with stream:
            await a.until(lambda side: side.opened)
            frame = bytearray(b"\x00\x20" + bytes(32))
            await stream.send_all(frame)
            await a.until(lambda side: side.closed)
            assert a.closed == ["stream_bad_tag"]
            assert ours.receive_bytes(await rest_of(stream), trio.current_time()) == [
                StreamEnded(BY_PEER, "stream_bad_tag")
            ]
