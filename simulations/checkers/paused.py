"""A member that only pauses keeps its services: none is declared dead before the floor."""

from dataclasses import dataclass

from gossipreg.core.node import Node
from gossipreg.model import NodeId
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.world import World

_FLOOR = 0.95
"""A clock may run faster than the world's."""


@dataclass(frozen=True, slots=True)
class _Pause:
    began: float
    node: Node
    """The process that pauses."""
    watchers: dict[int, Node]
    """By member: the processes that neither suspected nor probed it at that time."""


def _trusts(node: Node, id: NodeId) -> bool:
    """Return whether the node neither suspects this member nor waits for an ack from it."""
    inspection = node.inspect()
    return (
        id in node.ring
        and not inspection.suspects(id)
        and not any(probe.target == id and not probe.missed for probe in inspection.probes)
    )


class Paused(Checker):
    """No member declares a paused process dead before `floor_silent_s` has passed, whatever the network does. Not
    checked: members that were slow when the pause began, that suspected it or waited for its ack, and identities that
    the machine has given up."""

    name = "paused"
    also_for_swim = False

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._pauses: dict[int, _Pause] = {}
        """The last pause of each member."""

    def on_fault(self, what: str, hosts: tuple[Host, ...]) -> None:
        if what not in ("stall", "block"):
            return
        now, period_s = self.world.now, self.world.config.period_s
        for host in hosts:
            if host.open and now - host.since > period_s:  # a refused port from before its start is no longer news
                others = {other.number: other.node for other in self.world.hosts if other.open and other is not host}
                watchers = {number: node for number, node in others.items() if _trusts(node, host.id)}
                self._pauses[host.number] = _Pause(now, host.node, watchers)

    def after(self, host: Host) -> None:
        for id in self.declared_dead(host):
            other = self.world.by_id[id]
            pause = self._pauses.get(other.number)
            if pause is None or not other.up or other.node is not pause.node or other.id != id:
                continue
            passed_s = self.world.now - pause.began
            if pause.watchers.get(host.number) is host.node and passed_s < _FLOOR * host.node.config.floor_silent_s:
                what = f"{host.name} declares {other.name} dead, {passed_s:.2f} s after it began to pause"
                self.fail(what, host, other)
