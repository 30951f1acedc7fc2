"""Streams have limits, and what goes wrong on one of them ends that one alone."""

import re
from pathlib import Path

import pytest
import trio
import trio.testing

from gossipreg.daemon.streams import inbox, node_streams, opening
from gossipreg.daemon.streams.inbox import StreamClosed, StreamOpened, StreamReceived
from gossipreg.streams import values
from gossipreg.streams.values import ENDS, StreamClass, meaning_of_end
from tests.daemon.streams.members import Book, StreamSide, piece, running, two_sides, wait_for
from tests.streams.ends import an_end


async def test_the_stream_that_was_idle_for_longest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_streams, "STREAMS_MAX", 2)
    monkeypatch.setattr(node_streams, "IDLE_S", 0.0)
    book = Book()
    a, *others = (StreamSide(book, an_end(number)) for number in (1, 2, 3, 4))
    async with running(a, *others):
        for number, other in enumerate(others):
            a.ask(other, number)
            await other.until(lambda side: side.numbers)
        assert a.closed == ["idle"]
        assert others[0].id not in a.streams.open_to()
        assert len(a.streams.open_to()) == 2


async def test_beyond_the_limit_a_stream_is_refused_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_streams, "STREAMS_MAX", 1)
    monkeypatch.setattr(node_streams, "IDLE_S", 1000.0)
    book = Book()
    a, b, c = (StreamSide(book, an_end(number)) for number in (1, 2, 3))
    async with running(a, b, c):
        a.ask(b, 1)
        await b.until(lambda side: side.numbers)
        c.ask(a, 2)
        await c.until(lambda side: side.closed)
        a.ask(c, 3)
        await a.until(lambda side: side.closed)
        assert a.closed == c.closed == ["stream_busy"]
        assert a.dropped("stream_busy") == 2
        assert a.streams.open_to() == [b.id]


async def test_what_nobody_takes_closes_the_stream_that_delivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_INBOX_MESSAGES", 3)
    a, b = two_sides()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.follow)
        for side in (a, b):
            nursery.start_soon(side.streams.run, [side.listener])
        await trio.testing.wait_all_tasks_blocked()
        for number in range(10):
            a.ask(b, number)
        await a.until(lambda side: side.closed)
        assert a.closed == ["stream_inbox_full"]
        assert b.dropped("stream_inbox_full") == 1
        told = [await b.streams.inbox.receive() for _ in range(4)]
        assert [type(one) for one in told] == [StreamOpened, StreamReceived, StreamReceived, StreamClosed]
        nursery.cancel_scope.cancel()
    for listener in a.book.listeners:
        listener.close()


async def test_messages_in_part_of_all_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_streams, "MAX_HELD_BYTES", 200_000)
    a, b = two_sides()
    async with running(a, b):
        a.send(b, piece(1_000_000))
        await a.until(lambda side: side.closed)
        await wait_for(lambda: b.dropped("stream_inbox_full"))
        assert b.streams.statistics()["streams_held_bytes"] == 0
        a.ask(b, 1)
        await b.until(lambda side: side.numbers)


async def test_too_much_that_waits_for_an_opening_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_WAITING_MESSAGES", 2)
    a, b = two_sides()
    async with running(a, b):
        for number in range(3):
            a.ask(b, number)
        await a.until(lambda side: side.closed)
        assert a.closed == ["stream_queue_full"]
        a.ask(b, 9)
        await b.until(lambda side: side.numbers == [9])


async def test_an_insider_that_sends_nonsense_loses_its_stream() -> None:
    a, b = two_sides()
    async with running(a, b):
        a.ask(b, 1)
        await b.until(lambda side: side.numbers)
        a.streams._send(b.id, StreamClass.CONSENSUS, b"\x05nonsense")
        await a.until(lambda side: side.closed)
        assert a.closed == ["stream_bad_message"]
        assert b.dropped("stream_bad_message") == 1


async def test_a_kind_of_a_later_release_is_skipped_and_counted() -> None:
    a, b = two_sides()
    async with running(a, b):
        a.streams._send(b.id, StreamClass.CONSENSUS, b"\xff of tomorrow")
        a.ask(b, 1)
        await b.until(lambda side: side.numbers == [1])
        assert b.streams.counts["streams.unknown_kind"] == 1
        assert b.closed == []


def test_every_reason_to_end_a_stream_has_words() -> None:
    """Those that the sources give, and those that others give over the network."""
    sources = "".join(
        path.read_text()
        for path in [*Path(inbox.__file__).parent.glob("*.py"), *Path(values.__file__).parent.glob("*.py")]
    )
    given = set(re.findall(r'(?:\.end|\.abandon)\("(\w+)"\)|reason = "(\w+)"', sources))
    reasons = {one or other for one, other in given}
    assert reasons >= {"idle", "crossed", "replaced", "no_address"}
    assert [reason for reason in reasons if not meaning_of_end(reason)] == []
    assert all(meaning_of_end(reason) for reason in (*ENDS, "stream_busy", "stream_stalled"))
    assert meaning_of_end("of tomorrow") == ""


async def test_a_bug_of_a_stream_ends_that_stream_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oh")

    a, b = two_sides()
    async with running(a, b):
        a.ask(b, 1)
        await b.until(lambda side: side.numbers)
        with monkeypatch.context() as patched:
            patched.setattr(b.streams, "_arrived", broken)
            a.ask(b, 2)
            await a.until(lambda side: side.closed)
        assert [where for where, _ in b.bugs] == ["stream"]
        b.bugs.clear()
        a.ask(b, 3)
        await b.until(lambda side: side.numbers == [1, 3])
