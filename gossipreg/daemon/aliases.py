"""`alias` checks: a service that is as well as another one, or as a whole node.

Owns how the health of an alias is found in the table, and that no service waits for itself. As with Consul's agents:
critical where the other service is not registered, or in maintenance; a node is well while it is alive and not in
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
    from gossipreg.core.row import Row

CRITICAL = Health.CRITICAL
LOOK_S = 0.1


class Aliases:
    def __init__(self, node: "Node", own_health: Callable[[], Health]) -> None:
        """`own_health` is what this sidecar's own checks say."""
        self._node = node
        self._own_health = own_health
        self._ids: dict[str, NodeId] = {}
        """Of nodes by name, as they were found last."""

    async def run(self, spec: CheckSpec, progress: Progress) -> CheckOutcome:
        """Waits for the table where the other service is elsewhere: what is not known yet does not fail."""
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
        row = self._node.replica.rows[id]
        if row.member is not None and row.member.status is Status.DRAINING:
            return CheckOutcome(CRITICAL, f"{row.member.name} is in maintenance")
        health = self._own_health() if id == self._node.id else Health.PASSING
        return CheckOutcome(health, "the node is alive" if health is Health.PASSING else "a check of the node fails")

    def _find(self, name: str) -> NodeId | None:
        """The living node of that name; of several the one with the largest id."""
        if not name or name == self._node.name(self._node.id):
            return self._node.id
        rows = self._node.replica.rows
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
    """Raise BadParams where a service would wait for itself through aliases of this node. `others` gives the checks of
    a service that is registered here."""
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
