"""Log lines on stderr: one event a line, as text or as JSON.

Owns the form of a line, the level below which nothing is written, and the rule that repeated lines come at most once
(or a few times) a minute, and are then summed up. What peers chose (names, labels) is escaped, so that nobody can forge
a line. A stderr that is gone is no reason to stop: the line is lost.
"""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from gossipreg.errors import BadConfig
from gossipreg.quick_dataclass import dataclass

Field = str | int | float | bool | None

LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3}
FORMATS = ("text", "json")
REPEAT_S = 60.0
"""The interval between two lines with the same `repeat_key`; those between are summed up at its end."""
REPEAT_KEYS_MAX = 1024

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:/@%+,_-[]'")


@dataclass(slots=True)
class _Repeats:
    """Lines of one key since `since`."""

    since: float
    written: int = 0
    left_out: int = 0
    last: tuple[str, str, dict[str, Field]] | None = None
    """The last one left out."""


class Log:
    def __init__(self, format: str = "text", level: str = "info", stream: TextIO | None = None) -> None:
        if format not in FORMATS:
            raise BadConfig(f"log format {format!r}: choose from {', '.join(FORMATS)}")
        if level not in LEVELS:
            raise BadConfig(f"log level {level!r}: choose from {', '.join(LEVELS)}")
        self._json = format == "json"
        self._lowest = LEVELS[level]
        self._stream: TextIO | None = sys.stderr if stream is None else stream  # None: it was closed at the start
        self._repeats: dict[str, _Repeats] = {}
        self._kinds: dict[str, _Repeats] = {}
        self.hears: Callable[[str, str, dict[str, Field]], None] | None = None
        """Gets the level, the kind and the fields of every line, also of those that are not written."""

    def set_level(self, level: str) -> None:
        """Write lines of this level and above from now on; it is one of LEVELS."""
        self._lowest = LEVELS[level]

    def debug(self, kind: str, /, **fields: Field) -> None:
        self.line("debug", kind, fields)

    def info(self, kind: str, /, **fields: Field) -> None:
        self.line("info", kind, fields)

    def warning(self, kind: str, /, **fields: Field) -> None:
        self.line("warning", kind, fields)

    def error(self, kind: str, /, **fields: Field) -> None:
        self.line("error", kind, fields)

    def line(
        self, level: str, kind: str, fields: dict[str, Field], *, repeat_key: str | None = None, burst: int = 1,
        kind_burst: int = 0,
    ) -> None:  # fmt: skip
        """Write one line; with `repeat_key` only if fewer than `burst` of that key were written within REPEAT_S, with
        `kind_burst` only if fewer than that of its kind were."""
        if self.hears is not None:
            self.hears(level, kind, fields)
        if LEVELS[level] < self._lowest:
            return
        if repeat_key is None:
            self._write_unless_full(level, kind, fields, kind_burst)
            return
        now = time.monotonic()
        repeats = self._repeats.get(repeat_key)
        if repeats is not None and now - repeats.since >= REPEAT_S:
            del self._repeats[repeat_key]
            if repeats.left_out:
                fields = {**fields, "repeated": repeats.left_out}
            repeats = None
        if repeats is None:
            while len(self._repeats) >= REPEAT_KEYS_MAX:
                self._summarise(next(iter(self._repeats)))  # the one written longest ago
            repeats = self._repeats[repeat_key] = _Repeats(now)
        if repeats.written < burst:
            repeats.written += 1
            self._write_unless_full(level, kind, fields, kind_burst)
        else:
            repeats.left_out += 1
            repeats.last = (level, kind, fields)

    def _write_unless_full(self, level: str, kind: str, fields: dict[str, Field], burst: int) -> None:
        """Write the line if fewer than `burst` of its kind were written lately, or if `burst` is 0; else count it."""
        if burst == 0:
            self._write(level, kind, fields)
            return
        now = time.monotonic()
        lines = self._kinds.get(kind)
        if lines is not None and now - lines.since >= REPEAT_S:
            self._summarise_kind(kind)
            lines = None
        if lines is None:
            lines = self._kinds[kind] = _Repeats(now)
        if lines.written < burst:
            lines.written += 1
            self._write(level, kind, fields)
        else:
            lines.left_out += 1
            lines.last = (level, kind, {})

    def _summarise_kind(self, kind: str) -> None:
        lines = self._kinds.pop(kind)
        if lines.last is not None:
            self._write(lines.last[0], kind, {"left_out": lines.left_out, "message": "more lines of this kind"})

    def summarise(self) -> None:
        """Write, for each key whose interval is over, the last of the lines that were left out, and their number. To be
        called now and then, so that a reader does not take the first line for the present state."""
        now = time.monotonic()
        for key in [key for key, repeats in self._repeats.items() if now - repeats.since >= REPEAT_S]:
            self._summarise(key)
        for kind in [kind for kind, lines in self._kinds.items() if now - lines.since >= REPEAT_S]:
            self._summarise_kind(kind)

    def _summarise(self, key: str) -> None:
        repeats = self._repeats.pop(key)
        if repeats.last is not None:
            level, kind, fields = repeats.last
            self._write(level, kind, {**fields, "repeated": repeats.left_out})

    def _write(self, level: str, kind: str, fields: dict[str, Field]) -> None:
        form = json_line if self._json else text_line
        if self._stream is None:
            return
        try:
            self._stream.write(form(_timestamp(), level, kind, fields) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # closed, or its reader is gone


def text_line(timestamp: str, level: str, kind: str, fields: dict[str, Field]) -> str:
    """`2026-11-22T08:00:00.123Z info member_dead name=web-1`."""
    return " ".join([timestamp, level, kind, *(f"{key}={text_value(value)}" for key, value in fields.items())])


def json_line(timestamp: str, level: str, kind: str, fields: dict[str, Field]) -> str:
    import json  # not needed by a sidecar that logs text

    return json.dumps({"time": timestamp, "level": level, "event": kind, **fields})


def text_value(value: Field) -> str:
    """The value itself if it is safe and one word; else quoted, with all that could break the line escaped."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case int():
            return str(value)
    if value and _PLAIN.issuperset(value):
        return value
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    return char.encode("unicode_escape", "surrogatepass").decode()


def _timestamp() -> str:
    milliseconds = time.time_ns() // 1_000_000
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"
