"""What this sidecar says to the leaders that deliver to it: outcomes, windows, and that there is room again.

Owns: the messages of one turn, until they are sent. Never knows: why an outcome is what it is.

A leader is told its window with the outcomes, and whenever it has changed since it was told. `room_grants.py` says how
much each gets.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipreg.events.effects import EventEffect, SendEventMessage
from gossipreg.events.membership import EventMembership
from gossipreg.events.messages import DeliveryOutcome, DeliveryOutcomes, WindowOpened
from gossipreg.events.room_grants import ANY_TYPE, DeliveringLeader, GroupLeader, RoomGrants
from gossipreg.events.subscriptions import Subscriptions
from gossipreg.journal.model import Ballot
from gossipreg.model import NodeId
from gossipreg.timers import Timers

OUTCOMES_A_MESSAGE = 1000
"""With the longest texts they fit a message."""
OPEN_NEXT_S = 0.2
"""Those who were told that there is room have used it by then."""
OPEN_AGAIN_S = 1.0
"""After a stream broke on which a leader was told that there is room."""
ALL = 1 << 30


@dataclass(frozen=True, slots=True)
class OpenRoom:
    """A timer: tell the next of those that were refused."""

    group: str


class DeliveryReplies:
    def __init__(
        self, node: NodeId, membership: EventMembership, subscriptions: Subscriptions, timers: Timers,
        room_for: Callable[[str, str], int],
    ) -> None:  # fmt: skip
        """`room_for(group, type)` is how many deliveries of this type the group takes now."""
        self._node = node
        self._membership = membership
        self._subscriptions = subscriptions
        self._timers = timers
        self._room_for = room_for
        self._grants = RoomGrants()
        self._outcomes: dict[tuple[DeliveringLeader, Ballot], list[DeliveryOutcome]] = {}
        self._to_tell: dict[GroupLeader, Ballot] = {}
        """Leaders whose window may have changed."""
        self._freed: dict[str, int] = {}
        """How many deliveries were taken out of the windows of a group in this turn."""
        self._opened: list[GroupLeader] = []

    def runs(self, node: NodeId) -> bool:
        return node == self._node or self._membership.runs(node)

    def heard(self, group: str, leader: DeliveringLeader, ballot: Ballot, now: float) -> None:
        """This leader delivers to a group that has a subscription here."""
        self._grants.delivered(group, leader, now)
        self._to_tell[GroupLeader(group, leader)] = ballot

    def answer(self, leader: DeliveringLeader, ballot: Ballot, outcome: DeliveryOutcome) -> None:
        self._outcomes.setdefault((leader, ballot), []).append(outcome)

    def refuse(self, group: str, leader: DeliveringLeader, type: str) -> None:
        """It will be told when there is room for this type."""
        self._opened += self._grants.refuse(group, leader, type)

    def freed(self, group: str, count: int = 1) -> None:
        """Note that `count` more deliveries fit the windows of this group."""
        self._freed[group] = min(ALL, self._freed.get(group, 0) + count)

    def freed_everywhere(self) -> None:
        """Whatever leaders were refused for may be over."""
        for group in self._grants.waiting_groups():
            self.freed(group, ALL)

    def lost(self, node: NodeId, now: float) -> None:
        """The stream to this member broke."""
        for group in self._grants.lost(node):
            self._timers.set_earlier(OpenRoom(group), now + OPEN_AGAIN_S)

    # -- the messages ------------------------------------------------------------------------------------------------

    def take(self, now: float) -> list[EventEffect]:
        """The messages of this turn."""
        for group, count in self._freed.items():
            self._open(group, count, now)
        self._freed = {}
        windows = self._windows(now)
        effects: list[EventEffect] = []
        for leader, ballot in dict.fromkeys((*self._outcomes, *windows)):
            outcomes = self._outcomes.get((leader, ballot), [])
            told = tuple(windows.get((leader, ballot), ()))
            for at in range(0, max(1, len(outcomes)), OUTCOMES_A_MESSAGE):
                part = tuple(outcomes[at : at + OUTCOMES_A_MESSAGE])
                message = DeliveryOutcomes(journal=leader.journal, ballot=ballot, outcomes=part, windows=told)
                effects.append(SendEventMessage(leader.node, message))
                told = ()
        self._outcomes = {}
        return effects + self._openings(now)

    def _windows(self, now: float) -> dict[tuple[DeliveringLeader, Ballot], list[tuple[str, int]]]:
        for (leader, ballot), outcomes in self._outcomes.items():
            for outcome in outcomes:
                self._to_tell.setdefault(GroupLeader(outcome.group, leader), ballot)
        windows: dict[tuple[DeliveringLeader, Ballot], list[tuple[str, int]]] = {}
        for (group, leader), ballot in self._to_tell.items():
            window = self._window(group, now)
            if window and self._grants.tell(group, leader, ballot, window):
                windows.setdefault((leader, ballot), []).append((group, window))
        self._to_tell = {}
        return windows

    def _window(self, group: str, now: float) -> int:
        """Of each leader of this group; 0: it has no subscription that takes anything."""
        taking = [one for one in self._subscriptions.of_group(group) if not one.suspended]
        return self._grants.share(group, sum(one.window for one in taking), now) if taking else 0

    def _open(self, group: str, count: int, now: float) -> None:
        room: dict[str, int] = {}

        def may(node: NodeId, types: set[str]) -> bool:
            for type in types:
                if type not in room:
                    room[type] = self._room(group, type)
            return self.runs(node) and any(room[type] > 0 for type in types)

        free = self._room(group, ANY_TYPE)
        for leader in self._grants.take(group, min(count, free), may):
            self._opened.append(GroupLeader(group, leader))
        if self._grants.waits(group, may):
            self._timers.set_earlier(OpenRoom(group), now + OPEN_NEXT_S)
        else:
            self._timers.cancel(OpenRoom(group))

    def _room(self, group: str, type: str) -> int:
        if type != ANY_TYPE:
            return self._room_for(group, type)
        return sum(max(0, one.room) for one in self._subscriptions.of_group(group))

    def _openings(self, now: float) -> list[EventEffect]:
        opened: dict[DeliveringLeader, dict[str, int]] = {}
        for group, leader in self._opened:
            opened.setdefault(leader, {})[group] = max(1, self._window(group, now))
        self._opened = []
        return [
            SendEventMessage(leader.node, WindowOpened(journal=leader.journal, windows=tuple(windows.items())))
            for leader, windows in opened.items()
        ]
