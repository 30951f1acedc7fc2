"""What subscriptions say of the events that they got, and when their time is over.

Owns: how a handling begins and ends. Never knows: which subscription gets an event.

A handler has `ack_timeout_s`, which it may renew, up to `max_handling_s` in all. Then its attempt has failed; but if it
acknowledges later, that still counts. Handlers go on when their leader is gone: an acknowledgement then goes to whoever
leads the journal.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from gossipreg.errors import NotFound
from gossipreg.events.codec import MAX_AFTER_MS
from gossipreg.events.delivery_replies import DeliveryReplies
from gossipreg.events.effects import DropHandling, EventEffect, HandleEvent
from gossipreg.events.entries import MAX_REASON_BYTES
from gossipreg.events.handlings import Handling, Handlings
from gossipreg.events.membership import EventMembership
from gossipreg.events.messages import DeliveryOutcome, DeliveryResult
from gossipreg.events.recent_deliveries import RecentAcks
from gossipreg.events.room_grants import DeliveringLeader
from gossipreg.events.subscriptions import Subscriptions
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.message_forms import cut_text
from gossipreg.timers import Timers

LATE_MAX = 1024
"""Handlings whose time was over, whose acknowledgement still counts."""


@dataclass(frozen=True, slots=True)
class HandlingDeadline:
    """A timer: the subscription has had its time for this handling."""

    number: int


class HandlerAnswers:
    def __init__(
        self, tuning: EventsTuning, membership: EventMembership, timers: Timers, subscriptions: Subscriptions,
        handlings: Handlings, acks: RecentAcks, replies: DeliveryReplies, effects: list[EventEffect],
        counts: Counter[str],
    ) -> None:  # fmt: skip
        """`effects` gets what follows."""
        self._tuning = tuning
        self._membership = membership
        self._timers = timers
        self._subscriptions = subscriptions
        self._handlings = handlings
        self._acks = acks
        self._replies = replies
        self._effects = effects
        self._counts = counts
        self._late: OrderedDict[int, Handling] = OrderedDict()
        """Handlings whose time was over, by number."""

    def begin(self, handling: Handling, now: float) -> None:
        """The subscription gets it now."""
        subscription, id = handling.subscription, handling.delivery
        self._effects.append(
            HandleEvent(
                subscription.number,
                handling.number,
                id.group,
                id.journal,
                id.event_index,
                handling.attempt,
                handling.event,
            )
        )
        handling.begun_at, handling.event = now, b""
        self._timers.set(HandlingDeadline(handling.number), now + subscription.ack_timeout_s)

    def done(
        self, number: int, subscription: int, result: DeliveryResult, text: str, after_ms: int, now: float
    ) -> bool:  # fmt: skip
        """See `Receiving.done`."""
        handling = self._handlings.get(number)
        if handling is None:
            return self._done_late(number, subscription, result, now)
        self._check_holder(handling, number, subscription)
        self.end(handling, result, text, after_ms, now)
        return True

    def _done_late(self, number: int, subscription: int, result: DeliveryResult, now: float) -> bool:
        """An acknowledgement counts though the handler's time was over."""
        self._check_known(number, subscription)
        handling = self._late.get(number)
        if handling is None or result is not DeliveryResult.ACKED:
            return False
        self._check_holder(handling, number, subscription)
        del self._late[number]
        self._counts["acked_late"] += 1
        self._answer(handling, result, "", 0, now)
        return True

    def take_back(self, number: int, subscription: int, event: bytes) -> Handling | None:
        """The subscription has not begun with this, and will not: it waits for another one. None: it was settled
        before, or its time was over. Raises NotFound as `done` does."""
        handling = self._handlings.get(number)
        if handling is None:
            self._check_known(number, subscription)
            return None
        self._check_holder(handling, number, subscription)
        self._timers.cancel(HandlingDeadline(number))
        handling.begun_at, handling.event = None, event
        return handling

    def set_time(self, number: int, subscription: int, now: float | None) -> bool:
        """See `Receiving.delay` and `Receiving.hand_over`; None: its time does not run."""
        handling = self._handlings.get(number)
        if handling is None:
            self._check_known(number, subscription)
            return False
        self._check_holder(handling, number, subscription)
        if now is None:
            self._timers.cancel(HandlingDeadline(number))
        else:
            handling.begun_at = now
            self._timers.set(HandlingDeadline(number), now + handling.subscription.ack_timeout_s)
        return True

    def renew(self, number: int, subscription: int, now: float) -> bool:
        """See `Receiving.renew`."""
        handling = self._handlings.get(number)
        if handling is None:
            self._check_known(number, subscription)
            return False
        self._check_holder(handling, number, subscription)
        assert handling.begun_at is not None
        last = handling.begun_at + max(self._tuning.max_handling_s, handling.subscription.ack_timeout_s)
        self._timers.set(HandlingDeadline(number), min(last, now + handling.subscription.ack_timeout_s))
        return True

    def _check_known(self, number: int, subscription: int) -> None:
        if not 0 < number <= self._handlings.last_number:
            raise NotFound(f"no event {number} was handed to subscription {subscription}: answer those that it got")

    def _check_holder(self, handling: Handling, number: int, subscription: int) -> None:
        if handling.subscription.number != subscription or handling.begun_at is None:
            raise NotFound(f"no event {number} was handed to subscription {subscription}: answer those that it got")

    def time_is_over(self, number: int, now: float) -> None:
        handling = self._handlings.get(number)
        assert handling is not None
        assert handling.begun_at is not None
        self._effects.append(DropHandling(handling.subscription.number, number))
        self.end(handling, DeliveryResult.FAILED, f"no answer within {round(now - handling.begun_at, 1):g} s", 0, now)
        self._late[number] = handling
        if len(self._late) > LATE_MAX:
            self._late.popitem(last=False)

    # -- the end of a handling ---------------------------------------------------------------------------------------

    def end(self, handling: Handling, result: DeliveryResult, text: str, after_ms: int, now: float) -> None:
        self._counts[result.name.lower()] += 1
        self._answer(handling, result, text, after_ms, now)
        self.release(handling, now)

    def _answer(self, handling: Handling, result: DeliveryResult, text: str, after_ms: int, now: float) -> None:
        """Answer whoever delivered it last, also if that one seems to be gone: after a partition its deliveries may
        come before the word that it lives, and it waits for their answers. Then an acknowledgement goes to whoever
        leads by the registry as well; the rest is of no use there, since the delivery comes once more."""
        id, subscription = handling.delivery, handling.subscription
        nodes = [handling.node]
        if result is DeliveryResult.ACKED:
            self._acks.add(id, now)
            leader = self._membership.leader(id.journal)
            if leader is not None and leader != handling.node and not self._replies.runs(handling.node):
                nodes.append(leader)
        outcome = DeliveryOutcome(
            id.group, id.event_index, handling.attempt, result, cut_text(text, MAX_REASON_BYTES),
            min(max(0, after_ms), MAX_AFTER_MS), subscription.hold, subscription.max_attempts,
        )  # fmt: skip
        for node in nodes:
            self._replies.answer(DeliveringLeader(node, id.journal), handling.ballot, outcome)

    def release(self, handling: Handling, now: float) -> None:
        """Its place in the window is free, and its key."""
        self._timers.cancel(HandlingDeadline(handling.number))
        following = self._handlings.remove(handling)
        self._subscriptions.forget(handling.subscription)
        self._replies.freed(handling.delivery.group)
        if self._handlings.out_of_bytes:
            self._handlings.out_of_bytes = False
            self._replies.freed_everywhere()
        if following is not None:
            self.begin(following, now)
