"""Requests to HTTP servers, over connections that are kept for the next request.

Owns the connections, and what is known of a request that failed: whether anything of it was sent. Never knows what a
request is for, or whether it may be sent again. Speaks HTTP/1.1 in clear text, follows no redirect, and waits as long
as its caller does, but for a connection.
"""

import os
import select
from collections.abc import Sequence
from dataclasses import dataclass

import h11
import trio

from gossipreg.errors import GossipregError

CONNECT_S = 5.0
"""How long a server has to take a connection."""
IDLE_S = 4.0
"""How long a connection is kept: less than the 5 s after which Node and uvicorn close theirs."""
KEPT_EACH = 16
KEPT_ALL = 256
"""Connections that are kept, to one server and to all."""
REQUESTS_MAX = 1024
"""At once, of those that take a place before: each has a connection."""
READ_BYTES = 64 * 1024
HEAD_BYTES = 64 * 1024

Place = tuple[str, int]
"""The host and the port of a server."""


class NotReached(GossipregError):
    """The server takes no connection. Nothing was sent."""

    code = "not_reached"


class NoWholeAnswer(GossipregError):
    """The request was sent, at least in part, and no whole answer came: the server may have acted on it."""

    code = "no_answer"

    def __init__(self, message: str, *, unheard: bool = False) -> None:
        """`unheard`: the server closed a kept connection before it said anything."""
        super().__init__(message)
        self.unheard = unheard


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes
    cut: bool = False
    """The body was longer than asked for: this is its beginning."""

    def header(self, name: str) -> str:
        """The first header of this name; empty if there is none."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A request. Host, Content-Length and Connection are added. A header's value has a character for each byte."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(slots=True)
class _Kept:
    stream: trio.SocketStream
    parser: h11.Connection
    until: float

    @property
    def usable(self) -> bool:
        """Whether the server has neither closed it nor said what nobody asked."""
        poll = select.poll()
        poll.register(self.stream.socket.fileno(), select.POLLIN)
        return trio.current_time() < self.until and not poll.poll(0)


class HttpClient:
    def __init__(self) -> None:
        self._kept: dict[Place, list[_Kept]] = {}
        """The last used is the last of its list."""
        self.places = trio.CapacityLimiter(REQUESTS_MAX)
        """For callers that have no other bound: they take one for the time of a request."""

    async def ask(
        self, place: Place, call: OutgoingCall, *, most_bytes: int, again: bool, cuts: bool = False,
        connect_s: float = CONNECT_S,
    ) -> HttpAnswer:  # fmt: skip
        """The server's answer, whatever its status, with at most `most_bytes` of body; `cuts`: a longer one is cut, and
        is no whole answer otherwise. `again`: the request may be sent once more where the server closed a kept
        connection without a word. `connect_s`: how long the server has to take a connection. Raises NotReached or
        NoWholeAnswer; ValueError where the request has no form in HTTP/1.1, and is not sent."""
        asked = _Asked(place, call, most_bytes, cuts)
        kept = self._take(place)
        if kept is not None:
            try:
                return await self._converse(asked, kept, kept_before=True)
            except NoWholeAnswer as error:
                if not (again and error.unheard):
                    raise
        return await self._converse(asked, await _connected(place, connect_s), kept_before=False)

    def close(self) -> None:
        """Close the connections that are kept."""
        for kept in [one for some in self._kept.values() for one in some]:
            kept.stream.socket.close()
        self._kept.clear()

    def _take(self, place: Place) -> _Kept | None:
        some = self._kept.get(place, [])
        while some:
            kept = some.pop()
            if not some:
                del self._kept[place]
            if kept.usable:
                return kept
            kept.stream.socket.close()
        return None

    async def _converse(self, asked: "_Asked", kept: _Kept, *, kept_before: bool) -> HttpAnswer:
        try:
            answer = await _exchange(asked, kept, kept_before=kept_before)
        except BaseException:
            kept.stream.socket.close()
            raise
        self._keep(asked.place, kept)
        return answer

    def _keep(self, place: Place, kept: _Kept) -> None:
        beyond, _ = kept.parser.trailing_data  # behind the answer: it would be taken for that of the next request
        if kept.parser.our_state is not h11.DONE or kept.parser.their_state is not h11.DONE or beyond:
            kept.stream.socket.close()
            return
        kept.parser.start_next_cycle()
        kept.until = trio.current_time() + IDLE_S
        self._drop_old()
        some = self._kept.setdefault(place, [])
        some.append(kept)
        if len(some) > KEPT_EACH:
            some.pop(0).stream.socket.close()

    def _drop_old(self) -> None:
        """Close what is kept for too long; all of it where there is too much."""
        now = trio.current_time()
        too_many = sum(map(len, self._kept.values())) >= KEPT_ALL
        for place, some in list(self._kept.items()):
            for kept in [one for one in some if too_many or one.until <= now]:
                some.remove(kept)
                kept.stream.socket.close()
            if not some:
                del self._kept[place]


@dataclass(frozen=True, slots=True)
class _Asked:
    place: Place
    call: OutgoingCall
    most_bytes: int
    cuts: bool


async def _connected(place: Place, connect_s: float) -> _Kept:
    host, port = place
    try:
        with trio.fail_after(connect_s):
            stream = await trio.open_tcp_stream(host, port)
    except trio.TooSlowError:
        raise NotReached(f"{shown_place(place)} takes no connection within {connect_s:.2g} s") from None
    except OSError as error:
        raise NotReached(f"{shown_place(place)} takes no connection: {_why(error)}") from None
    return _Kept(stream, h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES), 0.0)


async def _exchange(asked: _Asked, kept: _Kept, *, kept_before: bool) -> HttpAnswer:
    shown, heard = shown_place(asked.place), False
    try:
        await kept.stream.send_all(_request_bytes(kept.parser, asked.place, asked.call))
        status, body = 0, bytearray()
        headers: tuple[tuple[str, str], ...] = ()
        while True:
            event = kept.parser.next_event()
            match event:
                case h11.NEED_DATA:
                    data = await kept.stream.receive_some(READ_BYTES)
                    heard = heard or bool(data)
                    kept.parser.receive_data(data)
                case h11.Response():
                    status, headers = event.status_code, _headers(event)
                case h11.Data():
                    body += event.data
                    if len(body) > asked.most_bytes:
                        if asked.cuts:
                            return HttpAnswer(status, headers, bytes(body[: asked.most_bytes]), cut=True)
                        raise NoWholeAnswer(f"the answer of {shown} has more than {asked.most_bytes} bytes")
                case h11.EndOfMessage():
                    return HttpAnswer(status, headers, bytes(body))
    except h11.RemoteProtocolError as error:
        if not heard:
            raise NoWholeAnswer(f"{shown} closed the connection", unheard=kept_before) from None
        raise NoWholeAnswer(f"{shown} does not answer in HTTP/1.1: {error}") from None
    except (OSError, trio.BrokenResourceError) as error:
        why = f"the connection to {shown} broke: {_why(error.__cause__ or error)}"
        raise NoWholeAnswer(why, unheard=kept_before and not heard) from None


def _request_bytes(parser: h11.Connection, place: Place, call: OutgoingCall) -> bytes:
    """Raises ValueError where it has no form in HTTP/1.1."""
    headers = [("Host", shown_place(place)), *call.headers]
    if call.body or call.method not in ("GET", "HEAD"):
        headers.append(("Content-Length", str(len(call.body))))
    try:
        encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
        data = parser.send(h11.Request(method=call.method, target=call.target, headers=encoded)) or b""
    except h11.LocalProtocolError as error:
        raise ValueError(f"the request has no form in HTTP/1.1: {error}") from None
    if call.body:
        data += parser.send(h11.Data(call.body)) or b""
    return data + (parser.send(h11.EndOfMessage()) or b"")


def _headers(event: h11.Response) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers)


def shown_place(place: Place) -> str:
    """`host:port`."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(error: BaseException | None) -> str:
    """In words of the system, where it has some; trio gathers the errors of all addresses of a name."""
    if error is None:
        return ""
    inner = [error.__cause__, *getattr(error, "exceptions", ())]
    found = next(filter(None, map(_why, inner)), "")
    system = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else ""
    return found or system or str(error) or type(error).__name__
