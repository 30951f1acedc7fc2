"""What programs hold of a subscription: `Subscription`, which runs a handler, and `EventIterator`, which gives events.

Owns: how a program waits and ends. Never knows: connections.
"""

import weakref
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Self

from gossipreg.client.events.event import HandledEvent
from gossipreg.client.events.pump import FINISH_S, SubscriptionPump
from gossipreg.client.watching.waiters import LONGEST_S, wait_until

CLOSE_S = 5.0
"""How long `close` waits for handlers that run."""


class HandlerSubscription:
    """Events of a pattern, handled by the threads of this process until `close`, or until the program ends."""

    def __init__(self, pump: SubscriptionPump) -> None:
        """Made by `Registry.subscribe`."""
        self.pump = pump

    def close(self, timeout: float = CLOSE_S) -> None:
        """End it. Handlers that run get so many seconds to end; what they miss is delivered again, which is an attempt,
        and what none has begun goes to others. In a handler it does not wait. Raises Forked in a forked child."""
        _end(self.pump, timeout, timeout + FINISH_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is closed; returns False if it is not after so many seconds. Raises the error of the sidecar
        that ended it, and Forked in a forked child."""
        self.pump.refuse_in_child()
        over = wait_over(self.pump, LONGEST_S if timeout is None else timeout)
        if over and self.pump.error is not None:
            raise self.pump.error
        return over

    def stats(self) -> dict[str, Any]:
        """Figures for people and metrics; new ones come with new releases. See `pump_stats`."""
        return pump_stats(self.pump)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Subscription of {self.pump.settings.name}: {pump_state(self.pump)}>"


class EventQueue:
    """The sink of an iterator."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[HandledEvent | None] = SimpleQueue()

    def hand(self, event: HandledEvent) -> None:
        self._queue.put(event)

    def is_gone(self) -> bool:
        return False

    def over(self) -> None:
        self._queue.put(None)

    def next(self, timeout_s: float | None) -> HandledEvent | None:
        """The next event that is still ours; None: there will be none. Raises Empty."""
        until = None if timeout_s is None else monotonic() + timeout_s
        while True:
            event = self._queue.get(timeout=None if until is None else max(0.0, until - monotonic()))
            if event is None:
                self.over()  # for the other threads that wait
                return None
            if event.begin():
                if not event.delivery:
                    event.ack()  # nobody waits for an answer
                return event


class EventIterator:
    """`for event in registry.events(...)`: each event is the program's until it calls `event.ack()`, `reject` or
    `retry`, or ends `with event:`. Threads may share it. It ends with `close`, or when nothing refers to it."""

    def __init__(self, pump: SubscriptionPump, queue: EventQueue) -> None:
        """Made by `Registry.events`."""
        self.pump = pump
        self._queue = queue
        self._finalizer = weakref.finalize(self, abandon, pump)
        self._finalizer.atexit = False  # `running.py` ends it then

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> HandledEvent:
        event = self.next_within(None)
        if event is None:
            raise StopIteration
        return event

    def next_within(self, timeout_s: float | None) -> HandledEvent | None:
        """The next event; None if none comes within `timeout_s`, or if it was closed. Raises the error of the sidecar
        that ended it, and Forked in a forked child."""
        self.pump.refuse_in_child()
        try:
            event = self._queue.next(timeout_s)
        except Empty:
            return None
        if event is None and self.pump.error is not None:
            raise self.pump.error
        return event

    def close(self) -> None:
        """End it. Events that it gave out and that were not settled are delivered again, others go to others."""
        _end(self.pump, 0.0, 2 * FINISH_S)

    def stats(self) -> dict[str, Any]:
        """As `Subscription.stats`."""
        return pump_stats(self.pump)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EventIterator of {self.pump.settings.name}: {pump_state(self.pump)}>"


def abandon(pump: SubscriptionPump) -> None:
    """The program has forgotten the iterator; it may still settle the events that it holds, for a while."""
    pump.begin_end(monotonic() + CLOSE_S)


def _end(pump: SubscriptionPump, handlers_s: float, longest_s: float) -> None:
    """End a subscription, whose handlers have `handlers_s` to end; wait until it is over, for `longest_s` at most. A
    handler of it does not wait for itself. Raises Forked."""
    pump.refuse_in_child()
    pump.begin_end(monotonic() + handlers_s)
    if not pump.is_in_handler:
        wait_over(pump, longest_s)


def wait_over(pump: SubscriptionPump, timeout_s: float) -> bool:
    return wait_until(pump.changed, lambda: pump.is_over, monotonic() + timeout_s, lambda: True)


def pump_stats(pump: SubscriptionPump) -> dict[str, Any]:
    """connected; why_not; connects, losses (connections that ended); events (that came); running (handled now);
    left_out (of a broadcast, for want of room)."""
    return {
        "connected": not pump.fault and not pump.is_over, "why_not": pump.fault, "connects": pump.connects,
        "losses": pump.losses, "events": pump.events, "running": pump.running, "left_out": pump.left_out,
    }  # fmt: skip


def pump_state(pump: SubscriptionPump) -> str:
    if not pump.of_this_process:
        return "of another process"
    if pump.is_over:
        return "closed" if pump.error is None else f"ended: {pump.error}"
    return "ending" if pump.is_ending else pump.fault or "connected"
