"""Streams between members over real sockets: opened on demand, at most one for two members, never closed in silence."""

import socket
from contextlib import ExitStack, closing
from unittest.mock import Mock

import pytest

from gossipreg.daemon.streams import node_streams, opening, stream_sockets
from gossipreg.daemon.streams.accepting import on_loopback
from gossipreg.daemon.streams.inbox import StreamClosed, StreamOpened
from gossipreg.model import Address
from gossipreg.net.listening import address_of
from gossipreg.streams.values import STOPPED
from gossipreg.wire.seal import Keyring
from tests.daemon.streams.members import Book, StreamSide, piece, question, running, two_sides
from tests.streams.ends import RING, an_end

OTHER = Keyring((b"n" * 32,))


@pytest.mark.parametrize("ring", [RING, None])
async def test_a_message_opens_a_stream_and_the_answer_uses_it(ring: Keyring | None) -> None:
    a, b = two_sides(ring)
    async with running(a, b):
        a.ask(b, 1)
        await b.until(lambda side: side.numbers == [1])
        b.ask(a, 2)
        await a.until(lambda side: side.numbers == [2])
        assert a.news[0] == StreamOpened(b.id, b.own.member.boot_id, b.own.member.generation)
        assert b.news[0] == StreamOpened(a.id, a.own.member.boot_id, a.own.member.generation)
        assert (a.opened, b.opened) == ([b.id], [a.id])
        assert a.closed == b.closed == []
        assert a.streams.open_to() == [b.id]
        assert a.streams.statistics() == {
            "streams": 1, "streams_opening": 0, "streams_half_open": 0, "streams_failed": 0,
            "streams_broken": 0, "streams_held_bytes": 0, "streams.opened": 1,
        }  # fmt: skip


async def test_what_is_sent_while_nothing_runs_is_told_as_closed() -> None:
    a, b = two_sides()
    a.ask(b, 1)
    assert a.streams.inbox.receive_nowait() == StreamClosed(b.id, "not_running")
    async with running(a, b):
        a.ask(b, 2)
        await b.until(lambda side: side.numbers == [2])
    a.ask(b, 3)
    news = [a.streams.inbox.receive_nowait() for _ in range(2)]
    assert news == [StreamClosed(b.id, STOPPED), StreamClosed(b.id, "not_running")]


async def test_a_sidecar_that_stops_says_so() -> None:
    a, b = two_sides()
    async with running(a):
        async with running(b):
            a.ask(b, 1)
            await b.until(lambda side: side.numbers)
        await a.until(lambda side: side.closed)
        assert a.closed == [STOPPED]


async def test_an_opening_that_fails_by_mistake_is_told_as_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two_sides()
    async with running(a, b):
        with monkeypatch.context() as patched:
            patched.setattr(a.streams, "_addresses", {}.__getitem__)
            a.ask(b, 1)
            await a.until(lambda side: side.closed)
        assert [where for where, _ in a.bugs] == ["stream"]
        a.bugs.clear()
        a.ask(b, 2)
        await b.until(lambda side: side.numbers == [2])


async def test_many_and_large_messages_arrive_in_order() -> None:
    a, b = two_sides()
    async with running(a, b):
        for number in range(300):
            a.ask(b, number)
            if number % 100 == 0:
                a.send(b, piece(1_000_000))
        await b.until(lambda side: len(side.received) == 303)
        assert b.numbers == list(range(300))


async def test_urgent_messages_overtake_large_ones() -> None:
    a, b = two_sides()
    async with running(a, b):
        a.ask(b, 0)
        await b.until(lambda side: side.numbers)
        for _ in range(4):
            a.send(b, piece(1_000_000))
        a.ask(b, 1)
        await b.until(lambda side: len(side.received) == 6)
        assert b.received[1].message == question(1)


async def test_a_member_that_does_not_listen_is_told_as_failed() -> None:
    a, b = two_sides()
    b.listener.close()
    async with running(a):
        a.ask(b, 1)
        await a.until(lambda side: side.closed)
        assert a.closed == ["ECONNREFUSED"]
        assert a.streams.failed()[b.id].reason == "ECONNREFUSED"
        a.ask(b, 2)
        await a.until(lambda side: len(side.closed) == 2)
        failed = a.streams.failed()[b.id]
        assert failed.wait_s == opening.RETRY.after(opening.RETRY.first_s)
        assert failed.at - failed.since >= opening.RETRY.first_s


async def test_a_member_without_an_address_is_told_as_closed() -> None:
    a, _ = two_sides()
    async with running(a):
        a.ask(an_end(9).member.id, 1)
        await a.until(lambda side: side.closed)
        assert a.closed == ["no_address"]


async def test_the_next_address_of_a_member_is_tried() -> None:
    book = Book()
    a, b = StreamSide(book, an_end(1)), StreamSide(book, an_end(2))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        book.addresses[b.id] = (address_of(unused), *b.address)
        async with running(a, b):
            a.ask(b, 1)
            await b.until(lambda side: side.numbers)
            assert a.closed == []
            assert a.streams.failed() == {}


