"""What each member has unanswered, and what it may get: windows, refusals, broken streams.

Owns: the deliveries of one journal that are unanswered, by member, and how many of a group a member takes. Never knows:
keys, attempts, payloads.

A member has a window for each group: `first_window` at first, then what it says. A member that refused (nobody
subscribes, no room, the handler's port is closed) gets nothing of that group until it opens a window, the members
change, or, for a closed port, a wait is over. Then it gets one delivery, and more when that was taken.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from math import inf

from gossipreg.events.tuning import EventsTuning
from gossipreg.model import NodeId
from gossipreg.retry import Retry

UNREACHABLE = Retry(first_s=1.0, longest_s=30.0)
"""Waits after a handler's port refused a connection."""
BROKEN = Retry(first_s=2.0, longest_s=30.0)
"""Waits after the stream to a member broke twice: longer than the registry takes to find that its process is gone."""
BYTES_IN_FLIGHT = 32 * 1024 * 1024
"""Of the unanswered deliveries of one journal: they lie in the queues of streams."""


@dataclass(slots=True, eq=False)
class Unanswered:
    """One delivery that a member is to answer."""

    node: NodeId
    group: int
    group_name: str
    index: int
    attempt: int
    size_bytes: int
    sent: bool = False
    """It was given to the stream; before that its payload is being read."""


@dataclass(slots=True, eq=False)
class MemberLink:
    node: NodeId
    process: bytes
    """The boot id of the process that gets the deliveries."""
    unanswered: dict[tuple[int, int], Unanswered] = field(default_factory=dict)
    """By (group number, event index)."""
    sent_again: bool = False
    """The stream broke, and everything was sent once more; it has not been heard since."""
    blocked_until: float = -inf
    """It gets nothing before."""
    wait_s: float = 0.0


@dataclass(slots=True, eq=False)
class MemberWindow:
    """One group at one member."""

    link: MemberLink
    told: int
    """As many deliveries may be unanswered."""
    unanswered: int = 0
    alone: bool = False
    """What it has unanswered may have killed another handler: it gets nothing beside that."""
    trying: bool = False
    """It has refused before: one delivery at a time, until it takes one."""
    refused_until: float = -inf
    wait_s: float = 0.0

    @property
    def room(self) -> int:
        if self.refused_until != -inf or self.link.blocked_until != -inf or self.alone:
            return 0
        return (1 if self.trying else self.told) - self.unanswered

    def refuse(self, until: float) -> None:
        self.refused_until, self.trying = until, True

    def taken(self) -> None:
        """A subscriber got a delivery."""
        self.trying, self.wait_s = False, 0.0

    def open(self, told: int) -> None:
        self.refused_until, self.wait_s, self.trying = -inf, 0.0, False
        self.told = max(1, told)


