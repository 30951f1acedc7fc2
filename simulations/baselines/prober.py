"""SWIM's prober: one probe at a time, in random order.

Owns: whose turn it is, and when the probe under way has come to an end, indirect ones included. Never knows: what
becomes of a member that did not answer (`suspicion.py`). Probes and acks are handled as in `gossipreg.core`. It hears
no refused port and notes no lossy pair.
"""

from collections.abc import Iterator

from gossipreg.core.context import Context
from gossipreg.core.failure.pairs import Pairs
from gossipreg.core.failure.prober import ProbeDue, Prober
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId
from simulations.baselines.config import BaselineConfig

_NACK_PART = 0.8
"""A helper of Lifeguard sends its nack after this part of the timeout: else it comes too late for the member that
asked, which waits for the rest of its period only (3.1)."""


class _NoPairs(Pairs):
    def on_period(self) -> None:
        """Expect no ping of the predecessor: in random order it comes when it comes."""


class RandomOrderProber(Prober):
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel) -> None:
        super().__init__(context, table, ring, channel)
        self.pairs = _NoPairs(context, table, ring, channel, self.probe)
        self._shuffled: Iterator[NodeId] = iter(())
        self._waits_for: NodeId | None = None
        """The member probed in a period before, until that probe has come to an end."""

    @property
    def _lifeguard(self) -> bool:
        config = self._context.config
        return isinstance(config, BaselineConfig) and config.lifeguard

    def over(self, id: NodeId) -> None:
        """This probe, indirect ones included, has come to an end. Lifeguard's local health stretches that wait, and
        with it the period (3.1): there is one probe at a time."""
        if id == self._waits_for:
            self._waits_for = None

    def refused(self, address: Address) -> None:
        """SWIM has no ear for refused ports."""

    def _probe_this_period(self) -> NodeId | None:
        if self._waits_for is not None:
            return None
        target = self._next_target()
        if target is not None and self.probe(target, tell=self._lifeguard and self.suspicions.suspects(target)):
            self._waits_for = target
        return target

    def _next_target(self) -> NodeId | None:
        """Round robin, in an order that is drawn anew for each round (SWIM 4.3)."""
        context = self._context
        for _ in range(2):
            for id in self._shuffled:
                if id in self._ring:
                    return id
            self._shuffled = iter(self._ring.sample(context.rng, len(self._ring)))
        return None

    def probe(self, target: NodeId, asked_by: tuple[NodeId, int] | None = None, *, tell: bool = False) -> bool:
        sent = super().probe(target, asked_by, tell=tell)
        if sent and asked_by is not None:
            timer = ProbeDue(next(reversed(self._probes)))
            self._context.timers.set(timer, self._context.now + self._channel.bound_s(target) * _NACK_PART)
        return sent

    def _nack(self, asker: NodeId, number: int, *, refused: bool) -> None:
        if self._lifeguard:
            super()._nack(asker, number, refused=refused)

    def _missed(self, target: NodeId, sent_at: float, *, refused: bool) -> None:
        self.suspicions.missed(target, sent_at, refused=refused)
