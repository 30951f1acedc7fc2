"""Sidecars' streams over loopback for tests: real sockets, without the rest of a sidecar."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from gossipreg.daemon.streams.inbox import StreamClosed, StreamNews, StreamOpened, StreamReceived
from gossipreg.daemon.streams.node_streams import NodeStreams
from gossipreg.journal.messages import AskLeader, InstallState, ReplicaMessage
from gossipreg.journal.model import NO_BALLOT, START, Configuration, JournalId, ReplicaId, ReplicaPlace
from gossipreg.model import Address, NodeId
from gossipreg.net.listening import address_of, open_sockets
from gossipreg.streams.values import StreamSelf
from gossipreg.wire.seal import Keyring
from tests.streams.ends import RING, an_end

GENEROUS_S = 60.0
JOURNAL, SENDER, RECEIVER = JournalId(b"j" * 16), ReplicaId(b"s" * 16), ReplicaId(b"r" * 16)


def question(number: int) -> AskLeader:
    """A small message."""
    return AskLeader(journal=JOURNAL, sender=SENDER, receiver=RECEIVER, number=number)


def piece(size: int) -> InstallState:
    """A large message, of the least urgent class."""
    place = ReplicaPlace(SENDER, NodeId(b"n" * 16), b"")
    return InstallState(
        journal=JOURNAL, sender=SENDER, receiver=RECEIVER, ballot=NO_BALLOT, base=START, led_ms=0,
        configuration=Configuration((place,)), number=0, records=((b"key", bytes(size)),), last=True,
    )  # fmt: skip


class Book:
    """Where the members are."""

    def __init__(self) -> None:
        self.listeners: list[socket.socket] = []
        self.addresses: dict[NodeId, tuple[Address, ...]] = {}
        self.keys: dict[NodeId, tuple[bytes, ...]] = {}

    def address_of(self, listener: trio.SocketListener) -> Address:
        return Address(*listener.socket.getsockname()[:2])

    def of(self, node: NodeId) -> tuple[Address, ...]:
        return self.addresses.get(node, ())


class StreamSide:
    """The streams of one member, and what they told."""

    def __init__(self, book: Book, own: StreamSelf, ring: Keyring | None = RING, host: str = "127.0.0.1") -> None:
        self.own = own
        self.id = own.member.id
        (self.listener,) = open_sockets([host], 0, [socket.SOCK_STREAM])
        book.listeners.append(self.listener)
        self.book = book
        self.address = book.addresses[self.id] = (address_of(self.listener),)
        self.news: list[StreamNews] = []
        self.bugs: list[tuple[str, Exception]] = []
        self.streams = NodeStreams(
            lambda: self.own, ring, addresses=book.of, keys=book.keys.get, entropy=os.urandom,
            bug=lambda where, error: self.bugs.append((where, error)),
        )  # fmt: skip
        self._changed = trio.Event()

    async def follow(self) -> None:
        while True:
            self.news.append(await self.streams.inbox.receive())
            self._changed.set()
            self._changed = trio.Event()

    async def until(self, enough: Callable[["StreamSide"], object]) -> None:
        """Wait until the news satisfies this."""
        with trio.fail_after(GENEROUS_S):
            while not enough(self):
                await self._changed.wait()

    @property
    def numbers(self) -> list[int]:
        """Of the questions that came."""
        return [one.message.number for one in self.received if isinstance(one.message, AskLeader)]

    @property
    def received(self) -> list[StreamReceived]:
        return [one for one in self.news if isinstance(one, StreamReceived)]

    @property
    def closed(self) -> list[str]:
        return [one.reason for one in self.news if isinstance(one, StreamClosed)]

    @property
    def opened(self) -> list[NodeId]:
        return [one.node for one in self.news if isinstance(one, StreamOpened)]

    def ask(self, other: "StreamSide | NodeId", number: int) -> None:
        self.send(other, question(number))

    def send(self, other: "StreamSide | NodeId", message: ReplicaMessage) -> None:
        self.streams.send(other.id if isinstance(other, StreamSide) else other, message)

    def dropped(self, reason: str) -> int:
        return self.streams.counts[f"drop.{reason}"]


@asynccontextmanager
async def running(*sides: StreamSide) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        for side in sides:
            nursery.start_soon(side.follow)
            nursery.start_soon(side.streams.run, [side.listener])
        await trio.testing.wait_all_tasks_blocked()
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()
    assert [bug for side in sides for bug in side.bugs] == []
    for listener in sides[0].book.listeners:
        listener.close()


async def wait_for(condition: Callable[[], object]) -> None:
    """For what no event tells of: look again at each turn of the loop."""
    with trio.fail_after(GENEROUS_S):
        while not condition():
            await trio.sleep(0.005)


def two_sides(ring: Keyring | None = RING) -> tuple[StreamSide, StreamSide]:
    book = Book()
    return StreamSide(book, an_end(1), ring), StreamSide(book, an_end(2), ring)
