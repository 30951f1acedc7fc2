"""Which member of a lane gets the next event: the one with the fewest unanswered deliveries, of those with room.

Owns: the choice within one input. Never knows: events. The members are looked at once an input; after that each choice
takes the time of a heap.
"""

import random
from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace

from gossipreg.events.windows import MemberWindow
from gossipreg.model import NodeId


class MemberChoice:
    def __init__(self, windows: Iterable[MemberWindow], rng: random.Random) -> None:
        self._rng = rng
        self._heap = [self._rank(window) for window in windows if window.room > 0]
        heapify(self._heap)

    def _rank(self, window: MemberWindow) -> tuple[int, float, NodeId, MemberWindow]:
        return window.unanswered, self._rng.random(), window.link.node, window

    def best(self) -> MemberWindow | None:
        """None: nobody has room. The same member may be in several lanes, so its rank may be an old one."""
        heap = self._heap
        while heap:
            unanswered, _, _, window = heap[0]
            if window.room <= 0:
                heappop(heap)
            elif window.unanswered != unanswered:
                heapreplace(heap, self._rank(window))
            else:
                return window
        return None