async def test_an_address_that_changed_hands_gets_no_message() -> None:
    book = Book()
    a, b, c = (StreamSide(book, an_end(number)) for number in (1, 2, 3))
    book.addresses[b.id] = c.address
    async with running(a, b, c):
        a.ask(b, 1)
        await a.until(lambda side: side.closed)
        assert a.closed == ["stream_wrong_member"]
        assert c.dropped("stream_wrong_member") == 1
        assert c.news == []


async def test_a_member_with_another_key_opens_nothing() -> None:
    book = Book()
    a, b = StreamSide(book, an_end(1), OTHER), StreamSide(book, an_end(2), RING)
    async with running(a, b):
        a.ask(b, 1)
        await a.until(lambda side: side.closed)
        assert b.news == []
        assert b.dropped("stream_unknown_key") == 1


async def test_without_a_key_nothing_leaves_the_host() -> None:
    book = Book()
    a = StreamSide(book, an_end(1), None)
    away = an_end(2).member.id
    book.addresses[away] = (Address("192.0.2.1", 7940),)
    async with running(a):
        a.ask(away, 1)
        await a.until(lambda side: side.closed)
        assert a.closed == ["off_loopback"]


async def test_without_a_key_no_stream_of_another_machine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_streams, "on_loopback", Mock(return_value=False))
    a, b = two_sides(None)
    async with running(a, b):
        a.ask(b, 1)
        await a.until(lambda side: side.closed)
        assert b.dropped("stream_off_loopback") == 1
        assert b.news == []


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [("127.0.0.1", "127.9.9.9", True), ("::1", "::1", True), ("127.0.0.1", "10.0.0.1", False)],
)
def test_both_ends_have_to_be_on_loopback(here: str, there: str, expected: bool) -> None:
    sock = Mock(getsockname=lambda: (here, 1), getpeername=lambda: (there, 2))
    assert on_loopback(sock) is expected
    gone = Mock(getsockname=lambda: (here, 1), getpeername=Mock(side_effect=OSError))
    assert not on_loopback(gone)


async def test_a_connection_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog takes no connection, as a firewall that drops them without a word."""
    monkeypatch.setattr(stream_sockets, "CONNECT_S", 0.1)
    a, b = two_sides()
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        a.book.addresses[b.id] = (address_of(full),)
        async with running(a):
            a.ask(b, 1)
            await a.until(lambda side: side.closed)
            assert a.closed == ["connect_timeout"]
            assert a.streams.failed()[b.id].reason == "connect_timeout"


async def test_a_change_of_keys_ends_old_streams_and_new_ones_open() -> None:
    book = Book()
    a, b = StreamSide(book, an_end(1)), StreamSide(book, an_end(2))
    both = Keyring((RING.keys[0], OTHER.keys[0]))
    async with running(a, b):
        a.ask(b, 1)
        await b.until(lambda side: side.numbers == [1])
        for ring in (both, Keyring(both.keys[::-1])):
            a.streams.rekey(ring)
            b.streams.rekey(ring)
        a.ask(b, 2)
        await b.until(lambda side: side.numbers == [1, 2])
        assert a.closed == b.closed == []
        a.streams.rekey(OTHER)
        await b.until(lambda side: side.closed == ["key_left"])
        await a.until(lambda side: side.closed == ["key_left"])
        a.ask(b, 3)
        await b.until(lambda side: side.numbers == [1, 2, 3])


async def test_the_key_that_the_other_member_opens_is_used() -> None:
    book = Book()
    a = StreamSide(book, an_end(1), Keyring((OTHER.keys[0], RING.keys[0])))
    b = StreamSide(book, an_end(2), RING)
    book.keys[b.id] = RING.ids()
    async with running(a, b):
        a.ask(b, 1)
        await b.until(lambda side: side.numbers)


async def test_a_closed_stream_is_told_at_both_ends() -> None:
    a, b = two_sides()
    async with running(a, b):
        a.ask(b, 1)
        await b.until(lambda side: side.numbers)
        a.streams.close(b.id, "dead")
        await b.until(lambda side: side.closed)
        await a.until(lambda side: side.closed)
        assert (a.closed, b.closed) == (["dead"], ["dead"])
        assert a.streams.open_to() == b.streams.open_to() == []


async def test_closing_while_it_opens_gives_up_what_waits() -> None:
    a, b = two_sides()
    async with running(a, b):
        a.ask(b, 1)
        a.streams.close(b.id, "left")
        await a.until(lambda side: side.closed)
        assert a.closed == ["left"]
        assert a.streams.statistics()["streams_opening"] == 0


async def test_a_restarted_member_takes_the_place_of_its_old_process() -> None:
    book = Book()
    a, old = StreamSide(book, an_end(1)), StreamSide(book, an_end(2, boot=1, generation=5))
    new = StreamSide(book, an_end(2, boot=2, generation=6))
    async with running(a, old, new):
        old.ask(a, 1)
        await a.until(lambda side: side.numbers == [1])
        new.ask(a, 2)
        await a.until(lambda side: side.numbers == [1, 2])
        assert a.closed == ["replaced"]
        assert [one.generation for one in a.news if isinstance(one, StreamOpened)] == [5, 6]
        old.ask(a, 3)
        await old.until(lambda side: "stream_old_process" in side.closed or side.closed == ["replaced"])
        old.ask(a, 4)
        await old.until(lambda side: "stream_old_process" in side.closed)
        assert a.numbers == [1, 2]
