"""The events of one group that may be delivered now, oldest first, by the members that may get them.

Owns: the order. Never knows: why an event is ready, or which member has room.

Types whose subscribers are the same members share a lane, so a type that nobody takes now does not hold up the others,
and finding the next event takes the time of a heap, however many events wait. A lane has the head of each of its types;
a change of the members moves these heads alone.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from gossipreg.model import NodeId

Lane = tuple[NodeId, ...]
"""The members that may get its events."""


class ReadyEvents:
    def __init__(self, find: Callable[[str], Iterable[NodeId]], is_ready: Callable[[int], bool]) -> None:
        """`find` gives the subscribers of a type. What `is_ready` denies is dropped when its turn comes: whoever makes
        it ready again pushes it again."""
        self._find = find
        self._is_ready = is_ready
        self._types: dict[str, list[int]] = {}
        self._lane_of: dict[str, Lane] = {}
        """Of the types above."""
        self._lanes: dict[Lane, list[tuple[int, str]]] = {}
        """(the oldest event of a type, the type); pairs that are out of date are skipped."""

    def push(self, index: int, type: str) -> None:
        heap = self._types.get(type)
        if heap is None:
            heap = self._types[type] = []
            self._lane_of[type] = tuple(self._find(type))
        heappush(heap, index)
        if heap[0] == index:
            self._offer(index, type)

    def lanes(self) -> list[Lane]:
        return [*self._lanes]

    def head(self, lane: Lane) -> int | None:
        """The oldest event of this lane; None if there is none."""
        heads = self._lanes.get(lane, [])
        while heads:
            index, type = heads[0]
            heap = self._types.get(type)
            if heap is None or heap[0] != index:
                heappop(heads)
            elif self._is_ready(index):
                return index
            else:
                self.pop(lane)
        self._lanes.pop(lane, None)
        return None

    def pop(self, lane: Lane) -> None:
        """Take away what `head` gave."""
        _, type = heappop(self._lanes[lane])
        heap = self._types[type]
        heappop(heap)
        if heap:
            self._offer(heap[0], type)
        else:
            del self._types[type], self._lane_of[type]

    def members_changed(self) -> None:
        self._lanes.clear()
        for type, heap in self._types.items():
            self._lane_of[type] = tuple(self._find(type))
            self._offer(heap[0], type)

    def _offer(self, index: int, type: str) -> None:
        heappush(self._lanes.setdefault(self._lane_of[type], []), (index, type))
