"""Coming back: when we refute that we are dead.

Owns: the returns of this process after faults of its own, and the one that waits. Never knows: who took us for dead, or
how a refutation is made (`about_us.py`).

Who was taken for dead wrongly refutes at once, always. But who was lost because it heard nobody, or was not heard
itself, and comes back, and is lost again, and so on, makes all change their minds without end. The first such returns
are at once too; further ones wait, for longer each time, until the first are forgotten (route flap damping, RFC 2439;
ejection times in Envoy's outlier detection). Who waits is out: for the others it is dead, its services are not in their
answers, and it claims nothing about anybody.

Its own fault it is where it heard nothing from anyone for as long as a silent member is given, although it ran, or
where far fewer answer it than answer others and some find that it does not answer (`local_health.py`). A process that
slept is no such case, nor are the members of a part that was cut off, unless it was a very small one. Nor is it where
many others were lost at the same time: then it waits for a period or two only. A restart forgets all.
"""

from collections import deque
from dataclasses import dataclass

from gossipreg.core.context import Context
from gossipreg.core.failure.isolation import Isolation
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.row import State
from gossipreg.core.table.table import Table
from gossipreg.wire.messages import Claim

WAITS_S = 0, 0, 60, 300
"""How long the first return after a fault of our own waits, the second, ... and all after the last. A cable that is
pulled twice costs nothing more; two changes of opinion in the longest wait are less than one a minute."""
_REMEMBERED_S = 1800
_RETURNS_MAX = len(WAITS_S) + _REMEMBERED_S // WAITS_S[-1]
"""So many fit into that time, where each waits."""
_RECENT_PERIODS = 10
"""A silence that ended so long ago may be why we are taken for dead now."""
_SHOWS_PERIODS = 60
"""So long a fault may take to show: a return before that counts with the first one after it. (Some that lose 80 % one
way are lost after three periods, when half of their answers were still those from before.)"""
_MANY = 8
"""Where one in so many members was lost when we were, it was the network: a switch that fails again and again must not
keep out those whom it parted. (Of 5 members of which two share a machine the three others were out for minutes.)"""


@dataclass(frozen=True, slots=True)
class Return:
    """Timer: have we waited for long enough? Once a period."""


class FlapDamping:
    def __init__(self, context: Context, table: Table, ring: Ring, isolation: Isolation) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._isolation = isolation
        self._returns: deque[float] = deque(maxlen=_RETURNS_MAX)
        """When we came back after a fault of our own, those not forgotten yet. (To count all returns of who is at fault
        once kept well members out for minutes: each side of a partition refutes what the other one thought, and across
        a bridge again and again.)"""
        self._unexplained_at = float("-inf")
        """When we last came back without a sign of such a fault; only this one may count later."""
        self._claim: Claim | None = None
        """The highest of the claims that wait for an answer."""
        self._since = self._until = float("-inf")

    def puts_off(self, claim: Claim, *, at_fault: bool) -> bool:
        """Whether the answer to this claim that we are dead is put off; if so it is kept for then."""
        context = self._context
        own = self._table.own
        if (claim.generation, claim.incarnation) < own.liveness[:2] or own.left:
            return False
        if self._claim is not None and self._claim.generation == self._table.generation:
            self._claim = max(self._claim, claim, key=lambda one: one.incarnation)
            return True
        period_s = context.config.period_s
        silent_lately = context.now - self._isolation.heard_again_at <= _RECENT_PERIODS * period_s
        if not at_fault and not silent_lately:
            self._unexplained_at = context.now
            return False
        if at_fault and context.now - self._unexplained_at <= _SHOWS_PERIODS * period_s:
            self._returns.append(self._unexplained_at)
            self._unexplained_at = float("-inf")
        while self._returns and context.now - self._returns[0] > _REMEMBERED_S:
            self._returns.popleft()
        wait_s = WAITS_S[min(len(self._returns), len(WAITS_S) - 1)]
        if not wait_s:
            self._returns.append(context.now)
            return False
        self._claim, context.damped = claim, True
        context.count("returns_put_off")
        context.event("out", wait_s=wait_s)
        self._since, self._until = context.now, context.now + wait_s
        context.timers.set(Return(), context.now + period_s)
        return True

    def on_return(self) -> Claim | None:
        """The claim that is to be refuted now; None where it is too soon, or we hear nobody even now."""
        context, claim = self._context, self._claim
        period_s = context.config.period_s
        network = self._many_lost()
        early = (context.now < self._until and not network) or context.now - context.heard_at > period_s
        if (
            early and claim is not None and claim.generation == self._table.generation
        ):  # a newer one of ours is not dead
            context.timers.set(Return(), context.now + period_s)
            return None
        self._claim, context.damped = None, False
        if not network:
            self._returns.append(context.now)
        context.event("returned")
        return claim

    def _many_lost(self) -> bool:
        """Whether many others are dead since about the time when we were taken for it."""
        context = self._context
        since = self._since - _RECENT_PERIODS * context.config.period_s
        lost = sum(row.state is State.DEAD and row.changed_at >= since for row in self._table.rows.values())
        return lost * _MANY >= len(self._ring) + lost
