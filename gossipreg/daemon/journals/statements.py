"""SQL statements of many rows or keys at a time.

A statement releases Python's lock twice, and has to get it back from the loop's thread. So many rows are one statement,
and the number of statements of a write hardly depends on the number of its rows.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeVar

Row = TypeVar("Row")

MOST_ROWS = 128
"""Of one statement; a power of two."""


@cache
def with_rows(statement: str, rows: int, values: int) -> str:
    return statement.format(", ".join(["(" + ", ".join("?" * values) + ")"] * rows))


@cache
def with_keys(statement: str, keys: int) -> str:
    return statement.format(", ".join("?" * keys))


def chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in parts of few different lengths, so that their statements are prepared once."""
    at = 0
    while (left := len(rows) - at) > 0:
        size = min(MOST_ROWS, 1 << left.bit_length() - 1)
        yield rows[at : at + size]
        at += size
