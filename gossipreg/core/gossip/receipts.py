"""Receipts: ack the datagrams in which ring neighbours have sent us updates.

Owns: the datagrams that have no receipt yet, and until when their receipts wait. Never knows: what was in a datagram,
or what its sender does without a receipt (`dissemination.py`).

A receipt tells its reader nothing but that it need not retransmit, so it may wait. It goes in the datagram of whatever
else is sent to that member; only if nothing is within `receipt_gather_s`, in one of its own. Then all receipts go, so
this member wakes up once for all of them.
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
            wait_s = 0.0 if urgent else context.config.receipt_gather_s
            context.timers.set_earlier(SendReceipts(), context.now + wait_s)
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
        for peer in list(self._waiting):
            self._send(peer)

    def _send(self, peer: NodeId) -> None:
        for counters in _chunks(list(self._waiting.pop(peer)), _COUNTERS_MAX):
            self._channel.to(peer, Receipt(tuple(counters)))


def _chunks(values: list[int], size: int) -> Iterable[list[int]]:
    return (values[at : at + size] for at in range(0, len(values), size))
