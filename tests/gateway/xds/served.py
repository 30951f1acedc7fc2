"""The server of the gateway on a real port of loopback, with the fake streams part, and clients."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from gossipreg.gateway.xds.server.grpc_server import XdsServer
from gossipreg.gateway.xds.server.ports import listen_tcp, listen_unix
from tests.gateway.xds.fake_streams import ADS, FakeStreams
from tests.gateway.xds.http2_client import Http2Client


class ServedXds:
    def __init__(self, folder: Path) -> None:
        self.streams = FakeStreams()
        self.counts: Counter[str] = Counter()
        self.bugs: list[tuple[str, Exception]] = []
        self._opened: list[trio.SocketStream] = []
        self.path = folder / "xds"
        self.listeners = [*listen_tcp(("127.0.0.1",), 0), listen_unix(self.path, None)]
        self.port = int(self.listeners[0].text.rpartition(":")[2])
        self.server = XdsServer(self.listeners, self.streams, self.counts, lambda *bug: self.bugs.append(bug))

    async def connect(self, *, unix: bool = False) -> trio.SocketStream:
        stream = await (trio.open_unix_socket(self.path) if unix else trio.open_tcp_stream("127.0.0.1", self.port))
        self._opened.append(stream)
        return stream

    async def client(self, *, acknowledges: bool = True, unix: bool = False) -> "SocketClient":
        return SocketClient(await self.connect(unix=unix), Http2Client(acknowledges=acknowledges))

    def close(self) -> None:
        for stream in self._opened:
            stream.socket.close()
        for listener in self.listeners:
            listener.close()


class SocketClient:
    """A client on a socket. It reads while a test waits for something."""

    def __init__(self, stream: trio.SocketStream, http2: Http2Client) -> None:
        self.stream = stream
        self.http2 = http2

    async def call(self, *messages: bytes) -> int:
        id, data = self.http2.call(ADS, *messages)
        await self.stream.send_all(data)
        return id

    async def send(self, id: int, *messages: bytes) -> None:
        await self.stream.send_all(self.http2.send(id, *messages))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read until this is true. Raises EOFError if the server closes before."""
        while not condition():
            await self.read()

    async def read(self) -> None:
        data = bytes(await self.stream.receive_some(65536))
        if not data:
            raise EOFError
        self.http2.receive(data)
        if answer := self.http2.out():
            await self.stream.send_all(answer)

    async def answers(self, id: int, count: int) -> list[bytes]:
        await self.until(lambda: len(self.http2.messages[id]) >= count)
        return self.http2.messages[id]

    async def closed(self) -> bool:
        """Read until the server closes the connection."""
        try:
            while data := await self.stream.receive_some(65536):
                self.http2.receive(bytes(data))
        except trio.BrokenResourceError:
            pass
        return True


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[ServedXds]:
    served = ServedXds(folder)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.run)
            await wait_all_tasks_blocked()  # it sets bounds as it begins
            try:
                yield served
            finally:
                nursery.cancel_scope.cancel()
    finally:
        served.close()
    assert served.bugs == []
