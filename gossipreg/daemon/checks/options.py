"""The options of checks: which there are, which kinds of checks take them, and how the value of each is read.

The text of a ValueError says what to do.
"""

import re
from collections.abc import Callable
from typing import Any

from gossipreg.daemon.checks.spec import Kind
from gossipreg.daemon.checks.targets import is_host
from gossipreg.durations import parse_duration

MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 86_400.0
"""Ten times a second is a load on what is checked; less than once a day is no check."""
MIN_TIMEOUT_S = 0.01
MAX_IN_A_ROW = 100
MAX_LABEL_BYTES = 255
MAX_HEADERS = 32

_SERVER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]{1,20}")
_OURS = ("connection", "content-length", "transfer-encoding", "te", "upgrade", "expect", "trailer")
"""Headers that say how the request is framed: the check sets them itself."""


def _duration(option: str, value: str, low: float, high: float) -> float:
    seconds = parse_duration(value)
    if not low <= seconds <= high:
        raise ValueError(f"{option} is {value}: choose {low:g}s to {high:g}s")
    return seconds


def read_interval(option: str, value: str) -> float:
    return _duration(option, value, MIN_INTERVAL_S, MAX_INTERVAL_S)


def _timeout(option: str, value: str) -> float:
    return _duration(option, value, MIN_TIMEOUT_S, MAX_INTERVAL_S)


def _deregister_after(option: str, value: str) -> float:
    return _duration(option, value, 1.0, 365 * 86_400.0)


def _in_a_row(option: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= MAX_IN_A_ROW):
        raise ValueError(f"{option} is {value[:20]}: choose 1 to {MAX_IN_A_ROW}")
    return int(value)


def _verify(option: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError(f"{option} is {value[:20]}: choose yes or no")
    return value == "yes"


def _server_name(option: str, value: str) -> str:
    if not _SERVER_NAME.fullmatch(value) or not is_host(value):
        raise ValueError(f"{option} is {value[:80]!r}: give the name of a host, without a port")
    return value


def _label(option: str, value: str) -> str:
    if not value.isprintable() or not 0 < len(value.encode()) <= MAX_LABEL_BYTES:
        raise ValueError(f"{option} is {value[:80]!r}: give 1 to {MAX_LABEL_BYTES} bytes without control characters")
    return value


def _method(option: str, value: str) -> str:
    if not _METHOD.fullmatch(value.upper()) or value.upper() == "CONNECT":
        raise ValueError(f"{option} is {value[:20]!r}: give GET, HEAD, POST or another method in letters")
    return value.upper()


def _body(option: str, value: str) -> str:
    if not value:
        raise ValueError(f"{option} is empty: leave it out")
    return value


def read_headers(values: list[str]) -> tuple[tuple[str, str], ...]:
    if len(values) > MAX_HEADERS:
        raise ValueError(f"{len(values)} headers: give at most {MAX_HEADERS}")
    return tuple(_header(value) for value in values)


def _header(value: str) -> tuple[str, str]:
    name, colon, content = value.partition(":")
    content = content.strip(" ")
    if not colon or not _TOKEN.fullmatch(name):
        raise ValueError("header: give NAME:VALUE, the name in letters, digits and dashes")
    if name.lower() in _OURS:
        raise ValueError(f"header {name[:40]} is set by the check itself: leave it out")
    if not (content.isascii() and content.isprintable()):
        raise ValueError(f"header {name[:40]} has a value that is not printable ASCII")
    return name, content


def _unused(option: str, value: str) -> str:
    raise AssertionError(f"{option} is read as a list, not one by one: {len(value)}")


OPTIONS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "interval": ("interval_s", read_interval),
    "timeout": ("timeout_s", _timeout),
    "passes": ("passes", _in_a_row),
    "fails": ("fails", _in_a_row),
    "deregister_after": ("deregister_after_s", _deregister_after),
    "verify": ("verify", _verify),
    "server_name": ("server_name", _server_name),
    "method": ("method", _method),
    "header": ("headers", _unused),
    "body": ("body", _body),
    "node": ("node", _label),
    "check_id": ("id", _label),
    "check_name": ("name", _label),
    "check_notes": ("notes", _label),
}
FREE_TEXT = ("header", "body", "node", "check_id", "check_name", "check_notes")
"""Percent-decoded in text: they may hold commas."""
_CALLED = ("check_id", "check_name", "check_notes")
_RUN = ("interval", "timeout", "passes", "fails", "deregister_after", *_CALLED)
_TLS = ("server_name", "verify")
_HTTP = (*_RUN, "method", "header", "body")
ALLOWED: dict[Kind, tuple[str, ...]] = {
    "http": _HTTP, "https": (*_HTTP, *_TLS), "tcp": _RUN, "grpc": _RUN, "grpcs": (*_RUN, *_TLS), "cmd": _RUN,
    "ttl": ("deregister_after", *_CALLED), "alias": ("node", "deregister_after", *_CALLED),
}  # fmt: skip
