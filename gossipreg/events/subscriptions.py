"""The subscriptions of programs at this sidecar, and what the row says of them.

Owns: which subscription means which events, and the slots of their announcements. Never knows: what is delivered.

Several subscriptions of one group share its announcements: there is one for each (group, pattern), as long as any
subscription has it. A subscription that ended while handlers of it run is not found any more, and stays until the last
of them is answered.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from gossipreg.errors import BadParams, Busy, NotFound
from gossipreg.events.announced import (
    MAX_SUBSCRIPTIONS,
    SUBSCRIPTION_KIND,
    AnnouncedSubscription,
    encode_subscription,
)
from gossipreg.events.effects import AnnounceSubscription
from gossipreg.events.entries import MAX_GROUP_PATTERNS
from gossipreg.events.patterns import PatternIndex, check_group, check_pattern
from gossipreg.events.tuning import EventsTuning

MAX_LOCAL_SUBSCRIPTIONS = 4096
"""Of one sidecar: as many as services in its row."""


@dataclass(slots=True, eq=False)
class Subscription:
    """What one program takes. `check_subscription` makes them."""

    group: str
    """Empty: broadcast."""
    patterns: tuple[str, ...]
    window: int
    """Handlers that it runs at once."""
    hold: bool
    """A dead letter of its group holds its key (`on_dead`)."""
    max_attempts: int
    """0: the leader's default."""
    ack_timeout_s: float
    past: bool = False
    """A journal that does not know the group yet gives it the events that are kept."""
    number: int = 0
    suspended: bool = False
    """It takes nothing for now."""
    ended: bool = False
    busy: set[int] = field(default_factory=set)
    """The numbers of its handlings, waiting ones included."""
    broadcast_waiting: int = 0
    """Broadcast events that it has not taken yet."""

    @property
    def room(self) -> int:
        return 0 if self.suspended or self.ended else self.window - len(self.busy)


def check_subscription(
    tuning: EventsTuning, group: str, patterns: Iterable[str], *, broadcast: bool, window: int | None, on_dead: str,
    max_attempts: int | None, ack_timeout_s: float | None, past: bool = False,
) -> Subscription:  # fmt: skip
    """A subscription of these values; None: the default. Raises BadParams with the value at fault."""
    if broadcast and group:
        raise BadParams(f"a broadcast subscription belongs to no group: leave out group {group!r} or broadcast")
    if broadcast and past:
        raise BadParams("a broadcast subscription gets events from now on: leave out past, or give a group")
    if not broadcast:
        check_group(group)
    checked = tuple(dict.fromkeys(patterns))
    if not 1 <= len(checked) <= MAX_GROUP_PATTERNS:
        raise BadParams(f"a subscription has {len(checked)} patterns: give 1 to {MAX_GROUP_PATTERNS}")
    for pattern in checked:
        check_pattern(pattern)
    if on_dead not in ("go_on", "hold"):
        raise BadParams(f"on_dead is {on_dead!r}: choose go_on or hold")
    return Subscription(
        group, checked,
        int(_checked(tuning, "window", window, tuning.window)),
        on_dead == "hold",
        0 if max_attempts is None else int(_checked(tuning, "max_attempts", max_attempts, 0)),
        _checked(tuning, "ack_timeout_s", ack_timeout_s, tuning.ack_timeout_s),
        past,
    )  # fmt: skip


def _checked(tuning: EventsTuning, name: str, value: float | None, default: float) -> float:
    if value is None:
        return default
    least, most = tuning.BOUNDS[name]
    if not least <= value <= most:
        raise BadParams(f"{name} is {value}: choose {least} to {most}")
    return value


