"""The open connections of the gateway: bytes in and out of their sockets, what each waits for and how long, and the
bounds.

Never knows what a message is. One task serves all connections (`grpc_server.py`): it waits here until one of them can
go on. A connection that waits costs no task and no timer of its own, so that a thousand idle clients cost nothing.

The bounds, and what happens at each:
- 4,096 connections, or what the process may have descriptors for: the one without a call for longest gives way; if all
  have calls, the next one is closed
- no HTTP/2 after 10 s, a frame or a message that is not whole after 30 s, messages that are not read for 30 s, no call
  for a minute, no answer to a ping 20 s after it: closed
- 64 MiB of messages that are not whole, 128 MiB that are not read, of all connections together: the one with the
  most of it is closed
"""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from math import inf

import trio

from gossipreg.gateway.xds.server.grpc_calls import GrpcConnection
from gossipreg.gateway.xds.server.grpc_status import GrpcStatus
from gossipreg.net.deadlines import Deadlines
from gossipreg.net.descriptors import XDS_CLIENTS_MAX
from gossipreg.net.selection import READ, WRITE, Selection

CONNECTIONS_MAX = XDS_CLIENTS_MAX
OPENING_S = 10.0
MESSAGE_S = 30.0
SEND_S = 30.0
IDLE_S = 60.0
"""Without a call. A client of gRPC opens its call at once, and closes the connection soon after its last one."""
PING_S = 120.0
"""A client that sent nothing for so long is asked for a sign of life: its machine may be gone."""
PING_ANSWER_S = 20.0
HELD_MAX_BYTES = 64 * 1024 * 1024
UNREAD_MAX_BYTES = 128 * 1024 * 1024
READ_BYTES = 4 * 1024
"""Read at one time: a client that sends much has a turn of some milliseconds."""


class XdsConnection:
    """One client: its socket, its calls, and what it waits for. Holds values only."""

    __slots__ = (
        *("calls", "came", "deadline", "heard", "held", "mask", "moved", "out", "pinged", "queued", "sock", "unread"),
    )

    def __init__(self, sock: socket.socket, calls: GrpcConnection, now: float) -> None:
        self.sock = sock
        self.calls = calls
        self.out = b""
        """The bytes that the kernel has not taken yet."""
        self.mask = 0
        self.held = 0
        """Bytes of messages that are not whole, as far as they are counted."""
        self.unread = 0
        """Bytes that the client has not read, as far as they are counted."""
        self.came = now
        self.heard = now
        """When it last sent something."""
        self.moved = now
        """When it last took something, or began to wait for it."""
        self.pinged = inf
        """When it was pinged, if it has sent nothing since."""
        self.deadline = inf
        self.queued = inf


