"""How much of a group's room at this sidecar each leader may use, and who was refused and waits for room.

Owns: which leaders delivered lately, what each was told last, and the refused ones in their order. Never knows: how
much room there is, or what runs.

The leaders that delivered to a group within the last ten seconds share its windows equally; each may have one delivery
unanswered at least. A leader that was refused sends nothing to that group until it is told that there is room. When
room comes, as many of the refused are told as there is room for, oldest first. Some of them need it no longer, so the
rest is told a moment later, as long as there is room: nobody waits beside room that is not used.
"""

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from gossipreg.journal.model import Ballot, JournalId
from gossipreg.model import NodeId

ACTIVE_S = 10.0
LEADERS_MAX = 4096
"""Of each memory here. What is beyond is forgotten, oldest first; a refused leader is told before that."""

TYPES_MAX = 16
"""Types for which one leader is known to wait; beyond, any."""
ANY_TYPE = ""


class DeliveringLeader(NamedTuple):
    """The member that leads a journal, and delivers from it."""

    node: NodeId
    journal: JournalId


class GroupLeader(NamedTuple):
    group: str
    leader: DeliveringLeader


MayTake = Callable[[NodeId, set[str]], bool]


class RoomGrants:
    def __init__(self) -> None:
        self._active: dict[str, OrderedDict[DeliveringLeader, float]] = {}
        """When each leader delivered last, by group."""
        self._told: OrderedDict[GroupLeader, tuple[Ballot, int]] = OrderedDict()
        self._refused: dict[str, dict[DeliveringLeader, set[str]]] = {}
        """With the types for which each was refused, by group."""
        self._refused_count = 0
        self._opened: OrderedDict[GroupLeader, set[str]] = OrderedDict()
        """Told that there is room, and not heard since."""

    def delivered(self, group: str, leader: DeliveringLeader, now: float) -> None:
        """This leader delivers to this group."""
        leaders = self._active.setdefault(group, OrderedDict())
        leaders[leader] = now
        leaders.move_to_end(leader)
        self._forget_inactive(group, now)
        self._opened.pop(GroupLeader(group, leader), None)
        if len(self._active) > LEADERS_MAX:
            del self._active[next(iter(self._active))]

    def _forget_inactive(self, group: str, now: float) -> None:
        leaders = self._active[group]
        while leaders and (len(leaders) > LEADERS_MAX or next(iter(leaders.values())) < now - ACTIVE_S):
            leaders.popitem(last=False)

    def share(self, group: str, total: int, now: float) -> int:
        """How many deliveries of this group each leader may leave unanswered, if its windows have this total."""
        if group in self._active:
            self._forget_inactive(group, now)
            if not self._active[group]:
                del self._active[group]
        return max(1, total // max(1, len(self._active.get(group, ()))))

    def tell(self, group: str, leader: DeliveringLeader, ballot: Ballot, window: int) -> bool:
        """Note that this leader is to know this window. Returns whether it has to be told: it does not know yet."""
        key = GroupLeader(group, leader)
        if self._told.get(key) == (ballot, window):
            return False
        self._told[key] = ballot, window
        if len(self._told) > LEADERS_MAX:
            self._told.popitem(last=False)
        return True

    # -- the refused -------------------------------------------------------------------------------------------------

    def refuse(self, group: str, leader: DeliveringLeader, type: str) -> list[GroupLeader]:
        """It waits for room for events of this type. Returns those that have to be told now: too many wait."""
        self._wait(group, leader, {type})
        if self._refused_count <= LEADERS_MAX:
            return []
        oldest = next(iter(self._refused))
        return [GroupLeader(oldest, one) for one in self.take(oldest, 1, lambda *_: True)]

    def _wait(self, group: str, leader: DeliveringLeader, types: set[str]) -> None:
        waiting = self._refused.setdefault(group, {})
        self._refused_count += leader not in waiting
        waiting[leader] = found = waiting.get(leader, set()) | types
        if len(found) > TYPES_MAX:
            waiting[leader] = {ANY_TYPE}

    def waiting_groups(self) -> list[str]:
        return list(self._refused)

    def waits(self, group: str, may: MayTake) -> bool:
        """Whether one waits that may be told. `may` gets its member and the types for which it was refused."""
        return any(may(leader.node, types) for leader, types in self._refused.get(group, {}).items())

    def take(self, group: str, count: int, may: MayTake) -> list[DeliveringLeader]:
        """At most so many of those that may be told, oldest first: they are told now."""
        waiting = self._refused.get(group, {})
        taken = list(islice((leader for leader, types in waiting.items() if may(leader.node, types)), max(0, count)))
        for leader in taken:
            self._opened[GroupLeader(group, leader)] = waiting.pop(leader)
        self._refused_count -= len(taken)
        if not waiting:
            self._refused.pop(group, None)
        while len(self._opened) > LEADERS_MAX:
            self._opened.popitem(last=False)
        return taken

    def lost(self, node: NodeId) -> list[str]:
        """What this member was told may not have arrived. Returns the groups of which it has to be told again."""
        for key in [key for key in self._told if key.leader.node == node]:
            del self._told[key]
        again = [key for key in self._opened if key.leader.node == node]
        for key in again:
            self._wait(key.group, key.leader, self._opened.pop(key))
        return list(dict.fromkeys(key.group for key in again))
