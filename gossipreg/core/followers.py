"""Followers of the answers: each gets the whole once (`Current`), then each change. A follower is never told that there
is nothing while that is not known.

Owns: which follower follows which name, and what it was told last. Never knows: how that is written or sent.

While the registry is only known in part (`Knowledge.partial`), a follower gets its first `Current`

    when the table was kept from the last run    as soon as that table, or what is registered here, has the name
    else                                         as soon as the name is registered here

with `partial` set, and changes after it. An instance that leaves the answers only because nothing is known any more is
not told as removed. As soon as the table is known, every follower that got a part, or nothing yet, gets another
`Current`, which replaces what it has.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gossipreg.core.knowledge import Knowledge
from gossipreg.core.view import View
from gossipreg.model import Change, ChangeKind, Instance, fold_name

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Current:
    """All instances, of whatever health; they replace what the follower was told before."""

    instances: tuple[Instance, ...]
    partial: bool = False
    """There may be more."""


Told = tuple[Current | Change, list[F]]


class Followers(Generic[F]):
    def __init__(self, view: View) -> None:
        self._view = view
        self._by_name: dict[str | None, dict[F, None]] = {}
        """By folded name; None: the followers of all names."""
        self._waiting: dict[F, None] = {}
        """Followers that were told nothing yet."""
        self._in_part: dict[F, None] = {}
        """Followers whose `Current` was a part."""

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def add(self, follower: F, name: str | None) -> Current | None:
        """Add a follower; return what to tell it now. None: nothing is known yet, and it is told later."""
        self._by_name.setdefault(_key(name), {})[follower] = None
        knowledge = self._view.knowledge
        current = self._current(name, knowledge)
        if current is None:
            self._waiting[follower] = None
        elif current.partial:
            self._in_part[follower] = None
        return current

    def remove(self, follower: F, name: str | None) -> None:
        key = _key(name)
        followers = self._by_name[key]
        del followers[follower]
        if not followers:
            del self._by_name[key]
        self._waiting.pop(follower, None)
        self._in_part.pop(follower, None)

    def changed(self, changes: Iterable[Change]) -> list[Told[F]]:
        """What to tell which followers, in this order, after these changes or a change of the knowledge."""
        if not self._by_name:
            return []
        knowledge = self._view.knowledge
        if not knowledge.partial and not (self._waiting or self._in_part):
            return self._changes(changes, {})
        if not knowledge.partial:
            return self._all_is_known(changes)
        if knowledge.refuses:  # what others have is not known, so it is not known to be gone either
            own = self._view.id
            changes = [one for one in changes if one.kind is not ChangeKind.REMOVED or one.instance.node == own]
        told: list[Told[F]] = []
        waiting = dict(self._waiting)
        for name, followers in list(self._by_name.items()):
            opened = [follower for follower in followers if follower in waiting]
            if opened and (current := self._current(name, knowledge)) is not None:
                told.append((current, opened))
                for follower in opened:
                    del self._waiting[follower]
        self._in_part = {follower: None for followers in self._by_name.values() for follower in followers}
        for follower in self._waiting:
            del self._in_part[follower]
        return [*told, *self._changes(changes, waiting)]

    def _all_is_known(self, changes: Iterable[Change]) -> list[Told[F]]:
        behind = self._waiting | self._in_part
        self._waiting, self._in_part = {}, {}
        told: list[Told[F]] = []
        for name, followers in self._by_name.items():
            anew = [follower for follower in followers if follower in behind]
            if anew:
                told.append((Current(self._instances(name)), anew))
        return [*told, *self._changes(changes, behind)]

    def _changes(self, changes: Iterable[Change], but: dict[F, None]) -> list[Told[F]]:
        everything = self._by_name.get(None, {})
        told: list[Told[F]] = []
        for change in changes:
            of_name = self._by_name.get(fold_name(change.instance.service.name), {})
            if followers := [one for one in (*of_name, *everything) if one not in but]:
                told.append((change, followers))
        return told

    def _current(self, name: str | None, knowledge: Knowledge) -> Current | None:
        instances = self._instances(name)
        if not knowledge.partial:
            return Current(instances)
        own = self._view.id
        known = any(one.node == own for one in instances) if knowledge.refuses else bool(instances)
        return Current(instances, partial=True) if known else None

    def _instances(self, name: str | None) -> tuple[Instance, ...]:
        catalog = self._view.catalog
        return tuple(catalog.instances()) if name is None else catalog.lookup(name, all=True)


def _key(name: str | None) -> str | None:
    return None if name is None else fold_name(name)
