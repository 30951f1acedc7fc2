"""Serves the connections of the gateway, in turns. One task serves all of them, so a client that sends much, or a
change that a thousand clients have to hear of, holds up the sidecar's gossip for a few milliseconds at most.

Never knows what a message asks. `grpc_connections.py` has the bounds.
"""

import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import trio

from gossipreg.gateway.xds.server.grpc_calls import ConnectionEnds, GrpcConnection
from gossipreg.gateway.xds.server.grpc_connections import XdsConnection, XdsConnections
from gossipreg.gateway.xds.server.grpc_status import GrpcStatus
from gossipreg.gateway.xds.server.http2_frames import Http2Fault
from gossipreg.gateway.xds.server.ports import XdsListener
from gossipreg.gateway.xds.streams.xds_streams import XdsStreams
from gossipreg.net import descriptors
from gossipreg.net.accepting import NoRoom, accept_connections, ignore
from gossipreg.net.selection import READ

CONNECTIONS_MIN = 64
"""Served even if the process may have hardly any descriptors."""
TURN = 16
"""Connections that are served before other tasks run: a few milliseconds."""


class XdsServer:
    def __init__(
        self, listeners: Sequence[XdsListener], streams: XdsStreams, counts: Counter[str],
        bug: Callable[[str, Exception], None], full: NoRoom = ignore,
    ) -> None:  # fmt: skip
        """`full` hears of connections that the system has no room for."""
        self.connections = XdsConnections(counts)
        self._listeners = listeners
        self._streams = streams
        self._counts = counts
        self._bug = bug
        self._full = full

    async def run(self) -> None:
        """Until cancelled; then all calls end with UNAVAILABLE, and nothing is left open but the listeners."""
        room = descriptors.for_xds_clients(descriptors.raise_descriptors())
        self.connections.most = max(CONNECTIONS_MIN, room)
        try:
            async with trio.open_nursery() as nursery:
                for listener in self._listeners:
                    take = partial(self._admit, listener)
                    accept = partial(accept_connections, listener.sock, take, turn=TURN, full=self._full)
                    nursery.start_soon(accept)
                await self._serve()
        finally:
            for connection in self.connections:
                self.stop(connection)
            self.connections.close_all()

    async def _serve(self) -> None:
        while True:
            await self.connections.wait()
            for number, connection in enumerate(self.connections.woken()):
                self._guarded(connection, self._send)
                if number % TURN == TURN - 1:
                    await trio.lowlevel.checkpoint()
            for number, (connection, mask) in enumerate(self.connections.ready()):
                self._guarded(connection, self._read if mask & READ else self._send)
                if number % TURN == TURN - 1:
                    await trio.lowlevel.checkpoint()
            for connection in self.connections.overdue():
                self._guarded(connection, self.connections.end_of_time)

    def _guarded(self, connection: XdsConnection, call: Callable[[XdsConnection, float], None]) -> None:
        """A fault of one connection, and a bug in it, ends that one."""
        if connection not in self.connections:
            return
        try:
            call(connection, trio.current_time())
        except Http2Fault as fault:
            self.connections.count(f"drop.{fault.reason}")
            self.connections.end(connection, connection.calls.fail(fault))
        except ConnectionEnds:
            self.connections.close(connection)
        except Exception as error:
            self._bug("xds_connection", error)
            self.connections.close(connection)

    def _read(self, connection: XdsConnection, now: float) -> None:
        if data := self.connections.read(connection, now):
            connection.calls.receive_untrusted(data, now)
            self._send(connection, now)

    def _send(self, connection: XdsConnection, now: float) -> None:
        self.connections.send(connection, now)
        if connection in self.connections:
            self.connections.settle(connection, now)

    def stop(self, connection: XdsConnection) -> None:
        """End its calls, so that the client goes to another control plane, or waits for this one to come back."""
        self._guarded(connection, self._stop)

    def _stop(self, connection: XdsConnection, _now: float) -> None:
        self.connections.end(connection, connection.calls.stop(GrpcStatus.UNAVAILABLE, "this sidecar stops"))

    def _admit(self, listener: XdsListener, sock: socket.socket, _host: str) -> None:
        if not self.connections.make_room():
            sock.close()
            return
        try:
            peer, caller = listener.peer_of(sock)
        except OSError:  # the client is gone already
            sock.close()
            return
        now = trio.current_time()
        connection: XdsConnection
        calls = GrpcConnection(
            self._streams, peer, now, wake=lambda: self.connections.wake(connection), counts=self._counts,
            bug=self._bug, caller=caller,
        )  # fmt: skip
        connection = XdsConnection(sock, calls, now)
        self.connections.add(connection)
        self._guarded(connection, self._send)
