"""Invariant 1: merges only rise."""

from gossipreg.core.table.row import Row, State
from gossipreg.generation import started_ms
from gossipreg.model import Liveness, NodeId, Version
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.world import World

_Held = tuple[Version, Liveness, bool]
"""Content, liveness, and whether the row may be forgotten: it is dead, left, never complete or quarantined."""


def may_be_forgotten(row: Row) -> bool:
    return row.state in (State.DEAD, State.LEFT) or row.content is None or row.quarantined


class Rises(Checker):
    """Within one process of a member neither the content version nor the liveness of a row ever decreases, and no row
    is removed unless it is dead, left, never complete or quarantined. A row that was forgotten may begin at any
    version."""

    name = "rises"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._held: dict[int, tuple[object, dict[NodeId, _Held]]] = {}
        """By member: the process, and what it held of each row."""

    def after(self, host: Host) -> None:
        node = host.node
        if not node.touched:
            return
        process, held = self._held.get(host.number, (None, {}))
        if process is not node:
            held = {}
            self._held[host.number] = node, held
        for id in node.touched:
            row, before = node.table.rows.get(id), held.get(id)
            if row is None:
                if before is not None and not before[2]:
                    self.fail(f"{host.name} forgot {self.called(id)}, which it held alive", host, *self.owner(id))
                held.pop(id, None)
                continue
            if before is not None and row.content_version < before[0]:
                what = f"{host.name} held {self.called(id)} at {_of(before[0])}, and now at {_of(row.content_version)}"
                self.fail(what, host, *self.owner(id))
            if before is not None and row.liveness < before[1]:
                what = f"{host.name} held {self.called(id)} as {_of(before[1])}, and now as {_of(row.liveness)}"
                self.fail(what, host, *self.owner(id))
            held[id] = row.content_version, row.liveness, may_be_forgotten(row)


def _of(version: Version | Liveness) -> str:
    generation, *rest = version
    return "(" + ", ".join([f"start {started_ms(generation)}", *(str(part) for part in rest)]) + ")"
