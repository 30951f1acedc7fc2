"""A stream that breaks at one end alone: that end opens another one, so the other end learns that it is over."""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from gossipreg.daemon.streams import node_streams
from gossipreg.daemon.streams.inbox import StreamClosed, StreamOpened
from gossipreg.journal.messages import InstallState
from gossipreg.model import Address
from gossipreg.retry import Retry
from gossipreg.streams import broken, connection
from tests.daemon.streams.members import GENEROUS_S, StreamSide, piece, running, two_sides, wait_for
from tests.streams.ends import an_end


class Firewall:
    """Carries the bytes of connections to a side, and may reset them towards the end that opened them."""

    def __init__(self, to: StreamSide) -> None:
        self._to = to
        self._opened: list[trio.SocketStream] = []
        self.resets = False
        """Reset every connection that comes."""
        self.swallows = False
        """Of connections that are there: carry nothing more to that side, not even their end."""
        self.holds = False
        """Of connections that are there: take nothing more from the end that opened them: its kernel keeps it."""

    async def carry(self, stream: trio.SocketStream) -> None:
        if self.resets:
            self._reset(stream)
            return
        self._opened.append(stream)
        async with await trio.open_tcp_stream(*self._to.address[0]) as onward, trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, stream, onward)
            nursery.start_soon(self._pump, onward, stream)

    def reset(self) -> None:
        """All connections, towards one end; the other one is told nothing."""
        while self._opened:
            self._reset(self._opened.pop())

    def _reset(self, stream: trio.SocketStream) -> None:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()

    async def _pump(self, source: trio.SocketStream, target: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            data = b"any"
            while data:
                await trio.lowlevel.wait_readable(source.socket)
                if self.holds:
                    await trio.sleep_forever()
                data = await source.receive_some(65536)
                if self.swallows and source in self._opened:
                    await trio.sleep_forever()
                await (target.send_all(data) if data else target.send_eof())


@asynccontextmanager
async def behind(a: StreamSide, b: StreamSide) -> AsyncIterator[Firewall]:
    """Both run, and what `a` opens goes through the firewall."""
    firewall = Firewall(b)
    async with running(a, b) as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        nursery.start_soon(trio.serve_listeners, firewall.carry, [listener])
        a.book.addresses[b.id] = (Address(*listener.socket.getsockname()[:2]),)
        yield firewall


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broken, "AGAIN", Retry(0.05, 0.2))


async def with_a_stream(a: StreamSide, b: StreamSide) -> None:
    a.ask(b, 1)
    await b.until(lambda side: side.numbers == [1])
    b.ask(a, 2)
    await a.until(lambda side: side.numbers == [2])


async def test_the_other_end_learns_that_a_stream_was_reset() -> None:
    """Though neither has anything to send."""
    a, b = two_sides()
    async with behind(a, b) as firewall:
        await with_a_stream(a, b)
        firewall.reset()
        await b.until(lambda side: len(side.opened) == 2)
        assert [type(one) for one in b.news if not isinstance(one, type(b.received[0]))] == [
            StreamOpened, StreamClosed, StreamOpened,
        ]  # fmt: skip
        assert a.closed == ["broke"]
        assert b.closed == ["replaced"]
        assert a.streams.statistics()["streams_broken"] == 0


async def test_attempts_that_fail_are_repeated_and_told_to_nobody() -> None:
    a, b = two_sides()
    async with behind(a, b) as firewall:
        await with_a_stream(a, b)
        firewall.resets = True
        firewall.reset()
        await wait_for(lambda: a.streams.counts["streams.not_opened"] == 3)
        assert a.closed == ["broke"]
        assert b.closed == []
        assert a.streams.statistics()["streams_broken"] == 1
        firewall.resets = False
        await b.until(lambda side: side.closed == ["replaced"])
        assert a.closed == ["broke"]


