"""Datagrams and streams to single messages and back, in turns.

Owns the bounds of what is taken in: a turn of datagrams, the connections and how long each may take. Never knows what a
message means. Gossip and the local socket live on the same loop, so nothing here takes longer than a turn.

A connection is closed for the reasons that RFC 7766 allows: a message that is not whole in time, or answers that are
not read in time. If there are too many connections, the one that sent nothing for longest is closed, so ten thousand
idle ones keep nobody out. A connection that waits for an answer, because its client has used up its share of this
second, is closed only if all wait: a resolver whose connection is closed counts the sidecar as dead.
"""

import socket
import time
from collections.abc import Callable
from functools import partial

import trio

from gossipreg.gateway.dns.ports import QUERY_MAX_BYTES, Ports, UdpPort
from gossipreg.gateway.dns.responder import Responder
from gossipreg.net.accepting import NoRoom, accept_connections, ignore
from gossipreg.net.listening import error_name

TURN = 32
"""Datagrams that are answered before other tasks run: about a millisecond."""
CONNECTIONS_MAX = 128
"""Each takes a descriptor, of which a process commonly has 1,024; local clients may have 512 of them."""
MESSAGE_S = 10.0
"""The time that a connection may take for its next whole message."""
SEND_S = 10.0
READ_BYTES = 4_096
"""Read at one time: some 200 questions at most."""
LENGTH_BYTES = 2
PROXY_PROTOCOL = b"\r\n\r\n\0\r\nQUIT\n"
"""Its second version begins so. The first one begins with a length that no question has."""


class DnsServer:
    def __init__(
        self, ports: Ports, responder: Responder, bug: Callable[[str, Exception], None], full: NoRoom = ignore
    ) -> None:  # fmt: skip
        """`full` hears of connections that the system has no room for."""
        self._ports = ports
        self._responder = responder
        self._bug = bug
        self._full = full
        self._connections: dict[trio.CancelScope, None] = {}
        """In the order in which they sent something last, the oldest first."""
        self._asking: set[trio.CancelScope] = set()
        """The connections that wait for an answer."""

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            for port in self._ports.udp:
                nursery.start_soon(self._serve_udp, port)
            take = partial(self._admit, nursery)
            for listener in self._ports.tcp:
                nursery.start_soon(partial(accept_connections, listener, take, turn=TURN, full=self._full))

    # -- datagrams -----------------------------------------------------------------------------------------------------

    async def _serve_udp(self, port: UdpPort) -> None:
        while True:
            await trio.lowlevel.wait_readable(port.sock)
            self._turn(port)

    def _turn(self, port: UdpPort) -> None:
        now = time.monotonic()
        for _ in range(TURN):
            try:
                data, source, way_back = port.receive()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._responder.count(f"drop.dns_receive_{error_name(error)}")
                return
            if source[1] == 0:
                self._responder.count("drop.dns_no_port")
                continue
            answer = self._responder.respond_udp(data, source[0], now)
            if answer is not None:
                try:
                    port.send(answer, source, way_back)
                except (OSError, OverflowError) as error:
                    self._responder.count(f"drop.dns_send_{error_name(error)}")

    # -- streams -------------------------------------------------------------------------------------------------------

    def _admit(self, nursery: trio.Nursery, sock: socket.socket, host: str) -> None:
        scope = trio.CancelScope()
        while len(self._connections) >= CONNECTIONS_MAX:
            gives_way = self._dispensable()
            del self._connections[gives_way]
            gives_way.cancel()
            self._responder.count("drop.dns_tcp_crowded")
        self._connections[scope] = None
        nursery.start_soon(self._serve_connection, sock, host, scope)

    def _dispensable(self) -> trio.CancelScope:
        """The connection that sent nothing for longest; one that waits for an answer only if all do."""
        idle = (one for one in self._connections if one not in self._asking)
        return next(idle, next(iter(self._connections)))

    async def _serve_connection(self, sock: socket.socket, host: str, scope: trio.CancelScope) -> None:
        try:
            with scope:
                async with trio.SocketStream(trio.socket.from_stdlib_socket(sock)) as stream:
                    await self._converse(stream, host, scope)
        except trio.BrokenResourceError:
            pass  # the client is gone
        except Exception as error:
            self._bug("dns_connection", error)
        finally:
            self._connections.pop(scope, None)

    async def _converse(self, stream: trio.SocketStream, host: str, scope: trio.CancelScope) -> None:
        """Until the client closes its side, is silent, or sends bytes that cannot be a query."""
        received = bytearray()
        scope.deadline = trio.current_time() + MESSAGE_S
        while data := await self._receive(stream, in_part=bool(received), scope=scope):
            received += data
            answers, over = bytearray(), False
            while len(received) >= LENGTH_BYTES and not over:
                length = int.from_bytes(received[:LENGTH_BYTES], "big")
                if length > QUERY_MAX_BYTES:
                    self._responder.count("drop.dns_tcp_long")
                    over = True
                elif received.startswith(PROXY_PROTOCOL):
                    self._responder.count("drop.dns_tcp_proxy")
                    over = True
                elif len(received) < LENGTH_BYTES + length:
                    break
                else:
                    answer = await self._answer(bytes(received[LENGTH_BYTES : LENGTH_BYTES + length]), host, scope)
                    del received[: LENGTH_BYTES + length]
                    over = answer is None  # what follows a message that could not be read is not to be trusted either
                    answers += b"" if answer is None else len(answer).to_bytes(LENGTH_BYTES, "big") + answer
                    if len(answers) > READ_BYTES:
                        await self._send(stream, answers, scope)
                        answers.clear()
            if answers:
                await self._send(stream, answers, scope)
            if over:
                return

    async def _receive(self, stream: trio.SocketStream, *, in_part: bool, scope: trio.CancelScope) -> bytes | bytearray:
        """The next bytes; none: the client has closed its side. A message that is there in part when the time is up is
        counted."""
        try:
            return await stream.receive_some(READ_BYTES)
        except trio.Cancelled:
            if in_part and trio.current_time() >= scope.deadline:
                self._responder.count("drop.dns_tcp_late")
            raise

    async def _answer(self, message: bytes, host: str, scope: trio.CancelScope) -> bytes | None:
        rates = self._responder.rates
        while not rates.allow(host, now := time.monotonic(), tcp=True):
            self._responder.count("dns.tcp_waits")
            self._asking.add(scope)
            try:
                await trio.sleep(rates.again_in_s(now))
            finally:
                self._asking.discard(scope)
        return self._responder.respond_tcp(message, host)

    async def _send(self, stream: trio.SocketStream, answers: bytearray, scope: trio.CancelScope) -> None:
        """And the client has the whole time again for what comes next."""
        if scope in self._connections:
            self._connections[scope] = self._connections.pop(scope)  # it sent last
        scope.deadline = trio.current_time() + SEND_S
        await stream.send_all(bytes(answers))
        scope.deadline = trio.current_time() + MESSAGE_S
