"""A service with all its instances: which of them are in the answers here, which are not, and why.

"Why is X not in the answers?" is answered here in one place: an instance that is out says why, one of a dead member
too, and `explain` counts what a lookup leaves out. Who calls a service is not known to anybody.
"""

from hashlib import sha256

import trio

from gossipreg.callers import Caller
from gossipreg.core.dead_services import dead_shapes
from gossipreg.errors import NotSynced
from gossipreg.gateway.http.ui.board import PIECE, pieces_of
from gossipreg.gateway.http.ui.out_because import out_because
from gossipreg.gateway.http.ui.page_events import json_line, line_without_times
from gossipreg.gateway.http.ui.watched import MadeView
from gossipreg.model import CatalogInstance, fold_name
from gossipreg.sidecar_api import Shape, SidecarApi
from gossipreg.wire.shapes import instance_shape


class OneService:
    def __init__(self, sidecar: SidecarApi, name: str, caller: Caller) -> None:
        """`name` in any case."""
        self._sidecar = sidecar
        self._view = sidecar.view
        self._name = name
        self._caller = caller

    async def make(self) -> MadeView:
        """Raises NotSynced as long as nothing is known of it."""
        explain = await self._sidecar.ask("explain", {"name": self._name}, self._caller)
        instances = self._view.catalog.lookup(self._name, all=True)
        if self._view.knowledge.refuses and not any(one.node == self._view.id for one in instances):
            why = self._view.why_not_synced(self._sidecar.now())
            raise NotSynced(f"this sidecar is not synced, so it does not know where {self._name} is yet: {why}")
        same = sha256()
        texts: list[bytes] = []

        def add(shape: Shape) -> None:
            texts.append(json_line(shape))
            same.update(line_without_times(shape, texts[-1]))

        for piece in pieces_of(instances, PIECE):
            for one in piece:
                add(self.shape(one))
            await trio.lowlevel.checkpoint()
        name = explain["name"] or self._name
        for number, shape in enumerate(dead_shapes(self._view, self._name, (), None, self._sidecar.now())):
            add({**shape, "checks": None, "out_because": shape["reason"]})
            name = explain["name"] or shape["service"]
            if number % PIECE == PIECE - 1:
                await trio.lowlevel.checkpoint()
        about = {"name": name, "explain": explain, "partial": self._view.knowledge.partial}
        head = json_line(about)
        same.update(head)
        return MadeView(same.digest(), b'%s,"instances":[%s]}' % (head[:-1], b",".join(texts)))

    def shape(self, instance: CatalogInstance) -> Shape:
        """An instance with its checks, where they are known here, and why it is out."""
        checks = self._sidecar.registrations.report(instance.service.id) if instance.node == self._view.id else None
        return {**instance_shape(instance), "checks": checks, "out_because": out_because(instance, checks)}


def service_key(name: str) -> tuple[str, str]:
    """Of a watched service."""
    return "service", fold_name(name)
