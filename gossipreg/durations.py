"""Durations as people write them: `250ms`, `5s`, `2m`, `1h`, `7d`; a bare number is seconds."""

import re

MAX_S = 10 * 365 * 86_400.0
"""Ten years: longer is a slip of the finger, and far below where waiting functions overflow."""

_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(
    r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ms|s|m|h|d|)"
)  # [0-9]: \d is also true of other scripts' digits


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError for all but a number that is not negative, with or without one of the units."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write 250ms, 5s, 2m, 1h, 7d, or a number of seconds")
    seconds = float(match[1]) * _UNITS_S[match[2]]
    if seconds > MAX_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return seconds


def shown_duration(seconds: float) -> str:
    """A short text that `parse_duration` reads as this."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _UNITS_S[unit] == 0:
            return f"{int(seconds // _UNITS_S[unit])}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
