"""The relays: what passes, what a cut does to it, and as whom a sidecar is seen. Real sockets, no sidecars."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest
import trio

from gossipreg.demo.link_relay import LinkRelays
from gossipreg.demo.links import Links
from gossipreg.demo.ports import HOST, FreePorts
from gossipreg.demo.socket_owner import owner_of
from gossipreg.errors import CannotStartYet

BOUND_S = 60.0
NAMES = ("one", "two", "three")


class Ends:
    """Three bound sidecars that are only their sockets, and the relays between them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.links = Links()
        self.relays = LinkRelays(self.links, lambda: {os.getpid(): self.dialling})
        self.dialling = "one"
        """As whom this process connects."""
        ports = self.ports = FreePorts(Random())
        self.udp: dict[str, trio.socket.SocketType] = {}
        self.tcp: dict[str, trio.SocketListener] = {}
        self.outer: dict[str, int] = {}
        self.streams: list[trio.SocketStream] = []
        for name in NAMES:
            inner = ports.take()
            self.udp[name] = _bound(socket.SOCK_DGRAM, inner)
            listener = _bound(socket.SOCK_STREAM, inner)
            listener.listen(8)
            self.tcp[name] = trio.SocketListener(listener)
            self.outer[name] = ports.take()
            self.relays.add(name, inner, self.outer[name])
            self.relays.open(name)
        nursery.start_soon(self.relays.run)

    async def send(self, source: str, target: str, data: bytes) -> None:
        await self.udp[source].sendto(data, (HOST, self.outer[target]))

    async def receive(self, name: str) -> tuple[bytes, int]:
        data, source = await self.udp[name].recvfrom(65_536)
        return data, source[1]

    async def connect(self, target: str) -> tuple[trio.SocketStream, trio.SocketStream]:
        """Both ends of a connection to `target`."""
        return await self.dial(self.outer[target]), await self.accept(target)

    async def dial(self, port: int) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(HOST, port)
        self.streams.append(stream)
        return stream

    async def accept(self, target: str) -> trio.SocketStream:
        stream = await self.tcp[target].accept()
        self.streams.append(stream)
        return stream


def _bound(kind: socket.SocketKind, port: int) -> trio.socket.SocketType:
    sock = socket.socket(type=kind)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server of the demonstration does
    sock.bind((HOST, port))
    return trio.socket.from_stdlib_socket(sock)


@asynccontextmanager
async def ends() -> AsyncIterator[Ends]:
    with trio.fail_after(BOUND_S):
        async with trio.open_nursery() as nursery:
            made = Ends(nursery)
            yield made
            nursery.cancel_scope.cancel()
        made.relays.close_all()
        made.ports.close()
        for stream in made.streams:
            await stream.aclose()
        for one in (*made.udp.values(), *(listener.socket for listener in made.tcp.values())):
            one.close()


async def test_a_datagram_comes_from_the_relay_of_its_sender() -> None:
    async with ends() as world:
        await world.send("one", "two", b"hello")
        assert await world.receive("two") == (b"hello", world.outer["one"])
        await world.send("two", "one", b"and back")
        assert await world.receive("one") == (b"and back", world.outer["two"])


async def test_a_cut_link_drops_datagrams_of_both_directions_alone() -> None:
    async with ends() as world:
        world.links.cut("one", "two")
        await world.send("one", "two", b"lost")
        await world.send("two", "one", b"lost too")
        await world.send("three", "two", b"by another link")
        await world.send("three", "one", b"by another link")
        assert await world.receive("two") == (b"by another link", world.outer["three"])
        assert await world.receive("one") == (b"by another link", world.outer["three"])
        world.links.heal()
        await world.send("one", "two", b"whole")
        assert await world.receive("two") == (b"whole", world.outer["one"])


async def test_a_datagram_of_a_stranger_is_dropped() -> None:
    async with ends() as world:
        with socket.socket(type=socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"who am I", (HOST, world.outer["two"]))
        await world.send("one", "two", b"known")
        assert (await world.receive("two"))[0] == b"known"
        assert world.relays.strangers == 1


