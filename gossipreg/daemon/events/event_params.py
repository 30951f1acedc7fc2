"""The parameters of the methods about events, each checked for type, range and form (`daemon/params.py` has the rules).

An event that a client publishes gets an id where it names none, and the time of this sidecar's clock, which is shown
and never compared.
"""

import json
import uuid
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gossipreg.daemon import params as check
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import PARTITION_KEY, CloudEvent, check_data_size, make_event
from gossipreg.events.entries import MAX_GROUP_BYTES, MAX_GROUP_PATTERNS
from gossipreg.events.patterns import check_pattern
from gossipreg.events.tuning import EventsTuning

MAX_TIMEOUT_S = 3600.0
MAX_KEEP_S = 7 * 86400.0
"""A journal keeps nothing longer (`EventsTuning.max_age_s`): to take more would be to promise it."""
MAX_AFTER_S = 7 * 86400.0
MAX_WINDOW = 10_000
MAX_ATTEMPTS = 10_000
MAX_REASON_BYTES = 512
MAX_DELIVERIES = 4_096
"""Acknowledged by one call."""


def _text(name: str, value: Any) -> str:
    if type(value) is not str:
        raise BadParams(f"{name} is {value!r}: give text")
    return value


def _seconds(least: float, most: float) -> Check:
    def read(name: str, value: Any) -> float:
        if type(value) in (int, float) and least <= value <= most:
            return float(value)
        raise BadParams(f"{name} is {value!r}: give seconds, from {least:g} to {most:g}")

    return read


def _extensions(name: str, value: Any) -> dict[str, str]:
    if type(value) is not dict or not all(type(key) is str and type(one) is str for key, one in value.items()):
        raise BadParams(f"{name} is {value!r}: give a map of texts")
    return value


def _data(name: str, value: Any) -> bytes | str:
    if type(value) not in (bytes, str):
        raise BadParams(f"{name} is of type {type(value).__name__}: give bytes or text, or any value as `json`")
    return value  # type: ignore[no-any-return]


def _base64(name: str, value: Any) -> bytes:
    try:
        return b64decode(_text(name, value), validate=True)
    except (Base64Error, ValueError):
        raise BadParams(f"{name} cannot be decoded: give standard base64") from None


def _json(name: str, value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"{name} has no form in JSON: {error}") from None


def group_name(name: str, value: Any) -> str:
    return check.text(name, value, most_bytes=MAX_GROUP_BYTES)


def _patterns(name: str, value: Any) -> tuple[str, ...]:
    found = [value] if type(value) is str else value
    if type(found) is not list or not 0 < len(found) <= MAX_GROUP_PATTERNS:
        shown = f"a list of {len(found)}" if type(found) is list else f"{value!r:.80}"
        raise BadParams(f"{name} is {shown}: give a pattern such as order.*, or a list of 1 to {MAX_GROUP_PATTERNS}")
    for pattern in found:
        check_pattern(_text(name, pattern))
    return tuple(dict.fromkeys(found))


def _on_dead(name: str, value: Any) -> str:
    if value not in ("go_on", "hold"):
        raise BadParams(f"{name} is {value!r}: give go_on, or hold")
    return str(value)


def reason(name: str, value: Any) -> str:
    return _text(name, value).encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")


def deliveries(name: str, value: Any) -> list[int]:
    found = [value] if type(value) is int else value
    if type(found) is not list or len(found) > MAX_DELIVERIES or not all(type(one) is int for one in found):
        raise BadParams(f"{name}: give the number of a delivery, or a list of at most {MAX_DELIVERIES}")
    return found


delivery = check.Whole(1, 1 << 62)
after_s = _seconds(0.0, MAX_AFTER_S)

_PUBLISH: dict[str, Check] = {
    "type": _text, "data": _data, "data_base64": _base64, "json": _json, "id": _text, "source": _text,
    "subject": _text, "key": _text, "datacontenttype": _text, "time": _text, "extensions": _extensions,
    "timeout": _seconds(0.0, MAX_TIMEOUT_S), "keep": _seconds(0.0, MAX_KEEP_S),
}  # fmt: skip
_SUBSCRIBE: dict[str, Check] = {
    "pattern": _patterns, "group": group_name, "window": check.Whole(1, MAX_WINDOW), "on_dead": _on_dead,
    "max_attempts": check.Whole(1, MAX_ATTEMPTS), "ack_timeout": _seconds(0.1, 86400.0), "broadcast": check.boolean,
    "past": check.boolean,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AskedPublish:
    event: CloudEvent
    timeout_s: float
    keep_ms: int


@dataclass(frozen=True, slots=True)
class AskedSubscription:
    group: str
    """Empty: broadcast."""
    patterns: tuple[str, ...]
    window: int
    on_dead: str
    max_attempts: int
    """0: as the tuning says."""
    ack_timeout_s: float
    past: bool = False
    """The group begins with the events that are kept."""


def publish_untrusted(params: dict[str, Any], tuning: EventsTuning, *, source: str) -> AskedPublish:
    """`source` stands in where the client names none. Raises BadParams, TooLarge."""
    given = take_untrusted("publish", params, _PUBLISH, "type")
    if sum(name in given for name in ("data", "data_base64", "json")) > 1:
        raise BadParams("the event has more than one of data, data_base64 and json: give one of them")
    data, kind = _content(given)
    if data is not None:
        check_data_size(len(data))
    extensions = dict(given.get("extensions", {}))
    if "key" in given:
        extensions[PARTITION_KEY] = given["key"]
    event = make_event(
        given.get("id") or uuid.uuid4().hex, given.get("source") or source, given["type"], data,
        datacontenttype=given.get("datacontenttype", kind), subject=given.get("subject", ""),
        time=given.get("time") or now_text(), extensions=extensions,
    )  # fmt: skip
    return AskedPublish(event, given.get("timeout", tuning.publish_s), int(given.get("keep", 0.0) * 1000))


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _content(given: Mapping[str, Any]) -> tuple[bytes | None, str]:
    """(data, its content type where none is named)"""
    if "json" in given:
        return given["json"], "application/json"
    data = given.get("data_base64", given.get("data"))
    if isinstance(data, str):
        try:
            return data.encode(), "text/plain"
        except UnicodeEncodeError:
            raise BadParams("data has half of a surrogate pair: give text that is Unicode, or data_base64") from None
    return data, "" if data is None else "application/octet-stream"


def subscription_untrusted(params: dict[str, Any], tuning: EventsTuning) -> AskedSubscription:
    """Raises BadParams."""
    given = take_untrusted("subscribe", params, _SUBSCRIBE, "pattern")
    broadcast = given.get("broadcast", False)
    if broadcast == ("group" in given):
        raise BadParams("a subscription has a group, or broadcast=true: give one of them")
    return AskedSubscription(
        given.get("group", ""), given["pattern"], given.get("window", tuning.window), given.get("on_dead", "go_on"),
        given.get("max_attempts", 0), given.get("ack_timeout", tuning.ack_timeout_s), given.get("past", False),
    )  # fmt: skip
