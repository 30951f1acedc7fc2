"""What a stream of the page is made of: server-sent events whose data is one line of JSON."""

import json
from collections.abc import Iterable
from typing import Any

TIMES = frozenset(("since_s", "uptime_s", "oldest_s", "age_s", "checked_s", "loop_lag_ms"))
"""Fields that run by themselves: they are no change."""


def json_line(value: Any) -> bytes:
    """JSON has no line ends of its own, and here nothing but ASCII."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def error_line(code: str, message: str) -> bytes:
    return json_line({"code": code, "message": message})


def page_event(kind: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)


def items_data(kind: str, items: Iterable[bytes], *, more: bytes = b"") -> bytes:
    """`items` are JSON already; `more` are further fields, each with a comma before it."""
    return b'{"kind":"%s","items":[%s]%s}' % (kind.encode(), b",".join(items), more)


def line_without_times(value: Any, line: bytes) -> bytes:
    """The value as JSON without the fields that run by themselves; `line` is its JSON with them."""
    rest = without_times(value)
    return line if rest == value else json_line(rest)


def without_times(value: Any) -> Any:
    """The value without the fields that run by themselves: two of them are equal unless something has changed."""
    match value:
        case dict():
            return {name: without_times(one) for name, one in value.items() if name not in TIMES}
        case list():
            return [without_times(one) for one in value]
    return value
