"""Opinions: which member holds which other member lost, and since when.

Owns: every change of opinion of any member about any other, in order. Never knows: whether an opinion is right; a
scenario judges. A member holds another lost if the other is not in its answers: the row says dead or left, is missing,
or is hidden.
"""

from dataclasses import dataclass

from simulations.host import Host
from simulations.observer import Observer
from simulations.world import World


@dataclass(frozen=True, slots=True)
class Change:
    """One change of opinion."""

    when: float
    observer: int
    subject: int
    lost: bool


class Opinions(Observer):
    """Observes all members. Give it to `World.watch` while all members hold each other alive."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.changes: list[Change] = []
        self._lost: dict[int, dict[int, None]] = {}

    def after(self, host: Host) -> None:
        """Note the changes of opinion that this input has caused."""
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
        """Return the numbers of the members that this one holds lost now."""
        return list(self._lost.get(observer.number, ()))
