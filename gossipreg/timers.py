"""Named timers and their heap.

Owns: which timers are set, and when they are due. Never knows: what a name means, or what time it is.

A name is any hashable frozen value. It carries what makes the timer void (a probe's number, a member's version). To set
a name again moves its timer. The old heap entry of a timer that was cancelled or moved stays in the heap and is skipped
later. When more than half of the entries are old ones, the heap is rebuilt, so it stays within about twice the number
of timers.
"""

import heapq
from collections.abc import Hashable, Iterator
from itertools import count
from math import inf


class Timers:
    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[float, int]] = {}
        """(due, order) of each timer that is set, by name."""
        self._names: dict[int, Hashable] = {}
        """The same the other way round, by order: entries of the heap are looked up here, since a number is hashed
        without a call of Python, and a name is not."""
        self._heap: list[tuple[float, int]] = []
        self._order = count()  # timers due at the same time fire in the order in which they were set

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, name: Hashable) -> bool:
        return name in self._due

    def set(self, name: Hashable, due: float) -> None:
        """Set the timer `name` to `due` (seconds of the core's clock). If it was set before, it is moved."""
        before = self._due.get(name)
        if before is not None:
            del self._names[before[1]]
        order = next(self._order)
        self._names[order] = name
        self._due[name] = stamp = (due, order)
        heapq.heappush(self._heap, stamp)
        if len(self._heap) > 2 * len(self._due) + 16:
            self._heap = list(self._due.values())
            heapq.heapify(self._heap)

    def set_earlier(self, name: Hashable, due: float) -> None:
        """Like `set`, but a timer that is due earlier already stays as it is."""
        current = self._due.get(name)
        if current is None or due < current[0]:
            self.set(name, due)

    def due(self, name: Hashable) -> float | None:
        """When this timer fires; None if it is not set."""
        stamp = self._due.get(name)
        return None if stamp is None else stamp[0]

    def cancel(self, name: Hashable) -> None:
        """Unset this timer. Does nothing if it is not set."""
        stamp = self._due.pop(name, None)
        if stamp is not None:
            del self._names[stamp[1]]

    def next_due(self) -> float:
        """When the earliest timer is due; infinity if none is set."""
        heap = self._heap
        while heap and heap[0][1] not in self._names:
            heapq.heappop(heap)
        return heap[0][0] if heap else inf

    def pop_due(self, now: float) -> Iterator[tuple[Hashable, float]]:
        """Yield and unset each (name, due) with due <= now, earliest first. Timers that are set meanwhile are included,
        so a timer that sets itself again must be due later than `now`."""
        while self._heap and self._heap[0][0] <= now:
            due, order = heapq.heappop(self._heap)
            if order in self._names:
                name = self._names.pop(order)
                del self._due[name]
                yield name, due
