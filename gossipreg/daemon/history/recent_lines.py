"""The last lines of the history, in memory: all of it where there is no data directory.

Owns: the lines and their bound. Never knows: where else they are kept.
"""

from collections import deque
from collections.abc import Iterable
from itertools import islice

from gossipreg.history.history_line import HistoryLine
from gossipreg.history.history_query import HistoryQuery, fits

LINES_MAX = 10_000
"""Some 5 MB."""


class RecentLines:
    def __init__(self, most: int = LINES_MAX) -> None:
        self._lines: deque[HistoryLine] = deque(maxlen=most)
        self.dropped = 0
        """Lines that made room for newer ones."""

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def first(self) -> HistoryLine | None:
        return self._lines[0] if self._lines else None

    def append(self, line: HistoryLine) -> None:
        self.dropped += len(self._lines) == self._lines.maxlen
        self._lines.append(line)

    def read(self, query: HistoryQuery) -> tuple[list[HistoryLine], bool]:
        """The lines that fit, in their order, and whether there are more beyond the limit."""
        return page_of(reversed(self._lines) if query.newest else self._lines, query)


def page_of(lines: Iterable[HistoryLine], query: HistoryQuery) -> tuple[list[HistoryLine], bool]:
    """One page of these lines, which come newest first if the query wants those, and else oldest first."""
    found = list(islice((line for line in lines if fits(line, query)), query.limit + 1))
    more = len(found) > query.limit
    page = found[: query.limit]
    return (page[::-1] if query.newest else page), more
