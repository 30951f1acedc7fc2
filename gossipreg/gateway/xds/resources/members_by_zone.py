"""The living members by their zones: what Envoy's zone-aware balancing takes for the callers.

Envoys stand beside sidecars, and the members are spread over the zones as they are. Envoy counts the endpoints of each
zone and connects to none of them.
"""

from collections.abc import Iterable

from gossipreg.core.table.row import Standing
from gossipreg.core.view import View
from gossipreg.gateway.xds.resources.endpoints import Endpoint, packed_literal
from gossipreg.model import NodeId


class MembersByZone:
    def __init__(self, view: View) -> None:
        self._view = view
        self._found: dict[NodeId, Endpoint] = {}
        self.changed(view.row_ids())

    def changed(self, ids: Iterable[NodeId]) -> bool:
        """Look at these members again. True if what Envoy gets is another than before."""
        before = len(self._found)
        changed = False
        for id in ids:
            endpoint, kept = self._endpoint(id), self._found.pop(id, None)
            if endpoint is not None:
                self._found[id] = endpoint
            changed |= endpoint != kept
        return changed or len(self._found) != before

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Each address once, in order."""
        return tuple(sorted({one[:2]: one for one in sorted(self._found.values())}.values()))

    def _endpoint(self, id: NodeId) -> Endpoint | None:
        row = self._view.row(id)
        if row is None or row.member is None or self._view.standing(id) is not Standing.LIVES:
            return None
        for address in row.member.addresses:
            packed = packed_literal(address.host)
            if packed is not None:
                return Endpoint(packed, address.port, row.member.zone, 1)
        return None
