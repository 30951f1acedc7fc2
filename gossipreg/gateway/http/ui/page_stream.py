"""One open page: the stream of one view, written as fast as its reader reads.

Owns the waiting for the reader: the tasks of a stream write an event only when the kernel has taken most of the one
before, so what waits for a slow reader is bounded, and it gets the newest instead of all. A reader that takes nothing
for 30 s is cut off by the server (`connections.py`) and begins again with what is then.
"""

from collections.abc import Awaitable, Callable

import trio

from gossipreg.gateway.http.client import StreamOut
from gossipreg.gateway.http.ui.page_events import page_event
from gossipreg.net.http_message import Response

ROOM_BYTES = 64 * 1024
"""An event is written as long as no more than this waits for the reader."""

Send = Callable[[str, bytes], Awaitable[None]]
"""`send(kind, data)` writes an event once the reader has room for it."""


class PageStream:
    def __init__(
        self, first: bytes, headers: tuple[tuple[str, str], ...], *,
        begin: Callable[["PageStream"], None], end: Callable[["PageStream"], None],
    ) -> None:  # fmt: skip
        """`first` is its first event; `begin` and `end` are called when it begins and when the reader is gone."""
        self.scope = trio.CancelScope()
        """Around its tasks."""
        self._first = first
        self._headers = headers
        self._begin = begin
        self._end = end
        self._out: StreamOut | None = None
        self._drained = trio.Event()

    def begin(self, out: StreamOut) -> Response:
        self._out = out
        self._begin(self)
        return Response(200, b"retry: 1000\n\n" + self._first, "text/event-stream", self._headers)

    def drained(self) -> None:
        self._drained.set()
        self._drained = trio.Event()

    def end(self) -> None:
        self.scope.cancel()
        self._end(self)

    def close(self) -> None:
        """End it from here: the page begins again."""
        if self._out is not None:
            self._out.close()

    async def send(self, kind: str, data: bytes) -> None:
        """Write an event once the reader has room for it."""
        assert self._out is not None, "it has begun"
        await trio.lowlevel.checkpoint()
        while self._out.unsent_bytes() > ROOM_BYTES:
            await self._drained.wait()
        self._out.write(page_event(kind, data))
