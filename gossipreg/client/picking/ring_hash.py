"""Picks by key: the same key gets the same instance, and a change of the instances moves few keys.

How it works: consistent hashing with bounded load (Karger et al. 1997; Mirrokni, Thorup, Zadimoghaddam 2018). Each
instance has points on a ring of 32 bits, in number by its weight. A key belongs to the first instance at or after its
own point. An instance that cannot be picked, or that has more than 1.25 times its part of this process's requests in
flight, is passed over. The ring itself changes only when an instance starts or stops passing, so an ejected instance
gets its keys back.

The bound rests on what this process has in flight. So affinity is per process while instances are near the bound.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from math import ceil, floor
from struct import unpack

from gossipreg.client.picking.instance_state import InstanceState

POINTS = 64
"""Of an instance of usual weight: the parts of two instances then differ by about an eighth."""
POINTS_OF_MANY = 4
MANY = 1024
"""From so many instances on each has POINTS_OF_MANY points, until there are fewer than half as many: a change of one
instance must cost less than 1 ms."""
POINTS_MAX = 640
LOAD_BOUND = 1.25
"""The most that an instance may have in flight, against its part by weight. Smaller moves more keys."""


def key_point(key: str) -> int:
    """Where a key is on the ring: the first four bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:4])


def instance_points(node: str, id: str, count: int) -> list[int]:
    """The points of an instance: the words of SHA-256 of `node/id/0`, `node/id/1`, ... A longer list begins with the
    shorter ones."""
    points: list[int] = []
    for block in range((count + 7) // 8):
        points += unpack(">8I", hashlib.sha256(f"{node}/{id}/{block}".encode("utf-8", "surrogatepass")).digest())
    return points[:count]


class HashRing:
    """The points of all passing instances."""

    __slots__ = ("_each", "_holders", "_points", "_states", "_unit")

    def __init__(self) -> None:
        self._states: dict[InstanceState, list[int]] = {}
        """With the points of each."""
        self._points: list[int] = []
        self._holders: list[InstanceState] = []
        """Whose each point is; in step with `_points`."""
        self._each = POINTS
        self._unit = 1.0
        """The weight that gets `_each` points: the median of the weights when the ring was made."""

    def __len__(self) -> int:
        return len(self._points)

    def change(self, gone: Iterable[InstanceState], come: Iterable[InstanceState]) -> None:
        """Take out and put in. Few instances are moved one by one; for many the ring is made anew."""
        gone, come = list(gone), list(come)
        count = len(self._states) + len(come) - len(gone)
        each = POINTS_OF_MANY if count >= (MANY if self._each == POINTS else MANY // 2) else POINTS
        if each != self._each or not self._states or len(gone) + len(come) > max(16, count // 8):
            for state in gone:
                del self._states[state]
            self._make([*self._states, *come], each)
            return
        for state in gone:
            self._take_out(state)
        for state in come:
            self._put_in(state)

    def pick(self, point: int, in_flight: int, weight: float) -> tuple[InstanceState | None, bool]:
        """The instance of a key at this point (None if none can be picked), and whether it is another than the first.
        `in_flight` of this process at all instances; `weight`: the sum of the shares of those that can be picked."""
        holders = self._holders
        count = len(holders)
        each = LOAD_BOUND * (in_flight + 1) / weight if weight else 0.0
        full: InstanceState | None = None
        at = bisect_left(self._points, point)
        own = holders[at % count] if count else None
        for _ in range(count):
            if at == count:
                at = 0
            state = holders[at]
            if state.share:
                if state.in_flight < ceil(each * state.share):
                    return state, state is not own
                full = full or state
            at += 1
        return full, full is not own

    def _make(self, states: list[InstanceState], each: int) -> None:
        weights = sorted(state.weight for state in states if state.weight)
        self._each = each
        self._unit = float(weights[len(weights) // 2]) if weights else 1.0
        self._states = {state: self._points_of(state) for state in states}
        held = [(point, *_name(state), state) for state, points in self._states.items() for point in points]
        held.sort(key=lambda one: one[:3])
        self._points = [one[0] for one in held]
        self._holders = [one[3] for one in held]

    def _points_of(self, state: InstanceState) -> list[int]:
        count = min(POINTS_MAX, max(1, floor(self._each * state.weight / self._unit + 0.5)))
        return instance_points(state.instance.node, state.instance.id, count)

    def _put_in(self, state: InstanceState) -> None:
        self._states[state] = points = self._points_of(state)
        name = (state.instance.node, state.instance.id)
        for point in points:
            at = bisect_left(self._points, point)
            while at < len(self._points) and self._points[at] == point and _name(self._holders[at]) < name:
                at += 1
            self._points.insert(at, point)
            self._holders.insert(at, state)

    def _take_out(self, state: InstanceState) -> None:
        for point in self._states.pop(state):
            at = bisect_left(self._points, point)
            while self._holders[at] is not state:
                at += 1
            del self._points[at], self._holders[at]


def _name(state: InstanceState) -> tuple[str, str]:
    return state.instance.node, state.instance.id
