"""Serves the connections of the gateway: requests from their bytes, answers to their bytes, in turns.

Never knows what a request asks. One task serves all connections; only a request that takes time by itself (a
registration on its way to the disk) becomes a task. A connection that sends many requests at once, or many connections
that send at once, hold up the sidecar for a few milliseconds at most. `connections.py` has the bounds.
"""

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf

import trio

from gossipreg.gateway.http import connections
from gossipreg.gateway.http.client import Answer, HttpConnection, Parked, Streaming, StreamOut
from gossipreg.gateway.http.connections import Connections
from gossipreg.gateway.http.doors import Door, door_of
from gossipreg.gateway.http.ports import HttpListener
from gossipreg.net import descriptors
from gossipreg.net.accepting import NoRoom, accept_connections, ignore
from gossipreg.net.http_framing import CONTINUE, Reader, response_bytes, stream_head
from gossipreg.net.http_message import Head, HttpError, Request, Response, error_response, target_untrusted
from gossipreg.net.other_protocols import OtherProtocol
from gossipreg.net.selection import READ, WRITE

CONNECTIONS_MIN = 64
"""Served even if the process may have hardly any descriptors."""
TURN = 16
"""Events that are served before other tasks run: a few milliseconds."""
PIPELINED_TURN = 8
"""Requests of one connection that are answered before all other connections have their turn."""


