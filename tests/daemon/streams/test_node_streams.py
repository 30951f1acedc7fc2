"""Streams between members over real sockets: opened on demand, at most one for two members, never closed in silence."""

import re
import socket
from contextlib import ExitStack, closing
from pathlib import Path
from unittest.mock import Mock

import pytest
import trio
import trio.testing

from gossipreg.daemon.streams import inbox, node_streams, opening
from gossipreg.daemon.streams.accepting import on_loopback
from gossipreg.daemon.streams.inbox import StreamClosed, StreamOpened, StreamReceived
from gossipreg.model import Address
from gossipreg.net.listening import address_of
from gossipreg.streams import values
from gossipreg.streams.values import ENDS, STOPPED, StreamClass, meaning_of_end
from gossipreg.wire.seal import Keyring
from tests.daemon.streams.members import Book, StreamSide, piece, question, running, two_sides, wait_for
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
            "streams_held_bytes": 0, "streams.opened": 1,
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
    monkeypatch.setattr(node_streams, "CONNECT_S", 0.1)
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


# -- limits ------------------------------------------------------------------------------------------------------------


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
