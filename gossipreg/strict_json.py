"""JSON as its standard has it: what Python's parser takes beyond that (NaN, Infinity, 1e999 as infinity) is refused.

A document that is handed on goes as the text that it was given as (`json_text`): a parser and a printer in between
would change large numbers, repeated names and 1e999.
"""

import json
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

_BREAKS = str.maketrans("\n\r\t", "   ")
"""They stand between the values of JSON only, never in a text."""
_NOT_ASCII = re.compile("[^ -~]")
_SHOWN_CHARACTERS = 60
"""Of a name in the text of an error."""


class RepeatedName(ValueError):
    """An object has a name twice. Most parsers take the last of the values and say nothing, so what a person wrote
    would be lost. The text of an error goes on with this one's: "the body has ..."."""


def unique_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """`object_pairs_hook` of a parser whose input people write. Raises RepeatedName."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    left = dict.fromkeys(found, 1)
    for name, _ in pairs:
        left[name] -= 1
    twice = repr(next(name for name, rest in left.items() if rest < 0))
    shown = twice if len(twice) <= _SHOWN_CHARACTERS else twice[:_SHOWN_CHARACTERS] + "..."
    raise RepeatedName(f"the name {shown} twice in one object: leave one of them out")


def loads_strict(data: bytes | str, *, unique: bool = False) -> Any:
    """The value. Raises ValueError, UnicodeDecodeError included, and RecursionError where it is nested too deep;
    `unique`: also RepeatedName."""
    text = data.decode() if isinstance(data, bytes) else data
    pairs = unique_names if unique else None
    return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=pairs)


def json_text(data: bytes) -> str:
    """The same JSON in one line of ASCII, with every number as it was written. Raises as `loads_strict`, though not for
    numbers that Python cannot hold."""
    text = data.decode()
    json.loads(text, parse_constant=_refuse, parse_float=str, parse_int=str)
    return _NOT_ASCII.sub(_escape, text.translate(_BREAKS))


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number