class _Slots:
    """The slots of announcements: the lowest free one first, so that the row stays small."""

    def __init__(self) -> None:
        self._slots: dict[AnnouncedSubscription, int] = {}
        self._users: dict[AnnouncedSubscription, int] = {}
        self._free: list[int] = []

    def missing(self, announced: Sequence[AnnouncedSubscription]) -> int:
        """How many more slots these need than there are."""
        return len(self._slots) + sum(one not in self._slots for one in announced) - MAX_SUBSCRIPTIONS

    def add(self, announced: AnnouncedSubscription) -> AnnounceSubscription | None:
        self._users[announced] = self._users.get(announced, 0) + 1
        if announced in self._slots:
            return None
        slot = self._slots[announced] = heappop(self._free) if self._free else len(self._slots)
        return AnnounceSubscription(SUBSCRIPTION_KIND, slot, encode_subscription(announced))

    def remove(self, announced: AnnouncedSubscription) -> AnnounceSubscription | None:
        self._users[announced] -= 1
        if self._users[announced]:
            return None
        del self._users[announced]
        slot = self._slots.pop(announced)
        heappush(self._free, slot)
        return AnnounceSubscription(SUBSCRIPTION_KIND, slot, None)


class Subscriptions:
    def __init__(self) -> None:
        self._all: dict[int, Subscription] = {}
        self._groups: dict[str, PatternIndex[int]] = {}
        self._sizes: dict[str, set[int]] = {}
        """The numbers of the subscriptions of each group."""
        self._slots = _Slots()
        self._next = 1

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._all.values())

    def __getitem__(self, number: int) -> Subscription:
        """Raises NotFound, also for one that has ended."""
        subscription = self._all.get(number)
        if subscription is None or subscription.ended:
            raise NotFound(f"no subscription {number}: subscribe first")
        return subscription

    def known(self, number: int) -> Subscription | None:
        """It may have ended, with handlers that still run."""
        return self._all.get(number)

    def add(self, subscription: Subscription) -> list[AnnounceSubscription]:
        """Give it a number. Raises Busy where there are too many; then nothing changed."""
        if len(self._all) >= MAX_LOCAL_SUBSCRIPTIONS:
            raise Busy(f"this sidecar has {len(self._all)} subscriptions, the limit: end one first")
        announced = _announced(subscription)
        if self._slots.missing(announced) > 0:
            raise Busy(
                f"this sidecar announces {MAX_SUBSCRIPTIONS} pairs of group and pattern, the limit: end a subscription,"
                " or use a pattern that means several types"
            )
        subscription.number = self._next
        self._next += 1
        self._all[subscription.number] = subscription
        index = self._groups.setdefault(subscription.group, PatternIndex())
        for one in announced:
            index.add(one.tokens, subscription.number)
        self._sizes.setdefault(subscription.group, set()).add(subscription.number)
        return [effect for one in announced if (effect := self._slots.add(one))]

    def end(self, subscription: Subscription) -> list[AnnounceSubscription]:
        """It gets nothing more. It goes at once where nothing of it runs; else with `forget`."""
        if subscription.ended:
            return []
        subscription.ended = True
        group, announced = subscription.group, _announced(subscription)
        for one in announced:
            self._groups[group].remove(one.tokens, subscription.number)
        self._sizes[group].discard(subscription.number)
        if not self._sizes[group]:
            del self._sizes[group], self._groups[group]
        self.forget(subscription)
        return [effect for one in announced if (effect := self._slots.remove(one))]

    def forget(self, subscription: Subscription) -> None:
        """Drop it, if it has ended and nothing of it runs."""
        if subscription.ended and not subscription.busy:
            self._all.pop(subscription.number, None)

    def find(self, group: str, type: str) -> list[Subscription]:
        """Those of this group that mean this type, also suspended ones. Empty group: broadcast."""
        index = self._groups.get(group)
        return [] if index is None else [self._all[number] for number in index.find(tuple(type.split(".")))]

    def of_group(self, group: str) -> list[Subscription]:
        return [self._all[number] for number in self._sizes.get(group, ())]


def _announced(subscription: Subscription) -> list[AnnouncedSubscription]:
    group, past = subscription.group, subscription.past
    return [AnnouncedSubscription(group, pattern, past) for pattern in subscription.patterns]
