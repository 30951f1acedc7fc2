"""The connections of the gateway: accept, bound, read and answer them, and close slow ones.

Owns the sockets and the time that each may take. Never knows what a request asks. One task serves all connections: a
task for each would cost more than the 6 KiB that a waiting question may take. The task waits for a selector of our own;
only a request that takes time by itself (a registration on its way to the disk) becomes a task.

The bounds, and what happens at each:
- 16,384 connections, or what the process may have descriptors for: the one idle for longest gives way; where none is
  idle, the next one is told and closed
- a request that is not whole after 10 s, a response that is not read for 30 s, a connection without a request for 2
  minutes: closed
- 16 MiB of requests that are not whole, of all connections together: the one that passes it is told and closed
- 64 MiB of responses that are not read, of all connections together: the one that passes it is closed
- 1 MiB that a reader of a stream has not taken: closed
"""

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf

import trio

from gossipreg.gateway.http.client import Answer, HttpConnection, Parked, Streaming
from gossipreg.gateway.http.deadlines import Deadlines
from gossipreg.gateway.http.doors import Door, door_of
from gossipreg.gateway.http.framing import CONTINUE, Reader, response_bytes, stream_head
from gossipreg.gateway.http.message import Head, HttpError, Request, Response, error_response, target_untrusted
from gossipreg.gateway.http.ports import HttpListener
from gossipreg.gateway.http.selection import READ, WRITE, Selection
from gossipreg.net import descriptors
from gossipreg.net.accepting import accept_connections

CONNECTIONS_MAX = 16_384
CONNECTIONS_MIN = 64
"""Served even if the process may have hardly any descriptors."""
REQUEST_S = 10.0
SEND_S = 30.0
IDLE_S = 120.0
"""Longer than clients commonly keep a connection (Go 90 s), so that they close it and no request meets a close."""
HELD_MAX_BYTES = 16 * 1024 * 1024
UNREAD_MAX_BYTES = 64 * 1024 * 1024
STREAM_MAX_BYTES = 1024 * 1024
READ_BYTES = 64 * 1024
TURN = 16
"""Events that are served before other tasks run: a few milliseconds."""
PIPELINED_TURN = 8
"""Requests of one connection that are answered before all other connections have their turn."""


