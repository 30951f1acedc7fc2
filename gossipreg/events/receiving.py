"""The receiving side of events: deliveries come from whoever leads a journal, and go to subscriptions of this sidecar.

Owns: which subscription handles a delivery, for how long, and what is answered. Never knows: how a program gets an
event, who leads, or what a leader does with an answer.

    delivery                                            answer
    of a lower ballot than its journal had here         OLD_BALLOT
    that is being handled already                       none now: it joins, and whoever delivered it last is answered
    that was acknowledged here a moment ago             ACKED
    that is no event                                    REJECTED
    that no subscription takes now                      NO_SUBSCRIBER
    that no window has room for                         NO_ROOM; WindowOpened follows
    that was given back, and that nobody else takes     NO_SUBSCRIBER or NO_ROOM, as above
    any other                                           what the handler says, or FAILED when its time is over

Each delivery is answered once, and stays here until then: a leader has no timer for it. One handler runs for each
(group, key); what comes meanwhile with the same key waits here. Handlers go on when their leader is gone: an
acknowledgement then goes to whoever leads the journal.

Inputs gather what follows from them; `flush` gives it. So all outcomes of one turn for one leader go in one message.
"""

from collections import Counter
from collections.abc import Iterable
from random import Random

from gossipreg.errors import NotFound
from gossipreg.events.cloud_event import event_head
from gossipreg.events.delivery_replies import ALL, DeliveryReplies, OpenRoom
from gossipreg.events.effects import EventEffect, HandleEvent
from gossipreg.events.handler_answers import HandlerAnswers, HandlingDeadline
from gossipreg.events.handlings import DeliveryId, Handling, Handlings
from gossipreg.events.membership import EventMembership
from gossipreg.events.messages import Deliveries, Delivery, DeliveryOutcome, DeliveryResult
from gossipreg.events.recent_deliveries import HighestBallots, RecentAcks
from gossipreg.events.room_grants import DeliveringLeader
from gossipreg.events.subscriptions import Subscription, Subscriptions, check_subscription
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import Ballot
from gossipreg.model import NodeId
from gossipreg.timers import Timers

OLD = "a newer leader has delivered"
HUNG_UP = "the subscriber hung up while it handled the event"


