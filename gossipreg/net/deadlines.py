"""The deadlines of connections.

Owns a heap. Moving a deadline to later costs nothing: the entry is moved when its old time comes. Entries are void if
their connection is gone or has an earlier deadline; there are never more void entries than others, and a few.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Generic, Protocol, TypeVar

VOID_MIN = 64


class Due(Protocol):
    """A connection that can have a deadline. Both are inf at its beginning, and only the deadlines change them."""

    deadline: float
    queued: float
    """The time at which the deadline is looked at next."""


Of = TypeVar("Of", bound=Due)


class Deadlines(Generic[Of]):
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Of]] = []
        self._order = count()
        self._void = 0
        """The number of entries that are void."""

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next(self) -> float:
        """The time at which `due` is to be called."""
        return self._heap[0][0] if self._heap else inf

    def set(self, connection: Of, when: float) -> None:
        """Replace the deadline of this connection; inf: it has none."""
        connection.deadline = when
        if when < connection.queued:
            self._drop_entry(connection)
            connection.queued = when
            heappush(self._heap, (when, next(self._order), connection))

    def forget(self, connection: Of) -> None:
        """Forget a connection that is closed."""
        connection.deadline = inf
        self._drop_entry(connection)

    def due(self, now: float) -> Iterator[Of]:
        """The connections whose time is up; they have no deadline then."""
        while self._heap and self._heap[0][0] <= now:
            when, _, connection = heappop(self._heap)
            if connection.queued != when:
                self._void -= 1
                continue
            connection.queued = inf
            if connection.deadline > now:
                self.set(connection, connection.deadline)
            else:
                connection.deadline = inf
                yield connection

    def _drop_entry(self, connection: Of) -> None:
        if connection.queued == inf:
            return
        connection.queued = inf
        self._void += 1
        if self._void > VOID_MIN and self._void > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].queued == entry[0]]
            heapify(self._heap)
            self._void = 0
