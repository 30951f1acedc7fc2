"""One run of the gateway: its parts, wired to the sidecar's registry as it is at the start of the run.

If a part fails, or loses track of the changes, the run ends, and the next run starts afresh with the same listeners.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from gossipreg.gateway.http.api import Api
from gossipreg.gateway.http.doors import Door, Doors
from gossipreg.gateway.http.events import ConsulEvents
from gossipreg.gateway.http.guard import Guard
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.ports import HttpListener
from gossipreg.gateway.http.server import Server
from gossipreg.gateway.http.spellings import folded
from gossipreg.gateway.http.ui.routes import is_page_untrusted
from gossipreg.model import Change, NodeId
from gossipreg.net.http_message import Head
from gossipreg.sidecar_api import SidecarApi


class HttpRun:
    def __init__(
        self, listeners: Sequence[HttpListener], guard: Guard, doors: Doors, counts: Counter[str], sidecar: SidecarApi,
        *, page_writes: bool,
    ) -> None:  # fmt: skip
        """`counts` is counted on; `page_writes` is --ui-writes."""
        self._sidecar = sidecar
        self._guard = guard
        self._doors = doors
        self._events = ConsulEvents(sidecar.view)
        self.server = Server(listeners, self._check, counts=counts, bug=sidecar.bug, full=sidecar.full)
        self.api = Api(
            sidecar, Monitoring(sidecar, self._events, self._gauges), send=self.server.answer,
            rng=random.Random(os.urandom(16)), clock_us=_clock_us, is_token=doors.is_token,
            start=self._start, page_writes=page_writes,
        )  # fmt: skip
        self._nursery: trio.Nursery
        """As long as it runs."""

    def _check(self, door: Door, head: Head) -> None:
        if not door.unix or is_page_untrusted(head):  # browsers reach a unix socket that is forwarded to a port
            self._guard.check_untrusted(head, loopback=door.loopback)
        self._doors.check_untrusted(door, head)

    def _gauges(self) -> dict[str, float]:
        return {
            "connections": len(self.server.connections),
            "waiting": self.api.answers.waiting,
            "woken": self.api.answers.woken,
            "event_streams": len(self._events.streams),
            "page_streams": self.api.parts.page_streams,
        }

    async def run(self) -> None:
        """Until cancelled, or until it loses track of the changes."""
        with (
            self._sidecar.changes.following("gateway_http", self._changed),
            self._sidecar.members.following("gateway_http", self._members_changed),
            self._sidecar.registered.following("gateway_http", self._registered),
        ):
            try:
                async with trio.open_nursery() as self._nursery:
                    nursery = self._nursery
                    nursery.start_soon(self.api.answers.run)
                    nursery.start_soon(self._events.run)
                    nursery.start_soon(self.server.run, self.api.answer)
            finally:
                self.api.parts.close()

    def _start(self, task: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(task)

    def _changed(self, changes: Sequence[Change]) -> None:
        self.api.parts.changed(changes)
        names = dict.fromkeys(folded(change.instance.service.name) for change in changes)
        self.api.answers.changed([("name", name) for name in names])
        self._events.changed(changes)

    def _members_changed(self, ids: Iterable[NodeId]) -> None:
        """These members are shown otherwise than before (state, name, addresses, labels): answer the reads that show
        them."""
        catalog = self._sidecar.view.catalog
        names = dict.fromkeys(folded(one.service.name) for id in ids for one in catalog.of_node(id))
        self.api.answers.changed([("name", name) for name in names])

    def _registered(self, id: str) -> None:
        """Answers about it show its single checks, which the catalog does not have: others may be equal there."""
        names = dict.fromkeys(map(folded, self._sidecar.registrations.names(id)))
        self.api.answers.changed([("name", name) for name in names])


def _clock_us() -> int:
    return time.time_ns() // 1000
