"""Two members that open streams to each other at the same time, over a network with delays: no message is lost without
a word, none comes twice, and in the end both have the same stream or none."""

import os
import random

import pytest
import trio
import trio.testing

from gossipreg.daemon.streams import node_streams
from gossipreg.streams import connection
from gossipreg.streams.connection import StreamConnection, StreamEnded, StreamEvent, StreamMessage
from gossipreg.streams.values import StreamSelf
from tests.daemon.streams.by_hand import answered_by, open_by_hand, rest_of
from tests.daemon.streams.members import GENEROUS_S, Book, StreamSide, running, wait_for
from tests.streams.ends import RING, all_to_send, an_end, received

MESSAGES = 12
MOST_S = 0.004
"""Longer than a handshake on this machine takes, so that all orders happen."""


class Road:
    """Takes connections for one member, and carries their bytes with delays."""

    def __init__(self, rng: random.Random, to: StreamSide) -> None:
        self._rng = rng
        self._to = to.address[0]

    async def carry(self, stream: trio.SocketStream) -> None:
        await trio.sleep(self._rng.uniform(0, MOST_S))
        async with stream, await trio.open_tcp_stream(*self._to) as onward, trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, stream, onward)
            nursery.start_soon(self._pump, onward, stream)

    async def _pump(self, source: trio.SocketStream, target: trio.SocketStream) -> None:
        try:
            while data := await source.receive_some(65536):
                await trio.sleep(self._rng.uniform(0, MOST_S))
                await target.send_all(data)
            await target.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await source.aclose()
            await target.aclose()


class Sent:
    """What one side sent, and how often it had been told of a closed stream by then."""

    def __init__(self, side: StreamSide, other: StreamSide) -> None:
        self.side = side
        self.other = other
        self._told: dict[int, int] = {}

    async def send(self, rng: random.Random) -> None:
        for number in range(MESSAGES):
            self._told[number] = len(self.side.closed)
            self.side.ask(self.other, number)
            if rng.random() < 0.4:
                await trio.sleep(rng.uniform(0, 2 * MOST_S))

    def lost_in_silence(self) -> list[int]:
        arrived = set(self.other.numbers)
        return [
            number for number, told in self._told.items() if number not in arrived and len(self.side.closed) <= told
        ]


async def run(seed: int, kinds: set[str]) -> None:
    rng = random.Random(seed)
    book = Book()
    a, b = StreamSide(book, an_end(1)), StreamSide(book, an_end(2))
    both = Sent(a, b), Sent(b, a)
    async with running(a, b) as nursery:
        for side in (a, b):
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            book.addresses[side.id] = (book.address_of(listener),)
            nursery.start_soon(trio.serve_listeners, Road(rng, side).carry, [listener])
        async with trio.open_nursery() as sending:
            for sent in both:
                sending.start_soon(sent.send, rng)
        await wait_for(lambda: not any(sent.lost_in_silence() for sent in both))
        await wait_for(lambda: settled(a, b))
        for sent in both:
            assert len(sent.other.numbers) == len(set(sent.other.numbers))
        kinds |= {*a.closed, *b.closed}


def settled(a: StreamSide, b: StreamSide) -> bool:
    """Whether both have the stream of the other, or neither has."""
    figures = [side.streams.statistics() for side in (a, b)]
    quiet = all(one["streams_half_open"] == one["streams_opening"] == 0 for one in figures)
    return quiet and len(a.streams) == len(b.streams)


@pytest.mark.parametrize("first", [0, 1000])
async def test_streams_that_cross_lose_nothing_in_silence(first: int) -> None:
    kinds: set[str] = set()
    for seed in range(first, first + 10):
        await run(seed, kinds)
    assert kinds <= {"crossed", "replaced", "gone", "broke"}


# -- one order at a time -----------------------------------------------------------------------------------------------


async def taken_by_hand(listener: trio.SocketListener, own: StreamSelf) -> tuple[trio.SocketStream, StreamConnection]:
    """A stream that a side opens to us: it has our answer, and our confirmation is withheld."""
    stream = await listener.accept()
    ours = StreamConnection.accepting(own, RING, os.urandom, trio.current_time())
    received(ours, await stream.receive_some(65536), trio.current_time())
    await stream.send_all(all_to_send(ours))
    return stream, ours


async def until_the_end(stream: trio.SocketStream, ours: StreamConnection) -> str:
    """Why a stream ended, as the other side says."""
    for event in received(ours, await rest_of(stream), trio.current_time()):
        if isinstance(event, StreamEnded):
            return event.detail
    return ""


@pytest.mark.parametrize("lower", [True, False])
async def test_of_two_that_crossed_that_of_the_lower_id_stays(lower: bool) -> None:
    low, high = sorted((an_end(1), an_end(2)), key=lambda end: end.member.id)
    own, other = (low, high) if lower else (high, low)
    book = Book()
    a = StreamSide(book, own)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    book.addresses[other.member.id] = (book.address_of(listener),)
    async with running(a), listener:
        a.ask(other.member.id, 1)
        opened_there, taken = await taken_by_hand(listener, other)
        await a.until(lambda side: side.opened)
        opened_here, ours = await open_by_hand(a, other)
        if lower:
            assert await until_the_end(opened_here, ours) == "crossed"
            assert a.closed == []
        else:
            assert await until_the_end(opened_there, taken) == "replaced"
            assert a.closed == ["replaced"]
            assert len(a.opened) == 2
        await opened_there.aclose()
        await opened_here.aclose()


async def test_an_attempt_is_given_up_once_the_other_end_has_opened_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages go over the stream that is open: nothing was lost."""
    monkeypatch.setattr(connection, "HANDSHAKE_S", 1000.0)
    book = Book()
    a = StreamSide(book, an_end(1))
    other = an_end(2)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    book.addresses[other.member.id] = (book.address_of(listener),)
    async with running(a), listener:
        a.ask(other.member.id, 7)
        attempt = await listener.accept()
        stream, ours = await open_by_hand(a, other)
        assert (await rest_of(attempt))[:1] == b"\xb0"
        await a.until(lambda side: side.opened)
        assert a.closed == []
        messages: list[StreamEvent] = []
        with trio.fail_after(GENEROUS_S):
            while not messages:
                messages += received(ours, await stream.receive_some(65536), trio.current_time())
        assert [type(one) for one in messages] == [StreamMessage]
        await stream.aclose()
        await attempt.aclose()


async def test_the_limit_holds_for_streams_that_open_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_streams, "STREAMS_MAX", 1)
    monkeypatch.setattr(node_streams, "IDLE_S", 1000.0)
    a = StreamSide(Book(), an_end(1))
    async with running(a):
        first, one = await answered_by(a, an_end(2))
        second, other = await answered_by(a, an_end(3))
        await first.send_all(all_to_send(one))
        await a.until(lambda side: side.opened)
        await second.send_all(all_to_send(other))
        assert await until_the_end(second, other) == "stream_busy"
        assert a.streams.open_to() == [an_end(2).member.id]
        await first.aclose()
        await second.aclose()
