"""What decides whether two publishes are one event, and where an event goes, read from its bytes.

Owns: the reading. Never knows: which events there are. It reads what `encode_event` gave; the attributes were checked
before that, and are not checked again.
"""

from typing import NamedTuple

import msgpack

from gossipreg.events.cloud_event import PARTITION_KEY, TOPIC, content_digest


class EventIdentity(NamedTuple):
    id: str
    source: str
    type: str
    """As `CloudEvent.topic`: what patterns are compared with."""
    key: str
    """Its partition key; "" if it has none."""
    digest: bytes
    """As `CloudEvent.digest`."""


def read_identity(data: bytes) -> EventIdentity:
    """Of an event as it stands in a journal. Raises ValueError where these bytes are none."""
    try:
        id, source, type, payload, content, subject, _, extensions = msgpack.unpackb(data, use_list=False)[:8]
        key, topic = "", type
        for name, value in extensions:
            if name == PARTITION_KEY:
                key = value
            elif name == TOPIC and value:
                topic = value
        digest = content_digest(id, source, type, payload, content, subject, extensions)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise ValueError(f"these bytes are no event: {error}") from error
    if not id.__class__ is source.__class__ is topic.__class__ is key.__class__ is str:
        raise ValueError("these bytes are no event: id, source, type and key are text")
    return EventIdentity(id, source, topic, key, digest)
