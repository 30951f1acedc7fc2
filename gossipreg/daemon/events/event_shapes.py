"""An event as clients of the local socket get it: over MessagePack with its data as bytes, over JSON as the document
of CloudEvents' structured mode."""

from typing import Any

from gossipreg.events.cloud_event import CloudEvent, decode_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.structured_form import to_structured


def event_shape(event: CloudEvent, *, as_json: bool) -> dict[str, Any]:
    if as_json:
        return to_structured(event)
    return {
        "id": event.id, "source": event.source, "type": event.type, "subject": event.subject, "time": event.time,
        "datacontenttype": event.datacontenttype, "data": event.data, "extensions": dict(event.extensions),
    }  # fmt: skip


def handed_shape(handed: HandleEvent, subscription: int, *, as_json: bool) -> dict[str, Any]:
    """A notification `event`; `subscription` is the number that the client knows."""
    return {
        "subscription": subscription, "delivery": handed.number, "group": handed.group, "attempt": handed.attempt,
        "journal": handed.journal.hex(), "index": handed.index,
        "event": event_shape(decode_event(handed.event), as_json=as_json),
    }  # fmt: skip
