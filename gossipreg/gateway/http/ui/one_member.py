"""A member: what the registry says of it, and what it says of itself when it is asked.

It is asked every five seconds while somebody looks, beside the rest: what is known here is shown at once, and a member
that does not answer delays nothing.
"""

from collections.abc import Callable

import trio

from gossipreg.callers import Caller
from gossipreg.errors import GossipregError, NotFound, NotSynced
from gossipreg.gateway.http.ui.watched import MadeView, made
from gossipreg.model import NodeId
from gossipreg.sidecar_api import Shape, SidecarApi
from gossipreg.wire.shapes import instance_shape, member_shape

ASK_EVERY_S = 5.0
SERVICES_SHOWN = 500
_NOT_ASKED: Shape = {"load": None, "troubles": [], "not_answered": None}


class OneMember:
    def __init__(self, sidecar: SidecarApi, id: NodeId, caller: Caller) -> None:
        self._sidecar = sidecar
        self._view = sidecar.view
        self._id = id
        self._caller = caller
        self._said = _NOT_ASKED

    async def make(self) -> MadeView:
        """Raises NotFound, or NotSynced if it may only be not known yet."""
        view, partial = self._view, self._view.knowledge.partial
        member = view.member(self._id, self._sidecar.now())
        if member is None and partial:
            why = view.why_not_synced(self._sidecar.now())
            raise NotSynced(f"this sidecar is not synced, so it does not know member {self._id.hex()} yet: {why}")
        if member is None:
            raise NotFound(f"this sidecar knows no member {self._id.hex()}; one that is gone for long is forgotten")
        services = view.catalog.of_node(self._id)
        return made({
            "member": member_shape(member, partial, self._id == view.id),
            "services": [instance_shape(one) for one in services[:SERVICES_SHOWN]],
            "services_left_out": max(0, len(services) - SERVICES_SHOWN),
            **self._said,
        })  # fmt: skip

    async def keep_asking(self, touch: Callable[[], None]) -> None:
        """Ask it again and again, and call `touch` with each answer. Until cancelled."""
        while True:
            self._said = await self._ask()
            touch()
            await trio.sleep(ASK_EVERY_S)

    async def _ask(self) -> Shape:
        member = self._view.member(self._id, self._sidecar.now())
        if member is None or member.state in ("dead", "left"):  # the page says so
            return _NOT_ASKED
        try:
            said = await self._sidecar.ask("ask-member", {"member": self._id.hex()}, self._caller)
        except GossipregError as error:
            return {**_NOT_ASKED, "not_answered": str(error)}
        return {**_NOT_ASKED, **said}
