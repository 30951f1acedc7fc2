"""The open connections: bytes in and out of their sockets, what each waits for and how long, and the bounds on all.

Never knows what a request is. One task serves all connections (`server.py`): it waits here until one of them can go on.
The task waits for a selector of our own, since a task for each connection would cost more than the 6 KiB that a
waiting read may take.

The bounds, and what happens at each:
- 16,384 connections, or what the process may have descriptors for: the one idle for longest gives way; if none is idle,
  the next one gets a 503 and is closed
- a request that is not whole after 10 s: 408, and closed
- a response that is not read for 30 s, a connection without a request for 2 minutes: closed
- 16 MiB of requests that are not whole, of all connections together: the connection that exceeds it is closed
- 64 MiB of responses that are not read, of all connections together: the connection that exceeds it is closed
- 1 MiB that the reader of a stream has not taken: closed
"""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from math import inf

import trio

from gossipreg.gateway.http.client import HttpConnection
from gossipreg.net.deadlines import Deadlines
from gossipreg.net.descriptors import HTTP_CLIENTS_MAX
from gossipreg.net.selection import READ, WRITE, Selection

CONNECTIONS_MAX = HTTP_CLIENTS_MAX
REQUEST_S = 10.0
SEND_S = 30.0
IDLE_S = 120.0
"""Longer than clients commonly keep a connection (Go 90 s), so that they close it and no request meets a close."""
HELD_MAX_BYTES = 16 * 1024 * 1024
UNREAD_MAX_BYTES = 64 * 1024 * 1024
STREAM_MAX_BYTES = 1024 * 1024
READ_BYTES = 64 * 1024