async def test_a_message_that_fails_meanwhile_is_told_as_closed() -> None:
    a, b = two_sides()
    async with behind(a, b) as firewall:
        await with_a_stream(a, b)
        firewall.resets = True
        firewall.reset()
        await a.until(lambda side: side.closed == ["broke"])
        a.ask(b, 3)
        await a.until(lambda side: len(side.closed) == 2)
        firewall.resets = False
        await b.until(lambda side: side.closed == ["replaced"])


async def test_a_stream_that_was_closed_is_not_opened_again() -> None:
    a, b = two_sides()
    async with behind(a, b):
        await with_a_stream(a, b)
        a.streams.close(b.id, "idle")
        await b.until(lambda side: side.closed == ["idle"])
        assert a.streams.statistics()["streams_broken"] == b.streams.statistics()["streams_broken"] == 0


async def test_a_closed_stream_is_opened_if_the_next_message_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream gave way to another one, and the word of that was lost."""
    monkeypatch.setattr(node_streams, "STREAMS_MAX", 1)
    monkeypatch.setattr(node_streams, "IDLE_S", 0.0)
    a, b = two_sides()
    c = StreamSide(a.book, an_end(3))
    async with behind(a, b) as firewall, running(c):
        await with_a_stream(a, b)
        firewall.resets = True
        firewall.swallows = True
        c.ask(a, 3)
        await a.until(lambda side: side.closed == ["idle"])
        a.ask(b, 4)
        await a.until(lambda side: len(side.closed) >= 2)
        assert b.closed == []
        firewall.resets = firewall.swallows = False
        await b.until(lambda side: side.closed == ["replaced"])


async def test_a_stream_closed_with_bytes_in_flight_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gave way as idle, but the path had been cut. Its last message and its end are lost, and there is no next one:
    if that message was an answer, the other end would wait for it for ever."""
    monkeypatch.setattr(node_streams, "STREAMS_MAX", 1)
    monkeypatch.setattr(node_streams, "IDLE_S", 0.0)
    a, b = two_sides()
    c = StreamSide(a.book, an_end(3))
    async with behind(a, b) as firewall, running(c):
        await with_a_stream(a, b)
        firewall.holds = True
        a.send(b, piece(100_000))
        await wait_for(lambda: not a.streams._open[b.id].connection.busy)
        c.ask(a, 3)
        await a.until(lambda side: side.closed == ["idle"])
        firewall.holds = False
        c.streams.close(a.id, "member_gone")  # there is room again
        await b.until(lambda side: side.closed == ["replaced"])
        assert not [one for one in b.received if isinstance(one.message, InstallState)]
        assert a.streams.statistics()["streams_broken"] == 0


@pytest.mark.parametrize("how", ["close", "forget"])
async def test_nothing_is_opened_to_a_process_that_is_gone(how: str) -> None:
    a, b = two_sides()
    async with behind(a, b) as firewall:
        await with_a_stream(a, b)
        firewall.resets = True
        firewall.reset()
        await wait_for(lambda: a.streams.counts["streams.not_opened"])
        if how == "close":
            a.streams.close(b.id, "member_gone")
        else:
            a.streams.forget(b.id)
        await wait_for(lambda: a.streams.statistics()["streams_opening"] == 0)
        assert a.streams.statistics()["streams_broken"] == 0


async def test_a_stream_that_the_other_end_never_confirms_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that opens a stream counts it as open before the other one does."""
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.2)
    a, b = two_sides()
    async with behind(a, b) as firewall:
        await with_a_stream(a, b)
        swallow = trio.Event()

        async def unconfirmed(self: Firewall, source: trio.SocketStream, target: trio.SocketStream) -> None:
            if target not in self._opened:  # towards b: the hello passes, and nothing after it
                await target.send_all(await source.receive_some(65536))
                swallow.set()
                await trio.sleep_forever()
            await pump(self, source, target)

        pump = Firewall._pump
        monkeypatch.setattr(Firewall, "_pump", unconfirmed)
        firewall.reset()
        with trio.fail_after(GENEROUS_S):
            await swallow.wait()
        monkeypatch.setattr(Firewall, "_pump", pump)
        await b.until(lambda side: "replaced" in side.closed)
        assert "stream_late" in a.closed
