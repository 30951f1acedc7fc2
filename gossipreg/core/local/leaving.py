"""Leaving: say so, be heard, close.

Owns: whom the farewell was told to, and whether it is over. Never knows: what happens to the process then.

Our own entry becomes `left` (or `restarting`, with how long to hold our place), which is news like any other. Once the
neighbours on the ring whose address we know have shown that they know, it is over. Else it is told again, and then one
of them is enough; where nobody answers that, or after `leave_s`, it is over too: where all leave at once, they are
gone. No fixed sleep.
"""

from dataclasses import dataclass, replace

from gossipreg.core.context import Context
from gossipreg.core.effects import Departed
from gossipreg.core.gossip.dissemination import Dissemination
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.model import NodeId, Status, Version


@dataclass(frozen=True, slots=True)
class Departing:
    """Timer: the farewell took too long, or (`again`) it is time to repeat it."""

    again: bool


class Departure:
    def __init__(self, context: Context, ring: Ring, channel: Channel, rumours: Dissemination, own: OwnRow) -> None:
        self._context = context
        self._ring = ring
        self._channel = channel
        self._dissemination = rumours
        self._own_row = own
        self._before: Version | None = None
        """Of our row, before it said that we go; None until then."""
        self._told: list[NodeId] = []
        self._told_again = False
        self.done = False

    def begin(self, hold_s: float) -> None:
        """Asked a second time, nothing new happens."""
        if self._before is not None:
            return
        context = self._context
        self._before = self._own_row.version
        # A hold keeps services in the answers. The services of a member in maintenance must stay out.
        holds = hold_s > 0 and self._own_row.member.status is not Status.DRAINING
        status = Status.RESTARTING if holds else Status.LEFT
        self._own_row.update(replace(self._own_row.member, status=status, hold_s=hold_s if holds else 0.0))
        neighbours = self._ring.neighbours(context.config.fanout_ring)
        self._told = [id for id in neighbours if self._channel.address(id) is not None]
        context.timers.set(Departing(again=False), context.now + context.config.leave_s)
        context.timers.set(Departing(again=True), context.now + context.config.rtt_floor_s)

    def on_departing(self, timer: Departing) -> None:
        if timer.again and not self._told_again and self._before is not None:
            self._told_again = True
            self._dissemination.tell_now(self._waiting(), self._context.id, self._before)
            self._context.timers.set(timer, self._context.now + self._context.config.rtt_floor_s)
        else:
            self._finish()

    def look(self) -> None:
        """At the end of each input: have enough of those who were told shown that they know? All; once they were told
        again one, who tells the others. (A neighbour that had just died kept a farewell for two seconds.)"""
        if self._before is None or self.done:
            return
        gathers = len(self._ring) > 1 and self._dissemination.gathers(self._context.id)
        waiting = self._waiting()
        one_knows = any(id in self._ring and id not in waiting for id in self._told)
        if not gathers and (not waiting or (self._told_again and one_knows)):
            self._finish()

    def _waiting(self) -> list[NodeId]:
        context = self._context
        return [id for id in self._told if id in self._ring and not self._dissemination.knows(id, context.id)]

    def _finish(self) -> None:
        if not self.done:
            self.done = True
            self._context.timers.cancel(Departing(again=True))
            self._context.timers.cancel(Departing(again=False))
            self._context.effects.append(Departed())
