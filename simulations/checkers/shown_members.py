"""Invariant 12: an observer that reads a member again only when MembersChanged names it knows all that is shown."""

from typing import NamedTuple

from gossipreg.core.effects import Effect, MembersChanged
from gossipreg.core.node import Node
from gossipreg.core.table.membership import state_of
from gossipreg.core.table.row import Standing
from gossipreg.model import Member, NodeId
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.world import World


class Shown(NamedTuple):
    standing: Standing
    state: str
    member: Member
    name: str | None


def shown(node: Node, id: NodeId) -> Shown | None:
    """What this node shows of a member; None if it shows nothing."""
    row = node.row(id)
    if row is None or row.member is None or row.standing is None:
        return None
    return Shown(row.standing, state_of(row), row.member, node.shown_name(id))


class ShownMembers(Checker):
    """What this observer noted of each member, when an effect named it, is what the node shows now."""

    name = "shown_members"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._noted: dict[int, tuple[Node, dict[NodeId, Shown | None]]] = {}
        """By host: the process, and what was noted since its start."""
        self._next = 0

    def on_effect(self, host: Host, effect: Effect) -> None:
        if type(effect) is MembersChanged:
            noted = self._of(host)
            for id in effect.ids:
                noted[id] = shown(host.node, id)

    def _of(self, host: Host) -> dict[NodeId, Shown | None]:
        node, noted = self._noted.get(host.number, (None, {}))
        if node is not host.node:
            noted = {id: shown(host.node, id) for id in host.node.row_ids()}
            self._noted[host.number] = host.node, noted
        return noted

    def tick(self) -> None:
        """Check one member each time, the next one at the next tick."""
        running = self.running()
        if running:
            self._next = (self._next + 1) % len(running)
            self._compare(running[self._next][0])

    def at_rest(self) -> None:
        for host, _ in self.running():
            self._compare(host)

    def _compare(self, host: Host) -> None:
        noted = self._of(host)
        for id in noted.keys() | host.node.row_ids():
            now = shown(host.node, id)
            if noted.get(id) != now:
                what = f"{host.name} shows {self.called(id)} as {now}; no effect has said so since {noted.get(id)}"
                self.fail(what, host, *self.owner(id))
