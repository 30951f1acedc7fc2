"""Leaving: announce that this member leaves, and wait until neighbours have acked it.

Owns: which neighbours have to ack the last change of our row, and whether leaving is done. Never knows: what happens to
the process then.

Our own entry becomes `left`, or `restarting` with the time for which our services stay in the answers. It is gossiped
like any other update. Leaving is done as soon as one of these is true; there is no fixed sleep:

- all ring neighbours whose address is known have acked;
- the update was sent to them a second time, and one of them has acked: it gossips the update to the others;
- no neighbour acked the second one within the timeout either, or `leave_s` is over: if all members leave at the same
  time, no member is left to ack.

One ack must be enough in the second case, because a neighbour that has just died never acks, and would delay each
farewell beside it by `leave_s`.
"""

from dataclasses import replace

from gossipreg.core.context import Context
from gossipreg.core.effects import Departed
from gossipreg.core.gossip.dissemination import Dissemination
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.model import NodeId, Status, Version
from gossipreg.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Departing:
    """Timer: leaving has taken `leave_s`."""

    again: bool
    """Instead: send the update once more; when the timer fires the second time, do not wait for acks any longer."""


class Departure:
    def __init__(
        self, context: Context, ring: Ring, channel: Channel, dissemination: Dissemination, own: OwnRow
    ) -> None:
        self._context = context
        self._ring = ring
        self._channel = channel
        self._dissemination = dissemination
        self._own_row = own
        self._before: Version | None = None
        """The version of our row before this change; None while this member is not leaving."""
        self._neighbours: list[NodeId] = []
        """The members that have to ack."""
        self._sent_again = False
        """Whether the update was sent a second time."""
        self.under_way = False
        """Whether this member leaves, and waits for acks."""
        self.done = False

    def begin(self, hold_s: float) -> None:
        """Begin to leave; with `hold_s` above 0, to restart within that time. Does nothing if this has begun
        already."""
        if self._before is not None:
            return
        context = self._context
        self.under_way = True
        self._before = self._own_row.version
        # A hold keeps services in the answers. The services of a member in maintenance must stay out.
        holds = hold_s > 0 and self._own_row.member.status is not Status.DRAINING
        status = Status.RESTARTING if holds else Status.LEFT
        self._own_row.update(replace(self._own_row.member, status=status, hold_s=hold_s if holds else 0.0))
        neighbours = self._ring.neighbours(context.config.fanout_ring)
        self._neighbours = [id for id in neighbours if self._channel.address(id) is not None]
        context.timers.set(Departing(again=False), context.now + context.config.leave_s)
        context.timers.set(Departing(again=True), context.now + context.config.rtt_floor_s)

    def on_departing(self, timer: Departing) -> None:
        """Send the update once more, or stop waiting for acks."""
        if timer.again and not self._sent_again and self._before is not None:
            self._sent_again = True
            self._dissemination.send_now(self._not_acked(), self._context.id, self._before)
            self._context.timers.set(timer, self._context.now + self._context.config.rtt_floor_s)
        else:
            self._finish()

    def check(self) -> None:
        """At the end of each input while this is under way: finish if enough neighbours have acked."""
        queued = len(self._ring) > 1 and self._dissemination.is_queued(self._context.id)
        not_acked = self._not_acked()
        one_acked = any(id in self._ring and id not in not_acked for id in self._neighbours)
        if not queued and (not not_acked or (self._sent_again and one_acked)):
            self._finish()

    def _not_acked(self) -> list[NodeId]:
        own_id = self._context.id
        return [id for id in self._neighbours if id in self._ring and not self._dissemination.has_acked(id, own_id)]

    def _finish(self) -> None:
        if not self.done:
            self.under_way, self.done = False, True
            self._context.timers.cancel(Departing(again=True))
            self._context.timers.cancel(Departing(again=False))
            self._context.effects.append(Departed())
