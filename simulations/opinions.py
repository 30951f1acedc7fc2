"""Opinions: who takes whom for lost, and since when.

Owns: every change of mind of any member about any other, in order. Never knows: who is right; a scenario judges.

A member takes another for lost when it is no longer in its answers: its row says dead or left, is gone, or is hidden.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from simulations.host import Host
from simulations.scenario import Figure
from simulations.world import Observer, World


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
        rows = host.node.replica.rows
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


def judge(
    opinions: Opinions, hosts: Iterable[Host], faulty: frozenset[int], began: float, duration_s: float
) -> list[Figure]:
    """What the healthy thought meanwhile: whom of each other they lost (a sample for each healthy member: how many lost
    it, counted each time), and how often one of them changed its mind about one other member, a minute."""
    healthy = [host.number for host in hosts if host.number not in faulty]
    lost_by = dict.fromkeys(healthy, 0)
    changes: dict[tuple[int, int], int] = {}
    lost_ever: dict[int, None] = {}
    for change in opinions.changes:
        if change.when < began or change.observer in faulty:
            continue
        pair = change.observer, change.subject
        changes[pair] = changes.get(pair, 0) + 1
        if change.lost and change.subject in faulty:
            lost_ever[change.subject] = None
        elif change.lost:
            lost_by[change.subject] += 1
    at_faulty = sum(one.lost and one.observer in faulty and one.subject not in faulty for one in opinions.changes)
    a_minute = 60.0 / duration_s

    def worst(subjects: Iterable[int]) -> tuple[float, ...]:
        """For each subject, the observer that changed its mind about it most often."""
        most = dict.fromkeys(subjects, 0)
        for (_, subject), number in changes.items():
            if subject in most:
                most[subject] = max(most[subject], number)
        return tuple(number * a_minute for number in most.values())

    return [
        Figure("healthy_lost", "1", (float(sum(number > 0 for number in lost_by.values())),)),
        Figure("healthy_lost_by", "1", tuple(float(number) for number in lost_by.values())),
        Figure("healthy_lost_at_faulty", "1", (float(at_faulty),)),
        Figure("changes_about_healthy", "1/min", worst(healthy)),
        Figure("changes_about_faulty", "1/min", worst(sorted(faulty))),
        Figure("faulty_lost", "1", (float(len(lost_ever)),)),
    ]
