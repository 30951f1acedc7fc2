"""The thread of one subscription: it reads the events of its connection, says what became of them, and connects again.

Owns: the connection, and which of its deliveries are not settled. Never knows: what a handler does, or who runs it (the
sink). Handlers say what became of an event from any thread; that is queued, and the bell wakes this thread, which alone
uses the connection.

A connection that ends takes its deliveries with it: what is settled later has no meaning for the next connection, over
which the sidecar delivers the event again. When the subscription ends it leaves first, so that no more events come, and
gives back what no handler has begun, which is no attempt. It goes once the sidecar has answered that.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from math import inf
from random import Random
from time import monotonic
from typing import Protocol

from gossipreg.client.event_stream import EventStream
from gossipreg.client.events.bell import Bell
from gossipreg.client.events.event import HandledEvent
from gossipreg.client.events.held_events import HeldEvents
from gossipreg.client.events.inheriting import HANDLED
from gossipreg.client.events.key_turns import KeyTurns
from gossipreg.client.events.settings import SubscriptionSettings
from gossipreg.client.events.settling import ACK, GatheredAcks, Request, Settlement, refusal, returns
from gossipreg.client.log import log_exception, log_warning
from gossipreg.client.watching.waiters import Waiters
from gossipreg.errors import (
    Busy,
    CannotKeep,
    Forked,
    GossipregError,
    Leaving,
    NotSynced,
    RequestError,
    Unavailable,
    Unreachable,
)
from gossipreg.retry import Retry

AGAIN = Retry(first_s=0.05, longest_s=2.0)
"""The waits between attempts to connect, each drawn between its half and the whole."""
STABLE_S = 1.0
"""A connection that lasted so long had no trouble: the waits begin anew."""
MAY_PASS = (Busy, CannotKeep, Leaving, NotSynced, Unavailable)
"""Refusals of a subscription that do not end one which was never accepted."""
READS_A_TURN = 64
FINISH_S = 1.0
"""How long the end of a subscription waits until the sidecar has read its last words."""
LONGEST_S = 3600.0
NOT_ENDED = "the program ended while it was handled"


class EventSink(Protocol):
    """Who has events handled. All is called on the pump's thread, and must not wait."""

    def hand(self, event: HandledEvent) -> None: ...

    def is_gone(self) -> bool:
        """Whether nobody can handle anything any more: the subscription ends."""

    def over(self) -> None:
        """No more events come."""


