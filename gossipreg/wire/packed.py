"""A packed value of another member, of any shape: what a call asks for, and what its answer says.

Owns: that such a value can be shown, packed again and written as JSON. Never knows: what has to be in it.
"""

from collections.abc import Iterable
from typing import Any

import msgpack

from gossipreg.errors import BadParams

MAX_DEPTH = 80
"""Levels within each other: JSON of a saga's step may have 64, and stands in a few more."""
MAX_LINE_CHARACTERS = 2_000
"""Of a text for people; the longest that a sidecar of this release sends has a third of that."""


def unpacked_untrusted(data: bytes, what: str, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value of these bytes. The keys of its maps are text, and no part is of a type of its own. `what` begins the
    text of the error: "the answer". Raises BadParams."""
    try:
        found = msgpack.unpackb(data, max_ext_len=0)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError):
        raise BadParams(f"{what} cannot be read: no value of MessagePack with text for keys") from None
    level = [found]
    for _ in range(max_depth):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one, what)]
        if not level:
            return found
    raise BadParams(f"{what} cannot be read: nested too deep, at most {max_depth} levels")


def one_line_untrusted(value: object, instead: str) -> str:
    """A text of another member for people: on one line, and cut; `instead` where it is no text, or an empty one."""
    if type(value) is not str:
        return instead
    cut = value[:MAX_LINE_CHARACTERS]
    return " ".join("".join(char if char.isprintable() else " " for char in cut).split()) or instead


def _inside(one: dict[Any, Any] | list[Any], what: str) -> Iterable[Any]:
    if isinstance(one, list):
        return one
    if not all(type(name) is str for name in one):
        raise BadParams(f"{what} cannot be read: no value of MessagePack with text for keys")
    return one.values()
