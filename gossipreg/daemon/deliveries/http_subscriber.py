"""One subscription of a service: a request for each event, as many at once as its window.

Owns: the requests that run. Never knows: what a route is, or how an event is tried again. A request has a bound of
time that is shorter than that of the delivery, so the next delivery of an event begins after the last request for it
has ended.
"""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import trio

from gossipreg.daemon.deliveries.verdicts import ACKED, Verdict
from gossipreg.daemon.events.event_spans import request_headers
from gossipreg.errors import NotFound
from gossipreg.events.cloud_event import CloudEvent, decode_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult
from gossipreg.net.http_client import HttpAnswer, HttpClient, NotReached, NoWholeAnswer, OutgoingCall, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossipreg.daemon.events.local_events import LocalEvents

ANSWER_MAX_BYTES = 64 * 1024
PLACE_S = 5.0
"""How long an event waits while as many requests run as may; then it is given back, which is no attempt."""
MARGIN_S = 10.0
"""By how much the time of a delivery is longer than that of its request: it may wait for a place."""
assert MARGIN_S > PLACE_S


class EventRoutes(Protocol):
    """Where a service takes events, and what its answers mean."""

    patterns: tuple[str, ...]

    def call(self, handed: HandleEvent, event: CloudEvent) -> OutgoingCall | None:
        """The request; None: this event is for nobody here, and is acknowledged."""

    async def judge(self, handed: HandleEvent, event: CloudEvent, answer: HttpAnswer) -> Verdict: ...

    async def failed(self, handed: HandleEvent, event: CloudEvent, verdict: Verdict) -> Verdict:
        """There was no answer."""

    def lost(self) -> None:
        """The service was not there: it may be another one when it is back."""


class HttpSubscriber:
    """See `events.event_programs.EventSubscriber`."""

    def __init__(
        self, events: "LocalEvents", routes: EventRoutes, place: Place, client: HttpClient, nursery: trio.Nursery,
        bug: "Callable[[str, Exception], None]",
    ) -> None:  # fmt: skip
        self.routes = routes
        self.place = place
        self._events = events
        self._client = client
        self._nursery = nursery
        self._bug = bug
        self._takes = True
        self._number: int | None = None

    def begin(self, group: str, *, takes: bool) -> None:
        """Subscribe, as a member of this group. Raises RequestError."""
        from gossipreg.daemon.events.event_params import AskedSubscription

        tuning = self._events.tuning
        self._takes = takes
        self._number = self._events.subscribe(
            self,
            AskedSubscription(
                group, self.routes.patterns, tuning.window, "go_on", 0, tuning.ack_timeout_s + MARGIN_S
            ),
        )  # fmt: skip
        if not takes:
            self._events.suspend(self._number, takes=False)

    def take(self, takes: bool) -> None:
        """Whether it takes events now."""
        if takes != self._takes and self._number is not None:
            self._takes = takes
            self._events.suspend(self._number, takes=takes)

    def end(self) -> None:
        """Requests that run are settled still; others are not begun."""
        self._takes = False
        if self._number is not None:
            self._events.unsubscribe(self._number, hung_up=False)

    # -- from the sidecar --------------------------------------------------------------------------------------------

    def handle(self, handed: HandleEvent) -> None:
        self._nursery.start_soon(self._handle, handed)

    def drop(self, number: int) -> None:
        """The request goes on: nothing ends what it has begun."""

    async def _handle(self, handed: HandleEvent) -> None:
        begun = object()
        with trio.move_on_after(PLACE_S) as waited:
            await self._client.places.acquire_on_behalf_of(begun)
        if waited.cancelled_caught:
            self._give_back(handed)
            return
        try:
            if self._takes:
                await self._ask(handed)
            else:
                self._give_back(handed)
        finally:
            self._client.places.release_on_behalf_of(begun)

    def _give_back(self, handed: HandleEvent) -> None:
        with suppress(NotFound):  # the subscription has ended
            self._events.give_back(handed)
        self._events.flush()

    async def _ask(self, handed: HandleEvent) -> None:
        try:
            verdict = await self._verdict(handed)
        except Exception as error:
            self._bug("event_delivery", error)
            verdict = Verdict(DeliveryResult.FAILED, "this failed inside the sidecar, and its log says how")
        with suppress(NotFound):  # the subscription has ended
            self._events.done(handed.subscription, handed.number, verdict.result, verdict.reason, verdict.after_s)
        self._events.flush()

    async def _verdict(self, handed: HandleEvent) -> Verdict:
        event = decode_event(handed.event)
        call = self.routes.call(handed, event)
        if call is None:
            return ACKED
        traced = request_headers(event, self._events.spans.context(handed.number))
        call = replace(call, headers=(*call.headers, *traced))
        limit_s = self._events.tuning.ack_timeout_s
        try:
            with trio.fail_after(limit_s):
                answer = await self._client.ask(self.place, call, most_bytes=ANSWER_MAX_BYTES, again=True)
        except NotReached as error:
            self.routes.lost()
            return Verdict(DeliveryResult.UNREACHABLE, str(error))
        except NoWholeAnswer as error:
            self.routes.lost()
            return await self.routes.failed(handed, event, Verdict(DeliveryResult.FAILED, str(error)))
        except trio.TooSlowError:
            why = f"no answer of the service within {limit_s:g} s"
            return await self.routes.failed(handed, event, Verdict(DeliveryResult.FAILED, why))
        return await self.routes.judge(handed, event, answer)
