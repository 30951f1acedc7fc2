"""The overview, which every view has: what is wrong first, and how much there is of everything."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from gossipreg.gateway.http.ui.board import Board
from gossipreg.gateway.http.ui.service_items import DOWN, FIGURES
from gossipreg.gateway.http.ui.watched import MadeView, made
from gossipreg.model import NodeId
from gossipreg.sidecar_api import Shape

EVERY_S = 2.0
SHORTEST_S = 0.5
SENT_EVERY_S = 3.0
"""Also unchanged: a page that gets nothing for 8 s says that its sidecar is silent (`static/session.js`)."""
DOWN_NAMED = 20
"""Services that no lookup finds, by name; of further ones the number alone."""
STATES = ("alive", "suspect", "dead", "left")
_AS_IN_INFO = (
    *("troubles", "synced", "knowledge", "not_synced_because", "alone", "out", "health_score", "uptime_s"),
    *("loop_lag_ms", "not_alive", "failing_checks", "maintenance"),
)


class OverviewMaker:
    def __init__(
        self, figures: Callable[[], Awaitable[Shape]], members: Board[NodeId], services: Board[str]
    ) -> None:  # fmt: skip
        """`figures` gives the answer of `gossipreg info`."""
        self._figures = figures
        self._members = members
        self._services = services

    async def make(self) -> MadeView:
        await self._members.filled.wait()
        await self._services.filled.wait()
        return made(overview_shape(await self._figures(), self._members, self._services))


def overview_shape(info: Shape, members: Board[NodeId], services: Board[str]) -> Shape:
    """`info` is the answer of `gossipreg info`. `services` is None while they are not known; their `names`
    count those that dead members alone have, too. `events` and `sagas` are of the journals that are led here, None as
    long as none is."""
    states = Counter(item.group for item in members.items.values())
    known = info["knowledge"] != "not_synced"
    leads = info["counters"].get("journals_led", 0) > 0
    return {
        **{name: info[name] for name in _AS_IN_INFO},
        "members": {state: states[state] for state in STATES},
        "services": _services(services) if known else None,
        "events": _events(info.get("events")) if leads else None,
        "sagas": _sagas(info.get("sagas")) if leads else None,
    }


def _services(services: Board[str]) -> Shape:
    sums = [0] * len(FIGURES)
    for item in services.items.values():
        for at, figure in enumerate(item.figures):
            sums[at] += figure
    down = [item.text for item in services.items.values() if item.group == DOWN]
    named = [_down(json.loads(text)) for text in down[:DOWN_NAMED]]
    figures = dict(zip(FIGURES, sums, strict=True))
    return {"names": len(services.items), **figures, "down": named, "down_count": len(down)}


def _down(service: dict[str, Any]) -> Shape:
    """A service that no lookup finds: where its instances are."""
    return {name: service[name] for name in ("name", "instances", "dead")}


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
