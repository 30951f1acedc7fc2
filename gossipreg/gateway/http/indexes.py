"""CreateIndex and ModifyIndex of the objects in answers, as numbers that rise when an object changes.

They come from the version of the entry that its owner wrote: the generation is the owner's clock in milliseconds when
it started, the counter goes up by one with each change. So all sidecars give the same number, and a restart of this one
changes none. They are on the scale of X-Consul-Index, which is this sidecar's clock in microseconds: where the owner's
clock is right they are not above it. A liveness check (serfHealth) has no version: its index is when it was first seen
here in that state.
"""

from collections.abc import Callable

from gossipreg.core.table.layout import KIND_MEMBER
from gossipreg.core.table.row import Row
from gossipreg.model import CatalogInstance, NodeId, Version

MAX_INDEX = (1 << 53) - 1
"""Larger integers lose digits in JavaScript."""
_CLOCK_SHIFT = 16
"""A generation is 48 bits of milliseconds and 16 random bits."""
SEEN_MAX = 200_000
"""Twice as many members as there can be."""


def index_of(version: Version) -> int:
    return min((version.generation >> _CLOCK_SHIFT) * 1000 + version.counter, MAX_INDEX)


def created_index(version: Version) -> int:
    """The index of the start of the owner's run that wrote the object; never above the index of a change in it."""
    return index_of(Version(version.generation, 0))


def member_version(row: Row) -> Version:
    """The version of a member's own entry."""
    content = row.content
    return Version(0, 0) if content is None else Version(content.generation, content.changed_at(KIND_MEMBER, 0))


def instance_version(node: Version, instance: CatalogInstance) -> Version:
    """The later version of the two: a member in maintenance changes the health of all its services."""
    return max(node, instance.version)


class LivenessIndex:
    """The index at which each member that was asked for entered its present state."""

    def __init__(self, clock_us: Callable[[], int]) -> None:
        self._clock_us = clock_us
        self._seen: dict[NodeId, tuple[str, int]] = {}

    def index(self, id: NodeId, status: str, member: Version) -> int:
        before = self._seen.get(id)
        if before is not None and before[0] == status:
            return before[1]
        if len(self._seen) >= SEEN_MAX:
            self._seen.clear()
        index = index_of(member) if before is None else max(min(self._clock_us(), MAX_INDEX), before[1] + 1)
        self._seen[id] = status, index
        return index
