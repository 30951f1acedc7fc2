"""Sizes as people write them: `512MiB`, `1GiB`, `4KiB`; a bare number is bytes."""

import re

_UNITS_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|KiB|MiB|GiB|TiB|)")
MAX_SIZE_BYTES = 1 << 50
"""A pebibyte: more is a slip of the finger."""


def parse_size(text: str) -> int:
    """Bytes. Raises ValueError for all but a number that is not negative, with or without one of the units."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size: write 4KiB, 512MiB, 1GiB, or a number of bytes")
    size = int(float(match[1]) * _UNITS_BYTES[match[2]])
    if size > MAX_SIZE_BYTES:
        raise ValueError(f"{text!r} is more than a pebibyte")
    return size


def shown_size(size_bytes: int) -> str:
    """The shortest text that `parse_size` reads as this."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _UNITS_BYTES[unit] == 0:
            return f"{size_bytes // _UNITS_BYTES[unit]}{unit}"
    return str(size_bytes)
