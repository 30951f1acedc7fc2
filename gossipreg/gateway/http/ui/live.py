"""What all open streams share: the boards, the overview, and what is watched. It runs as long as one stream is open.

Owns what the sidecar's feeds mean for them. Never knows who reads.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from gossipreg.gateway.http.ui.board import Board
from gossipreg.gateway.http.ui.member_items import LOOK_EVERY_S, MemberItems
from gossipreg.gateway.http.ui.overview import EVERY_S, SENT_EVERY_S, SHORTEST_S, OverviewMaker
from gossipreg.gateway.http.ui.page_events import error_line
from gossipreg.gateway.http.ui.page_stream import Send
from gossipreg.gateway.http.ui.service_items import ServiceItems
from gossipreg.gateway.http.ui.watched import WatchedView, WatchedViews
from gossipreg.model import Change, NodeId, fold_name
from gossipreg.sidecar_api import SidecarApi


class Live:
    def __init__(self, sidecar: SidecarApi, start: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        """`start` runs a task beside the others."""
        self.scope = trio.CancelScope()
        self._sidecar = sidecar
        members, services = MemberItems(sidecar.view, sidecar.now), ServiceItems(sidecar.view, sidecar.now)
        self._service_items = services
        self.members = Board[NodeId]("members", keys=members.keys, read=members.read, key_text=bytes.hex)
        self.services = Board[str]("services", keys=services.keys, read=services.read, key_text=str)
        overview = OverviewMaker(sidecar.figures, self.members, self.services)
        self.overview = WatchedView(
            "overview", overview.make, every_s=EVERY_S, shortest_s=SHORTEST_S, sent_every_s=SENT_EVERY_S,
            bug=sidecar.bug,
        )  # fmt: skip
        self.members.on_change = self.services.on_change = self.overview.touch
        self.watched = WatchedViews(start, sidecar.bug)
        self._knowledge_changed = trio.Event()

    async def run(self) -> None:
        """Until cancelled, or until it loses track of the changes."""
        with (
            self.scope,
            self._sidecar.changes.following("gateway_http_ui", self._changed),
            self._sidecar.members.following("gateway_http_ui", self._members_changed),
        ):
            async with trio.open_nursery() as nursery:
                for task in (self.members.run, self.services.run, self.overview.run, self._look):
                    nursery.start_soon(task)

    def _changed(self, changes: Sequence[Change]) -> None:
        if not changes:
            self._knowledge_changed.set()
            self._knowledge_changed = trio.Event()
            self.members.touch_all()
            self.overview.touch()
        names = dict.fromkeys(fold_name(change.instance.service.name) for change in changes)
        nodes = dict.fromkeys(change.instance.node for change in changes)
        self.services.touch(names)
        self.members.touch(nodes)
        self._touch_watched(names, nodes)

    def _members_changed(self, ids: Iterable[NodeId]) -> None:
        self.members.touch(ids)
        self._touch_watched((), ids)

    def _touch_watched(self, names: Iterable[str], nodes: Iterable[NodeId]) -> None:
        for name in names:
            self.watched.touch(("service", name))
        for node in nodes:
            self.watched.touch(("member", node.hex()))

    async def _look(self) -> None:
        """At what no feed tells of."""
        while True:
            await trio.sleep(LOOK_EVERY_S)
            self.members.touch_all()
            self.services.touch(self._service_items.may_be_forgotten(self.services.items))

    async def while_known(self, send: Send, what: str, show: Callable[[], Awaitable[None]]) -> None:
        """Show `what` while the cluster's table is known, and the error `not_synced` while it is not. Until
        cancelled."""
        while True:
            if not self._sidecar.view.knowledge.refuses:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._cancel_when_unknown, nursery)
                    await show()
            why = self._sidecar.view.why_not_synced(self._sidecar.now())
            message = f"this sidecar is not synced, so it does not know {what} yet: {why}"
            await send("error", error_line("not_synced", message))
            while self._sidecar.view.knowledge.refuses:
                await self._knowledge_changed.wait()

    async def _cancel_when_unknown(self, nursery: trio.Nursery) -> None:
        while not self._sidecar.view.knowledge.refuses:
            await self._knowledge_changed.wait()
        nursery.cancel_scope.cancel()