class SubscriptionPump(threading.Thread):
    def __init__(
        self, open: Callable[[], EventStream], settings: SubscriptionSettings, sink: EventSink, *, has_handler: bool,
        in_loop: bool,
    ) -> None:  # fmt: skip
        """`open` subscribes on a new connection. `has_handler`: the sink has a handler, so it gets one event of a key
        after the other, across connections too. `in_loop`: a loop handles the events, and not threads."""
        super().__init__(name="gossipreg events", daemon=True)
        self.settings = settings
        self.has_handler = has_handler
        self.in_loop = in_loop
        self.changed = Waiters()
        """Called when the sidecar has answered for the first time, and when the subscription is over."""
        self.fault = "it has not answered yet"
        """Why there is no connection; empty: there is one."""
        self.error: GossipregError | None = None
        """What ended it; None: it goes on, or was closed."""
        self.answered = self.is_over = False
        self.connects = self.losses = self.events = self.left_out = 0
        """Connections, those that were lost, events that came, and those of a broadcast for which there was no room."""
        self._open = open
        self._sink = sink
        self._turns = KeyTurns() if has_handler else None
        self._said: deque[tuple[HandledEvent, Settlement]] = deque()
        self._bell = Bell()
        self._ends_by = inf
        """When it ends at the latest; infinity: it goes on."""
        self._held = HeldEvents(settings.ack_timeout_s)
        self._acks = GatheredAcks()
        self._outgoing: list[Request] = []
        self._out: set[HandledEvent] = set()
        """Handed to the sink and not settled, of any connection."""
        self._wait_s = 0.0
        self._random = Random()
        self._pid = os.getpid()

    # -- for any thread ------------------------------------------------------------------------------------------------

    def settle(self, event: HandledEvent, settlement: Settlement) -> None:
        """What became of an event."""
        self.refuse_in_child()
        if not self.is_over:
            self._said.append((event, settlement))
            self._bell.ring()

    def begin_end(self, by: float) -> None:
        """Begin nothing any more, and end once no handler runs, at the latest then (of `monotonic`)."""
        self._ends_by = min(self._ends_by, by)
        self._bell.ring()

    @property
    def is_ending(self) -> bool:
        return self._ends_by < inf

    @property
    def running(self) -> int:
        """How many events are being handled now."""
        return sum(event.is_begun for event in list(self._out))

    @property
    def is_in_handler(self) -> bool:
        """Whether the caller is a handler of this subscription, which cannot wait for its own end."""
        return HANDLED.get() in self._out

    @property
    def of_this_process(self) -> bool:
        return self._pid == os.getpid()

    def refuse_in_child(self) -> None:
        """Raise Forked in a process other than the one that subscribed."""
        if not self.of_this_process:
            raise Forked(
                f"the subscription of {self.settings.name} is of process {self._pid}: subscribe in this process "
                f"({os.getpid()}) too"
            )

    def forget(self) -> None:
        """In a forked child: leave all to the parent."""
        self._bell.close()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            while not self._is_done():
                stream = self._connect()
                if stream is not None:
                    self._use(stream)
                self._rest()
        finally:
            self.is_over = True
            self._bell.close()
            self._sink.over()
            self.changed.wake()

    def _connect(self) -> EventStream | None:
        try:
            stream = self._open()
        except GossipregError as error:
            self._not_connected(error)
            return None
        except Exception as error:
            log_exception(f"the subscription of {self.settings.name} cannot connect, and tries again: please report it")
            self._not_connected(Unreachable(repr(error)))
            return None
        if self.fault and self.answered:
            log_warning(f"the subscription of {self.settings.name} is connected")
        self.connects += 1
        self.fault = ""
        self._answered()
        return stream

    def _not_connected(self, error: GossipregError) -> None:
        if not self.connects and isinstance(error, RequestError) and not isinstance(error, MAY_PASS):
            self.error = error
            self._ends_by = -inf
        elif not self.is_ending:
            self._note_fault(error)
        self._answered()

    def _answered(self) -> None:
        self.answered = True
        self.changed.wake()

    def _note_fault(self, error: Exception) -> None:
        if self.fault != str(error):
            self.fault = str(error)
            log_warning(f"the subscription of {self.settings.name} has no connection, and tries again: {error}")

    def _use(self, stream: EventStream) -> None:
        """Serve this connection until it or the subscription ends."""
        since = monotonic()
        try:
            self._serve(stream)
        except Unreachable as error:
            self.losses += 1
            self._note_fault(error)
        except Exception as error:
            log_exception(f"the subscription of {self.settings.name} failed, and connects again: please report it")
            self.losses += 1
            self.fault = repr(error)
        finally:
            self._leave(stream)
            self._forget_deliveries()
        if monotonic() - since >= STABLE_S:
            self._wait_s = 0.0

    def _leave(self, stream: EventStream) -> None:
        if self._bell.is_lost:
            stream.abandon()
            self._bell = Bell()
        else:
            stream.close()

    def _serve(self, stream: EventStream) -> None:
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        part_by = inf
        while True:
            more = self._read(stream)
            now = monotonic()
            self._take_said(now)
            if self.is_ending:
                stream.leave()
                self._give_back()
            self._send(stream, now)
            if self._is_done():
                part_by = min(part_by, now + FINISH_S)
                if not more and (stream.has_left or now >= part_by):
                    self._part(stream, part_by)
                    return
            due = min(self._acks.due, self._held.due, part_by if self._is_done() else self._ends_by)
            self._sleep(poll, 0.0 if more else due - monotonic())
            if self._bell.is_lost:
                raise Unreachable("the program closed the descriptors of the subscription")

    def _rest(self) -> None:
        """Wait for the next attempt to connect."""
        self._wait_s = AGAIN.after(self._wait_s) if self._wait_s else AGAIN.first_s
        until = monotonic() + self._wait_s * self._random.uniform(0.5, 1.0)
        while not self._is_done() and (self.is_ending or monotonic() < until):
            if self._bell.is_lost:
                self._bell = Bell()
            self._sleep(select.poll(), min(until if not self.is_ending else inf, self._ends_by) - monotonic())
            self._take_said(monotonic())

    def _sleep(self, poll: "select.poll", wait_s: float) -> None:
        """Wait for the bell, or for the connection in `poll`."""
        poll.register(self._bell, select.POLLIN)
        poll.poll(1000 * max(0.0, min(wait_s, LONGEST_S)))
        self._bell.hear()

    def _is_done(self) -> bool:
        return self.is_ending and (monotonic() >= self._ends_by or not self.running)

    # -- what the sidecar says -----------------------------------------------------------------------------------------

    def _read(self, stream: EventStream) -> bool:
        """Take in what is here; return whether there may be more."""
        for _ in range(READS_A_TURN):
            try:
                notification = stream.next(0.0)
            except RequestError as error:
                log_warning(f"the sidecar refused what the subscription of {self.settings.name} said: {error}")
                continue
            match notification:
                case None:
                    return False
                case "event", params:
                    self._take(HandledEvent(params, self.connects, self.settle))
                case _, {"delivery": int(delivery)}:
                    self._drop(delivery)
        return True

    def _take(self, event: HandledEvent) -> None:
        self.events += 1
        if event.delivery:
            self._held.add(event, monotonic())
        elif len(self._out) >= self.settings.window:
            self.left_out += 1
            return
        if self._turns is None or self._turns.begins(event):
            self._hand(event)

    def _hand(self, event: HandledEvent) -> None:
        if self._sink.is_gone():
            self.begin_end(monotonic())
        if not self.is_ending:
            self._out.add(event)
            self._sink.hand(event)

    def _drop(self, delivery: int) -> None:
        """Its time is over, and somebody else has it."""
        event = self._held.pop(delivery)
        if event is None:
            return
        if event.begin():
            self._let_go(event)
        else:
            log_warning(f"{event!r} has taken too long: it is given to another instance, and its handler goes on here")

    def _let_go(self, event: HandledEvent) -> None:
        """An event that nobody has begun is not ours any more."""
        self._out.discard(event)
        self._end_turn(event, acked=False)

    def _forget_deliveries(self) -> None:
        """The connection has ended."""
        events = list(self._held)
        self._held = HeldEvents(self.settings.ack_timeout_s)
        self._acks = GatheredAcks()
        self._outgoing.clear()
        for event in events:
            if self._turns is not None:
                self._turns.gone(event)
        for event in events:
            if event.begin():
                self._let_go(event)

    # -- what handlers say ---------------------------------------------------------------------------------------------

    def _take_said(self, now: float) -> None:
        while self._said:
            event, settlement = self._said.popleft()
            self._out.discard(event)
            if event.delivery and event.connection == self.connects and self._held.pop(event.delivery) is not None:
                if settlement.method == ACK.method:
                    self._acks.add(event.delivery, now)
                else:
                    self._outgoing.append(refusal(event.delivery, settlement))
            self._end_turn(event, acked=settlement.method == ACK.method)

    def _end_turn(self, event: HandledEvent, *, acked: bool) -> None:
        if self._turns is None or not event.delivery:
            return
        following, same = self._turns.ended(event, acked=acked)
        for one in same:
            one.settle(ACK)
        if following is not None:
            self._hand(following)

    def _send(self, stream: EventStream, now: float) -> None:
        if now >= self._held.due and self._sink.is_gone():
            self.begin_end(now)
        requests = [*self._acks.take(now, more_may_come=bool(self._out)), *self._outgoing, *self._held.renewals(now)]
        self._outgoing.clear()
        for method, params in requests:
            stream.tell(method, **params)

    def _give_back(self) -> None:
        """Have others handle what nobody has begun here."""
        events = [event for event in self._held if event.begin()]
        for event in events:
            self._held.pop(event.delivery)
            self._let_go(event)
        self._outgoing += returns([event.delivery for event in events])

    def _part(self, stream: EventStream, by: float) -> None:
        """Say the last words: handlers that still run have had their time."""
        for event in self._held:
            self._outgoing.append(refusal(event.delivery, Settlement("retry", NOT_ENDED)))
        self._send(stream, inf)
        stream.finish(by - monotonic())
