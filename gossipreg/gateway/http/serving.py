"""One run of the gateway: its parts, wired to the sidecar's registry as it is at the start of the run.

If a part fails, or loses track of the changes, the run ends, and the next run starts afresh with the same listeners.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Sequence

import trio

from gossipreg.gateway.http.api import Api
from gossipreg.gateway.http.blocking import Topic
from gossipreg.gateway.http.doors import Door, Doors
from gossipreg.gateway.http.events import Events
from gossipreg.gateway.http.guard import Guard
from gossipreg.gateway.http.message import Head
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.ports import HttpListener
from gossipreg.gateway.http.server import Server
from gossipreg.gateway.http.spellings import folded
from gossipreg.model import Change
from gossipreg.sidecar_api import SidecarApi

MEMBERS_S = 1.0
"""The interval at which members' own entries are compared while a question waits: they change without a notice."""


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
        self._members: dict[object, object] = {}
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

    async def _watch_members(self) -> None:
        """Find changes of members' own entries (names, addresses, labels), which come without a notice. One number
        tells whether any changed; they are searched for only then, and only while a question waits."""
        while True:
            await trio.sleep(MEMBERS_S)
            if self.api.answers.waiting and (topics := self._changed_members()) is not None:
                self.api.answers.changed(topics)

    def _changed_members(self) -> list[Topic] | None:
        """The topics of the members that changed; None if none did."""
        view = self._sidecar.view
        if view.fingerprint == self._fingerprint:
            return None
        self._fingerprint = view.fingerprint
        before, self._members = self._members, {id: row.member for id, row in view.replica.rows.items()}
        moved = [id for id, row in view.replica.rows.items() if before.get(id) is not row.member]
        names = {folded(one.service.name): None for id in moved for one in view.catalog.of_node(id)}
        return [("name", name) for name in names]


def _clock_us() -> int:
    return time.time_ns() // 1000
