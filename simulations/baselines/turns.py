"""The order of probes: SWIM's random order, with one probe at a time.

Owns: the order of the present round, and the member whose probe has not ended yet. Never knows: how it is probed.
"""

from collections.abc import Iterator

from gossipreg.core.context import Context
from gossipreg.core.table.ring import Ring
from gossipreg.model import NodeId


class ProbeTurns:
    def __init__(self, context: Context, ring: Ring) -> None:
        self._context = context
        self._ring = ring
        self._round: Iterator[NodeId] = iter(())
        self._waits_for: NodeId | None = None
        """The member whose probe, indirect pings included, has not ended yet."""

    @property
    def busy(self) -> bool:
        """Whether the last probe has not ended yet. Lifeguard's local health lengthens the wait for acks, and so the
        period (section 3.1), because there is one probe at a time."""
        return self._waits_for is not None

    def next(self) -> NodeId | None:
        """The next member of the round. Each round has a new random order (SWIM 4.3)."""
        for _ in range(2):
            for id in self._round:
                if id in self._ring:
                    return id
            self._round = iter(self._ring.sample(self._context.rng, len(self._ring)))
        return None

    def begin(self, id: NodeId) -> None:
        """This member is probed now."""
        self._waits_for = id

    def end(self, id: NodeId) -> None:
        """The probe of this member has ended, indirect pings included."""
        if id == self._waits_for:
            self._waits_for = None
