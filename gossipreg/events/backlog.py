"""How much waits for one group: how many events, of how many bytes, which is the oldest.

Owns: these figures. Never knows: who acknowledges an event, or why. It is derived from the events, and has no records.

The indexes of what waits are a heap from which nothing is taken out of the middle. What is not waiting any more is
dropped at the front when somebody asks, and everywhere once it is the larger half: so each change costs constant time
on average, and the memory follows what waits.
"""

from heapq import heappop, heappush

from gossipreg.events.stored_events import StoredEvent

_SLACK = 64


class GroupBacklog:
    def __init__(self, group: int, events: dict[int, StoredEvent]) -> None:
        self._group = group
        self._events = events
        self._indexes: list[int] = []
        self.count = 0
        self.size_bytes = 0

    def add(self, event: StoredEvent) -> None:
        """This event waits for the group now."""
        heappush(self._indexes, event.index)
        self.count += 1
        self.size_bytes += event.size_bytes

    def remove(self, event: StoredEvent) -> None:
        """This event does not wait for the group any more."""
        self.count -= 1
        self.size_bytes -= event.size_bytes
        if len(self._indexes) > 2 * self.count + _SLACK:
            self._indexes = self.waiting()

    @property
    def held(self) -> int:
        """Indexes in memory: at most twice what waits, and a few."""
        return len(self._indexes)

    def waiting(self) -> list[int]:
        """The indexes of the events that wait, in their order."""
        return sorted({index for index in self._indexes if self._waits(index)})

    def oldest(self) -> StoredEvent | None:
        while self._indexes and not self._waits(self._indexes[0]):
            heappop(self._indexes)
        return self._events[self._indexes[0]] if self._indexes else None

    def _waits(self, index: int) -> bool:
        event = self._events.get(index)
        return event is not None and self._group in event.waiting
