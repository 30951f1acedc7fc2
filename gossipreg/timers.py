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
        self._heap: list[tuple[float, int, Hashable]] = []
        self._next: float | None = inf
        """When the earliest is due; None if `next_due` has to find it. Kept, because each input asks for it."""
        self._order = count()  # timers due at the same time fire in the order in which they were set

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, name: Hashable) -> bool:
        return name in self._due

    def set(self, name: Hashable, due: float) -> None:
        """Set the timer `name` to `due` (seconds of the core's clock). If it was set before, it is moved."""
        stamp = (due, next(self._order))
        if self._next is not None:
            before = self._due.get(name)
            if before is not None and before[0] == self._next:
                self._next = None
            elif due < self._next:
                self._next = due
        self._due[name] = stamp
        heapq.heappush(self._heap, (*stamp, name))
        if len(self._heap) > 2 * len(self._due) + 16:
            self._heap = [(*stamp, name) for name, stamp in self._due.items()]
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
        if stamp is not None and stamp[0] == self._next:
            self._next = None

    def next_due(self) -> float:
        """When the earliest timer is due; infinity if none is set."""
        if self._next is not None:
            return self._next
        heap = self._heap
        while heap and self._due.get(heap[0][2]) != heap[0][:2]:
            heapq.heappop(heap)
        self._next = heap[0][0] if heap else inf
        return self._next

    def pop_due(self, now: float) -> Iterator[tuple[Hashable, float]]:
        """Yield and unset each (name, due) with due <= now, earliest first. Timers that are set meanwhile are included,
        so a timer that sets itself again must be due later than `now`."""
        while self.next_due() <= now and self._heap:  # an empty heap is due at infinity, and so may `now` be
            due, order, name = heapq.heappop(self._heap)
            if self._due.get(name) == (due, order):
                del self._due[name]
                self._next = None
                yield name, due
