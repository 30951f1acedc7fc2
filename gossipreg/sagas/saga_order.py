"""The two orders in which sagas are listed: by name, and the newest first.

Owns: where a saga stands in a list, and the text with which a page says where the next one begins. Never knows: which
sagas there are.

By time those that are open come first, the youngest first; then those that have ended, the last that ended first. So a
saga that ends between two pages was on the one before. The times are those of the wall, of several leaders: they order
what people read, and decide nothing.

    by name     NAME
    by time     open|ended MILLISECONDS NAME
"""

import re

from gossipreg.errors import BadParams

Place = tuple[int, int, str]
"""What is less comes first."""
START: Place = (-1, 0, "")
"""Before all."""
MOMENT_END_MS = 10**18
"""No clock shows as much: the text of a place has its bound."""
_OPEN, _ENDED = 0, 1
_BY_TIME = re.compile(r"(open|ended) (\d{1,18}) (.+)", re.DOTALL)


def place_of(name: str, began_ms: int | None, ended_ms: int | None, *, newest: bool) -> Place:
    """Of a saga; `ended_ms` is empty of one that is open."""
    if not newest:
        return 0, 0, name
    return (_ENDED, -ended_ms, name) if ended_ms else (_OPEN, -(began_ms or 0), name)


def place_text(place: Place, *, newest: bool) -> str:
    """A place as `after` of the next page has it."""
    part, when, name = place
    return f"{'ended' if part == _ENDED else 'open'} {-when} {name}" if newest else name


def read_place(text: str, *, newest: bool) -> Place:
    """The place behind which a page begins; empty: the first. Raises BadParams."""
    if not text:
        return START
    if not newest:
        return 0, 0, text
    found = _BY_TIME.fullmatch(text)
    if found is None:
        raise BadParams(f"list: after is {text[:80]!r}: give what `next` of the page before said, or nothing")
    part, when, name = found.groups()
    return _ENDED if part == "ended" else _OPEN, -int(when), name
