"""One run of the gateway: its parts, wired to the sidecar's registry as it is at the start of the run.

If a part fails, or loses track of the changes, the run ends, and the next run starts afresh with the same listeners.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import trio

from gossipreg.gateway.http.api import Api
from gossipreg.gateway.http.doors import Door, Doors
from gossipreg.gateway.http.events import Events
from gossipreg.gateway.http.guard import Guard
from gossipreg.gateway.http.message import Head
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.ports import HttpListener
from gossipreg.gateway.http.server import Server
from gossipreg.gateway.http.spellings import folded
from gossipreg.model import Change, Member, NodeId
from gossipreg.sidecar_api import SidecarApi

MEMBERS_S = 1.0
"""The interval at which members' own entries are compared while a read waits."""


class HttpRun:
    def __init__(
        self, listeners: Sequence[HttpListener], guard: Guard, doors: Doors, counts: Counter[str], sidecar: SidecarApi
    ) -> None:
        """`counts` is counted on."""
        self._sidecar = sidecar
        self._guard = guard
        self._doors = doors
        self._events = Events(sidecar.view)
        self.server = Server(listeners, self._check, counts=counts, bug=sidecar.bug)
        self.api = Api(
            sidecar, Monitoring(sidecar, self._events, self._gauges), send=self.server.answer,
            rng=random.Random(os.urandom(16)), clock_us=_clock_us,
        )  # fmt: skip
        self._members: dict[NodeId, Member | None] = {}
        """The own entries as the last look found them."""
        self._fingerprint = -1

    def _check(self, door: Door, head: Head) -> None:
        if not door.unix:
            self._guard.check_untrusted(head, loopback=door.loopback)
        self._doors.check_untrusted(door, head)

    def _gauges(self) -> dict[str, float]:
        return {
            "connections": len(self.server.connections),
            "waiting": self.api.answers.waiting,
            "woken": self.api.answers.woken,
            "event_streams": len(self._events.streams),
        }

    async def run(self) -> None:
        """Until cancelled, or until it loses track of the changes."""
        with self._sidecar.changes.following("gateway_http", self._changed):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.api.answers.run)
                nursery.start_soon(self._events.run)
                nursery.start_soon(self._watch_members)
                nursery.start_soon(self.server.run, self.api.answer)

    def _changed(self, changes: Sequence[Change]) -> None:
        self.api.parts.changed(changes)
        names = dict.fromkeys(folded(change.instance.service.name) for change in changes)
        self.api.answers.changed([("name", name) for name in names])
        self._events.changed(changes)

    def _members_changed(self, ids: Iterable[NodeId]) -> None:
        """The own entries of these members have changed (name, addresses, labels): answer the reads that show them."""
        catalog = self._sidecar.view.catalog
        names = dict.fromkeys(folded(one.service.name) for id in ids for one in catalog.of_node(id))
        self.api.answers.changed([("name", name) for name in names])

    async def _watch_members(self) -> None:
        """Look for changes of members' own entries while a read waits: the core does not report them. One number says
        whether the table has changed at all."""
        view = self._sidecar.view
        while True:
            await trio.sleep(MEMBERS_S)
            if self.api.answers.waiting and view.fingerprint != self._fingerprint:
                self._fingerprint = view.fingerprint
                before, self._members = self._members, {id: row.member for id, row in view.table.rows.items()}
                self._members_changed(id for id, member in self._members.items() if before.get(id) is not member)


def _clock_us() -> int:
    return time.time_ns() // 1000
