"""The relays between the sidecars: each sidecar advertises the address of its relay, and binds another one.

    host-1 127.0.0.1:a  <->  relay of host-1  <->  relay of host-2  <->  127.0.0.1:b host-2

A datagram from host-1 to host-2 goes to the address that host-2 advertises. The relay of host-2 knows host-1 by the
port that it comes from, and has the relay of host-1 send it on: so host-2 sees it come from the address that host-1
advertises. With TCP the source of a connection says nothing, and the kernel is asked which sidecar holds it.

A cut link drops datagrams. What a connection carries waits, as TCP would repeat it, and goes on once the link is whole.
"""

import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import trio

from gossipreg.demo.links import Links
from gossipreg.demo.ports import HOST
from gossipreg.demo.socket_owner import owner_of
from gossipreg.errors import CannotStartYet
from gossipreg.net.listening import CannotOpen, open_sockets

PIECE_BYTES = 65_536
ACCEPT_AGAIN_S = 0.05
"""The pause after an accept that failed: no descriptor is free."""


class RelaySockets:
    """The open sockets of one relay. After `close` its methods raise trio.ClosedResourceError."""

    def __init__(self, port: int) -> None:
        """Raises CannotOpen."""
        udp, tcp = open_sockets([HOST], port, [socket.SOCK_DGRAM, socket.SOCK_STREAM])
        self._udp = trio.socket.from_stdlib_socket(udp)
        self._tcp = trio.socket.from_stdlib_socket(tcp)
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._udp.close()
        self._tcp.close()

    async def receive(self) -> tuple[bytes, int]:
        """The next datagram to this sidecar, and the port from which it comes."""
        while True:
            try:
                data, source = await self._udp.recvfrom(PIECE_BYTES)
            except OSError:  # an earlier datagram found nobody
                self._check()
            else:
                return data, source[1]

    async def send(self, data: bytes, port: int) -> None:
        """Send a datagram of this sidecar on to a port."""
        with suppress(OSError):  # nobody listens, or there is no room: it is lost, as datagrams are
            await self._udp.sendto(data, (HOST, port))

    async def accept(self) -> tuple[trio.SocketStream, int]:
        """The next connection to this sidecar, and the port from which it comes."""
        while True:
            try:
                taken, source = await self._tcp.accept()
            except OSError:
                self._check()
                await trio.sleep(ACCEPT_AGAIN_S)
            else:
                return trio.SocketStream(taken), source[1]

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError


@dataclass(slots=True)
class LinkRelay:
    """The relay of one sidecar."""

    name: str
    inner_port: int
    """The port to which the sidecar is bound."""
    outer_port: int
    """The port that the sidecar advertises, which is that of its relay."""
    sockets: RelaySockets | None = None
    """None: it is closed, since the sidecar does not run."""


class LinkRelays:
    """All relays; `run` forwards what comes.

    The relay of a sidecar that does not run is closed. So the kernel refuses what others send to it, as it does where a
    sidecar crashes on a host that lives.
    """

    def __init__(self, links: Links, pids: Callable[[], Mapping[int, str]]) -> None:
        """`pids()` gives the name of each sidecar that runs, by its process id."""
        self._links = links
        self._pids = pids
        self._by_name: dict[str, LinkRelay] = {}
        self._by_inner: dict[int, LinkRelay] = {}
        self._nursery: trio.Nursery | None = None
        self.strangers = 0
        """Datagrams and connections that come from none of these sidecars; they are dropped."""

    def add(self, name: str, inner_port: int, outer_port: int) -> None:
        """Add the relay of a sidecar that will be bound to `inner_port` and advertise `outer_port`; it is closed."""
        self._by_name[name] = self._by_inner[inner_port] = LinkRelay(name, inner_port, outer_port)

    def open(self, name: str) -> None:
        """Open the relay of this sidecar, unless it is open. Raises CannotStartYet."""
        relay = self._by_name[name]
        if relay.sockets is None:
            try:
                relay.sockets = RelaySockets(relay.outer_port)
            except CannotOpen as error:
                raise CannotStartYet(f"the relay of {name} cannot listen: {error}") from None
            self._serve(relay, relay.sockets)

    def close(self, name: str) -> None:
        """Close the relay of this sidecar."""
        relay = self._by_name[name]
        if relay.sockets is not None:
            relay.sockets.close()
            relay.sockets = None

    def close_all(self) -> None:
        for name in self._by_name:
            self.close(name)

    async def run(self) -> None:
        async with trio.open_nursery() as self._nursery:
            for relay in self._by_name.values():
                if relay.sockets is not None:
                    self._serve(relay, relay.sockets)
            await trio.sleep_forever()

    def _serve(self, relay: LinkRelay, sockets: RelaySockets) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._forward_datagrams, relay, sockets)
            self._nursery.start_soon(self._forward_connections, relay, sockets, self._nursery)

    async def _forward_datagrams(self, target: LinkRelay, sockets: RelaySockets) -> None:
        with suppress(trio.ClosedResourceError):
            while True:
                data, port = await sockets.receive()
                source = self._by_inner.get(port)
                if source is None or source.sockets is None:
                    self.strangers += 1
                elif not self._links.is_cut(source.name, target.name):
                    await source.sockets.send(data, target.inner_port)

    async def _forward_connections(self, target: LinkRelay, sockets: RelaySockets, nursery: trio.Nursery) -> None:
        with suppress(trio.ClosedResourceError):
            while True:
                outer, port = await sockets.accept()
                pids = self._pids()
                holder = owner_of((HOST, target.outer_port), (HOST, port), pids)
                if holder is None:
                    self.strangers += 1
                    await trio.aclose_forcefully(outer)
                else:
                    nursery.start_soon(self._forward, outer, pids[holder], target)

    async def _forward(self, outer: trio.SocketStream, source: str, target: LinkRelay) -> None:
        """Carry one connection until one end closes it."""
        whole = partial(self._links.wait_whole, source, target.name)
        async with outer:
            await whole()
            try:
                inner = await trio.open_tcp_stream(HOST, target.inner_port)
            except OSError:
                return  # nobody listens there: the connection ends
            async with inner, trio.open_nursery() as nursery:
                nursery.start_soon(_carry, outer, inner, whole, nursery.cancel_scope)
                nursery.start_soon(_carry, inner, outer, whole, nursery.cancel_scope)


async def _carry(
    source: trio.SocketStream, target: trio.SocketStream, whole: Callable[[], Awaitable[None]], over: trio.CancelScope
) -> None:
    """Carry one direction. Its end is passed on; an error ends both."""
    try:
        while data := await source.receive_some(PIECE_BYTES):
            await whole()
            await target.send_all(data)
        await whole()
        await target.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        over.cancel()
