"""`alias` checks: a service takes over the health of another service, or of a whole node.

Owns the lookup of that health in the table, and the refusal of circles of aliases. As with Consul's agents, an alias is
critical if the other service is not registered or is in maintenance; a node passes while it is alive and not in
maintenance.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import trio

from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Progress
from gossipreg.errors import BadParams
from gossipreg.model import Health, NodeId, Status

if TYPE_CHECKING:
    from gossipreg.core.node import Node
    from gossipreg.core.table.row import Row

CRITICAL = Health.CRITICAL
LOOK_S = 0.1


class Aliases:
    def __init__(self, node: "Node", own_health: Callable[[], Health]) -> None:
        """`own_health()` is the health of this sidecar's own checks."""
        self._node = node
        self._own_health = own_health
        self._ids: dict[str, NodeId] = {}
        """Name of a node -> the id that it had at the last lookup."""

    async def run(self, spec: CheckSpec, progress: Progress) -> CheckOutcome:
        """Find the health of the aliased service or node. If the alias names a node, wait until this sidecar is synced:
        a service that is not known yet must not count as failed."""
        progress.text = "this sidecar is not synced yet"
        while spec.node and not self._node.synced:
            await trio.sleep(LOOK_S)
        id = self._find(spec.node)
        if id is None:
            return CheckOutcome(CRITICAL, f"no living node has the name {spec.node!r}")
        return self._service(id, spec) if spec.target else self._whole(id)

    def _service(self, id: NodeId, spec: CheckSpec) -> CheckOutcome:
        found = next((one for one in self._node.catalog.of_node(id) if one.service.id == spec.target), None)
        where = spec.node or "this node"
        if found is None:
            return CheckOutcome(CRITICAL, f"the service {spec.target} is not registered on {where}")
        health = min(found.health, CRITICAL)
        return CheckOutcome(health, f"{spec.target} on {where} is {found.health.name.lower()}")

    def _whole(self, id: NodeId) -> CheckOutcome:
        row = self._node.table.rows[id]
        if row.member is not None and row.member.status is Status.DRAINING:
            return CheckOutcome(CRITICAL, f"{row.member.name} is in maintenance")
        health = self._own_health() if id == self._node.id else Health.PASSING
        return CheckOutcome(health, "the node is alive" if health is Health.PASSING else "a check of the node fails")

    def _find(self, name: str) -> NodeId | None:
        """The living node with this name; if several have it, the one with the largest id."""
        if not name or name == self._node.name(self._node.id):
            return self._node.id
        rows = self._node.table.rows
        known = self._ids.get(name)
        if known is not None and known in rows and _is(rows[known], name):
            return known
        self._ids.pop(name, None)
        found = max((id for id, row in rows.items() if _is(row, name)), default=None)
        if found is not None:
            self._ids[name] = found
        return found


def _is(row: "Row", name: str) -> bool:
    return row.answers and row.member is not None and row.member.name == name


def refuse_circle(id: str, checks: Iterable[CheckSpec], others: Callable[[str], Iterable[CheckSpec]]) -> None:
    """Raise BadParams if aliases of this node lead from a service back to itself. `others(id)` gives the checks of a
    service that is registered here."""
    seen: set[str] = set()
    ahead = _aliased(checks)
    while ahead:
        other = ahead.pop()
        if other == id:
            raise BadParams(f"checks: the alias leads back to {id!r} itself, which then could never pass")
        if other not in seen:
            seen.add(other)
            ahead += _aliased(others(other))


def _aliased(checks: Iterable[CheckSpec]) -> list[str]:
    return [check.target for check in checks if check.kind == "alias" and check.target and not check.node]
