"""When to look at which connection.

Owns a heap with at most one entry for each that has a deadline, so that a deadline which is put off costs nothing: its
entry is moved when it comes up.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from math import inf

from gossipreg.gateway.http.client import Connection


class Deadlines:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Connection]] = []
        self._order = count()

    @property
    def next(self) -> float:
        """When `due` wants to be asked."""
        return self._heap[0][0] if self._heap else inf

    def set(self, connection: Connection, when: float) -> None:
        """Instead of the one that it had; inf: none."""
        connection.deadline = when
        if when < connection.queued:
            connection.queued = when
            heappush(self._heap, (when, next(self._order), connection))

    def forget(self, connection: Connection) -> None:
        connection.queued = connection.deadline = inf

    def due(self, now: float) -> Iterator[Connection]:
        """Those whose time is up; they have no deadline then."""
        while self._heap and self._heap[0][0] <= now:
            when, _, connection = heappop(self._heap)
            if connection.queued != when:
                continue
            connection.queued = inf
            if connection.deadline > now:
                self.set(connection, connection.deadline)
            else:
                connection.deadline = inf
                yield connection
