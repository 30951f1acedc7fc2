"""Requests over kept connections, against a server that does what a test says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from gossipreg.net import http_client
from gossipreg.net.http_client import HttpClient, NotReached, NoWholeAnswer, OutgoingCall, Place
from scripts.tools.wait import BOUND_S


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    client.close()


Serve = Callable[[trio.SocketStream, int], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: one\r\n\r\nhi"
GET = OutgoingCall("GET", "/a?b=c", [("X-Own", "1")])


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[Place]:
    """`serve` gets each connection and its number, from 1 on."""
    numbers = iter(range(1, 100))

    async def one(stream: trio.SocketStream) -> None:
        async with stream:
            await serve(stream, next(numbers))

    with trio.fail_after(BOUND_S):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(lambda task_status: trio.serve_tcp(one, 0, host="127.0.0.1",
                                                                               task_status=task_status))  # fmt: skip
            yield "127.0.0.1", listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel()


async def whole_request(stream: trio.SocketStream) -> bytes:
    """The bytes of a request without a body; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some(4096)
        if not more:
            return b""
        data += more
    return data


async def ask(client: HttpClient, place: Place, call: OutgoingCall = GET, *, again: bool = False) -> tuple[int, bytes]:
    answer = await client.ask(place, call, most_bytes=1000, again=again)
    return answer.status, answer.body


async def test_a_connection_is_kept_for_the_next_request(client: HttpClient) -> None:
    seen: list[tuple[int, bytes]] = []

    async def serve(stream: trio.SocketStream, number: int) -> None:
        while data := await whole_request(stream):
            seen.append((number, data))
            await stream.send_all(OK)

    async with server(serve) as place:
        assert await ask(client, place) == (200, b"hi")
        assert await ask(client, place) == (200, b"hi")
    assert [number for number, _ in seen] == [1, 1]
    assert seen[0][1].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"X-Own: 1\r\n" in seen[0][1]
    assert b"Content-Length" not in seen[0][1]


async def test_a_connection_that_the_server_has_closed_is_not_used(client: HttpClient) -> None:
    closed = trio.Event()

    async def serve(stream: trio.SocketStream, number: int) -> None:
        await whole_request(stream)
        await stream.send_all(OK)
        if number == 1:
            await stream.aclose()
            closed.set()

    async with server(serve) as place:
        assert await ask(client, place) == (200, b"hi")
        await closed.wait()
        assert await ask(client, place, again=False) == (200, b"hi")


@pytest.mark.parametrize("beyond", [b"x", OK, b"\r\n"])
async def test_what_comes_behind_an_answer_is_not_the_next_answer(client: HttpClient, beyond: bytes) -> None:
    """A server that answers once too often would have settled a request that it never saw."""
    seen: list[int] = []

    async def serve(stream: trio.SocketStream, number: int) -> None:
        while await whole_request(stream):
            seen.append(number)
            await stream.send_all(OK + beyond if number == 1 else b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n")

    async with server(serve) as place:
        assert await ask(client, place) == (200, b"hi")
        assert await ask(client, place) == (422, b"")
    assert seen == [1, 2]


@pytest.mark.parametrize("again", [True, False])
async def test_a_kept_connection_that_ends_is_tried_anew_only_where_allowed(client: HttpClient, again: bool) -> None:
    async def serve(stream: trio.SocketStream, _number: int) -> None:
        await whole_request(stream)
        await stream.send_all(OK)
        await whole_request(stream)  # and closes without a word

    async with server(serve) as place:
        assert await ask(client, place) == (200, b"hi")
        if again:
            assert await ask(client, place, again=True) == (200, b"hi")
        else:
            with pytest.raises(NoWholeAnswer, match="closed the connection"):
                await ask(client, place, again=False)


async def test_a_new_connection_that_ends_is_not_tried_anew(client: HttpClient) -> None:
    connections: list[int] = []

    async def serve(stream: trio.SocketStream, number: int) -> None:
        connections.append(number)
        await whole_request(stream)

    async with server(serve) as place:
        with pytest.raises(NoWholeAnswer):
            await ask(client, place, again=True)
    assert connections == [1]


async def test_a_refused_connection_sent_nothing(client: HttpClient) -> None:
    async with server(lambda _stream, _number: trio.sleep_forever()) as place:
        pass
    with pytest.raises(NotReached, match=f"127.0.0.1:{place[1]} takes no connection: Connection refused"):
        await ask(client, place)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000, "has more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", "does not answer in HTTP/1.1"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer in HTTP/1.1"),
    ],
)
async def test_an_answer_that_is_none_says_why(client: HttpClient, said: bytes, why: str) -> None:
    async def serve(stream: trio.SocketStream, _number: int) -> None:
        await whole_request(stream)
        await stream.send_all(said)

    async with server(serve) as place:
        with pytest.raises(NoWholeAnswer, match=why):
            await ask(client, place)


async def test_an_answer_to_head_and_chunks_are_read_whole(client: HttpClient) -> None:
    async def serve(stream: trio.SocketStream, _number: int) -> None:
        await whole_request(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        await whole_request(stream)
        await stream.send_all(b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    async with server(serve) as place:
        assert await ask(client, place, OutgoingCall("HEAD", "/")) == (200, b"")
        assert await ask(client, place) == (201, b"abc")


async def test_no_more_connections_are_kept_than_the_bound(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "KEPT_EACH", 1)
    open_now: set[int] = set()
    both = trio.Event()

    async def serve(stream: trio.SocketStream, number: int) -> None:
        open_now.add(number)
        if len(open_now) == 2:
            both.set()
        while await whole_request(stream):
            await both.wait()
            await stream.send_all(OK)
        open_now.discard(number)

    async with server(serve) as place:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, client, place)
            nursery.start_soon(ask, client, place)
        while len(open_now) > 1:
            await trio.lowlevel.checkpoint()
        assert await ask(client, place) == (200, b"hi")
        assert len(open_now) == 1


async def test_an_answer_that_is_too_long_is_cut_where_that_is_asked_for(client: HttpClient) -> None:
    async def serve(stream: trio.SocketStream, _number: int) -> None:
        while await whole_request(stream):
            await stream.send_all(b"HTTP/1.1 201 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000)

    async with server(serve) as place:
        answer = await client.ask(place, GET, most_bytes=1000, again=False, cuts=True)
        assert (answer.status, len(answer.body), answer.cut) == (201, 1000, True)
        with pytest.raises(NoWholeAnswer, match="more than 1000 bytes"):
            await client.ask(place, GET, most_bytes=1000, again=False)
