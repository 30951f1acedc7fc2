"""An event as an HTTP message in binary mode: attributes are headers, the data is the body.

Header `ce-NAME` has the attribute NAME, percent-encoded; Content-Type is `datacontenttype`. (HTTP protocol binding for
CloudEvents 1.0.2, section 3.1.)
"""

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import CloudEvent, make_event
from gossipreg.events.structured_form import SPEC_VERSION

PREFIX = "ce-"
_PLAIN = frozenset(byte for byte in range(0x21, 0x7F) if byte not in b'"%')
"""All other bytes are encoded: space, double quote, percent, and what is not printable ASCII (section 3.1.3.2)."""


def percent_encoded(text: str) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode())


def to_binary(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """(headers, body)"""
    attributes = {
        "specversion": SPEC_VERSION, "id": event.id, "source": event.source, "type": event.type,
        "subject": event.subject, "time": event.time, **event.extensions,
    }  # fmt: skip
    headers = {f"{PREFIX}{name}": percent_encoded(value) for name, value in attributes.items() if value}
    if event.data is not None:
        headers["content-type"] = event.datacontenttype or "application/json"
    return headers, event.data or b""


def from_binary_untrusted(headers: Mapping[str, str], body: bytes, *, source: str = "", id: str = "") -> CloudEvent:
    """The event of a request. Names of headers are in lower case. `source` and `id` stand in where there are none.
    BadParams says which attribute is at fault; TooLarge."""
    found = {name[len(PREFIX) :]: _decoded(name, value) for name, value in headers.items() if name.startswith(PREFIX)}
    version = found.pop("specversion", SPEC_VERSION)
    if version.partition(".")[0] != "1":
        raise BadParams(f"ce-specversion is {version!r}: this sidecar knows {SPEC_VERSION}")
    return make_event(
        found.pop("id", id), found.pop("source", source), found.pop("type", ""),
        body if body or "content-type" in headers else None,
        datacontenttype=headers.get("content-type", ""), subject=found.pop("subject", ""),
        time=found.pop("time", ""), extensions=found,
    )  # fmt: skip


def _decoded(name: str, value: str) -> str:
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise BadParams(f"header {name} is not percent-encoded UTF-8") from None
