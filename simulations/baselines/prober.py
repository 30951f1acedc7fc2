"""The prober of SWIM and Lifeguard: ours, with the nacks of the papers.

Owns: when a helper sends a nack. Never knows: whose turn it is (`turns.py`), or what becomes of a member that does not
ack (`suspicion.py`).
"""

from gossipreg.core.context import Context
from gossipreg.core.failure.prober import ProbeDue, Prober
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId
from simulations.baselines.config import BaselineConfig

_NACK_PART = 0.8
"""A helper sends its nack after this part of the timeout (Lifeguard 3.1). After the whole timeout it would be too late
for the member that asked, which waits only until its period is over."""


class BaselineProber(Prober):
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel, config: BaselineConfig) -> None:
        super().__init__(context, table, ring, channel)
        self._config = config

    def probe(self, target: NodeId, asked_by: tuple[NodeId, int] | None = None, *, accuse: bool = False) -> bool:
        sent = super().probe(target, asked_by, accuse=accuse)
        if sent and asked_by is not None:
            timer = ProbeDue(next(reversed(self._probes)))
            self._context.timers.set(timer, self._context.now + self._channel.bound_s(target) * _NACK_PART)
        return sent

    def _nack(self, asker: NodeId, number: int, *, refused: bool) -> None:
        """SWIM has no nacks."""
        if self._config.lifeguard:
            super()._nack(asker, number, refused=refused)