class Server:
    def __init__(
        self, listeners: Sequence[HttpListener], check: Callable[[Door, Head], None],
        *, counts: Counter[str], bug: Callable[[str, Exception], None], full: NoRoom = ignore,
    ) -> None:  # fmt: skip
        """`check` raises HttpError for a request that must not be answered. `full` hears of connections that the system
        has no room for."""
        self.connections = Connections(counts)
        self._listeners = listeners
        self._check = check
        self._counts = counts
        self._bug = bug
        self._full = full
        self._handle: Callable[[Request], Answer]
        self._nursery: trio.Nursery
        """Both as long as it runs."""

    async def run(self, handle: Callable[[Request], Answer]) -> None:
        """Until cancelled; then nothing of it is left open but the listeners. `handle` answers a request; it raises
        HttpError only, anything else is a bug and the answer a 500."""
        self._handle = handle
        room = descriptors.for_http_clients(descriptors.raise_descriptors())
        self.connections.most = max(CONNECTIONS_MIN, room)
        try:
            async with trio.open_nursery() as self._nursery:
                for listener in self._listeners:
                    take = partial(self._admit, listener)
                    accept = partial(accept_connections, listener.sock, take, turn=TURN, full=self._full)
                    self._nursery.start_soon(accept)
                await self._serve()
        finally:
            self.connections.close_all()

    async def _serve(self) -> None:
        while True:
            await self.connections.wait()
            for connection in self.connections.whose_turn():
                self._guarded(connection, self._proceed)
            for number, (connection, mask) in enumerate(self.connections.ready()):
                self._guarded(connection, partial(self._on_event, mask))
                if number % TURN == TURN - 1:
                    await trio.lowlevel.checkpoint()
            for connection in self.connections.overdue():
                self._guarded(connection, self._on_time)

    def _guarded(self, connection: HttpConnection, call: Callable[[HttpConnection], None]) -> None:
        """A bug in one connection ends that one."""
        try:
            call(connection)
        except Exception as error:
            self._bug("http_connection", error)
            self.connections.close(connection)

    def _admit(self, listener: HttpListener, sock: socket.socket, _host: str) -> None:
        if not self.connections.make_room():
            with sock, suppress(OSError):
                sock.send(response_bytes(_too_many(), None)[0])
            return
        try:
            door = door_of(sock)
            if not listener.unix:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # the client is gone already
            sock.close()
            return
        reader = Reader(listener.caller_of(sock), lambda head: self._check(door, head))
        connection = HttpConnection(sock, reader)
        self.connections.add(connection)
        self._guarded(connection, self.connections.watch)

    def _on_event(self, mask: int, connection: HttpConnection) -> None:
        if mask & WRITE:
            self.connections.flush(connection)
            if not connection.out and connection in self.connections:
                if connection.stream is not None:
                    connection.stream.drained()
                self._proceed(connection)
        if mask & READ and connection in self.connections:
            data = self.connections.read(connection)
            if data:
                connection.reader.feed(data)
                self._proceed(connection)

    def _proceed(self, connection: HttpConnection) -> None:
        """Answer what has arrived, as far as it is whole and the one before is answered."""
        for _ in range(PIPELINED_TURN):
            if connection not in self.connections or connection.occupied:
                break
            try:
                found = connection.reader.next_untrusted()
            except HttpError as error:
                connection.head = None
                self._respond(connection, self._instead(error, connection.reader.target), last=True)
                return
            if found is None:
                if connection.reader.continue_wanted():
                    self.connections.write(connection, CONTINUE)
                if connection.reader.more:
                    self.connections.again(connection)
                break
            connection.head, body = found
            self._begin(connection, connection.head, body)
        else:
            if not connection.reader.between:
                self.connections.again(connection)
        if connection in self.connections and self.connections.hold(connection):
            self.connections.watch(connection)

    def _begin(self, connection: HttpConnection, head: Head, body: bytes) -> None:
        self._counts["requests"] += 1
        try:
            if head.refused is not None:
                raise head.refused
            target = target_untrusted(head.target)
            request = Request(head.method, target.path, target.query, body, connection.reader.caller,
                              head.text(b"accept"), head.text(b"content-type"), head.target, head.headers)  # fmt: skip
            answer = self._handle(request)
        except Exception as error:
            answer = self._instead(error, head.target)
        if isinstance(answer, Response):
            self._respond(connection, answer)
        elif isinstance(answer, Parked):
            connection.parked = answer
            self.connections.due_at(connection, answer.deadline)
            answer.park(connection)
        elif isinstance(answer, Streaming):
            self._begin_stream(connection, answer)
        else:
            connection.busy = True
            self.connections.due_at(connection, inf)
            self._nursery.start_soon(self._answer_later, connection, answer)

    def _begin_stream(self, connection: HttpConnection, stream: Streaming) -> None:
        connection.stream = stream
        self.connections.due_at(connection, inf)
        most = connections.STREAM_MAX_BYTES
        out = StreamOut(
            write=lambda data: self.connections.write_stream(connection, data, most),
            unsent_bytes=lambda: len(connection.out),
            close=lambda: self.connections.close(connection),
        )
        opening = stream_head(stream.begin(out))
        most += len(opening)  # however large the registry is, its first reading is not what is too slow
        self.connections.write(connection, opening)

    async def _answer_later(self, connection: HttpConnection, awaited: Awaitable[Response | Streaming]) -> None:
        answer: Response | Streaming
        try:
            answer = await awaited
        except Exception as error:
            answer = self._instead(error, b"" if connection.head is None else connection.head.target)
        connection.busy = False
        if connection in self.connections:
            self._guarded(connection, lambda c: self._finish_later(c, answer))

    def _finish_later(self, connection: HttpConnection, answer: Response | Streaming) -> None:
        if isinstance(answer, Response):
            self._finish(connection, answer)
        else:
            self._begin_stream(connection, answer)
            if connection in self.connections:
                self.connections.watch(connection)

    def _instead(self, error: Exception, target: bytes) -> Response:
        """The response to a failed request: an HttpError has its own, any other exception is a bug of ours."""
        if isinstance(error, HttpError):
            self._counts[f"refused.{error.status}"] += 1
            if isinstance(error, OtherProtocol):
                self._counts[f"drop.{error.reason}"] += 1
            return error_response(error, target)
        self._bug("http_request", error)
        message = "this failed inside the sidecar, and its log says how: please report it"
        return error_response(HttpError(500, "failed", message), target)

    def answer(self, connection: HttpConnection, parked: Parked, response: Response) -> None:
        """Send the response that a connection waits for, if it still does."""
        if connection.parked is parked:
            connection.parked = None
            self._guarded(connection, lambda c: self._finish(c, response))

    def _finish(self, connection: HttpConnection, response: Response) -> None:
        self._respond(connection, response)
        if connection in self.connections:
            self._proceed(connection)

    def _respond(self, connection: HttpConnection, response: Response, *, last: bool = False) -> None:
        data, keep = response_bytes(response, connection.head)
        connection.closing = last or not keep
        connection.head = None
        self.connections.write(connection, data)

    def _on_time(self, connection: HttpConnection) -> None:
        if connection.parked is not None:
            parked, connection.parked = connection.parked, None
            parked.leave(connection)
            self._finish(connection, parked.now())
        elif connection.reader.between or connection.out:
            self.connections.end_of_time(connection)
        else:
            self._counts["cut.too_slow"] += 1
            error = _not_whole(connection.reader.in_body)
            self._respond(connection, self._instead(error, connection.reader.target), last=True)


def _not_whole(in_body: bool) -> HttpError:
    """A wrong Content-Length, most often: the client waits for an answer and believes that it has sent all."""
    part = "its body has fewer bytes than it says" if in_body else "its head does not end with an empty line"
    return HttpError(408, "too_slow", f"the request is not whole after {connections.REQUEST_S:g} s: {part}", close=True)


def _too_many() -> Response:
    return error_response(HttpError(503, "busy", "there are too many connections: close some"))