async def test_a_connection_is_carried_with_its_ends() -> None:
    async with ends() as world:
        near, far = await world.connect("two")
        await near.send_all(b"ping")
        assert await far.receive_some() == b"ping"
        await far.send_all(b"pong")
        assert await near.receive_some() == b"pong"
        await near.send_eof()
        assert await far.receive_some() == b""
        await far.send_all(b"still")
        assert await near.receive_some() == b"still"
        await far.aclose()
        assert await near.receive_some() == b""


async def test_what_a_connection_carries_waits_for_the_cut_link() -> None:
    async with ends() as world:
        near, far = await world.connect("two")
        world.links.cut("one", "two")
        await near.send_all(b"later")
        with trio.move_on_after(0.1) as silence:
            await far.receive_some()
        assert silence.cancelled_caught
        world.links.heal()
        assert await far.receive_some() == b"later"


async def test_a_connection_over_a_cut_link_is_not_answered() -> None:
    async with ends() as world:
        world.links.cut("one", "two")
        near = await world.dial(world.outer["two"])
        with trio.move_on_after(0.1) as silence:
            await world.accept("two")
        assert silence.cancelled_caught
        world.links.heal()
        far = await world.accept("two")
        await near.send_all(b"now")
        assert await far.receive_some() == b"now"


async def test_a_connection_to_a_dead_sidecar_ends() -> None:
    async with ends() as world:
        world.tcp["two"].socket.close()
        near = await world.dial(world.outer["two"])
        with suppress(trio.BrokenResourceError):
            assert await near.receive_some() == b""


async def test_a_closed_relay_refuses_and_serves_again_when_open() -> None:
    async with ends() as world:
        world.relays.close("two")
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.connect((HOST, world.outer["two"]))
            sender.send(b"refused")
            with pytest.raises(ConnectionRefusedError):
                sender.send(b"the kernel says so at the next one")
        with pytest.raises(OSError, match="connect"):
            await world.dial(world.outer["two"])
        world.relays.open("two")
        await world.send("one", "two", b"again")
        assert (await world.receive("two"))[0] == b"again"
        near, far = await world.connect("two")
        await near.send_all(b"and again")
        assert await far.receive_some() == b"and again"


async def test_a_relay_whose_port_is_taken_says_so() -> None:
    async with ends() as world:
        world.relays.close("two")
        with socket.create_server((HOST, world.outer["two"])), pytest.raises(CannotStartYet, match="relay of two"):
            world.relays.open("two")


async def test_a_connection_of_a_stranger_ends() -> None:
    async with ends() as world:
        strange = LinkRelays(world.links, dict)
        outer = world.ports.take()
        strange.add("four", world.ports.take(), outer)
        strange.open("four")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(strange.run)
            near = await world.dial(outer)
            with suppress(trio.BrokenResourceError):
                assert await near.receive_some() == b""
            nursery.cancel_scope.cancel()
        strange.close_all()
        assert strange.strangers == 1


def test_links_know_who_reaches_whom_by_way_of_others() -> None:
    links = Links()
    links.cut("one", "two")
    assert links.side_of("one", NAMES) == {*NAMES}
    links.cut("three", "one")
    assert links.side_of("one", NAMES) == {"one"}
    assert links.side_of("two", NAMES) == {"two", "three"}
    assert links.cut_pairs == [("one", "three"), ("one", "two")]
    links.heal()
    assert links.cut_pairs == []


def test_the_kernel_says_who_holds_the_other_end() -> None:
    with socket.create_server((HOST, 0)) as server, socket.create_connection(server.getsockname()) as near:
        ends = (server.getsockname(), near.getsockname())
        assert owner_of(*ends, [1, os.getpid()]) == os.getpid()
        assert owner_of(*ends, []) is None
        assert owner_of(ends[0], (HOST, 1), [os.getpid()]) is None
