"""The open streams: how many there may be, and what runs while there is one.

A fault in a view is a bug and closes its stream, so that the page begins again; it does not touch the others.
"""

from collections.abc import Awaitable, Callable

import trio

from gossipreg.errors import GossipregError
from gossipreg.gateway.http.ui.live import Live
from gossipreg.gateway.http.ui.page_events import error_line
from gossipreg.gateway.http.ui.page_files import DATA_HEADERS
from gossipreg.gateway.http.ui.page_stream import PageStream
from gossipreg.gateway.http.ui.page_views import VIEWS, AskedView
from gossipreg.net.http_message import HttpError
from gossipreg.sidecar_api import SidecarApi

PAGES_MAX = 64
"""Streams at once."""


class OpenPages:
    def __init__(self, sidecar: SidecarApi, start: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        """`start` runs a task beside the others."""
        self.streams: dict[PageStream, None] = {}
        self._sidecar = sidecar
        self._start = start
        self._live: Live | None = None

    def open(self, asked: AskedView, first: bytes) -> PageStream:
        """`first` is its first event. Raises HttpError when there are too many."""
        if len(self.streams) >= PAGES_MAX:
            raise HttpError(503, "busy", f"{PAGES_MAX} pages are open at this sidecar, the limit: close some")
        return PageStream(first, DATA_HEADERS, begin=lambda stream: self._begin(stream, asked), end=self._end)

    def _begin(self, stream: PageStream, asked: AskedView) -> None:
        self.streams[stream] = None
        live = self._live
        if live is None:
            live = self._live = Live(self._sidecar, self._start)
            self._start(lambda: self._run(live))
        self._start(lambda: self._show(stream, asked, live))

    def _end(self, stream: PageStream) -> None:
        self.streams.pop(stream, None)
        if not self.streams and self._live is not None:
            self._live.scope.cancel()
            self._live = None

    async def _run(self, live: Live) -> None:
        try:
            await live.run()
        except Exception as error:
            self._sidecar.bug("http_ui", error)
        if self._live is live:  # it has lost track of the changes: the pages begin again
            self._live = None
            for stream in list(self.streams):
                stream.close()

    async def _show(self, stream: PageStream, asked: AskedView, live: Live) -> None:
        try:
            with stream.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(live.overview.show, stream.send)
                    nursery.start_soon(self._show_view, stream, asked, live)
        except Exception as error:
            self._sidecar.bug("http_ui_view", error)
            stream.close()

    async def _show_view(self, stream: PageStream, asked: AskedView, live: Live) -> None:
        try:
            await VIEWS[asked.view].show(self._sidecar, live, asked, stream.send)
        except GossipregError as error:
            await stream.send("error", error_line(error.code, str(error)))