class Server:
    def __init__(
        self, listeners: Sequence[HttpListener], check: Callable[[Door, Head], None],
        *, counts: Counter[str], bug: Callable[[str, Exception], None],
    ) -> None:  # fmt: skip
        """`check` raises HttpError for a request that must not be answered."""
        self._listeners = listeners
        self._check = check
        self._counts = counts
        self._bug = bug
        self._selection: Selection
        self._handle: Callable[[Request], Answer]
        """Both as long as it runs."""
        self._connections: dict[HttpConnection, None] = {}
        self._idle: dict[HttpConnection, None] = {}
        """Those that wait for a next request, longest first."""
        self._ready: dict[HttpConnection, None] = {}
        """Those that have more whole requests and wait for their turn."""
        self._deadlines = Deadlines()
        self._held_bytes = 0
        self._unread_bytes = 0
        self._sleep: trio.CancelScope | None = None
        self._nursery: trio.Nursery | None = None
        self._most = CONNECTIONS_MAX

    def __len__(self) -> int:
        return len(self._connections)

    async def run(self, handle: Callable[[Request], Answer]) -> None:
        """Until cancelled; then nothing of it is left open but the listeners. `handle` answers a request; it raises
        HttpError only, anything else is a bug and the answer a 500."""
        self._handle = handle
        allowed = descriptors.raise_descriptors(CONNECTIONS_MAX + descriptors.KEPT)
        self._most = max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, allowed - descriptors.KEPT))
        self._selection = Selection()
        try:
            async with trio.open_nursery() as self._nursery:
                for listener in self._listeners:
                    take = partial(self._admit, listener)
                    self._nursery.start_soon(partial(accept_connections, listener.sock, take, turn=TURN))
                await self._serve()
        finally:
            for connection in list(self._connections):
                self._close(connection)
            self._selection.close()

    # -- the loop ------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            if self._ready:
                await trio.lowlevel.checkpoint()
            else:
                with trio.CancelScope() as self._sleep:
                    self._sleep.deadline = self._deadlines.next
                    await trio.lowlevel.wait_readable(self._selection.fileno())
                self._sleep = None
            ready, self._ready = self._ready, {}
            for connection in ready:
                self._guarded(connection, self._proceed)
            for number, (connection, mask) in enumerate(self._selection.ready()):
                self._guarded(connection, partial(self._on_event, mask))
                if number % TURN == TURN - 1:
                    await trio.lowlevel.checkpoint()
            for connection in self._deadlines.due(trio.current_time()):
                self._guarded(connection, self._on_time)

    def _guarded(self, connection: HttpConnection, call: Callable[[HttpConnection], None]) -> None:
        """A bug in one connection ends that one."""
        try:
            call(connection)
        except Exception as error:
            self._bug("http_connection", error)
            self._close(connection)

    def _on_event(self, mask: int, connection: HttpConnection) -> None:
        if mask & WRITE:
            self._flush(connection)
            if not connection.out and connection in self._connections:
                self._proceed(connection)
        if mask & READ and connection in self._connections:
            self._read(connection)

    def _read(self, connection: HttpConnection) -> None:
        try:
            data = connection.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        if connection.stream is not None:
            return  # nothing that follows such a request is of interest
        if connection.reader.between and connection.parked is None and not connection.busy:
            self._due(connection, REQUEST_S)
        self._idle.pop(connection, None)
        connection.reader.feed(data)
        self._proceed(connection)

    def _proceed(self, connection: HttpConnection) -> None:
        """Answer what has arrived, as far as it is whole and the one before is answered."""
        for _ in range(PIPELINED_TURN):
            if connection not in self._connections or self._occupied(connection):
                break
            try:
                found = connection.reader.next_untrusted()
            except HttpError as error:
                connection.head = None
                self._respond(connection, self._instead(error, connection.reader.target), last=True)
                return
            if found is None:
                if connection.reader.continue_wanted():
                    self._write(connection, CONTINUE)
                if connection.reader.more:
                    self._again(connection)
                break
            connection.head, body = found
            self._begin(connection, connection.head, body)
        else:
            if not connection.reader.between:
                self._again(connection)
        if connection in self._connections and self._hold(connection):
            self._watch(connection)

    def _again(self, connection: HttpConnection) -> None:
        """Answer its further whole requests after the other connections have had their turn."""
        if connection in self._connections and not self._occupied(connection):
            self._ready[connection] = None
            if self._sleep is not None:
                self._sleep.cancel()

    def _occupied(self, connection: HttpConnection) -> bool:
        return bool(connection.out or connection.busy or connection.parked or connection.stream or connection.closing)

    def _begin(self, connection: HttpConnection, head: Head, body: bytes) -> None:
        self._counts["requests"] += 1
        try:
            if head.refused is not None:
                raise head.refused
            target = target_untrusted(head.target)
            request = Request(head.method, target.path, target.query, body, connection.reader.caller,
                              head.text(b"accept"), head.text(b"content-type"))  # fmt: skip
            answer = self._handle(request)
        except Exception as error:
            answer = self._instead(error, head.target)
        if isinstance(answer, Response):
            self._respond(connection, answer)
        elif isinstance(answer, Parked):
            connection.parked = answer
            self._due_at(connection, answer.deadline)
            answer.park(connection)
        elif isinstance(answer, Streaming):
            connection.stream = answer
            self._due_at(connection, inf)
            most = STREAM_MAX_BYTES
            opening = stream_head(answer.begin(lambda data: self._stream(connection, data, most)))
            most += len(opening)  # however large the registry is, its first reading is not what is too slow
            self._write(connection, opening)
        else:
            assert self._nursery is not None
            connection.busy = True
            self._due_at(connection, inf)
            self._nursery.start_soon(self._answer_later, connection, answer)

    async def _answer_later(self, connection: HttpConnection, awaited: Awaitable[Response]) -> None:
        try:
            response = await awaited
        except Exception as error:
            response = self._instead(error, b"" if connection.head is None else connection.head.target)
        connection.busy = False
        if connection in self._connections:
            self._guarded(connection, lambda c: self._finish(c, response))

    def _instead(self, error: Exception, target: bytes) -> Response:
        """The response to a failed request: an HttpError has its own, any other exception is a bug of ours."""
        if isinstance(error, HttpError):
            self._counts[f"refused.{error.status}"] += 1
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
        if connection in self._connections:
            self._proceed(connection)

    # -- writing -------------------------------------------------------------------------------------------------------

    def _respond(self, connection: HttpConnection, response: Response, *, last: bool = False) -> None:
        data, keep = response_bytes(response, connection.head)
        connection.closing = last or not keep
        connection.head = None
        self._write(connection, data)

    def _write(self, connection: HttpConnection, data: bytes) -> None:
        fresh = not connection.out
        connection.out += data
        self._unread_bytes += len(data)
        if fresh:
            self._flush(connection)
        if self._unread_bytes > UNREAD_MAX_BYTES and connection.out:
            self._counts["cut.unread_too_much"] += 1
            self._close(connection)

    def _flush(self, connection: HttpConnection) -> None:
        try:
            sent = connection.sock.send(connection.out)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.out = connection.out[sent:]
        self._unread_bytes -= sent
        if not connection.out and connection.closing:
            self._end(connection)
        elif not connection.out:
            quiet_s = IDLE_S if connection.reader.between else REQUEST_S
            self._due(connection, inf if connection.stream is not None else quiet_s)
        elif sent or connection.deadline == inf:
            self._due(connection, SEND_S)
        if connection in self._connections:
            self._watch(connection)

    def _stream(self, connection: HttpConnection, data: bytes, most: int) -> None:
        if connection not in self._connections:
            return
        if len(connection.out) + len(data) > most:
            self._counts["cut.stream_too_slow"] += 1
            self._close(connection)
        else:
            self._write(connection, data)

    def _end(self, connection: HttpConnection) -> None:
        """Close after the last response is sent. Bytes that the client has sent since are read first: else the kernel
        answers them with a reset, which may overtake the response."""
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_WR)
            for _ in range(16):
                if not connection.sock.recv(READ_BYTES):
                    break
        self._close(connection)

    # -- bounds --------------------------------------------------------------------------------------------------------

    def _hold(self, connection: HttpConnection) -> bool:
        """Count the bytes that wait for the rest of a request; False if they were too many and the connection is
        closed."""
        held = connection.reader.held_bytes
        self._held_bytes += held - connection.held
        connection.held = held
        if self._held_bytes > HELD_MAX_BYTES and held:
            self._counts["cut.held_too_much"] += 1
            self._close(connection)
            return False
        return True

    def _watch(self, connection: HttpConnection) -> None:
        """Have the selector wait for what this connection can do now."""
        mask = WRITE if connection.out else 0
        full = connection.parked is not None and connection.reader.held_bytes >= READ_BYTES
        if connection.stream is not None or not (
            connection.out or connection.busy or connection in self._ready or full
        ):
            mask |= READ
        self._selection.watch(connection, mask)
        if mask == READ and not self._occupied(connection) and connection.reader.between:
            self._idle[connection] = None

    def _due(self, connection: HttpConnection, seconds: float) -> None:
        self._due_at(connection, trio.current_time() + seconds)

    def _due_at(self, connection: HttpConnection, when: float) -> None:
        self._deadlines.set(connection, when)
        if self._sleep is not None and when < self._sleep.deadline:
            self._sleep.deadline = when

    def _on_time(self, connection: HttpConnection) -> None:
        if connection.parked is not None:
            parked, connection.parked = connection.parked, None
            parked.leave(connection)
            self._finish(connection, parked.now())
            return
        if not connection.reader.between or connection.out:
            self._counts["cut.too_slow"] += 1
        self._close(connection)

    # -- coming and going ----------------------------------------------------------------------------------------------

    def _admit(self, listener: HttpListener, sock: socket.socket, _host: str) -> None:
        if len(self._connections) >= self._most:
            if not self._idle:
                self._counts["cut.too_many"] += 1
                with sock, suppress(OSError):
                    sock.send(response_bytes(_too_many(), None)[0])
                return
            self._counts["cut.idle_longest"] += 1
            self._close(next(iter(self._idle)))
        try:
            door = door_of(sock)
            if not listener.unix:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # the client is gone already
            sock.close()
            return
        reader = Reader(listener.caller_of(sock), lambda head: self._check(door, head))
        connection = HttpConnection(sock, reader)
        self._connections[connection] = None
        self._counts["connections"] += 1
        self._due(connection, IDLE_S)
        self._watch(connection)

    def _close(self, connection: HttpConnection) -> None:
        if connection not in self._connections:
            return
        del self._connections[connection]
        self._held_bytes -= connection.held
        self._unread_bytes -= len(connection.out)
        connection.out = b""
        self._deadlines.forget(connection)
        for known in (self._idle, self._ready):
            known.pop(connection, None)
        self._selection.watch(connection, 0)
        connection.sock.close()
        if connection.parked is not None:
            connection.parked.leave(connection)
            connection.parked = None
        if connection.stream is not None:
            connection.stream.end()
            connection.stream = None


def _too_many() -> Response:
    return error_response(HttpError(503, "busy", "there are too many connections: close some"))
