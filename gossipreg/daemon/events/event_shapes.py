"""An event as clients of the local socket get it: over MessagePack with its data as bytes, over JSON as the document
of CloudEvents' structured mode.

A publisher may send any JSON, also such as a client would get changed, or not at all: 2**64, 1e999, half of a surrogate
pair, 200 lists within each other. It goes out as bytes, in `data_base64`.
"""

from base64 import b64encode
from typing import Any

from gossipreg.daemon.json_form import is_exact_untrusted
from gossipreg.events.cloud_event import CloudEvent, decode_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.structured_form import to_structured
from gossipreg.trace_context import TraceContext


def event_shape(event: CloudEvent, *, as_json: bool) -> dict[str, Any]:
    if as_json:
        return _structured(event)
    return {
        "id": event.id, "source": event.source, "type": event.type, "subject": event.subject, "time": event.time,
        "datacontenttype": event.datacontenttype, "data": event.data, "extensions": dict(event.extensions),
    }  # fmt: skip


def _structured(event: CloudEvent) -> dict[str, Any]:
    document = to_structured(event)
    if event.data is not None and not is_exact_untrusted(document.get("data")):
        del document["data"]
        document["data_base64"] = b64encode(event.data).decode()
    return document


def handed_shape(
    handed: HandleEvent, subscription: int, *, as_json: bool, trace: TraceContext | None = None
) -> dict[str, Any]:
    """A notification `event`; `subscription` is the number that the client knows. `trace` is that of the handling,
    where this sidecar records spans."""
    return {
        "subscription": subscription, "delivery": handed.number, "group": handed.group, "attempt": handed.attempt,
        "journal": handed.journal.hex(), "index": handed.index,
        "event": event_shape(decode_event(handed.event), as_json=as_json),
        **({} if trace is None else dict(trace.headers())),
    }  # fmt: skip
