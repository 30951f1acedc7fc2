"""An event as one JSON document: application/cloudevents+json, structured mode.

Data that is JSON stands in `data` as it is; other data stands in `data_base64`. (JSON format for CloudEvents 1.0.2.)
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping

from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import CloudEvent, make_event
from gossipreg.strict_json import loads_strict

CONTENT_TYPE = "application/cloudevents+json"
SPEC_VERSION = "1.0"
_OURS = frozenset(("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64"))


def to_structured(event: CloudEvent) -> dict[str, object]:
    """The document, ready for JSON."""
    document: dict[str, object] = {
        "specversion": SPEC_VERSION, "id": event.id, "source": event.source, "type": event.type,
    }  # fmt: skip
    optional = {"subject": event.subject, "time": event.time, "datacontenttype": event.datacontenttype}
    document |= {name: value for name, value in optional.items() if value}
    document.update(event.extensions)
    if event.data is not None:
        document.update(_data_of(event, event.data))
    return document


def _data_of(event: CloudEvent, data: bytes) -> dict[str, object]:
    if event.is_json:
        try:
            return {"data": loads_strict(data)}
        except (ValueError, RecursionError):
            pass  # it says that it is JSON and is not: then it is bytes
    elif event.datacontenttype.lower().startswith("text/"):
        try:
            return {"data": data.decode()}
        except UnicodeDecodeError:
            pass
    return {"data_base64": b64encode(data).decode()}


def from_structured_untrusted(document: object, *, source: str = "", id: str = "") -> CloudEvent:
    """The event of a decoded JSON document. `source` and `id` stand in where it names none. BadParams says which
    attribute is at fault; TooLarge."""
    if not isinstance(document, Mapping):
        raise BadParams('a CloudEvent is a JSON object: {"specversion": "1.0", "type": ..., ...}')
    version = document.get("specversion", SPEC_VERSION)
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise BadParams(f"specversion is {version!r}: this sidecar knows {SPEC_VERSION}")
    kind = _text(document, "datacontenttype", "")
    return make_event(
        _text(document, "id", id), _text(document, "source", source), _text(document, "type", ""),
        _data_untrusted(document, kind), datacontenttype=kind, subject=_text(document, "subject", ""),
        time=_text(document, "time", ""),
        extensions={name: _scalar(name, value) for name, value in document.items() if name not in _OURS
                    if value is not None},
    )  # fmt: skip


def _text(document: Mapping[str, object], name: str, default: str) -> str:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise BadParams(f"{name} is {value!r}: it has to be text")
    return value


def _scalar(name: str, value: object) -> str:
    """The text of an extension: CloudEvents' string, boolean or integer."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise BadParams(f"extension {name!r} is {value!r}: it has to be text, a whole number, true or false")


def _data_untrusted(document: Mapping[str, object], kind: str) -> bytes | None:
    if document.get("data_base64") is not None:
        if document.get("data") is not None:
            raise BadParams("the event has data and data_base64: send one of them")
        try:
            return b64decode(_text(document, "data_base64", ""), validate=True)
        except (Base64Error, ValueError):
            raise BadParams("data_base64 cannot be decoded: it has to be standard base64") from None
    data = document.get("data")
    if "data" not in document or data is None:
        return None
    if isinstance(data, str) and kind and not CloudEvent("", "", "", datacontenttype=kind).is_json:
        return _utf8(data)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.encode() if _is_utf8(text) else json.dumps(data, separators=(",", ":")).encode()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _utf8(text: str) -> bytes:
    if not _is_utf8(text):
        raise BadParams("data has half of a surrogate pair, which has no bytes: send data_base64")
    return text.encode()
