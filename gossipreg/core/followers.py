"""Followers of a name: each gets all its instances once (`Current`), and then each change.

Owns: which follower follows which name, and what was sent to it last. Never knows: how that is encoded or sent.

A follower never gets an empty `Current` while the table is known only in part (`Knowledge.partial`). Then it gets its
first `Current`

    if there is a table kept from the last run    as soon as that table or our own row has the name
    if there is none                              as soon as our own row has the name

with `partial` set, and the changes after it. If an instance leaves the answers only because the table is not known any
more, followers do not get its removal. As soon as the table is known, every follower that got a partial `Current`, or
none yet, gets another `Current`, which replaces what it has.
"""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from gossipreg.core.knowledge import Knowledge
from gossipreg.core.view import View
from gossipreg.model import CatalogInstance, Change, ChangeKind, fold_name
from gossipreg.quick_dataclass import dataclass

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Current:
    """All instances, with any health. They replace what was sent to the follower before."""

    instances: tuple[CatalogInstance, ...]
    partial: bool = False
    """Whether there may be more."""


Delivery = tuple[Current | Change, list[F]]
"""What is to be sent, and to which followers."""


class Followers(Generic[F]):
    def __init__(self, view: View) -> None:
        self._view = view
        self._by_name: dict[str | None, dict[F, None]] = {}
        """By folded name; None: the followers of all names."""
        self._waiting: dict[F, None] = {}
        """Followers that were sent nothing yet."""
        self._in_part: dict[F, None] = {}
        """Followers whose `Current` was partial."""
        self._knowledge = view.knowledge
        """When `changed` was called last."""

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def add(self, follower: F, name: str | None) -> Current | None:
        """Add a follower of this name (None: of all names); return what to send to it now. None: nothing is known yet,
        and `changed` returns its `Current` later."""
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

    def changed(self, changes: Iterable[Change]) -> list[Delivery[F]]:
        """What to send to which followers, in this order, after these changes or a change of the knowledge."""
        knowledge = self._view.knowledge
        same, self._knowledge = knowledge is self._knowledge, knowledge
        if not self._by_name:
            return []
        changes = tuple(changes)
        if not knowledge.partial and not (self._waiting or self._in_part):
            return self._changes(changes, {})
        if not knowledge.partial:
            return self._all_is_known(changes)
        if knowledge.refuses:  # the rows of other members are not known, so it is not known that instances are removed
            own = self._view.id
            changes = [one for one in changes if one.kind is not ChangeKind.REMOVED or one.instance.node == own]
        if same:  # only a name that changed can have become known
            names = dict.fromkeys([*(fold_name(one.instance.service.name) for one in changes), None])
            opened = self._open({name: self._by_name.get(name, {}) for name in names}, knowledge)
        else:
            opened = self._open(self._by_name, knowledge)
            self._in_part = {follower: None for followers in self._by_name.values() for follower in followers}
            for follower in self._waiting:
                del self._in_part[follower]
        have_it = {follower: None for _, followers in opened for follower in followers}
        return [*opened, *self._changes(changes, have_it)]

    def _open(self, by_name: Mapping[str | None, dict[F, None]], knowledge: Knowledge) -> list[Delivery[F]]:
        """The first `Current`, in part, for the followers of these names that wait, if it is known now."""
        opened: list[Delivery[F]] = []
        for name, followers in by_name.items():
            waiting = [follower for follower in followers if follower in self._waiting]
            if waiting and (current := self._current(name, knowledge)) is not None:
                opened.append((current, waiting))
                for follower in waiting:
                    del self._waiting[follower]
                    self._in_part[follower] = None
        return opened

    def _all_is_known(self, changes: Iterable[Change]) -> list[Delivery[F]]:
        behind = self._waiting | self._in_part
        self._waiting, self._in_part = {}, {}
        deliveries: list[Delivery[F]] = []
        for name, followers in self._by_name.items():
            anew = [follower for follower in followers if follower in behind]
            if anew:
                deliveries.append((Current(self._instances(name)), anew))
        return [*deliveries, *self._changes(changes, behind)]

    def _changes(self, changes: Iterable[Change], have_it: dict[F, None]) -> list[Delivery[F]]:
        """Each change, to the followers of its name and of all names, without those that wait for their `Current` and
        those that have just got it."""
        of_all_names = self._by_name.get(None, {})
        deliveries: list[Delivery[F]] = []
        for change in changes:
            of_name = self._by_name.get(fold_name(change.instance.service.name), {})
            if followers := [one for one in (*of_name, *of_all_names) if not (one in have_it or one in self._waiting)]:
                deliveries.append((change, followers))
        return deliveries

    def _current(self, name: str | None, knowledge: Knowledge) -> Current | None:
        instances = self._instances(name)
        if not knowledge.partial:
            return Current(instances)
        own = self._view.id
        known = any(one.node == own for one in instances) if knowledge.refuses else bool(instances)
        return Current(instances, partial=True) if known else None

    def _instances(self, name: str | None) -> tuple[CatalogInstance, ...]:
        catalog = self._view.catalog
        return tuple(catalog.instances()) if name is None else catalog.lookup(name, all=True)


def _key(name: str | None) -> str | None:
    return None if name is None else fold_name(name)
