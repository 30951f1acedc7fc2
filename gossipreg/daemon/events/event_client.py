"""The subscriptions of one connection to the local socket, and the events that it was given and has not settled.

Owns: which deliveries this client may answer, and how much it is given before it does: an event that waits for its turn
here is within the subscription's window, and the time of its handler begins when the client has it. Never knows: other
clients, or where an event comes from.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gossipreg.daemon import params as check
from gossipreg.daemon.events import event_params as read
from gossipreg.daemon.events.event_shapes import handed_shape
from gossipreg.daemon.json_form import JsonForm
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.daemon.watches import WatchReader
from gossipreg.errors import Busy, NotFound
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents

MAX_SUBSCRIPTIONS = 256
"""Of one connection."""
REMEMBERED = 10_000
"""Deliveries that a client has settled."""
GIVEN_BYTES = 2 * 1024 * 1024
"""Of events that one client was given and has not settled, unless a single one is larger: less than what may wait to
be written to it."""


class EventClient:
    def __init__(self, events: "LocalEvents", reader: WatchReader) -> None:
        self._events = events
        self._reader = reader
        self._as_json = isinstance(reader.form, JsonForm)
        self._subscriptions: set[int] = set()
        self._of_groups: set[int] = set()
        """Those that are no broadcast."""
        self._given: dict[int, HandleEvent] = {}
        """By delivery: those that the client has and has not settled."""
        self._given_bytes = 0
        self._opening: list[bytes] | None = None
        """What is to follow the reply to `subscribe`, while there is none yet."""
        self._waiting: deque[HandleEvent] = deque()
        self._delayed: set[int] = set()
        """Deliveries that wait, and whose time does not run."""
        self._settled: dict[int, None] = {}
        """Deliveries that this client had: to settle one again is harmless."""

    @property
    def busy(self) -> bool:
        return bool(self._subscriptions)

    @property
    def settles(self) -> bool:
        """Whether it has a subscription whose events are to be acknowledged, or such an event."""
        return bool(self._of_groups & self._subscriptions or self._given)

    # -- from the client ---------------------------------------------------------------------------------------------

    def call(self, method: str, params: Params) -> bytes:
        """One of the methods below but `subscribe`."""
        return _METHODS[method](self, params)

    def subscribe(self, params: Params, not_synced_because: str = "") -> bytes:
        """{pattern, group | broadcast, window, on_dead, max_attempts, ack_timeout} -> {subscription}, with the reason
        where other members cannot know of it yet"""
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Busy(f"this connection has {MAX_SUBSCRIPTIONS} subscriptions: end some, or open another connection")
        asked = read.subscription_untrusted(params, self._events.tuning)
        self._opening = []
        try:
            number = self._events.subscribe(self, asked)
        except BaseException:
            self._opening = None
            raise
        self._subscriptions.add(number)
        if asked.group:
            self._of_groups.add(number)
        why = {"not_synced_because": not_synced_because} if not_synced_because else {}
        return pack({"subscription": number, **why})

    def take_opening(self) -> list[bytes]:
        """What follows the reply to `subscribe`: events may have waited for it, and a client does not know the number
        of its subscription before the reply."""
        opening, self._opening = self._opening or [], None
        return opening

    def _push(self, pieces: Iterable[bytes]) -> None:
        if self._opening is None:
            self._reader.push(*pieces)
        else:
            self._opening += pieces

    def unsubscribe(self, params: Params) -> bytes:
        number = take_untrusted("unsubscribe", params, {"subscription": check.Whole(1, 1 << 62)}, "subscription")[
            "subscription"
        ]
        if number not in self._subscriptions:
            raise NotFound(f"this connection has no subscription {number}")
        self._subscriptions.discard(number)
        self._of_groups.discard(number)
        self._events.unsubscribe(number, hung_up=False)
        self._give_back_waiting({number})
        return pack({})

    def ack(self, params: Params) -> bytes:
        """{delivery: number or list}: handled. -> {known}: how many of them waited for it"""
        numbers = take_untrusted("ack", params, {"delivery": read.deliveries}, "delivery")["delivery"]
        return self._settle(numbers, DeliveryResult.ACKED)

    def reject(self, params: Params) -> bytes:
        """{delivery, reason}: never again; it becomes a dead letter."""
        given = take_untrusted("reject", params, {"delivery": read.delivery, "reason": read.reason}, "delivery")
        return self._settle([given["delivery"]], DeliveryResult.REJECTED, given.get("reason", "rejected"))

    def retry(self, params: Params) -> bytes:
        """{delivery, after, reason}: once more, after so many seconds."""
        allowed: dict[str, Check] = {"delivery": read.delivery, "after": read.after_s, "reason": read.reason}
        given = take_untrusted("retry", params, allowed, "delivery")
        reason, after_s = given.get("reason", "asked again"), given.get("after", 0.0)
        return self._settle([given["delivery"]], DeliveryResult.FAILED, reason, after_s)

    def renew(self, params: Params) -> bytes:
        """{delivery}: the handler runs; its time begins anew. -> {known}: false if it is not waited for any more"""
        numbers = take_untrusted("renew", params, {"delivery": read.deliveries}, "delivery")["delivery"]
        if len(numbers) == 1:
            self._was_given(numbers[0])
        known = [number for number in numbers if number in self._given]
        renewed = sum(self._events.renew(self._given[number].subscription, number) for number in known)
        self._events.flush()
        return pack({"known": renewed})

    def give_back(self, params: Params) -> bytes:
        """{delivery: number or list}: not begun, and not to be. Others get it, and that is no attempt. -> {known}"""
        numbers = take_untrusted("give_back", params, {"delivery": read.deliveries}, "delivery")["delivery"]
        return self._let_go(numbers, self._events.give_back)

    def _settle(self, numbers: list[int], result: DeliveryResult, reason: str = "", after_s: float = 0.0) -> bytes:
        def done(handed: HandleEvent) -> bool:
            return self._events.done(handed.subscription, handed.number, result, reason, after_s)

        return self._let_go(numbers, done)

    def _let_go(self, numbers: list[int], say: Callable[[HandleEvent], bool]) -> bytes:
        """The client has these no more: `say` what becomes of each."""
        if len(numbers) == 1:
            self._was_given(numbers[0])
        known = 0
        for number in numbers:
            handed = self._given.pop(number, None)
            if handed is not None:
                self._note_settled(handed)
                known += say(handed)
        self._events.flush()
        self._give()
        return pack({"known": known})

    def _was_given(self, number: int) -> bool:
        """Whether this client has this event. False: it had it, and settled it, or its time was over, which changes
        nothing. Raises NotFound if it was never given it."""
        if number in self._given:
            return True
        if number not in self._settled:
            raise NotFound(f"this connection was not given delivery {number}: settle it where it came")
        return False

    def _note_settled(self, handed: HandleEvent) -> None:
        self._given_bytes -= len(handed.event)
        self._settled[handed.number] = None
        if len(self._settled) > REMEMBERED:
            del self._settled[next(iter(self._settled))]

    # -- from the sidecar --------------------------------------------------------------------------------------------

    def handle(self, handed: HandleEvent) -> None:
        self._waiting.append(handed)
        self._give()
        if handed.number and self._waiting and self._waiting[-1] is handed:
            self._delayed.add(handed.number)
            self._events.delay(handed)

    def drop(self, number: int) -> None:
        """Nobody waits for this delivery any more: its time is over."""
        handed = self._given.pop(number, None)
        if handed is None:
            self._delayed.discard(number)
            self._waiting = deque(handed for handed in self._waiting if handed.number != number)
            return
        self._note_settled(handed)
        form = self._reader.form
        shape = {"subscription": handed.subscription, "delivery": number}
        self._push(form.notification("dropped", form.body(shape)))
        self._give()

    def _give(self) -> None:
        """Write what the client may have now."""
        begun = False
        while self._waiting and (not self._given or self._given_bytes < GIVEN_BYTES):
            handed = self._waiting.popleft()
            if handed.number:
                self._given[handed.number] = handed
                self._given_bytes += len(handed.event)
            if handed.number in self._delayed:
                self._delayed.discard(handed.number)
                self._events.hand_over(handed)
                begun = True
            form = self._reader.form
            trace = self._events.spans.context(handed.number)
            shape: dict[str, Any] = handed_shape(handed, handed.subscription, as_json=self._as_json, trace=trace)
            self._push(form.notification("event", form.body(shape)))
            if not handed.number:
                self._events.done(handed.subscription, 0, DeliveryResult.ACKED)
        if begun:
            self._events.flush()

    def _give_back_waiting(self, subscriptions: Collection[int]) -> None:
        """What waits here for its turn goes to others. What the client has it may still settle."""
        theirs = [handed for handed in self._waiting if handed.subscription in subscriptions]
        self._waiting = deque(handed for handed in self._waiting if handed.subscription not in subscriptions)
        for handed in theirs:
            if handed.number:
                self._delayed.discard(handed.number)
                self._events.give_back(handed)
        self._events.flush()

    def end(self) -> None:
        """The client is gone. What it was given has died with it; what it never got goes to others."""
        ended, self._subscriptions = self._subscriptions, set()
        for number in ended:
            self._events.unsubscribe(number, hung_up=False)
        self._give_back_waiting(ended)
        for number in {handed.subscription for handed in self._given.values()}:
            with suppress(NotFound):  # its time was over after the subscription had ended
                self._events.unsubscribe(number, hung_up=True)
        self._given.clear()
        self._waiting.clear()


_METHODS: dict[str, Callable[[EventClient, Params], bytes]] = {
    "unsubscribe": EventClient.unsubscribe, "ack": EventClient.ack, "reject": EventClient.reject,
    "retry": EventClient.retry, "renew": EventClient.renew, "give_back": EventClient.give_back,
}  # fmt: skip