class MemberWindows:
    def __init__(self, tuning: EventsTuning) -> None:
        self._tuning = tuning
        self._links: dict[NodeId, MemberLink] = {}
        self._windows: dict[int, dict[NodeId, MemberWindow]] = {}
        """By the number of the group."""
        self._waits: dict[MemberWindow | MemberLink, float] = {}
        """When it may get something again, where a time says so; it may have been opened before."""
        self.count = 0
        """Unanswered deliveries to all members."""
        self.size_bytes = 0

    @property
    def have_room(self) -> bool:
        """Whether this journal may have one more delivery unanswered."""
        return self.count < self._tuning.deliveries_in_flight and self.size_bytes < BYTES_IN_FLIGHT

    def link(self, node: NodeId) -> MemberLink | None:
        return self._links.get(node)

    def links(self) -> list[MemberLink]:
        return [*self._links.values()]

    def known(self, group: int, node: NodeId) -> MemberWindow | None:
        return self._windows.get(group, {}).get(node)

    def window(self, group: int, node: NodeId, process: bytes) -> MemberWindow:
        """The window of this group at a member whose process this is."""
        windows = self._windows.setdefault(group, {})
        window = windows.get(node)
        if window is None:
            link = self._links.setdefault(node, MemberLink(node, process))
            window = windows[node] = MemberWindow(link, self._tuning.first_window)
        return window

    def unanswered_of(self, group: int) -> int:
        return sum(window.unanswered for window in self._windows.get(group, {}).values())

    def _of_link(self, link: MemberLink) -> Iterator[MemberWindow]:
        for windows in self._windows.values():
            window = windows.get(link.node)
            if window is not None:
                yield window

    # -- deliveries --------------------------------------------------------------------------------------------------

    def add(self, window: MemberWindow, delivery: Unanswered) -> None:
        window.link.unanswered[delivery.group, delivery.index] = delivery
        window.unanswered += 1
        self.count += 1
        self.size_bytes += delivery.size_bytes

    def is_current(self, delivery: Unanswered) -> bool:
        """Whether an answer to exactly this delivery is waited for."""
        link = self._links.get(delivery.node)
        return link is not None and link.unanswered.get((delivery.group, delivery.index)) is delivery

    def remove(self, delivery: Unanswered) -> None:
        """It was answered, or given up."""
        link = self._links[delivery.node]
        del link.unanswered[delivery.group, delivery.index]
        window = self._windows[delivery.group][delivery.node]
        window.unanswered -= 1
        window.alone = False
        self.count -= 1
        self.size_bytes -= delivery.size_bytes

    # -- refusals ----------------------------------------------------------------------------------------------------

    def unreachable(self, window: MemberWindow, now: float) -> None:
        window.wait_s = UNREACHABLE.after(window.wait_s) if window.wait_s else UNREACHABLE.first_s
        window.refuse(now + window.wait_s)
        self._waits[window] = window.refused_until

    def broke(self, link: MemberLink, now: float) -> bool:
        """The stream to this member broke. Whether what it has unanswered is to be sent once more, to it alone, at
        once: its process may live, and join it to what it is handling. The second time it is left in peace."""
        for window in self._of_link(link):
            window.told, window.refused_until = self._tuning.first_window, -inf
        if not link.unanswered:
            return False
        if not link.sent_again:
            link.sent_again = True
            return True
        link.wait_s = BROKEN.after(link.wait_s) if link.wait_s else BROKEN.first_s
        link.blocked_until = self._waits[link] = now + link.wait_s
        return False

    def heard(self, link: MemberLink) -> bool:
        """A message came from it. Whether it was blocked until now."""
        blocked = link.blocked_until != -inf
        link.sent_again, link.blocked_until, link.wait_s = False, -inf, 0.0
        return blocked

    def members_changed(self) -> None:
        """A member that refused may be asked again."""
        for windows in self._windows.values():
            for window in windows.values():
                window.refused_until = -inf

    def next_due(self) -> float:
        """When a wait for a member is over."""
        return min(self._waits.values(), default=inf)

    def take_due(self, now: float) -> list[MemberLink]:
        """End the waits that are over. Returns the members that were blocked."""
        links = []
        for waiting in [waiting for waiting, due in self._waits.items() if due <= now]:
            del self._waits[waiting]
            if isinstance(waiting, MemberWindow):
                if waiting.refused_until <= now:
                    waiting.refused_until = -inf
            elif -inf < waiting.blocked_until <= now:
                waiting.blocked_until = -inf
                links.append(waiting)
        return links

    # -- what is gone ------------------------------------------------------------------------------------------------

    def drop_member(self, link: MemberLink) -> None:
        """Its process is gone; nothing of it is unanswered any more."""
        assert not link.unanswered, "answered or given up before"
        del self._links[link.node]
        self._waits.pop(link, None)
        for windows in self._windows.values():
            window = windows.pop(link.node, None)
            if window is not None:
                self._waits.pop(window, None)

    def drop_group(self, group: int) -> None:
        for node in self._windows.get(group, {}):
            unanswered: Collection[Unanswered] = self._links[node].unanswered.values()
            for delivery in [delivery for delivery in unanswered if delivery.group == group]:
                self.remove(delivery)
        for window in self._windows.pop(group, {}).values():
            self._waits.pop(window, None)
