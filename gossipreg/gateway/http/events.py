"""Changes of the answers as they come, as server-sent events (HTML standard, section 9.2).

It begins with `current`, all instances that there are, and goes on with `added`, `updated`, `removed`, one instance
each, in the JSON of `gossipreg watch`. A comment every 15 s shows that the connection lives. Whoever reads too slowly
is cut off, and begins anew with `current`: so events have no ids.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import trio

from gossipreg.core.view import View
from gossipreg.gateway.http.message import HttpError, Response
from gossipreg.model import Change, Instance
from gossipreg.wire.shapes import change_shape, current_shape

KEEP_ALIVE_S = 15.0
STREAMS_MAX = 256
"""Each gets each change; more readers than that want a gateway of their own."""


class Stream:
    """One reader; what the server writes a response without end from."""

    def __init__(self, events: "Events", name: str | None) -> None:
        self._events = events
        self.name = name
        self.write: Callable[[bytes], None] = lambda _data: None

    def begin(self, write: Callable[[bytes], None]) -> Response:
        self.write = write
        self._events.streams[self] = None
        body = b"retry: 1000\n\n" + event_bytes("current", current_shape(self._events.instances(self.name)))
        return Response(200, body, "text/event-stream")

    def end(self) -> None:
        self._events.streams.pop(self, None)


class Events:
    def __init__(self, view: View) -> None:
        self._view = view
        self.streams: dict[Stream, None] = {}

    def open(self, name: str | None) -> Stream:
        if len(self.streams) >= STREAMS_MAX:
            raise HttpError(503, "busy", f"there are {STREAMS_MAX} readers of events: close some")
        return Stream(self, name)

    def instances(self, name: str | None) -> tuple[Instance, ...]:
        catalog = self._view.catalog
        return tuple(catalog.instances()) if name is None else catalog.lookup(name, all=True)

    def changed(self, changes: Iterable[Change]) -> None:
        if not self.streams:
            return
        told: dict[Stream, list[bytes]] = {}
        for change in changes:
            data = b""
            for stream in self.streams:
                if stream.name in (None, change.instance.service.name):
                    data = data or event_bytes(change.kind.name.lower(), change_shape(change))
                    told.setdefault(stream, []).append(data)
        for stream, pieces in told.items():
            stream.write(b"".join(pieces))

    async def run(self) -> None:
        """Keep quiet connections open. Until cancelled."""
        while True:
            await trio.sleep(KEEP_ALIVE_S)
            for stream in list(self.streams):
                stream.write(b": still here\n\n")


def event_bytes(kind: str, value: Any) -> bytes:
    """JSON has no line ends, so it is one line of data."""
    return f"event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
