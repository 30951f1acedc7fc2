"""The events of a registry for asyncio and trio.

The pump of a subscription is a thread here too, so a loop that is busy does not lose its events: it goes on to renew
them. Handlers run as tasks of the loop in which they were subscribed, and end with it.

Owns: how a loop waits and ends. Never knows: connections.
"""

import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from time import monotonic
from typing import Any, Self

from gossipreg.client.checks import check_takes_event
from gossipreg.client.events.aio_publisher import AsyncEventPublisher
from gossipreg.client.events.event import HandledEvent, Reject, RetryLater
from gossipreg.client.events.handlers import what_follows
from gossipreg.client.events.of_registry import RegistryEvents
from gossipreg.client.events.published import Published
from gossipreg.client.events.pump import FINISH_S, SubscriptionPump
from gossipreg.client.events.settings import subscription_settings
from gossipreg.client.events.subscription import CLOSE_S, abandon, pump_state, pump_stats
from gossipreg.client.log import log_exception
from gossipreg.client.loops import checkpoint, loop_tasks, wait_for_changes
from gossipreg.client.watching.waiters import LONGEST_S, Waiters
from gossipreg.errors import BadParams

AsyncHandler = Callable[[HandledEvent], Awaitable[object]]


class AsyncRegistryEvents:
    def __init__(self, events: RegistryEvents) -> None:
        """`events`: those of the registry for threads."""
        self._events = events
        self._publisher = AsyncEventPublisher(events.client)

    async def publish(self, type: str, data: object, **attributes: Any) -> Published:
        return await self._publisher.publish(self._events.event(type, data, attributes))

    async def subscribe(
        self, pattern: str | Iterable[str], group: str | None, handler: AsyncHandler | None, wait_s: float,
        **options: Any,
    ) -> "AsyncSubscription":  # fmt: skip
        if handler is None or not callable(handler):
            raise BadParams(f"handler {handler!r} cannot be called: give an async function that takes an event")
        check_takes_event("handler", handler)
        settings = subscription_settings(pattern, group, **options)
        pump = self._events.begin(settings, TaskHandlers(handler, settings.name), has_handler=True, in_loop=True)
        try:
            await wait_for_changes(pump.changed.on_change, lambda: pump.answered, wait_s)
        except BaseException:
            pump.begin_end(monotonic())
            raise
        if pump.error is not None:
            raise pump.error
        return AsyncSubscription(pump)

    def events(self, pattern: str | Iterable[str], group: str | None, **options: Any) -> "AsyncEventIterator":
        queue = AsyncEventQueue()
        settings = subscription_settings(pattern, group, **options)
        return AsyncEventIterator(self._events.begin(settings, queue, has_handler=False, in_loop=True), queue)

    async def close(self) -> None:
        """End all subscriptions of the registry; handlers that run get CLOSE_S to end."""
        for pump in self._events.begin_close():
            await _wait_over(pump, CLOSE_S + FINISH_S)
        self._publisher.close()


class TaskHandlers:
    """A sink: each event is a task of the loop in which this was made."""

    def __init__(self, handler: AsyncHandler, name: str) -> None:
        self._handler = handler
        self._name = name
        self._tasks = loop_tasks()

    def hand(self, event: HandledEvent) -> None:
        with suppress(RuntimeError):  # the loop has ended just now: the pump sees it soon
            self._tasks.start(partial(self._handle, event))

    def is_gone(self) -> bool:
        return self._tasks.is_over()

    def over(self) -> None:
        pass

    async def _handle(self, event: HandledEvent) -> None:
        if not event.begin():
            return
        with suppress(Exception), event:
            try:
                handled: object = self._handler(event)
                if isawaitable(handled):  # a plain function has done its work: to fail now would have it do it again
                    await handled
            except (Reject, RetryLater):
                raise
            except Exception:
                log_exception(f"the handler of {self._name} failed at {event!r}: {what_follows(event)}")
                raise


class AsyncSubscription:
    """Events of a pattern, handled by tasks of a loop until `close`, or until the loop ends."""

    def __init__(self, pump: SubscriptionPump) -> None:
        """Made by `AsyncRegistry.subscribe`."""
        self.pump = pump

    async def close(self, timeout: float = CLOSE_S) -> None:
        """End it. As `HandlerSubscription.close`."""
        await _end(self.pump, timeout, timeout + FINISH_S)

    async def wait(self, timeout: float | None = None) -> bool:
        """As `Subscription.wait`."""
        self.pump.refuse_in_child()
        over = await _wait_over(self.pump, LONGEST_S if timeout is None else timeout)
        if over and self.pump.error is not None:
            raise self.pump.error
        return over

    def stats(self) -> dict[str, Any]:
        """As `Subscription.stats`."""
        return pump_stats(self.pump)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncSubscription of {self.pump.settings.name}: {pump_state(self.pump)}>"


class AsyncEventQueue:
    """The sink of an iterator."""

    def __init__(self) -> None:
        self.news = Waiters()
        """Called when an event has come, or none will."""
        self.is_over = False
        self._queue: deque[HandledEvent] = deque()

    def hand(self, event: HandledEvent) -> None:
        self._queue.append(event)
        self.news.wake()

    def is_gone(self) -> bool:
        return False

    def over(self) -> None:
        self.is_over = True
        self.news.wake()

    def pop(self) -> HandledEvent | None:
        """The next event that is still ours; None: there is none now."""
        with suppress(IndexError):
            while True:
                event = self._queue.popleft()
                if event.begin():
                    if not event.delivery:
                        event.ack()  # nobody waits for an answer
                    return event
        return None

    @property
    def has_news(self) -> bool:
        return bool(self._queue) or self.is_over


class AsyncEventIterator:
    """`async for event in registry.events(...)`; as `EventIterator`."""

    def __init__(self, pump: SubscriptionPump, queue: AsyncEventQueue) -> None:
        """Made by `AsyncRegistry.events`."""
        self.pump = pump
        self._queue = queue
        self._finalizer = weakref.finalize(self, abandon, pump)
        self._finalizer.atexit = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> HandledEvent:
        self.pump.refuse_in_child()
        await checkpoint()
        while (event := self._queue.pop()) is None:
            if self._queue.is_over:
                raise self.pump.error or StopAsyncIteration
            await wait_for_changes(self._queue.news.on_change, lambda: self._queue.has_news, LONGEST_S)
        return event

    async def close(self) -> None:
        """End it. As `EventIterator.close`."""
        await _end(self.pump, 0.0, 2 * FINISH_S)

    def stats(self) -> dict[str, Any]:
        """As `Subscription.stats`."""
        return pump_stats(self.pump)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncEventIterator of {self.pump.settings.name}: {pump_state(self.pump)}>"


async def _end(pump: SubscriptionPump, handlers_s: float, longest_s: float) -> None:
    """End a subscription, whose handlers have `handlers_s` to end; wait until it is over, for `longest_s` at most. A
    handler of it does not wait for itself. Raises Forked."""
    pump.refuse_in_child()
    pump.begin_end(monotonic() + handlers_s)
    if not pump.is_in_handler:
        await _wait_over(pump, longest_s)


async def _wait_over(pump: SubscriptionPump, timeout_s: float) -> bool:
    """Wait until the subscription is over; return whether it is in time."""
    return await wait_for_changes(pump.changed.on_change, lambda: pump.is_over, timeout_s)
