"""The handlers that run at this sidecar, and the events that wait for one with their key.

Owns: which delivery is handled as what number, and that one handler runs for each (group, key). Never knows: why an
event is given to a subscription, or what is answered.

A handling is one event in the hands of one subscription. It counts in the window of its subscription from the moment it
is taken, also while it waits because another event with its key is being handled.
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

from gossipreg.events.subscriptions import Subscription
from gossipreg.journal.model import Ballot, JournalId
from gossipreg.model import NodeId

MAX_HANDLED_BYTES = 64 * 1024 * 1024
"""Of all events that are being handled or wait for their key. Beyond, only a group of which nothing is handled gets
one."""


class DeliveryId(NamedTuple):
    """What is delivered: the same one again, by whomever, is the same work."""

    journal: JournalId
    event_index: int
    group: str


@dataclass(slots=True, eq=False)
class Handling:
    number: int
    delivery: DeliveryId
    node: NodeId
    """The member that delivered it last, with its ballot and attempt: it gets the answer."""
    ballot: Ballot
    attempt: int
    subscription: Subscription
    type: str
    key: str
    size_bytes: int
    event: bytes
    """Empty once it has begun."""
    begun_at: float | None = None
    """When the subscription got it; None: it waits for its key."""

    @property
    def lock(self) -> tuple[str, str]:
        return self.delivery.group, self.key


class Handlings:
    def __init__(self) -> None:
        self._by_number: dict[int, Handling] = {}
        self._by_delivery: dict[DeliveryId, Handling] = {}
        self._locks: dict[tuple[str, str], deque[Handling]] = {}
        """By (group, key): the one that runs, and those that wait, in order. Events without a key have none."""
        self._of_group: Counter[str] = Counter()
        self._last = 0
        self.size_bytes = 0
        self.out_of_bytes = False
        """Something did not fit since this was set to False."""

    def __len__(self) -> int:
        return len(self._by_number)

    @property
    def last_number(self) -> int:
        return self._last

    def get(self, number: int) -> Handling | None:
        return self._by_number.get(number)

    def of(self, delivery: DeliveryId) -> Handling | None:
        return self._by_delivery.get(delivery)

    def fits(self, group: str, size_bytes: int) -> bool:
        """Whether so many bytes more fit those of all groups."""
        if self.size_bytes + size_bytes <= MAX_HANDLED_BYTES or not self._of_group[group]:
            return True
        self.out_of_bytes = True
        return False

    def add(
        self, delivery: DeliveryId, node: NodeId, ballot: Ballot, attempt: int, subscription: Subscription, *,
        type: str, key: str, event: bytes,
    ) -> Handling:  # fmt: skip
        """Take an event for this subscription. It may begin if `may_begin` says so."""
        self._last += 1
        handling = Handling(
            self._last, delivery, node, ballot, attempt, subscription, type, key, len(event), event
        )  # fmt: skip
        self._by_number[handling.number] = handling
        self._by_delivery[delivery] = handling
        subscription.busy.add(handling.number)
        self.size_bytes += handling.size_bytes
        self._of_group[delivery.group] += 1
        if key:
            self._locks.setdefault(handling.lock, deque()).append(handling)
        return handling

    def may_begin(self, handling: Handling) -> bool:
        return not handling.key or self._locks[handling.lock][0] is handling

    def move(self, handling: Handling, subscription: Subscription) -> None:
        """Another subscription of its group gets it: it has not begun."""
        assert handling.begun_at is None
        handling.subscription.busy.discard(handling.number)
        handling.subscription = subscription
        subscription.busy.add(handling.number)

    def remove(self, handling: Handling) -> Handling | None:
        """It is over. Returns the one that waited for its key and may begin now."""
        del self._by_number[handling.number]
        del self._by_delivery[handling.delivery]
        handling.subscription.busy.discard(handling.number)
        self.size_bytes -= handling.size_bytes
        self._of_group[handling.delivery.group] -= 1
        if not self._of_group[handling.delivery.group]:
            del self._of_group[handling.delivery.group]
        if not handling.key:
            return None
        waiting = self._locks[handling.lock]
        was_first = waiting[0] is handling
        waiting.remove(handling)
        if not waiting:
            del self._locks[handling.lock]
            return None
        return waiting[0] if was_first else None
