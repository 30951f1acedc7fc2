"""The paths at which a Dapr app takes events: a POST with a CloudEvent in structured mode.

The first subscription of the event's pubsub and topic names the path; an event of another pubsub is for nobody here.
Dead letters stay with the journal, unless the subscription names a topic for them.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any

from gossipreg.daemon.deliveries.dapr_subscriptions import DaprSubscription
from gossipreg.daemon.deliveries.service_routes import delivery_headers
from gossipreg.daemon.deliveries.verdicts import ACKED, Verdict, dapr_verdict
from gossipreg.errors import RequestError
from gossipreg.events.cloud_event import MAX_ID_BYTES, PUBSUB, TOPIC, TRACE_PARENT, CloudEvent, make_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult
from gossipreg.events.structured_form import CONTENT_TYPE, to_structured
from gossipreg.net.http_client import HttpAnswer, OutgoingCall
from gossipreg.net.http_message import json_bytes
from gossipreg.strict_json import json_text

RAW_TYPE = "application/octet-stream"


class DaprRoutes:
    """See `http_subscriber.EventRoutes`."""

    def __init__(
        self, subscriptions: tuple[DaprSubscription, ...], *, publish: Callable[[CloudEvent], Awaitable[object]],
        lost: Callable[[], None], max_attempts: int,
    ) -> None:  # fmt: skip
        """`publish` is for dead letters that have a topic; an event that failed `max_attempts` times is one."""
        self.patterns = tuple(dict.fromkeys(one.topic for one in subscriptions))
        self.subscriptions = subscriptions
        self.lost = lost
        self._publish = publish
        self._max_attempts = max_attempts

    def call(self, handed: HandleEvent, event: CloudEvent) -> OutgoingCall | None:
        found = self._subscription(event)
        if found is None:
            return None
        headers = [("Content-Type", CONTENT_TYPE), *delivery_headers(handed)]
        return OutgoingCall("POST", found.path, headers, body_of(event, found))

    async def judge(self, handed: HandleEvent, event: CloudEvent, answer: HttpAnswer) -> Verdict:
        return await self.failed(handed, event, dapr_verdict(answer))

    async def failed(self, handed: HandleEvent, event: CloudEvent, verdict: Verdict) -> Verdict:
        found = self._subscription(event)
        last = verdict.result is DeliveryResult.FAILED and handed.attempt >= self._max_attempts
        if found is None or not found.dead_letter_topic or not (last or verdict.result is DeliveryResult.REJECTED):
            return verdict
        try:
            await self._publish(dead_letter(event, found.dead_letter_topic, handed.group))
        except RequestError as error:
            return Verdict(
                DeliveryResult.FAILED, f"{verdict.reason}; not published to {found.dead_letter_topic}: {error}"
            )
        return ACKED

    def _subscription(self, event: CloudEvent) -> DaprSubscription | None:
        return next((one for one in self.subscriptions if one.wants(event)), None)


def body_of(event: CloudEvent, subscription: DaprSubscription) -> bytes:
    """The document as bytes. Data that is JSON is the text that was published: an id beyond 2**53 stays a number."""
    document = document_of(event, subscription)
    if not ("data" in document and event.is_json and event.data is not None):
        return json_bytes(document)
    del document["data"]
    return b'%s,"data":%s}' % (json_bytes(document).rstrip()[:-1], json_text(event.data).encode())


def document_of(event: CloudEvent, subscription: DaprSubscription) -> dict[str, Any]:
    """The event as Dapr's SDKs read it."""
    document = to_structured(event)
    if subscription.raw:
        document.pop("data", None)
        document["data_base64"] = b64encode(event.data or b"").decode()
        document["datacontenttype"] = RAW_TYPE
    ours = {TOPIC: event.topic, PUBSUB: event.extensions.get(PUBSUB, subscription.pubsub)}
    traced = {"traceid": event.extensions[TRACE_PARENT]} if TRACE_PARENT in event.extensions else {}
    return {**traced, **document, **ours}


def dead_letter(event: CloudEvent, topic: str, group: str) -> CloudEvent:
    """The event as it is published to the topic of dead letters. Its id follows from what it was, so that a second
    attempt publishes the same."""
    id = f"{event.id}/dead/{group}"
    while len(id.encode()) > MAX_ID_BYTES:
        id = id[:-1]
    return make_event(
        id, event.source, event.type, event.data, datacontenttype=event.datacontenttype, subject=event.subject,
        time=event.time, extensions={**event.extensions, TOPIC: topic},
    )  # fmt: skip
