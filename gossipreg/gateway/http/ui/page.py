"""Answers the paths of the page."""

import time
from collections.abc import Awaitable, Callable

from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.ui.open_pages import OpenPages
from gossipreg.gateway.http.ui.page_calls import PageCalls
from gossipreg.gateway.http.ui.page_events import json_line, page_event
from gossipreg.gateway.http.ui.page_files import INDEX, PageFiles
from gossipreg.gateway.http.ui.page_tables import PageTables
from gossipreg.gateway.http.ui.page_views import asked_view
from gossipreg.net.http_message import Request, Response
from gossipreg.sidecar_api import SidecarApi


class Page:
    def __init__(
        self, sidecar: SidecarApi, start: Callable[[Callable[[], Awaitable[None]]], None], *, writes: bool
    ) -> None:
        """`start` runs a task beside the others, `writes` is --ui-writes."""
        self._sidecar = sidecar
        self._files = PageFiles()
        self._pages = OpenPages(sidecar, start)
        self._tables = PageTables(sidecar)
        self._calls = PageCalls(sidecar, writes=writes)

    @property
    def open_streams(self) -> int:
        return len(self._pages.streams)

    def to_page(self, _request: Request) -> Answer:
        """Relative, so that it is right behind a proxy that adds a prefix."""
        return Response(302, b"", headers=(("Location", "ui/"),))

    def index(self, request: Request) -> Answer:
        return self._files.answer(request, INDEX) if request.path[-1] == "" else self.to_page(request)

    def static(self, request: Request, name: str) -> Answer:
        return self._files.answer(request, name)

    def tables(self, _request: Request) -> Answer:
        return self._tables.answer()

    def call(self, request: Request, method: str) -> Answer:
        return self._calls.call(request, method)

    def stream(self, request: Request) -> Answer:
        asked = asked_view(request.query, request.caller)
        return self._pages.open(asked, page_event("hello", json_line(self._hello())))

    def _hello(self) -> dict[str, object]:
        view = self._sidecar.view
        row = view.row(view.id)
        return {
            "id": view.id.hex(),
            "name": view.name(view.id),
            "cluster": self._sidecar.cluster,
            "version": self._sidecar.version,
            "writes": self._calls.writes,
            "data_dir": row is not None and row.member is not None and row.member.durable,
            "now": round(time.time(), 3),
        }
