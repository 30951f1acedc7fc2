"""A reader of a page's stream, and a caller of its methods."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import trio

from tests.gateway.http.conftest import Client, Reply, Served, request_bytes

JSON = {"Content_Type": "application/json", "X_Gossipreg_Ui": "1"}
"""The headers of a call."""


class PageReader:
    """Reads the events of one stream in their order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._held = b""
        self._came: deque[tuple[str, Any]] = deque()

    async def event(self) -> tuple[str, Any]:
        """The next event, of whatever kind. Raises EOFError at the end of the stream."""
        while not self._came:
            data = await self.client.stream.receive_some(65536)
            if not data:
                raise EOFError("the stream has ended")
            *whole, self._held = (self._held + bytes(data)).split(b"\n\n")
            for piece in whole:
                fields = dict(line.split(": ", 1) for line in piece.decode().splitlines() if ": " in line)
                if "event" in fields:
                    self._came.append((fields["event"], json.loads(fields["data"])))
        return self._came.popleft()

    async def next(self, kind: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """The data of the next event of this kind that fits."""
        with trio.fail_after(30):
            while True:
                found, data = await self.event()
                if found == kind and fits(data):
                    return data

    async def each(self, *kinds: str) -> dict[str, Any]:
        """The data of the first event of each of these kinds, in whatever order they come."""
        found: dict[str, Any] = {}
        with trio.fail_after(30):
            while not set(kinds) <= found.keys():
                kind, data = await self.event()
                found.setdefault(kind, data)
        return found


async def open_page(served: Served, view: str, **fields: str) -> PageReader:
    """`fields` are further fields of the query."""
    client = await served.client()
    await client.send(request_bytes("GET", f"/ui/stream?{urlencode({'view': view, **fields})}"))
    return PageReader(client)


async def call(served: Served, method: str, params: Any = None, **headers: str) -> Reply:
    return await (await served.client()).request("POST", f"/ui/rpc/{method}", params or {}, **{**JSON, **headers})
