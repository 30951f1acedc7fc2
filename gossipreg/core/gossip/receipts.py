"""Receipts: ack the datagrams in which ring neighbours have sent us updates.

Owns: the datagrams that have no receipt yet, and until when their receipts wait. Never knows: what was in a datagram,
or what its sender does without a receipt (`dissemination.py`).

A receipt goes in the datagram of whatever else is sent to that member. The first one after a pause goes at once: its
reader is still awake, and waking up twice costs both more than a datagram. Those that follow within `receipt_gather_s`
wait until it is over, and go together: under load most of them find another message to go with.
"""

from collections.abc import Iterable

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.model import NodeId
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Receipt

_COUNTERS_MAX = 64
"""Datagrams that one Receipt names: so it fits the smallest datagram."""


@dataclass(frozen=True, slots=True)
class SendReceipts:
    """Timer: send the receipts that wait."""


class Receipts:
    def __init__(self, context: Context, ring: Ring, channel: Channel) -> None:
        self._context = context
        self._ring = ring
        self._channel = channel
        self._last_at = float("-inf")
        """When receipts were last sent in datagrams of their own."""
        self._waiting: dict[NodeId, dict[int, None]] = {}
        """By member, the counters of its datagrams that the next Receipt names."""

    def queue(self, peer: NodeId, counter: int, *, joins: bool = False, urgent: bool = False) -> None:
        """Queue a receipt for the update in this datagram. Ring neighbours retransmit what they send us, and so do
        members that have just left the ring or, with `joins`, that this update has put on it; other senders need no
        receipt. `urgent`: the sender waits for it."""
        context = self._context
        if not joins and peer in self._ring and peer not in self._ring.neighbours(context.config.fanout_ring):
            return
        if urgent or not self._waiting:  # else the timer is set, and no later receipt is due before
            due = context.now if urgent else max(context.now, self._last_at + context.config.receipt_gather_s)
            context.timers.set_earlier(SendReceipts(), due)
        self._waiting.setdefault(peer, {})[counter] = None

    def join_others(self) -> None:
        """At the end of each input: add the receipts for the members that it sends something else."""
        if not self._waiting:
            return
        for peer in [peer for peer in self._waiting if self._channel.sends_to(peer)]:
            self._send(peer)
        if not self._waiting:
            self._context.timers.cancel(SendReceipts())

    def on_send_receipts(self) -> None:
        """Send all receipts that wait."""
        self._last_at = self._context.now
        for peer in list(self._waiting):
            self._send(peer)

    def _send(self, peer: NodeId) -> None:
        for counters in _chunks(list(self._waiting.pop(peer)), _COUNTERS_MAX):
            self._channel.to(peer, Receipt(tuple(counters)))


def _chunks(values: list[int], size: int) -> Iterable[list[int]]:
    return (values[at : at + size] for at in range(0, len(values), size))