class Connections:
    def __init__(self, counts: Counter[str]) -> None:
        """`counts` is counted on: connections, and the reasons for which they were cut off."""
        self.most = CONNECTIONS_MAX
        self.held_bytes = 0
        """Bytes of requests that are not whole, of all connections."""
        self.unread_bytes = 0
        """Bytes of responses that the kernel has not taken, of all connections."""
        self._counts = counts
        self._selection = Selection[HttpConnection]()
        self._deadlines = Deadlines[HttpConnection]()
        self._open: dict[HttpConnection, None] = {}
        self._idle: dict[HttpConnection, None] = {}
        """Connections that wait for a next request, the longest idle first."""
        self._again: dict[HttpConnection, None] = {}
        """Connections that have more whole requests and wait for their turn."""
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, connection: HttpConnection) -> bool:
        return connection in self._open

    def __iter__(self) -> Iterator[HttpConnection]:
        return iter(self._open)

    # -- waiting -------------------------------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Until a connection can go on, or its time is up."""
        if self._again:
            await trio.lowlevel.checkpoint()
            return
        with trio.CancelScope() as self._sleep:
            self._sleep.deadline = self._deadlines.next
            await trio.lowlevel.wait_readable(self._selection.fileno())
        self._sleep = None

    def whose_turn(self) -> list[HttpConnection]:
        """The connections for which `again` was called since the last time."""
        again, self._again = self._again, {}
        return list(again)

    def ready(self) -> Iterator[tuple[HttpConnection, int]]:
        """The connections whose socket can be read (READ) or written (WRITE)."""
        return self._selection.ready()

    def overdue(self) -> Iterator[HttpConnection]:
        """The connections whose time is up; they have no deadline then."""
        return self._deadlines.due(trio.current_time())

    def again(self, connection: HttpConnection) -> None:
        """Give it another turn after the other connections have had theirs."""
        if connection in self._open and not connection.occupied:
            self._again[connection] = None
            if self._sleep is not None:
                self._sleep.cancel()

    def watch(self, connection: HttpConnection) -> None:
        """Have the selector wait for what this connection can do now."""
        mask = WRITE if connection.out else 0
        full = connection.parked is not None and connection.reader.held_bytes >= READ_BYTES
        if connection.stream is not None or not (
            connection.out or connection.busy or connection in self._again or full
        ):
            mask |= READ
        self._selection.watch(connection, mask)
        if mask == READ and not connection.occupied and connection.reader.between:
            self._idle[connection] = None

    def due_in(self, connection: HttpConnection, seconds: float) -> None:
        self.due_at(connection, trio.current_time() + seconds)

    def due_at(self, connection: HttpConnection, when: float) -> None:
        """Its time is up then; inf: never."""
        self._deadlines.set(connection, when)
        if self._sleep is not None and when < self._sleep.deadline:
            self._sleep.deadline = when

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def read(self, connection: HttpConnection) -> bytes:
        """The bytes of requests that have arrived; empty if none have, or if the connection is closed now."""
        try:
            data = connection.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
        if not data:
            self.close(connection)
            return b""
        if connection.stream is not None:
            return b""  # nothing that follows such a request is of interest
        if connection.reader.between and connection.parked is None and not connection.busy:
            self.due_in(connection, REQUEST_S)
        self._idle.pop(connection, None)
        return data

    def hold(self, connection: HttpConnection) -> bool:
        """Count the bytes that wait for the rest of a request. False if they were too many and the connection is
        closed."""
        held = connection.reader.held_bytes
        self.held_bytes += held - connection.held
        connection.held = held
        if self.held_bytes > HELD_MAX_BYTES and held:
            self._counts["cut.held_too_much"] += 1
            self.close(connection)
            return False
        return True

    def write(self, connection: HttpConnection, data: bytes) -> None:
        fresh = not connection.out
        connection.out = data if fresh else b"".join((connection.out, data))
        self.unread_bytes += len(data)
        if fresh:
            self.flush(connection)
        if self.unread_bytes > UNREAD_MAX_BYTES and connection.out:
            self._counts["cut.unread_too_much"] += 1
            self.close(connection)

    def write_stream(self, connection: HttpConnection, data: bytes, most: int) -> None:
        """Write unless more than `most` bytes would wait for the reader: then close."""
        if connection not in self._open:
            return
        if len(connection.out) + len(data) > most:
            self._counts["cut.stream_too_slow"] += 1
            self.close(connection)
        else:
            self.write(connection, data)

    def flush(self, connection: HttpConnection) -> None:
        """Hand the kernel what it takes; set the deadline of what comes next."""
        try:
            sent = connection.sock.send(connection.out)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close(connection)
            return
        connection.out = memoryview(connection.out)[sent:] if sent < len(connection.out) else b""
        self.unread_bytes -= sent
        if not connection.out and connection.closing:
            self._end(connection)
        elif not connection.out:
            quiet_s = IDLE_S if connection.reader.between else REQUEST_S
            self.due_in(connection, inf if connection.stream is not None else quiet_s)
        elif sent or connection.deadline == inf:
            self.due_in(connection, SEND_S)
        if connection in self._open:
            self.watch(connection)

    # -- coming and going ----------------------------------------------------------------------------------------------

    def make_room(self) -> bool:
        """Whether one more connection may come; at the most, the one idle for longest is closed for it."""
        if len(self._open) < self.most:
            return True
        if not self._idle:
            self._counts["cut.too_many"] += 1
            return False
        self._counts["cut.idle_longest"] += 1
        self.close(next(iter(self._idle)))
        return True

    def add(self, connection: HttpConnection) -> None:
        """Take in the connection of a client that has just connected; `watch` lets it be waited for."""
        self._open[connection] = None
        self._counts["connections"] += 1
        self.due_in(connection, IDLE_S)

    def end_of_time(self, connection: HttpConnection) -> None:
        """Close a connection whose time is up; one that has not read its response was too slow."""
        if connection.out:
            self._counts["cut.too_slow"] += 1
        self.close(connection)

    def _end(self, connection: HttpConnection) -> None:
        """Close after the last response is sent. Bytes that the client has sent since are read first: else the kernel
        answers them with a reset, which may overtake the response."""
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_WR)
            for _ in range(16):
                if not connection.sock.recv(READ_BYTES):
                    break
        self.close(connection)

    def close(self, connection: HttpConnection) -> None:
        if connection not in self._open:
            return
        del self._open[connection]
        self.held_bytes -= connection.held
        self.unread_bytes -= len(connection.out)
        connection.out = b""
        self._deadlines.forget(connection)
        for known in (self._idle, self._again):
            known.pop(connection, None)
        self._selection.watch(connection, 0)
        connection.sock.close()
        if connection.parked is not None:
            connection.parked.leave(connection)
            connection.parked = None
        if connection.stream is not None:
            connection.stream.end()
            connection.stream = None

    def close_all(self) -> None:
        for connection in list(self._open):
            self.close(connection)
        self._selection.close()
