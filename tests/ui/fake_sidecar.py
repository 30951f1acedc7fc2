"""What the page speaks with, in tests: its files, its streams and its calls, without a sidecar behind them.

A test says what each view answers (`views`), changes it later (`tell`), and makes the trouble: a stream that ends
(`cut`), a sidecar that is gone (`refusing`), a token (`token`),
an error of a call (`results`). The real server side has
tests of its own, and `scripts/check --page` measures both together.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import trio

import gossipreg

STATIC = Path(gossipreg.__file__).parent / "gateway/http/ui/static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Events = Iterable[tuple[str, Any]]
View = Callable[[dict[str, str]], Events]
"""The events that a stream begins with, by its query."""


@dataclass(eq=False)
class FakeStream:
    query: dict[str, str]
    connection: trio.SocketStream
    ended: trio.Event = field(default_factory=trio.Event)

    async def send(self, kind: str, data: Any) -> None:
        await self.connection.send_all(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())


@dataclass(frozen=True, slots=True)
class FakeCall:
    method: str
    params: dict[str, Any]
    headers: dict[str, str]


class FakeSidecar:
    def __init__(self, views: dict[str, View], hello: dict[str, Any], overview: dict[str, Any]) -> None:
        self.views = views
        self.hello = hello
        self.overview = overview
        self.token: str | None = None
        self.refusing = False
        self.results: dict[str, Any] = {}
        """By method; an exception-like `{"error": ...}` is answered as it stands."""
        self.calls: list[FakeCall] = []
        self.streams: list[FakeStream] = []
        self.seen_streams = 0
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/ui/"

    async def run(self, *, task_status: "trio.TaskStatus[FakeSidecar]" = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            nursery.start_soon(partial(trio.serve_listeners, self._serve, [listener]))
            task_status.started(self)

    async def tell(self, kind: str, data: Any) -> None:
        """Send an event to every page that is open."""
        for stream in self.streams:
            await stream.send(kind, data)

    def cut(self) -> None:
        """End all streams."""
        for stream in self.streams:
            stream.ended.set()

    # -- one connection ----------------------------------------------------------------------------------------------

    async def _serve(self, connection: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            received = b""
            while b"\r\n\r\n" not in received:
                if not (data := await connection.receive_some(65536)):
                    return
                received += data
            head, _, body = received.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            while len(body) < int(headers.get("content-length", 0)):
                body += await connection.receive_some(65536)
            if not self.refusing:
                await self._answer(connection, method, urlsplit(target), headers, body)

    async def _answer(
        self, connection: trio.SocketStream, method: str, target: Any, headers: dict[str, str], body: bytes
    ) -> None:
        path = unquote(target.path)
        if path == "/ui/" or path.startswith("/ui/static/"):
            name = "index.html" if path == "/ui/" else path.removeprefix("/ui/static/")
            await self._file(connection, name)
        elif path == "/favicon.ico":  # of what is no page of ours
            await _respond(connection, 204, "text/plain", b"")
        elif self.token is not None and headers.get("authorization") != f"Bearer {self.token}":
            await _json(connection, 401, {"error": {"code": "no_token", "message": "this needs a token"}})
        elif path == "/ui/stream":
            await self._stream(connection, dict(parse_qsl(target.query)))
        elif path == "/ui/tables":
            await _respond(connection, 200, "text/html", b"<h1>the tables</h1>")
        elif path.startswith("/ui/rpc/") and method == "POST":
            called = path.removeprefix("/ui/rpc/")
            self.calls.append(FakeCall(called, json.loads(body), headers))
            found = self.results.get(called, {})
            failed = isinstance(found, dict) and "error" in found
            await _json(connection, 409 if failed else 200, found if failed else {"result": found})
        else:
            await _json(connection, 404, {"error": {"code": "unknown_path", "message": f"no path {path}"}})

    async def _file(self, connection: trio.SocketStream, name: str) -> None:
        path = trio.Path(STATIC / name)
        if "/" in name or not await path.exists():
            await _respond(connection, 404, "text/plain", b"no such file")
        else:
            await _respond(connection, 200, _TYPES[path.suffix], await path.read_bytes())

    async def _stream(self, connection: trio.SocketStream, query: dict[str, str]) -> None:
        stream = FakeStream(query, connection)
        await connection.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        await stream.send("hello", self.hello)
        await stream.send("overview", self.overview)
        self.streams.append(stream)
        self.seen_streams += 1
        try:
            for kind, data in self.views.get(query["view"], _no_events)(query):
                await stream.send(kind, data)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read_to_end, stream)
                await stream.ended.wait()
                nursery.cancel_scope.cancel()
        finally:
            self.streams.remove(stream)


def _no_events(_query: dict[str, str]) -> Events:
    return ()


async def _read_to_end(stream: FakeStream) -> None:
    with suppress(trio.BrokenResourceError):
        while await stream.connection.receive_some(4096):
            pass
    stream.ended.set()


async def _json(connection: trio.SocketStream, status: int, value: Any) -> None:
    await _respond(connection, status, "application/json", json.dumps(value).encode())


async def _respond(connection: trio.SocketStream, status: int, type: str, body: bytes) -> None:
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        f"Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    )
    await connection.send_all(head.encode() + body)
