"""Unproven rows: heard of from others, by an owner that was last seen too long ago, or is ahead of our clock.

Owns: whom to probe for it, paced. An ack admits the row. After three misses it is left alone, unproven, until the table
forgets it (`dead_row_brief_s`). So whoever comes back after days of sleep and tells of members that are long gone
resurrects nobody, and a wrong clock lets nothing in unlooked at. To drop the row at once was tried: then comparing
fetched it again each time, and who had told of it found no helper that knew whom to probe, so its ghost stayed with it.
"""

from dataclasses import dataclass

from gossipreg.core.commons import Commons
from gossipreg.core.detector import Detector
from gossipreg.model import NodeId

_TRIES = 3
_A_ROUND = 16
"""Rows probed in one round; the others wait."""


@dataclass(frozen=True, slots=True)
class Prove:
    """Timer: the next round."""


class Unproven:
    def __init__(self, commons: Commons, detector: Detector) -> None:
        self._commons = commons
        self._detector = detector
        self._tries: dict[NodeId, int] = {}

    def add(self, id: NodeId) -> None:
        if id not in self._tries:
            self._tries[id] = 0
            self._commons.count("unproven")
            self._commons.timers.set_earlier(Prove(), self._commons.now)

    def acked(self, id: NodeId) -> None:
        """Its owner answered a probe of ours."""
        self._tries.pop(id, None)
        self._commons.replica.admit(id, self._commons.now)

    def on_prove(self) -> None:
        commons = self._commons
        for id in list(self._tries)[:_A_ROUND]:
            row = commons.replica.rows.get(id)
            if row is None or not row.unproven or self._tries[id] >= _TRIES:
                del self._tries[id]
            else:
                self._detector.probe(id)  # not yet, where its address is on a page that is still to come
                self._tries[id] = self._tries.pop(id) + 1  # to the end of the queue
        if self._tries:
            commons.timers.set(Prove(), commons.now + commons.config.rtt_ceiling_s)
