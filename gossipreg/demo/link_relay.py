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
from functools import partial

import trio

from gossipreg.demo.links import Links
from gossipreg.demo.ports import HOST
from gossipreg.demo.socket_owner import owner_of
from gossipreg.net.listening import open_sockets

PIECE_BYTES = 65_536
ACCEPT_AGAIN_S = 0.05
"""The pause after an accept that failed: no descriptor is free."""


class LinkRelay:
    """The relay of one sidecar; its sockets are open as soon as it is made."""

    def __init__(self, name: str, inner_port: int) -> None:
        """`inner_port`: the port to which the sidecar is bound. Raises CannotOpen."""
        self.name = name
        self.inner_port = inner_port
        udp, tcp = open_sockets([HOST], 0, [socket.SOCK_DGRAM, socket.SOCK_STREAM])
        self.outer_port: int = udp.getsockname()[1]
        """The port that the sidecar advertises."""
        self._udp = trio.socket.from_stdlib_socket(udp)
        self._tcp = trio.socket.from_stdlib_socket(tcp)

    def close(self) -> None:
        self._udp.close()
        self._tcp.close()

    async def receive(self) -> tuple[bytes, int]:
        """The next datagram to this sidecar, and the port from which it comes."""
        while True:
            with suppress(ConnectionError):  # the answer to an earlier datagram: nobody listened there
                data, source = await self._udp.recvfrom(PIECE_BYTES)
                return data, source[1]

    async def send_as_own(self, data: bytes, port: int) -> None:
        """Send a datagram of this sidecar on to a port."""
        with suppress(OSError):  # nobody listens, or there is no room: it is lost, as datagrams are
            await self._udp.sendto(data, (HOST, port))

    async def accept(self) -> tuple[trio.SocketStream, int]:
        """The next connection to this sidecar, and the port from which it comes."""
        while True:
            try:
                taken, source = await self._tcp.accept()
            except OSError:
                await trio.sleep(ACCEPT_AGAIN_S)
            else:
                return trio.SocketStream(taken), source[1]


class LinkRelays:
    """All relays; `run` forwards what comes."""

    def __init__(self, links: Links, pids: Callable[[], Mapping[int, str]]) -> None:
        """`pids()` gives the name of each sidecar that runs, by its process id."""
        self._links = links
        self._pids = pids
        self._by_name: dict[str, LinkRelay] = {}
        self._by_inner: dict[int, LinkRelay] = {}
        self.strangers = 0
        """Datagrams and connections that come from none of these sidecars; they are dropped."""

    def add(self, name: str, inner_port: int) -> int:
        """Open the relay of a sidecar that will be bound to `inner_port`; returns the port to advertise."""
        relay = LinkRelay(name, inner_port)
        self._by_name[name] = self._by_inner[inner_port] = relay
        return relay.outer_port

    def close(self) -> None:
        for relay in self._by_name.values():
            relay.close()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for relay in self._by_name.values():
                nursery.start_soon(self._forward_datagrams, relay)
                nursery.start_soon(self._forward_connections, relay, nursery)

    async def _forward_datagrams(self, target: LinkRelay) -> None:
        while True:
            data, port = await target.receive()
            source = self._by_inner.get(port)
            if source is None:
                self.strangers += 1
            elif not self._links.is_cut(source.name, target.name):
                await source.send_as_own(data, target.inner_port)

    async def _forward_connections(self, target: LinkRelay, nursery: trio.Nursery) -> None:
        while True:
            outer, port = await target.accept()
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
