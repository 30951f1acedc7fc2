"""The groups that our row names, so that publishers elsewhere know of them: those declared here, those of the journals
that are led here, and those that ran beside this sidecar (`remembered_groups.py`).

Owns: the slots of these announcements. Never knows: the row, or why a journal has a group. The row changes only when
a group, or a pattern of one, comes or goes. A group that is declared and remembered stands in the row twice only where
a journal knows more patterns of it than were declared.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

from gossipreg.events.announced import GROUP_KIND, MAX_ANNOUNCED_GROUPS, encode_group
from gossipreg.events.effects import AnnounceSubscription
from gossipreg.events.entries import MAX_GROUP_PATTERNS
from gossipreg.events.membership import KnownGroup
from gossipreg.journal.model import JournalId

_RAN_HERE = JournalId(b"")
"""Stands for no journal: what a group that ran beside this sidecar is remembered by."""


class GroupAnnouncements:
    def __init__(self, declared: Sequence[KnownGroup] = (), remembered: Sequence[KnownGroup] = ()) -> None:
        """`declared` stands in the row already, in the slots from 0 on, and stays there. `remembered` stands in the
        slots behind."""
        self._declared = {group.name: frozenset(group.patterns) for group in declared}
        self._next = len(declared) + len(remembered)
        self._free: list[int] = []
        self._patterns: dict[str, dict[JournalId, tuple[str, ...]]] = {}
        """By group: its patterns in each journal that is led here."""
        self._announced: dict[str, tuple[int, KnownGroup]] = {}
        """The slot of each group that was not declared, and what stands there."""
        for slot, group in enumerate(remembered, len(declared)):
            self._patterns[group.name] = {_RAN_HERE: group.patterns}
            self._announced[group.name] = slot, group
        self._left_out: dict[str, None] = {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """The groups for which there is no slot."""
        return tuple(self._left_out)

    def put(self, journal: JournalId, group: str, patterns: Iterable[str]) -> list[AnnounceSubscription]:
        """A journal that is led here has this group."""
        self._patterns.setdefault(group, {})[journal] = tuple(patterns)
        return self._update(group)

    def remember(self, group: str, patterns: Sequence[str]) -> list[AnnounceSubscription]:
        """This group ran beside this sidecar with these patterns; none: it is not remembered any more."""
        return self.put(_RAN_HERE, group, patterns) if patterns else self.remove(_RAN_HERE, group)

    def remove(self, journal: JournalId, group: str) -> list[AnnounceSubscription]:
        """It has forgotten this group."""
        of_group = self._patterns.get(group)
        if of_group is None or of_group.pop(journal, None) is None:
            return []
        if not of_group:
            del self._patterns[group]
        return self._update(group) + self._fill()

    def begin(self, journal: JournalId, groups: Mapping[str, Iterable[str]]) -> list[AnnounceSubscription]:
        """This journal is led here from now on, and has these groups, each with its patterns."""
        return [effect for name, patterns in groups.items() for effect in self.put(journal, name, patterns)]

    def end(self, journal: JournalId) -> list[AnnounceSubscription]:
        """This journal is not led here any more."""
        names = [name for name, of_group in self._patterns.items() if journal in of_group]
        return [effect for name in names for effect in self.remove(journal, name)]

    # -- the row -----------------------------------------------------------------------------------------------------

    def _update(self, name: str) -> list[AnnounceSubscription]:
        wanted = self._wanted(name)
        slot, announced = self._announced.get(name, (None, None))
        if wanted == announced:
            return []
        if wanted is None:
            self._left_out.pop(name, None)
            return self._withdraw(name)
        if slot is None and (slot := self._take_slot()) is None:
            self._left_out[name] = None
            return []
        self._left_out.pop(name, None)
        self._announced[name] = slot, wanted
        return [AnnounceSubscription(GROUP_KIND, slot, encode_group(wanted))]

    def _wanted(self, name: str) -> KnownGroup | None:
        """What the row is to say of this group, beside what was declared."""
        known = {pattern for patterns in self._patterns.get(name, {}).values() for pattern in patterns}
        missing = known - self._declared.get(name, frozenset())
        return KnownGroup(name, tuple(sorted(known)[:MAX_GROUP_PATTERNS])) if missing else None

    def _withdraw(self, name: str) -> list[AnnounceSubscription]:
        found = self._announced.pop(name, None)
        if found is None:
            return []
        slot, _ = found
        heappush(self._free, slot)
        return [AnnounceSubscription(GROUP_KIND, slot, None)]

    def _take_slot(self) -> int | None:
        """The lowest free one, so that the row stays small."""
        if self._free:
            return heappop(self._free)
        if self._next >= MAX_ANNOUNCED_GROUPS:
            return None
        self._next += 1
        return self._next - 1

    def _fill(self) -> list[AnnounceSubscription]:
        """Give the room that there is now to groups that had none."""
        effects: list[AnnounceSubscription] = []
        while self._free and self._left_out:
            effects += self._update(next(iter(self._left_out)))
        return effects
