"""The event of a request to publish, as Dapr's sidecar would make it.

Whatever comes is wrapped into a CloudEvent, with the topic and the pubsub name in extensions. A body that is a
CloudEvent already (application/cloudevents+json) is taken as it is. Patterns are compared with the topic.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import (
    MAX_EXTENSION_BYTES,
    PARTITION_KEY,
    PUBSUB,
    TOPIC,
    TRACE_PARENT,
    CloudEvent,
    make_event,
)
from gossipreg.events.structured_form import CONTENT_TYPE, from_structured_untrusted
from gossipreg.net.http_message import HttpError, Request, shown
from gossipreg.strict_json import RepeatedName, loads_strict
from gossipreg.trace_context import BAGGAGE, TRACE_STATE

TYPE = "com.dapr.event.sent"
TRACE_ID = "traceid"
_OF_A_TRACE = (TRACE_ID, TRACE_PARENT, TRACE_STATE, BAGGAGE)
METADATA = "metadata."
OF_THE_EVENT = "cloudevent."
"""`?metadata.cloudevent.NAME=` sets this attribute of the event."""
RAW_TYPE = "application/octet-stream"


def event_untrusted(request: Request, pubsub: str, topic: str, *, source: str) -> CloudEvent:
    """Raises BadParams, TooLarge, HttpError."""
    metadata = dict(_metadata(request))
    if "ttlInSeconds" in metadata:
        raise HttpError(400, "pubsub_request_metadata", "metadata.ttlInSeconds: events do not expire here before they "
                        "are handled, so leave it out")  # fmt: skip
    raw = metadata.get("rawPayload", "").lower() in ("true", "1")
    kind = (request.content_type.partition(",")[0].strip() or "text/plain") if not raw else RAW_TYPE
    own = {name.removeprefix(OF_THE_EVENT): value for name, value in metadata.items() if name.startswith(OF_THE_EVENT)}
    extensions = {TOPIC: topic, PUBSUB: pubsub, **_trace(request)}
    if metadata.get("partitionKey"):
        extensions[PARTITION_KEY] = metadata["partitionKey"]
    if not raw and kind.partition(";")[0].strip().lower() == CONTENT_TYPE:
        return _given_untrusted(request.body, {**extensions, **own}, source)
    attributes = {"id": str(uuid.uuid4()), "source": source, "type": TYPE, "subject": "", "time": now_text(), **own}
    taken = {name: attributes.pop(name) for name in ("id", "source", "type", "subject", "time")}
    return make_event(
        taken["id"], taken["source"], taken["type"], request.body or None, datacontenttype=kind,
        subject=taken["subject"], time=taken["time"], extensions=extensions | attributes,
    )  # fmt: skip


def _given_untrusted(body: bytes, extensions: dict[str, str], source: str) -> CloudEvent:
    """The event that is the body. What the request says goes before what the event says of topic, pubsub and more."""
    try:
        document = loads_strict(body, unique=True)
    except RepeatedName as error:
        raise BadParams(f"the body has {error}") from None
    except (ValueError, RecursionError) as error:
        raise BadParams(f"the body is no JSON, though Content-Type says {CONTENT_TYPE}: {error}") from None
    if isinstance(document, dict):
        traced = {name: extensions[name] for name in _OF_A_TRACE if name in extensions}
        document = {"type": TYPE, "time": now_text(), **traced, **document,
                    **{name: value for name, value in extensions.items() if name not in traced}}  # fmt: skip
    return from_structured_untrusted(document, source=source, id=str(uuid.uuid4()))


def _metadata(request: Request) -> Iterator[tuple[str, str]]:
    """`?metadata.NAME=VALUE`; Dapr takes the names in any case where its own are meant."""
    for name, values in request.query.items():
        if not name.startswith(METADATA):
            continue
        if len(values) > 1:
            raise BadParams(f"{shown(name)} is given {len(values)} times")
        key = name.removeprefix(METADATA)
        yield next((known for known in _KNOWN if known.lower() == key.lower()), key), values[0]


_KNOWN = ("ttlInSeconds", "rawPayload", "partitionKey")


def without_effect(request: Request) -> list[str]:
    """The metadata that other brokers know, and that mean nothing here."""
    found = dict(_metadata(request))
    return [METADATA + name for name in found if name not in _KNOWN and not name.startswith(OF_THE_EVENT)]


def _trace(request: Request) -> dict[str, str]:
    parent, state = request.header(b"traceparent"), request.header(b"tracestate")
    found = {TRACE_PARENT: parent, TRACE_ID: parent, TRACE_STATE: state, BAGGAGE: request.header(b"baggage")}
    return {
        name: value
        for name, value in found.items()
        if value and len(value) <= MAX_EXTENSION_BYTES and value.isascii() and value.isprintable()
    }


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
