"""JSON for clients of the local socket that speak HTTP: results and notifications. Parameters: `wire/json_params.py`.

A whole number beyond 2**53 - 1 becomes text, since a JavaScript number cannot hold it. Infinity and NaN become null.
Bytes become text, or {"base64": ...} where they are not UTF-8.
"""

import json
from base64 import b64encode
from math import isfinite
from typing import Any

from msgpack import packb, unpackb

from gossipreg.wire.json_params import LONE_SURROGATE

SAFE_MAX = (1 << 53) - 1
EXACT_DEPTH = 100
"""MessagePack and JSON take some hundred."""
_LONG = (b"\xcf", b"\xd3")
"""The first bytes of whole numbers of 64 bits in MessagePack. They may also stand in texts."""


class JsonForm:
    """Notifications as lines of JSON: {"method": ..., "params": {...}}."""

    def body(self, shape: Any) -> bytes:
        return json_of(packb(shape), shape)

    def watch(self, number: int, change: bytes) -> tuple[bytes, ...]:
        return b'{"method":"watch","params":{"watch":%d,"change":' % number, change, b"}}\n"

    def notification(self, method: str, params: bytes) -> tuple[bytes, ...]:
        return b'{"method":"%s","params":' % method.encode(), params, b"}\n"


JSON_FORM = JsonForm()


def json_of(packed: bytes, shape: Any = None) -> bytes:
    """The JSON of a packed value; `shape` is the value itself, where it is at hand."""
    value = unpackb(packed) if shape is None else shape
    if any(mark in packed for mark in _LONG):
        value = _exact(value)
    try:
        return _dumps(value)
    except ValueError:  # a number that JSON does not have
        return _dumps(_exact(value))


def json_value(packed: bytes) -> Any:
    """The packed value, with what JSON has not in the form that `json_of` gives it."""
    return _exact(unpackb(packed))


def is_exact_untrusted(value: Any, depth: int = EXACT_DEPTH) -> bool:
    """Whether clients get this value of JSON as it is: no number becomes another or text, no text has half of a
    surrogate pair, and no more than `depth` containers are within each other."""
    match value:
        case dict():
            return depth > 0 and all(
                is_exact_untrusted(key) and is_exact_untrusted(one, depth - 1) for key, one in value.items()
            )
        case list():
            return depth > 0 and all(is_exact_untrusted(one, depth - 1) for one in value)
        case str():
            return LONE_SURROGATE.search(value) is None
        case int():
            return -SAFE_MAX <= value <= SAFE_MAX
        case float():
            return isfinite(value)
    return True


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_of_bytes).encode()


def _of_bytes(value: Any) -> Any:
    """Bytes are text in JSON, where they are UTF-8."""
    if type(value) is not bytes:
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _exact(value: Any) -> Any:
    match value:
        case dict():
            return {key: _exact(one) for key, one in value.items()}
        case list():
            return [_exact(one) for one in value]
        case bool():
            return value
        case int() if not -SAFE_MAX <= value <= SAFE_MAX:
            return str(value)
        case bytes():
            return _of_bytes(value)
        case float() if value - value != 0:  # infinite, or no number
            return None
    return value
