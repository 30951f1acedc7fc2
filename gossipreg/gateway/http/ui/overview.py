"""The overview, which every view has: what is wrong first, and how much there is of everything.

It is made again at most twice a second when something has changed, and looked at every two seconds, since nobody tells
of a new trouble. It is sent every ten seconds even if nothing has changed, so that a page knows that it is live.
"""

from collections import Counter
from typing import Any

import trio

from gossipreg.gateway.http.ui.board import Board
from gossipreg.gateway.http.ui.latest import Latest
from gossipreg.gateway.http.ui.page_events import json_line, without_times
from gossipreg.gateway.http.ui.page_stream import Send
from gossipreg.gateway.http.ui.service_items import FIGURES
from gossipreg.model import NodeId
from gossipreg.sidecar_api import Shape, SidecarApi

SHORTEST_S = 0.5
LOOK_EVERY_S = 2.0
SENT_EVERY_S = 10.0
STATES = ("alive", "suspect", "dead", "left")
_AS_IN_INFO = (
    *("troubles", "synced", "knowledge", "not_synced_because", "alone", "out", "health_score", "uptime_s"),
    *("loop_lag_ms", "not_alive", "failing_checks", "maintenance"),
)


class Overview:
    def __init__(self, sidecar: SidecarApi, members: Board[NodeId], services: Board[str]) -> None:
        self._sidecar = sidecar
        self._members = members
        self._services = services
        self._latest = Latest[bytes]()
        self._touched = trio.Event()
        members.on_change = services.on_change = self.touch

    def touch(self) -> None:
        """Something that it shows may have changed."""
        self._touched.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._members.filled.wait()
        await self._services.filled.wait()
        shown, sent_at = None, 0.0
        while True:
            self._touched = trio.Event()
            shape = overview_shape(await self._sidecar.figures(), self._members, self._services)
            same, now = without_times(shape), trio.current_time()
            if same != shown or now - sent_at >= SENT_EVERY_S:
                shown, sent_at = same, now
                self._latest.put(json_line(shape))
            await trio.sleep(SHORTEST_S)
            with trio.move_on_after(LOOK_EVERY_S - SHORTEST_S):
                await self._touched.wait()

    async def show(self, send: Send) -> None:
        """Send it as it changes. Until cancelled."""
        number = 0
        while True:
            number, data = await self._latest.after(number)
            await send("overview", data)


def overview_shape(info: Shape, members: Board[NodeId], services: Board[str]) -> Shape:
    """`info` is the answer of `gossipreg info`. `services` is None while they are not known; `events` and `sagas` are
    of the journals that are led here, and None as long as nothing here uses them."""
    states = Counter(item.group for item in members.items.values())
    known = info["knowledge"] != "not_synced"
    return {
        **{name: info[name] for name in _AS_IN_INFO},
        "members": {state: states[state] for state in STATES},
        "services": _services(services) if known else None,
        "events": _events(info.get("events")),
        "sagas": _sagas(info.get("sagas")),
    }


def _services(services: Board[str]) -> Shape:
    sums = [0] * len(FIGURES)
    for item in services.items.values():
        for at, figure in enumerate(item.figures):
            sums[at] += figure
    return {"names": len(services.items), **dict(zip(FIGURES, sums, strict=True))}


def _events(section: dict[str, Any] | None) -> Shape | None:
    if section is None:
        return None
    groups = section["groups"].values()
    return {
        "groups": len(groups) + section.get("groups_left_out", 0),
        "pending": sum(group["pending"] for group in groups),
        "oldest_s": max((group["oldest_s"] for group in groups), default=0.0),
        "dead": sum(group["dead"] for group in groups),
    }


def _sagas(section: dict[str, Any] | None) -> Shape | None:
    return None if section is None else {name: section[name] for name in ("running", "undoing", "finishing", "stuck")}
