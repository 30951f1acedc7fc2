"""A stream of the changes of the answers, as server-sent events (HTML standard, section 9.2).

The stream begins with `current`, which has all instances, and continues with `added`, `updated` and `removed`, one
instance each, in the JSON of `gossipreg watch`. While no table is known, `current` is delayed (`core/followers.py`). A
comment every 15 s shows that the connection lives. A client that reads too slowly is disconnected and begins again with
`current`, so events have no ids.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import trio

from gossipreg.core.followers import Current, Followers
from gossipreg.core.view import View
from gossipreg.gateway.http.client import StreamOut
from gossipreg.model import Change
from gossipreg.net.http_message import HttpError, Response
from gossipreg.wire.shapes import change_shape, current_shape

KEEP_ALIVE_S = 15.0
STREAMS_MAX = 256
"""Every reader gets every change, so their number is bounded."""


class Stream:
    """One reader of a response without an end."""

    def __init__(self, events: "ConsulEvents", name: str | None) -> None:
        self._events = events
        self.name = name
        self.write: Callable[[bytes], None] = lambda _data: None

    def begin(self, out: StreamOut) -> Response:
        self.write = out.write
        return Response(200, b"retry: 1000\n\n" + self._events.begin(self), "text/event-stream")

    def drained(self) -> None:
        """Each change is written when it comes."""

    def end(self) -> None:
        self._events.end(self)


class ConsulEvents:
    def __init__(self, view: View) -> None:
        self.streams: dict[Stream, None] = {}
        self._followers: Followers[Stream] = Followers(view)

    def open(self, name: str | None) -> Stream:
        if len(self.streams) >= STREAMS_MAX:
            raise HttpError(503, "busy", f"this sidecar serves {STREAMS_MAX} readers of events, the limit: close some")
        return Stream(self, name)

    def begin(self, stream: Stream) -> bytes:
        self.streams[stream] = None
        current = self._followers.add(stream, stream.name)
        return b": not synced yet\n\n" if current is None else event_of(current)

    def end(self, stream: Stream) -> None:
        if self.streams.pop(stream, self) is None:
            self._followers.remove(stream, stream.name)

    def changed(self, changes: Iterable[Change]) -> None:
        to_write: dict[Stream, list[bytes]] = {}
        for what, streams in self._followers.changed(changes):
            data = event_of(what)
            for stream in streams:
                to_write.setdefault(stream, []).append(data)
        for stream, pieces in to_write.items():
            stream.write(b"".join(pieces))

    async def run(self) -> None:
        """Keep quiet connections open. Until cancelled."""
        while True:
            await trio.sleep(KEEP_ALIVE_S)
            for stream in list(self.streams):
                stream.write(b": still here\n\n")


def event_of(what: Current | Change) -> bytes:
    if isinstance(what, Current):
        return event_bytes("current", current_shape(what.instances, what.partial))
    return event_bytes(what.kind.name.lower(), change_shape(what))


def event_bytes(kind: str, value: Any) -> bytes:
    """JSON has no line ends, so it is one line of data."""
    return f"event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
