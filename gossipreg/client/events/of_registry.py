"""The events of one registry: what it publishes, and its subscriptions.

Owns: the subscriptions, so that they end with the registry. Never knows: services and instances.
"""

from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import Any

from gossipreg.client.checks import check_count, check_takes_event
from gossipreg.client.events.handlers import Handler, HandlerThreads
from gossipreg.client.events.published import Published
from gossipreg.client.events.publisher import EventPublisher, RegistryClient
from gossipreg.client.events.publishing import EventToPublish
from gossipreg.client.events.pump import FINISH_S, EventSink, SubscriptionPump
from gossipreg.client.events.running import RUNNING
from gossipreg.client.events.settings import THREADS, SubscriptionSettings, subscription_settings
from gossipreg.client.events.subscription import (
    CLOSE_S,
    EventIterator,
    EventQueue,
    HandlerSubscription,
    wait_over,
)
from gossipreg.client.watching.waiters import wait_until
from gossipreg.errors import BadParams


class RegistryEvents:
    def __init__(self, path: str | None, source: str | None) -> None:
        """`source` stands in for events that name none; None: the sidecar's own name does."""
        self.client = RegistryClient(path)
        self._source = source
        self._publisher = EventPublisher(self.client)
        self._pumps: dict[SubscriptionPump, None] = {}

    def publish(self, type: str, data: object, **attributes: Any) -> Published:
        """See `Registry.publish`."""
        return self._publisher.publish(self.event(type, data, attributes))

    def event(self, type: str, data: object, attributes: dict[str, Any]) -> EventToPublish:
        """Raises BadParams."""
        if attributes["source"] is None:
            attributes["source"] = self._source
        return EventToPublish(type, data, **attributes, now=monotonic())

    def subscribe(
        self, pattern: str | Iterable[str], group: str | None, handler: Handler | None, threads: int | None,
        wait_s: float, **options: Any,
    ) -> HandlerSubscription:  # fmt: skip
        """See `Registry.subscribe`."""
        checked = checked_handler(handler)
        settings = subscription_settings(pattern, group, **options)
        if threads is not None:
            check_count("threads", threads, "how many handlers run at once")
            if threads < 1:
                raise BadParams(f"threads is {threads}: give how many handlers run at once, from 1 on")
        handlers = HandlerThreads(checked, threads or min(settings.window, THREADS), settings.name)
        pump = self.begin(settings, handlers, has_handler=True)
        self._await_answer(pump, wait_s)
        return HandlerSubscription(pump)

    def events(
        self, pattern: str | Iterable[str], group: str | None, wait_s: float, **options: Any
    ) -> EventIterator:  # fmt: skip
        """See `Registry.events`."""
        queue = EventQueue()
        pump = self.begin(subscription_settings(pattern, group, **options), queue, has_handler=False)
        iterator = EventIterator(pump, queue)
        self._await_answer(pump, wait_s)
        return iterator

    def begin(
        self, settings: SubscriptionSettings, sink: EventSink, *, has_handler: bool, in_loop: bool = False
    ) -> SubscriptionPump:
        """A pump that runs."""
        pump = SubscriptionPump(
            partial(self.client.subscribe, **settings.params), settings, sink, has_handler=has_handler, in_loop=in_loop
        )
        for old in list(self._pumps):
            if old.is_over or not old.of_this_process:
                self._pumps.pop(old, None)
        self._pumps[pump] = None
        RUNNING.begin(pump)
        return pump

    def _await_answer(self, pump: SubscriptionPump, wait_s: float) -> None:
        """Until the first attempt to subscribe has ended. Raises the error of the sidecar if it refuses for good."""
        wait_until(pump.changed, lambda: pump.answered, monotonic() + wait_s, lambda: True)
        if pump.error is not None:
            raise pump.error

    def begin_close(self) -> list[SubscriptionPump]:
        """Have all subscriptions end; handlers that run get CLOSE_S, and loops of the program over an iterator no time,
        since they may be what closes. Returns those that the caller may wait for."""
        pumps = [pump for pump in list(self._pumps) if pump.of_this_process and not pump.is_over]
        for pump in pumps:
            pump.begin_end(monotonic() + (CLOSE_S if pump.has_handler else 0.0))
        return [pump for pump in pumps if not pump.is_in_handler]

    def close(self) -> None:
        """End all of it, and wait for handlers in threads. Those of a loop could not end while this waits."""
        until = monotonic() + CLOSE_S
        for pump in self.begin_close():
            if not pump.in_loop:
                wait_over(pump, until + FINISH_S - monotonic())
        self._publisher.close()


def checked_handler(handler: Handler | None) -> Handler:
    """Raises BadParams for what threads cannot call."""
    from inspect import iscoroutinefunction

    if handler is None or not callable(handler):
        raise BadParams(f"handler {handler!r} cannot be called: give a function that takes an event")
    if iscoroutinefunction(handler):
        raise BadParams(f"handler {handler!r} is async: give a function for threads, or use gossipreg.aio")
    check_takes_event("handler", handler)
    return handler


def decorator(subscribe: Callable[[Handler], object]) -> Callable[[Handler], Handler]:
    def decorated(handler: Handler) -> Handler:
        subscribe(handler)
        return handler

    return decorated
