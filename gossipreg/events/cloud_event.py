"""An event: CloudEvents 1.0, with the bounds that this project sets.

    id                1 to 256 bytes; with the source it names the event: the same twice is one event
    source            the publishing service, a URI reference of 1 to 256 bytes
    type              a row of tokens with dots between them (`patterns.py`); patterns are compared with it, or with the
                      extension `topic` where there is one
    subject           what it is about, up to 1,024 bytes; may be empty, and is absent then
    time              RFC 3339, as the publisher gave it; shown, never compared
    datacontenttype   of `data`; empty: JSON (section 3.1 of the JSON format)
    data              any bytes, or none
    extensions        names of lower-case letters and digits, 1 to 32 of them; values are text

Source: https://github.com/cloudevents/spec, version 1.0.2. Attributes of a later version are kept as extensions.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

import msgpack

from gossipreg.errors import BadParams, TooLarge
from gossipreg.events.patterns import check_type

MAX_ID_BYTES = MAX_SOURCE_BYTES = 256
MAX_SUBJECT_BYTES = 1024
MAX_EXTENSIONS = 32
MAX_EXTENSION_BYTES = 1024
"""Of one value."""
MAX_EVENT_BYTES = 192 * 1024
"""Of all of it as bytes: it fits one entry of a journal, with what a journal adds."""

PARTITION_KEY = "partitionkey"
"""The extension (CloudEvents' partitioning) that says which events are delivered one after the other."""
TOPIC = "topic"
"""The extension that patterns are compared with, in place of the type: Dapr's programs publish to topics."""
PUBSUB = "pubsubname"
"""The extension with the name that a Dapr program gave to its broker."""
TRACE_PARENT, CORRELATION, CAUSATION = "traceparent", "correlationid", "causationid"
INHERITED = (TRACE_PARENT, "tracestate", CORRELATION)
"""An event that is published while another is handled has these of the other one, unless it names its own."""
DIGEST_BYTES = 16
_OF_THE_SENDING = (TRACE_PARENT, "tracestate")

_NAMES = frozenset(
    ("id", "source", "specversion", "type", "subject", "time", "datacontenttype", "data", "dataschema", "gossipreg")
)
"""Not for extensions. `dataschema` is an attribute of the standard that is kept among them; `gossipreg` is where
`gossipreg events subscribe` prints what the sidecar says of a delivery."""
_EXTENSION = re.compile(r"[a-z0-9]{1,32}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)"
    r"(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)

_pack: Callable[[object], bytes] = msgpack.Packer().pack


class EventHead(NamedTuple):
    """What decides where an event goes."""

    id: str
    source: str
    type: str
    """As `CloudEvent.topic`: what patterns are compared with."""
    key: str
    """Its partition key; "" if it has none."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    id: str
    source: str
    type: str
    data: bytes | None = None
    datacontenttype: str = ""
    subject: str = ""
    time: str = ""
    extensions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def key(self) -> str:
        """Its partition key; "" if it has none."""
        return self.extensions.get(PARTITION_KEY, "")

    @property
    def topic(self) -> str:
        """What patterns are compared with: its topic if it has one, else its type."""
        return self.extensions.get(TOPIC) or self.type

    @property
    def is_json(self) -> bool:
        """Whether its data is JSON: by its content type, or because it names none."""
        kind = self.datacontenttype.partition(";")[0].strip().lower()
        return kind in ("", "application/json", "text/json") or kind.endswith("+json")

    def digest(self) -> bytes:
        """DIGEST_BYTES that tell an event that is sent again from another one with its id."""
        return content_digest(
            self.id, self.source, self.type, self.data, self.datacontenttype, self.subject,
            sorted(self.extensions.items()),
        )  # fmt: skip

    def caused_by(self, cause: "CloudEvent") -> "CloudEvent":
        """This event as one that is published while `cause` is handled."""
        own_trace = _OF_THE_SENDING if TRACE_PARENT in self.extensions else ()
        inherited = {
            name: cause.extensions[name] for name in INHERITED if name in cause.extensions and name not in own_trace
        }
        inherited.setdefault(CORRELATION, cause.id)
        extensions = {**inherited, CAUSATION: cause.id, **self.extensions}
        return CloudEvent(
            self.id, self.source, self.type, self.data, self.datacontenttype, self.subject, self.time,
            MappingProxyType(extensions),
        )  # fmt: skip


def make_event(
    id: str, source: str, type: str, data: bytes | None = None, *, datacontenttype: str = "", subject: str = "",
    time: str = "", extensions: Mapping[str, str] | None = None,
) -> CloudEvent:  # fmt: skip
    """A checked event. Raises BadParams or TooLarge, with the attribute at fault."""
    _check_text("id", id, MAX_ID_BYTES, least=1)
    _check_text("source", source, MAX_SOURCE_BYTES, least=1)
    check_type(type)
    if extensions and extensions.get(TOPIC):
        check_type(extensions[TOPIC], "topic")
    _check_text("subject", subject, MAX_SUBJECT_BYTES)
    _check_text("datacontenttype", datacontenttype, MAX_ID_BYTES)
    _check_time(time)
    event = CloudEvent(
        id, source, type, data, datacontenttype, subject, time,
        MappingProxyType(dict(sorted(_checked(extensions or {})))),
    )  # fmt: skip
    size = len(encode_event(event))
    if size > MAX_EVENT_BYTES:
        raise TooLarge(f"event {id!r} has {size} bytes: at most {MAX_EVENT_BYTES} fit, so publish where the data is")
    return event


def check_data_size(size_bytes: int) -> None:
    """Raises TooLarge for data that no event has room for."""
    if size_bytes > MAX_EVENT_BYTES:
        raise TooLarge(f"the event has {size_bytes} bytes of data: at most {MAX_EVENT_BYTES} fit with its attributes, "
                       "so publish where the data is")  # fmt: skip


def _check_text(name: str, text: str, most: int, least: int = 0) -> None:
    if found := _CONTROL.search(text):
        raise BadParams(f"{name} has the character {found[0]!r}, which no attribute may have: leave it out")
    size = len(text.encode())
    if not least <= size <= most:
        raise BadParams(f"{name} has {size} bytes: choose {least} to {most}")


def _check_time(text: str) -> None:
    if text and _TIME.fullmatch(text) is None:
        raise BadParams(f"time is {text!r}: write it as 2026-05-31T12:00:00Z (RFC 3339)")


def _checked(extensions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if len(extensions) > MAX_EXTENSIONS:
        raise BadParams(f"the event has {len(extensions)} extensions: at most {MAX_EXTENSIONS} fit")
    for name, value in extensions.items():
        if _EXTENSION.fullmatch(name) is None:
            raise BadParams(f"extension {name[:40]!r} has no name for one: use 1 to 32 lower-case letters and digits")
        if name in _NAMES and name != "dataschema":
            raise BadParams(f"extension {name!r} has the name of something else in an event: choose another")
        _check_text(name, value, MAX_EXTENSION_BYTES)
        yield name, value


# -- as bytes --------------------------------------------------------------------------------------------------------


def encode_event(event: CloudEvent) -> bytes:
    """The event as it stands in a journal: one msgpack array; later elements may follow. Equal events have equal
    bytes."""
    return _pack((
        event.id, event.source, event.type, event.data, event.datacontenttype, event.subject, event.time,
        sorted(event.extensions.items()),
    ))  # fmt: skip


def content_digest(
    id: str, source: str, type: str, data: bytes | None, datacontenttype: str, subject: str,
    extensions: Iterable[tuple[str, str]],
) -> bytes:  # fmt: skip
    """`CloudEvent.digest` of an event with these attributes; `extensions` are sorted.

    What belongs to the sending is left out: a sidecar fills in `time`, and each attempt has its own span. So a program
    that publishes again because it had no answer publishes the same event."""
    lasting = [item for item in extensions if item[0] not in _OF_THE_SENDING]
    return sha256(_pack((id, source, type, data, datacontenttype, subject, lasting))).digest()[:DIGEST_BYTES]


def decode_event(data: bytes) -> CloudEvent:
    """An event that `encode_event` gave. Raises ValueError where it is none: the journal is damaged."""
    try:
        id, source, type, payload, kind, subject, time, extensions = msgpack.unpackb(data, use_list=False)[:8]
        return make_event(
            id, source, type, payload, datacontenttype=kind, subject=subject, time=time, extensions=dict(extensions)
        )
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException, BadParams, TooLarge) as error:
        raise ValueError(f"these bytes are no event: {error}") from error


def event_head(data: bytes) -> EventHead:
    """The head of an event that `encode_event` gave; the rest is not checked. Raises ValueError where it is none."""
    try:
        id, source, type, _, _, _, _, extensions = msgpack.unpackb(data, use_list=False)[:8]
        key = ""
        for name, value in extensions:
            if name == PARTITION_KEY:
                key = value
            elif name == TOPIC and value:
                type = value
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"these bytes are no event: {error}") from error
    if not all(isinstance(text, str) for text in (id, source, type, key)):
        raise ValueError("the head of an event is text")
    return EventHead(id, source, type, key)