class XdsConnections:
    def __init__(self, counts: Counter[str]) -> None:
        """`counts` is counted on: connections, and the reasons for which they were cut off."""
        self.most = CONNECTIONS_MAX
        self.held_bytes = 0
        self.unread_bytes = 0
        self._counts = counts
        self._selection = Selection[XdsConnection]()
        self._deadlines = Deadlines[XdsConnection]()
        self._open: dict[XdsConnection, None] = {}
        self._idle: dict[XdsConnection, None] = {}
        """Connections without a call, the longest idle first."""
        self._woken: dict[XdsConnection, None] = {}
        """Connections that have something to send."""
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, connection: XdsConnection) -> bool:
        return connection in self._open

    def __iter__(self) -> Iterator[XdsConnection]:
        return iter(list(self._open))

    @property
    def calls(self) -> int:
        """The open calls of all connections."""
        return sum(connection.calls.calls for connection in self._open)

    # -- waiting -------------------------------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Until a connection can go on, has something to send, or its time is up."""
        if self._woken:
            await trio.lowlevel.checkpoint()
            return
        with trio.CancelScope() as self._sleep:
            self._sleep.deadline = self._deadlines.next
            await trio.lowlevel.wait_readable(self._selection.fileno())
        self._sleep = None

    def wake(self, connection: XdsConnection) -> None:
        """It has something to send."""
        if not self._woken and self._sleep is not None:
            self._sleep.cancel()
        self._woken[connection] = None

    def woken(self) -> Iterator[XdsConnection]:
        """The connections for which `wake` was called before this; each once."""
        woken, self._woken = self._woken, {}
        yield from woken

    def ready(self) -> Iterator[tuple[XdsConnection, int]]:
        """The connections whose socket can be read (READ) or written (WRITE)."""
        return self._selection.ready()

    def overdue(self) -> Iterator[XdsConnection]:
        """The connections whose time is up; they have no deadline then."""
        return self._deadlines.due(trio.current_time())

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def read(self, connection: XdsConnection, now: float) -> bytes:
        """The bytes that have arrived; empty if none have, or if the connection is closed now."""
        try:
            data = connection.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
        if not data:
            self.close(connection)
        connection.heard, connection.pinged = now, inf
        return data

    def send(self, connection: XdsConnection, now: float) -> None:
        """Hand the kernel what there is to send in one turn, as far as it takes it."""
        data = connection.out or connection.calls.output(now)
        try:
            sent = connection.sock.send(data) if data else 0
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close(connection)
            return
        if sent:
            connection.moved = now
        connection.out = data[sent:]
        if not connection.out and connection.calls.more:
            self.wake(connection)

    def settle(self, connection: XdsConnection, now: float) -> None:
        """After something happened to it: count what it holds, and set its deadline and what it waits for."""
        calls = connection.calls
        waiting = bool(connection.out) or calls.blocked
        if waiting or connection.unread:
            if waiting and not connection.unread:
                connection.moved = now
            unread = len(connection.out) + calls.waiting_bytes
            self.unread_bytes += unread - connection.unread
            connection.unread = unread
        if calls.held_bytes != connection.held:
            self.held_bytes += calls.held_bytes - connection.held
            connection.held = calls.held_bytes
        if self.held_bytes > HELD_MAX_BYTES:
            self.cut(max(self._open, key=lambda one: one.held), "drop.xds_held_too_much")
        if self.unread_bytes > UNREAD_MAX_BYTES:
            self.cut(max(self._open, key=lambda one: one.unread), "drop.xds_unread_too_much")
        if connection in self._open:
            self._selection.watch(connection, READ | WRITE if connection.out else READ)
            self._note_idle(connection)
            self._due_at(connection, self._deadline(connection)[0])

    def _note_idle(self, connection: XdsConnection) -> None:
        if connection.calls.calls:
            self._idle.pop(connection, None)
        elif connection not in self._idle:
            self._idle[connection] = None

    # -- time ----------------------------------------------------------------------------------------------------------

    def _deadline(self, connection: XdsConnection) -> tuple[float, str]:
        """When it must have done what it has to do, and the reason for which it is cut off then; empty: ping it."""
        if not connection.calls.opened:
            return connection.came + OPENING_S, "drop.xds_late_preface"
        first = connection.calls.part_since + MESSAGE_S, "drop.xds_late_message"
        if connection.unread:
            first = min(first, (connection.moved + SEND_S, "drop.xds_too_slow"))
        if not connection.calls.calls:
            return min(first, (connection.heard + IDLE_S, "drop.xds_idle"))
        if connection.pinged < inf:
            return min(first, (connection.pinged + PING_ANSWER_S, "drop.xds_no_pong"))
        return min(first, (connection.heard + PING_S, ""))

    def _due_at(self, connection: XdsConnection, when: float) -> None:
        self._deadlines.set(connection, when)
        if self._sleep is not None and when < self._sleep.deadline:
            self._sleep.deadline = when

    def end_of_time(self, connection: XdsConnection, now: float) -> None:
        """Its time is up: ping it, or cut it off."""
        when, reason = self._deadline(connection)
        if when > now:
            self._due_at(connection, when)
        elif reason:
            self.cut(connection, reason)
        else:
            connection.pinged = now
            connection.calls.ping()
            self.send(connection, now)
            if connection in self._open:
                self.settle(connection, now)

    # -- coming and going ----------------------------------------------------------------------------------------------

    def make_room(self) -> bool:
        """Whether one more connection may come; at the most, the one without a call for longest is closed for it."""
        if len(self._open) < self.most:
            return True
        self.count("drop.xds_crowded")
        if not self._idle:
            return False
        self.close(next(iter(self._idle)))
        return True

    def add(self, connection: XdsConnection) -> None:
        """Take in the connection of a client that has just connected; `settle` lets it be waited for."""
        self._open[connection] = None
        self._counts["xds.connections"] += 1

    def cut(self, connection: XdsConnection, reason: str) -> None:
        """Close it for this reason, which is counted; the client is told, if it still reads."""
        self.count(reason)
        text = f"cut off: {reason.removeprefix('drop.xds_').replace('_', ' ')}"
        self.end(connection, connection.calls.stop(GrpcStatus.UNAVAILABLE, text))

    def end(self, connection: XdsConnection, last: bytes) -> None:
        """Close it after these bytes, as far as the kernel takes them at once."""
        if connection not in self._open:
            return
        with suppress(OSError):
            if not connection.out:  # else they would stand in the midst of a frame
                connection.sock.send(last)
                connection.sock.shutdown(socket.SHUT_WR)
                for _ in range(
                    16
                ):  # what it has sent since is read: else the kernel resets, and the last bytes are lost
                    if not connection.sock.recv(READ_BYTES):
                        break
        self.close(connection)

    def close(self, connection: XdsConnection) -> None:
        if connection not in self._open:
            return
        del self._open[connection]
        self.held_bytes -= connection.held
        self.unread_bytes -= connection.unread
        for known in (self._idle, self._woken):
            known.pop(connection, None)
        self._deadlines.forget(connection)
        self._selection.watch(connection, 0)
        connection.sock.close()
        connection.calls.close()

    def close_all(self) -> None:
        for connection in self:
            self.close(connection)
        self._selection.close()

    def count(self, name: str) -> None:
        self._counts[name] += 1
