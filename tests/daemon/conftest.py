"""The inside of a sidecar for tests of the local socket: a real node, a network in memory, a real unix socket."""

import io
import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from gossipreg.callers import Caller
from gossipreg.config import local
from gossipreg.core.node import Node
from gossipreg.daemon.checks.schedule import RUNNERS, Runner
from gossipreg.daemon.checks.spec import Kind
from gossipreg.daemon.client_calls import LocalApi
from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.events.local_events import LocalEvents
from gossipreg.daemon.history.history import History
from gossipreg.daemon.kept import Moment
from gossipreg.daemon.local_socket import LocalSocket
from gossipreg.daemon.logs import Log
from gossipreg.daemon.methods import Methods
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.services import Services
from gossipreg.daemon.sidecar_state import StateFollowers
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.daemon.store import Database, Store
from gossipreg.daemon.watches import Watches
from gossipreg.errors import Refused
from gossipreg.history.history_line import NamedMember
from gossipreg.model import Address, BootId, CatalogInstance, Member, NodeId
from gossipreg.net.socket_file import bind_socket_file
from gossipreg.rights import Rights
from gossipreg.wire.rpc import MAX_REPLY_BYTES, Decoder, encode_request
from tests.daemon.memory_network import MemoryNetwork

GENEROUS_S = 60
ME = Caller(os.geteuid(), os.getpid(), door="socket", trusted=True)
NOWHERE = Address("10.9.9.9", 7940)
"""A seed that is down."""


def close_once_written(data: DataDirectory) -> None:
    """Close it after the write that a cancelled store may have left to its thread, so that it can be opened again. The
    process of a real sidecar ends instead."""
    with data._one_at_a_time:
        pass
    data.close()


class Inside:
    """A member whose tasks are run by the test: pump, node, methods and watches, without sockets of its own."""

    def __init__(self, network: MemoryNetwork, name: str, number: int = 1, *, durable: bool = False,
                 database: Database | None = None, runners: Mapping[Kind, Runner] = RUNNERS,
                 zone: str = "", labels: tuple[tuple[str, str], ...] = (), software: str = "") -> None:  # fmt: skip
        self.transport = network.bind(f"10.0.0.{number}", 7940)
        self.log = io.StringIO()
        member = Member(
            name=name, boot_id=BootId(bytes([number]) * 8), addresses=self.transport.local_addresses, durable=durable,
            zone=zone, labels=labels, software=software,
        )  # fmt: skip
        self.node = Node(
            replace(local), member=member, id=NodeId(bytes([number]) * 16), generation=number << 16, keyring=None,
            rng=random.Random(number), entropy=random.Random(-number).randbytes, now=trio.current_time(),
            wall_ms=number,
        )  # fmt: skip
        self.watches = Watches(self.node)
        self.events: list[str] = []
        self.pump = Pump(self.node, self.transport, Log(stream=self.log), now=trio.current_time, stall_s=local.stall_s)
        self.state = StateFollowers(
            self.node, trio.current_time, cluster="default", name=name, zone="", run=member.boot_id.hex()
        )
        self.pump.changes.follow("state", self.state.look)
        self.pump.changes.follow("watches", self.watches.publish)
        self.pump.members.follow("state", self.state.look)
        self.pump.events.follow("events", lambda event: self.events.append(event.kind))
        self.left: list[float] = []
        self.may_leave = trio.Event()
        log = Log(stream=self.log)
        self.store = Store(database, log.error)
        self.rights = Rights(os.geteuid())
        self.moment = Moment(1_000_000_000, 1000.0, "this boot")
        """The clock of kept health: virtual time passes while the disk is written."""
        self.services = Services(
            self.node, self.pump, self.store, log, allow_cmd_checks=False, rights=self.rights,
            rng=random.Random(number), runners=runners,
            now=lambda: self.moment,
        )  # fmt: skip
        self.methods = Methods(
            self.node, self.pump, self.services, leave=self._leave, durable=durable, about={"name": name},
            more={"unmet": self.state.unmet},
        )  # fmt: skip
        self.history = History(NamedMember(self.node.id.hex(), name), self.pump.bug)
        self.api = LocalApi(self.methods, self.watches, self.state, self.pump.bug, self._events, self.history)

    async def _events(self) -> LocalEvents:
        raise Refused("this daemon has no events")

    async def _leave(self, hold_s: float, by: Caller) -> None:
        assert self.rights.operates(by)
        self.left.append(hold_s)
        await self.may_leave.wait()

    async def register(self, name: str, port: int) -> None:
        """Register a service as a client of the same user does."""
        await self.methods.register({"name": name, "port": port}, SocketClient(ME))

    def instances(self, name: str | None) -> tuple[CatalogInstance, ...]:
        return tuple(self.node.catalog.instances()) if name is None else self.node.catalog.lookup(name, all=True)

    def seek(self, *addresses: Address) -> None:
        self.pump.order(lambda now: self.node.seek(addresses, now))


class Client:
    """A plain client: sends a request, waits for messages."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._decoder = Decoder(MAX_REPLY_BYTES)
        self._messages: list[tuple[Any, ...]] = []
        self._id = 0

    async def send(self, method: str, **params: Any) -> int:
        self._id += 1
        await self.stream.send_all(encode_request(self._id, method, params))
        return self._id

    async def next(self) -> tuple[Any, ...]:
        """Return the next message of any kind. Raises EOFError at the end."""
        with trio.fail_after(GENEROUS_S):
            while not self._messages:
                data = await self.stream.receive_some(65536)
                if not data:
                    raise EOFError
                self._messages += self._decoder.feed_untrusted(bytes(data))
        return self._messages.pop(0)

    async def call(self, method: str, **params: Any) -> Any:
        """Return the result, or the error as (code, message)."""
        id = await self.send(method, **params)
        kind, answered, error, result = await self.next()
        assert (kind, answered) == ("reply", id)
        return result if error is None else error

    async def change(self) -> tuple[int, dict[str, Any]]:
        kind, method, params = await self.next()
        assert (kind, method) == ("notification", "watch")
        return params["watch"], params["change"]


class Sidecar(Inside):
    """The inside of a sidecar with a local socket, and its clients."""

    def __init__(self, folder: Path, database: Database | None = None) -> None:
        super().__init__(MemoryNetwork(), "tested", durable=database is not None, database=database)
        self.socket = LocalSocket(bind_socket_file(folder / "s.sock", group=None))
        self._clients: list[Client] = []

    async def client(self) -> Client:
        client = Client(await trio.open_unix_socket(self.socket.path))
        self._clients.append(client)
        return client

    def close(self) -> None:
        self.socket.close()
        for client in self._clients:
            client.stream.socket.close()


@asynccontextmanager
async def running(tmp_path: Path, *seeds: Address, database: Database | None = None) -> AsyncIterator[Sidecar]:
    async with trio.open_nursery() as nursery:
        sidecar = Sidecar(tmp_path, database)
        nursery.start_soon(sidecar.store.run)
        nursery.start_soon(sidecar.pump.run)
        nursery.start_soon(sidecar.socket.serve, sidecar.api)
        sidecar.seek(*seeds)
        yield sidecar
        nursery.cancel_scope.cancel()
    sidecar.close()
    assert not sidecar.pump.counts


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with running(tmp_path) as sidecar:
        yield sidecar


@pytest.fixture
async def unsynced(tmp_path: Path) -> AsyncIterator[Sidecar]:
    """A sidecar whose seed is down. `unsynced.seek()` makes it the first of its cluster."""
    async with running(tmp_path, NOWHERE) as sidecar:
        yield sidecar