class Receiving:
    def __init__(self, tuning: EventsTuning, node: NodeId, rng: Random, membership: EventMembership) -> None:
        """`node` is this sidecar."""
        self._tuning = tuning
        self._rng = rng
        self._membership = membership
        self._timers = Timers()
        self._subscriptions = Subscriptions()
        self._handlings = Handlings()
        self._acks = RecentAcks()
        self._ballots = HighestBallots()
        self._replies = DeliveryReplies(node, membership, self._subscriptions, self._timers, self._room_for)
        self._effects: list[EventEffect] = []
        self.counts: Counter[str] = Counter()
        self._answers = HandlerAnswers(
            tuning, membership, self._timers, self._subscriptions, self._handlings, self._acks, self._replies,
            self._effects, self.counts,
        )  # fmt: skip

    def flush(self, now: float) -> list[EventEffect]:
        """What follows from the inputs since the last one. Call it at the end of each turn."""
        effects = self._effects + self._replies.take(now)
        self._effects.clear()
        return effects

    def next_deadline(self) -> float:
        """When `advance` has something to do; infinity while nothing runs here and nobody waits for room."""
        return self._timers.next_due()

    def advance(self, now: float) -> None:
        for timer, _ in self._timers.pop_due(now):
            match timer:
                case HandlingDeadline(number):
                    self._answers.time_is_over(number, now)
                case OpenRoom(group):
                    self._replies.freed(group, ALL)

    def statistics(self) -> dict[str, int]:
        """Figures for the operator. Names with a dot are counters."""
        return {
            "subscriptions": len(self._subscriptions),
            "handlings": len(self._handlings),
            "handlings_bytes": self._handlings.size_bytes,
            **{f"deliveries.{name}": count for name, count in sorted(self.counts.items())},
        }

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def subscribe(
        self, group: str, patterns: Iterable[str], *, broadcast: bool = False, window: int | None = None,
        on_dead: str = "go_on", max_attempts: int | None = None, ack_timeout_s: float | None = None, past: bool = False,
    ) -> int:  # fmt: skip
        """Begin a subscription; returns its number. None: the default. Raises BadParams, or Busy where there are too
        many; then nothing changed."""
        subscription = check_subscription(
            self._tuning, group, patterns, broadcast=broadcast, window=window, on_dead=on_dead,
            max_attempts=max_attempts, ack_timeout_s=ack_timeout_s, past=past,
        )  # fmt: skip
        self._effects += self._subscriptions.add(subscription)
        self._replies.freed(group, subscription.room)
        return subscription.number

    def unsubscribe(self, number: int, now: float, *, hung_up: bool) -> None:
        """End a subscription. What waits for its key goes elsewhere. What has begun has died if the subscriber hung up;
        otherwise it may still be answered. Raises NotFound."""
        subscription = self._subscriptions.known(number)
        if subscription is None or (subscription.ended and not hung_up):
            raise NotFound(f"no subscription {number}: it has ended, or never was")
        self._effects += self._subscriptions.end(subscription)
        self._place_waiting(subscription, now)
        if hung_up:
            for handling in self._handlings_of(subscription):
                self._answers.end(handling, DeliveryResult.DIED, HUNG_UP, 0, now)

    def suspend(self, number: int, now: float) -> None:
        """It takes nothing for now: its check does not pass, or it is in maintenance. Its announcement stays, and what
        it handles goes on. Raises NotFound."""
        subscription = self._subscriptions[number]
        subscription.suspended = True
        self._place_waiting(subscription, now)

    def resume(self, number: int) -> None:
        """It takes events again. Raises NotFound."""
        subscription = self._subscriptions[number]
        if subscription.suspended:
            subscription.suspended = False
            self._replies.freed(subscription.group, max(0, subscription.room))

    def _handlings_of(self, subscription: Subscription) -> list[Handling]:
        found = map(self._handlings.get, sorted(subscription.busy))
        return [handling for handling in found if handling is not None]

    def _place_waiting(self, subscription: Subscription, now: float) -> None:
        """Give what waits for its key to another subscription, or back to its leader."""
        for handling in self._handlings_of(subscription):
            if handling.begun_at is None:
                self._place_again(handling, now)

    def _place_again(self, handling: Handling, now: float) -> None:
        """Have another subscription handle it, which may begin at once if its key is free."""
        found = self._subscriptions.find(handling.delivery.group, handling.type)
        found = [one for one in found if one is not handling.subscription]
        if chosen := self._choose(found):
            former = handling.subscription
            self._handlings.move(handling, chosen)
            self._subscriptions.forget(former)
            self._replies.freed(handling.delivery.group)
            if self._handlings.may_begin(handling):
                self._answers.begin(handling, now)
            return
        leader = DeliveringLeader(handling.node, handling.delivery.journal)
        self._answers.release(handling, now)
        delivery = Delivery(handling.delivery.group, handling.delivery.event_index, handling.attempt, b"")
        self._refuse(leader, handling.ballot, delivery, found, handling.type)

    # -- deliveries --------------------------------------------------------------------------------------------------

    def deliveries(self, node: NodeId, message: Deliveries, now: float) -> None:
        """A leader delivers."""
        leader = DeliveringLeader(node, message.journal)
        old = self._ballots.is_old(message.journal, message.ballot)
        for delivery in message.deliveries:
            if old:
                self.counts["old_ballot"] += 1
                if delivery.group:
                    self._reply(
                        leader, message.ballot, delivery, DeliveryResult.OLD_BALLOT, "a newer leader has delivered"
                    )
            elif not delivery.group:
                self._broadcast(message, delivery)
            else:
                self._deliver(leader, message, delivery, now)

    def _deliver(self, leader: DeliveringLeader, message: Deliveries, delivery: Delivery, now: float) -> None:
        id = DeliveryId(message.journal, delivery.index, delivery.group)
        if running := self._handlings.of(id):
            self.counts["joined"] += 1
            running.node, running.ballot, running.attempt = leader.node, message.ballot, delivery.attempt
            self._replies.heard(delivery.group, leader, message.ballot, now)
            return
        if self._acks.has(id, now):
            self.counts["acked_again"] += 1
            self._reply(leader, message.ballot, delivery, DeliveryResult.ACKED, "")
            return
        try:
            head = event_head(delivery.event)
        except ValueError as error:
            self.counts["undecodable"] += 1
            self._reply(leader, message.ballot, delivery, DeliveryResult.REJECTED, str(error))
            return
        self._replies.heard(delivery.group, leader, message.ballot, now)
        found = self._subscriptions.find(delivery.group, head.type)
        chosen = self._choose(found) if self._handlings.fits(delivery.group, len(delivery.event)) else None
        if chosen is None:
            self._refuse(leader, message.ballot, delivery, found, head.type)
            return
        handling = self._handlings.add(
            id, leader.node, message.ballot, delivery.attempt, chosen, type=head.type, key=head.key,
            event=delivery.event,
        )  # fmt: skip
        if self._handlings.may_begin(handling):
            self._answers.begin(handling, now)

    def _broadcast(self, message: Deliveries, delivery: Delivery) -> None:
        try:
            head = event_head(delivery.event)
        except ValueError:
            self.counts["undecodable"] += 1
            return
        for subscription in self._subscriptions.find("", head.type):
            if subscription.suspended or subscription.broadcast_waiting >= subscription.window:
                self.counts["broadcast_dropped"] += 1
                continue
            subscription.broadcast_waiting += 1
            self.counts["broadcast"] += 1
            self._effects.append(
                HandleEvent(
                    subscription.number, 0, "", message.journal, delivery.index, delivery.attempt, delivery.event
                )
            )

    def _choose(self, found: list[Subscription]) -> Subscription | None:
        """The one with room that has least to do."""
        free = [one for one in found if one.room > 0]
        if not free:
            return None
        least = min(len(one.busy) for one in free)
        return self._rng.choice([one for one in free if len(one.busy) == least])

    def _refuse(
        self, leader: DeliveringLeader, ballot: Ballot, delivery: Delivery, found: list[Subscription], type: str
    ) -> None:  # fmt: skip
        """No subscription of those that mean it takes it now."""
        if any(not one.suspended for one in found):
            result, text = DeliveryResult.NO_ROOM, "the windows of all subscriptions of the group are full"
        else:
            result, text = DeliveryResult.NO_SUBSCRIBER, "no subscription of the group takes events now"
        self.counts[result.name.lower()] += 1
        self._reply(leader, ballot, delivery, result, text)
        self._replies.refuse(delivery.group, leader, type)

    def _reply(
        self, leader: DeliveringLeader, ballot: Ballot, delivery: Delivery, result: DeliveryResult, text: str
    ) -> None:  # fmt: skip
        """Answer what no subscription got."""
        outcome = DeliveryOutcome(delivery.group, delivery.index, delivery.attempt, result, text, 0, False, 0)
        self._replies.answer(leader, ballot, outcome)

    def _room_for(self, group: str, type: str) -> int:
        if not self._handlings.fits(group, 1):
            return 0
        return sum(max(0, one.room) for one in self._subscriptions.find(group, type))

    # -- what subscriptions say --------------------------------------------------------------------------------------

    def done(
        self, number: int, subscription: int, result: DeliveryResult, text: str, after_ms: int, now: float
    ) -> bool:
        """A subscription says what became of an event. Number 0: it has taken a broadcast event, and so has room.

        Returns False where this makes no difference: it was answered before, or its time was over. Raises NotFound
        where this subscription did not get that event."""
        if number == 0:
            return self._broadcast_taken(subscription)
        return self._answers.done(number, subscription, result, text, after_ms, now)

    def give_back(self, number: int, subscription: int, event: bytes, now: float) -> bool:
        """A subscription has not begun to handle this event, whose bytes these are, and will not. That is no attempt:
        another subscription here gets it, or its leader gives it to another member. If the subscription goes on, the
        event may come to it again. Returns and raises as `done` does."""
        handling = self._answers.take_back(number, subscription, event)
        if handling is None:
            return False
        self.counts["given_back"] += 1
        self._place_again(handling, now)
        return True

    def _broadcast_taken(self, subscription: int) -> bool:
        known = self._subscriptions[subscription]
        if not known.broadcast_waiting:
            return False
        known.broadcast_waiting -= 1
        return True

    def renew(self, number: int, subscription: int, now: float) -> bool:
        """The handler still runs: it gets its time anew, up to `max_handling_s` in all. Returns and raises as `done`
        does."""
        return self._answers.renew(number, subscription, now)

    def delay(self, number: int, subscription: int) -> bool:
        """A subscription keeps this event for its handler, which has no room for it now: its time begins with
        `hand_over`. Returns and raises as `done` does."""
        return self._answers.set_time(number, subscription, None)

    def hand_over(self, number: int, subscription: int, now: float) -> bool:
        """The handler has the event that was delayed. Returns and raises as `done` does."""
        return self._answers.set_time(number, subscription, now)

    # -- members -----------------------------------------------------------------------------------------------------

    def closed(self, node: NodeId, now: float) -> None:
        """The stream to this member broke. What it delivered goes on; it delivers it once more, which joins."""
        self._replies.lost(node, now)

    def members_changed(self) -> None:
        """Members came, went or changed: a leader that was refused, and did not run, may run again."""
        self._replies.freed_everywhere()
