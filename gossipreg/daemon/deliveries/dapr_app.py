"""The Dapr app beside this sidecar (`join --dapr-app SERVICE`): asked for its subscriptions, and subscribed for.

Owns: when it is asked. That is when it begins to take requests (its check passes), when it is registered anew, and when
a delivery found it gone; until it answers, again and again with longer waits. What it asked for last is in force until
it answers anew.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from gossipreg.daemon.deliveries.dapr_routes import DaprRoutes
from gossipreg.daemon.deliveries.dapr_subscriptions import DaprSubscription, asked_untrusted
from gossipreg.daemon.deliveries.http_subscriber import HttpSubscriber
from gossipreg.errors import BadParams, GossipregError, RequestError
from gossipreg.events.cloud_event import CloudEvent
from gossipreg.net.http_client import HttpAnswer, HttpClient, OutgoingCall, Place
from gossipreg.retry import Retry

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.logs import Log

PATH = "/dapr/subscribe"
QUESTION = OutgoingCall("GET", PATH)
ANSWER_S = 10.0
ANSWER_MAX_BYTES = 256 * 1024
AGAIN = Retry(0.5, 30.0)


class DaprApp:
    def __init__(
        self, name: str, events: "LocalEvents", client: HttpClient, nursery: trio.Nursery, log: "Log",
        bug: Callable[[str, Exception], None],
    ) -> None:  # fmt: skip
        """`name` is that of the service, and of the group."""
        self._name = name
        self._events = events
        self._client = client
        self._nursery = nursery
        self._log = log
        self._bug = bug
        self._place: Place | None = None
        self._takes = False
        self._asks = trio.Event()
        self._subscriber: HttpSubscriber | None = None
        self._subscriptions: tuple[DaprSubscription, ...] = ()

    def follow(self, place: Place | None, *, takes: bool, is_new: bool) -> None:
        """Where the app is (None: nowhere), whether it takes requests now, and whether it was registered anew."""
        moved = place != self._place
        begins = takes and (not self._takes or moved or is_new)
        self._place, self._takes = place, takes
        if self._subscriber is not None:
            if place is None:
                self._put(())
            else:
                self._subscriber.place = place
                self._subscriber.take(takes)
        if begins:
            self._asks.set()

    def shapes(self) -> list[dict[str, Any]]:
        return [one.shape() for one in self._subscriptions]

    # -- asking --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._asks.wait()
            self._asks = trio.Event()
            wait_s = AGAIN.first_s
            while self._takes and self._place is not None and not await self._ask(self._place):
                with trio.move_on_after(wait_s):
                    await self._asks.wait()
                self._asks = trio.Event()
                wait_s = AGAIN.after(wait_s)

    async def _ask(self, place: Place) -> bool:
        """Whether the app answered. What it wants is in force then."""
        try:
            with trio.fail_after(ANSWER_S):
                answer = await self._client.ask(
                    place, OutgoingCall("GET", PATH), most_bytes=ANSWER_MAX_BYTES, again=True
                )
        except (GossipregError, trio.TooSlowError) as error:
            self._log.info("dapr_app_silent", service=self._name, message=str(error) or f"no answer in {ANSWER_S:g} s")
            return False
        if 200 <= answer.status < 300:
            self._take(answer)
        elif answer.status in (404, 405):
            self._put(())
        else:
            self._log.warning(
                "dapr_app_refuses", service=self._name, message=f"GET {PATH} answers {answer.status}; asked again"
            )
            return False
        return True

    def _take(self, answer: HttpAnswer) -> None:
        try:
            asked = asked_untrusted(answer.body)
        except BadParams as error:
            self._log.error("dapr_subscriptions_refused", service=self._name, message=str(error))
            return
        for reason in asked.refused:
            self._log.error("dapr_subscription_refused", service=self._name, message=reason)
        self._put(asked.subscriptions)

    def _put(self, subscriptions: tuple[DaprSubscription, ...]) -> None:
        """Subscribe to these, in the place of what was subscribed to before."""
        if subscriptions == self._subscriptions:
            return
        former, self._subscriber, self._subscriptions = self._subscriber, None, ()
        try:
            if subscriptions and self._place is not None:
                self._subscriber = self._subscribed(subscriptions, self._place)
                self._subscriptions = subscriptions
                topics = ", ".join(one.topic for one in subscriptions)
                self._log.info("dapr_app_subscribed", service=self._name, topics=topics[:1000])
        except RequestError as error:
            self._log.error("dapr_subscriptions_refused", service=self._name, message=str(error))
        finally:
            if former is not None:
                former.end()

    def _subscribed(self, subscriptions: tuple[DaprSubscription, ...], place: Place) -> HttpSubscriber:
        routes = DaprRoutes(
            subscriptions, publish=self._publish, lost=self._lost, max_attempts=self._events.tuning.max_attempts
        )
        subscriber = HttpSubscriber(self._events, routes, place, self._client, self._nursery, self._bug)
        subscriber.begin(self._name, takes=self._takes)
        return subscriber

    async def _publish(self, event: CloudEvent) -> None:
        from gossipreg.daemon.events.event_params import AskedPublish

        await self._events.publish(AskedPublish(event, self._events.tuning.publish_s, 0))

    def _lost(self) -> None:
        self._asks.set()
