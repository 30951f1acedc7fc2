"""Unproven rows: heard of from others, by an owner that was last seen too long ago, or is ahead of our clock.

Owns: whom to probe for it, paced. An ack admits the row; after three misses its owner is dead to us, as long as we hear
anybody, and whoever tells of it is answered with that. So whoever comes back after days of sleep and tells of members
that are long gone resurrects nobody, and a wrong clock lets nothing in unlooked at. To drop the row without a word was
tried: the ring of those who never held it leads past it, so nobody watched it, and the sleeper kept its ghost for good.
"""

from dataclasses import dataclass

from gossipreg.core.context import Context
from gossipreg.core.failure.prober import Prober
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId, Rank
from gossipreg.wire.messages import Claim

_TRIES = 3
_A_ROUND = 16
"""Rows probed in one round; the others wait."""


@dataclass(frozen=True, slots=True)
class Prove:
    """Timer: the next round."""


class Quarantine:
    def __init__(self, context: Context, table: Table, channel: Channel, detector: Prober) -> None:
        self._context = context
        self._table = table
        self._channel = channel
        self._prober = detector
        self._tries: dict[NodeId, tuple[int, float]] = {}
        """How often it was probed, and since when."""

    def add(self, id: NodeId) -> None:
        if id not in self._tries:
            self._tries[id] = 0, self._context.now
            self._context.count("unproven")
            self._context.timers.set_earlier(Prove(), self._context.now)

    def acked(self, id: NodeId) -> None:
        """Its owner answered a probe of ours."""
        self._tries.pop(id, None)
        self._table.admit(id, self._context.now)

    def on_prove(self) -> None:
        context = self._context
        for id in list(self._tries)[:_A_ROUND]:
            row = self._table.rows.get(id)
            tries, since = self._tries.pop(id)
            if row is None or not row.unproven or row.dead:
                continue
            if tries < _TRIES:
                self._prober.probe(id)  # not yet, where its address is on a page that is still to come
                self._tries[id] = tries + 1, since  # to the end of the queue
            elif context.heard_at > since and self._channel.can_speak_with(id):
                gone = Claim(id, row.liveness.generation, row.liveness.incarnation, Rank.DEAD, context.id)
                self._table.merge_claim(gone, context.now)
            else:  # isolated, or it could not have answered: this says nothing about its owner
                self._tries[id] = 0, context.now
        if self._tries:
            context.timers.set(Prove(), context.now + context.config.rtt_ceiling_s)
