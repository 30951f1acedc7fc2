"""Opinions: who takes whom for lost, and since when.

Owns: every change of mind of any member about any other, in order. Never knows: who is right; a scenario judges.

A member takes another for lost when it is no longer in its answers: its row says dead or left, is gone, or is hidden.
"""

from dataclasses import dataclass

from simulations.host import Host
from simulations.observer import Observer
from simulations.world import World


@dataclass(frozen=True, slots=True)
class Change:
    """One change of mind."""

    when: float
    observer: int
    subject: int
    lost: bool


class Opinions(Observer):
    """To be given to `World.watch` while all think well of each other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.changes: list[Change] = []
        self._lost: dict[int, dict[int, None]] = {}

    def after(self, host: Host) -> None:
        """Look at what this input has changed."""
        touched = host.node.touched
        if not touched:
            return
        lost = self._lost.setdefault(host.number, {})
        rows = host.node.table.rows
        for id in touched:
            subject = self._world.by_id[id].number
            row = rows.get(id)
            gone = row is None or row.hidden or row.dead or row.left
            if gone == (subject in lost) or subject == host.number:
                continue
            if gone:
                lost[subject] = None
            else:
                del lost[subject]
            self.changes.append(Change(self._world.now, host.number, subject, gone))

    def lost(self, observer: Host) -> list[int]:
        """Numbers of those that it takes for lost now."""
        return list(self._lost.get(observer.number, ()))
