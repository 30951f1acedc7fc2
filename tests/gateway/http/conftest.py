"""A real node with the HTTP gateway on a real port of loopback, and clients that read responses with h11."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import h11
import pytest
import trio

from gossipreg.callers import Caller
from gossipreg.daemon.force_leave import ForceLeave
from gossipreg.daemon.gateway_calls import GatewayCalls
from gossipreg.daemon.logs import Log
from gossipreg.daemon.store import Database
from gossipreg.errors import Refused, RequestError
from gossipreg.events.cloud_event import CloudEvent
from gossipreg.events.effects import PublishSettled
from gossipreg.gateway.http.gateway import HttpOptions
from gossipreg.journal.model import JournalId
from gossipreg.net.accepting import ignore
from gossipreg.net.addresses import Bind
from gossipreg.sidecar_api import SidecarApi
from tests.daemon.conftest import NOWHERE, Inside
from tests.daemon.memory_network import MemoryNetwork


class Reply:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def index(self) -> int:
        return int(self.headers["x-consul-index"])

    @property
    def error(self) -> str:
        """The sentence."""
        if self.headers["content-type"].startswith("text/plain"):
            return self.body.decode()
        return str(self.json["error"]["message"])


class Client:
    """One connection. Real time bounds every wait, whatever clock the test has."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._h11 = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        await self.send(request_bytes(method, path, body, **headers))
        return await self.reply(method)

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.request("GET", path, **headers)

    async def put(self, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.request("PUT", path, body, **headers)

    async def reply(self, method: str = "GET") -> Reply:
        """Return the next response. Raises EOFError if there is none."""
        if self._h11.our_state is h11.DONE:
            if self._h11.their_state is h11.MUST_CLOSE:
                raise EOFError
            self._h11.start_next_cycle()
        if self._h11.our_state is h11.IDLE:
            self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
            self._h11.send(h11.EndOfMessage())
        status, headers, body = 0, {}, b""
        while True:
            event = self._h11.next_event()
            match event:
                case h11.Response():
                    status = event.status_code
                    headers = {name.decode(): value.decode() for name, value in event.headers}
                case h11.Data():
                    body += bytes(event.data)
                case h11.EndOfMessage():
                    return Reply(status, headers, body)
                case h11.ConnectionClosed():
                    raise EOFError
                case h11.InformationalResponse():
                    continue
                case _:
                    await self._more(status)

    async def _more(self, status: int) -> None:
        data = bytes(await self.stream.receive_some(65536))
        if not data and not status:
            raise EOFError
        self._h11.receive_data(data)

    async def rest(self) -> bytes:
        """Return everything up to the end of the stream."""
        data = self._h11.trailing_data[0]
        while more := await self.stream.receive_some(65536):
            data += bytes(more)
        return data

    async def closed(self) -> bool:
        """Wait until the server closes the connection without a response."""
        try:
            return not await self.stream.receive_some(1)
        except trio.BrokenResourceError:
            return True


def request_bytes(method: str, path: str, body: Any = None, **headers: str) -> bytes:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if data:
        given.setdefault("Content-Length", str(len(data)))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


class PublishedEvents:
    """What a gateway has published, and what it is answered."""

    def __init__(self) -> None:
        self.published: list[CloudEvent] = []
        self.fault: RequestError | None = None
        self.subscriptions: list[dict[str, Any]] = []

    async def publish(self, event: CloudEvent) -> PublishSettled:
        if self.fault is not None:
            raise self.fault
        self.published.append(event)
        return PublishSettled(1, "", "", JournalId(b"j" * 16), 7, copies=3, takeover=True, duplicate=False, groups=1)

    def dapr_subscriptions(self) -> list[dict[str, Any]]:
        return self.subscriptions


class Served(Inside):
    """A member with the gateway; its tasks are run by the fixture."""

    dapr_app: str | None = None
    page_writes = False

    def __init__(self, folder: Path, network: MemoryNetwork, name: str, number: int = 1,
                 database: Database | None = None, token_file: str | None = None) -> None:  # fmt: skip
        super().__init__(network, name, number, durable=database is not None, database=database)
        self.called: list[str] = []
        self.notes: list[str] = []
        self.reloaded: list[Caller] = []
        self.reload_fault = ""
        self.gateway = self.options(folder, name, token_file=token_file, page_writes=self.page_writes).open()
        self.bugs: list[tuple[str, Exception]] = []
        self.outgoing = PublishedEvents()
        api = SidecarApi(
            view=self.node, changes=self.pump.changes, members=self.pump.members, registrations=self.services,
            registered=self.services.registered,
            rights=self.rights,
            cluster="default", version="1.2.3", now=trio.current_time,
            leave=self._leave,
            force_leave=ForceLeave(self.node, self.pump, Log(stream=self.log), self.services.audit).declare,
            reload=self._reload, greet=self._greet, figures=self.methods.info.figures,
            note=self.notes.append, full=ignore, bug=self._bug,
            trouble=lambda *_: None, events=self.outgoing, history=self.history, dapr_app=self.dapr_app,
            ask=GatewayCalls(self.methods, self._bug).ask,
        )  # fmt: skip
        self.http = self.gateway.served(api)
        self.clients: list[Client] = []

    @staticmethod
    def options(folder: Path, name: str, *, token_file: str | None = None, page_writes: bool = False) -> HttpOptions:
        tcp = [Bind(("127.0.0.1",), 0)]
        return HttpOptions(
            tcp, [folder / f"{name}.sock"], names=["registry.lan"], token_file=token_file, page_writes=page_writes
        )  # fmt: skip

    def _bug(self, where: str, error: Exception) -> None:
        self.bugs.append((where, error))
        self.pump.bug(where, error)

    async def _reload(self, by: Caller) -> None:
        self.reloaded.append(by)
        if self.reload_fault:
            raise Refused(self.reload_fault)

    async def _greet(self, seed: str) -> None:
        self.called.append(seed)

    @property
    def port(self) -> int:
        return int(self.gateway.addresses[0].rpartition(":")[2])

    @property
    def path(self) -> str:
        return self.gateway.addresses[1].removeprefix("unix:")

    async def client(self) -> Client:
        client = Client(await trio.open_tcp_stream("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def local_client(self) -> Client:
        client = Client(await trio.open_unix_socket(self.path))
        self.clients.append(client)
        return client

    async def get(self, path: str) -> Reply:
        return await (await self.client()).get(path)

    async def put(self, path: str, body: Any = None) -> Reply:
        return await (await self.client()).put(path, body)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.pump.run)
            nursery.start_soon(self.services.health.checks.run)
            nursery.start_soon(self.http.run)
            self.seek()
            task_status.started()

    def close(self) -> None:
        for client in self.clients:
            client.stream.socket.close()
        self.gateway.close()


ServedT = TypeVar("ServedT", bound=Served)


@asynccontextmanager
async def running(served: ServedT) -> AsyncIterator[ServedT]:
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(served.run)
            yield served
            nursery.cancel_scope.cancel()
    finally:
        served.close()
    assert served.bugs == []
    assert "bug.gateway_http" not in served.pump.counts


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with running(Served(tmp_path, MemoryNetwork(), "one")) as served:
        yield served


class Unsynced(Served):
    """A sidecar whose seed is down."""

    def seek(self, *_addresses: object) -> None:
        super().seek(NOWHERE)

    def begin(self) -> None:
        """The first of its cluster from now on: synced."""
        super().seek()


@pytest.fixture
async def unsynced(tmp_path: Path) -> AsyncIterator[Unsynced]:
    async with running(Unsynced(tmp_path, MemoryNetwork(), "one")) as served:
        yield served
