"""Flap damping: when this member refutes that it is dead.

Owns: when this member returned after faults of its own, and the return that is delayed now. Never knows: who declared
this member dead, or how a refutation is made (`about_us.py`).

A member that was declared dead by mistake refutes it at once. But a member whose own link keeps failing is declared
dead and returns again and again, and each time every other member changes its answers. So the first returns after a
fault of its own are at once too; each later one is delayed for longer, until the earlier ones are forgotten (route flap
damping, RFC 2439; Envoy's outlier detection lengthens ejection times in the same way). A damped member stays dead for
all others: its services are not in their answers, and it declares nobody dead.

The fault is this member's own in two cases: it received nothing from any member for `floor_silent_s` although it ran,
or far fewer members ack its pings than ack those of others, and some accuse it (`local_health.py`). It is not its own
if this process was stalled, or if it was in a part of the network that was cut off, unless that part was very small. If
many other members were lost at the same time, the network was at fault, so the return is delayed for a period or two
only. A restart of the process forgets all returns.
"""

from collections import deque

from gossipreg.core.context import Context
from gossipreg.core.failure.isolation import Isolation
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.row import State
from gossipreg.core.table.table import Table
from gossipreg.quick_dataclass import dataclass
from gossipreg.tuning import FailureTuning
from gossipreg.wire.messages import Claim


@dataclass(frozen=True, slots=True)
class Return:
    """Timer: check whether the delay of our return is over. Fires once a period."""


def returns_max(tuning: FailureTuning) -> int:
    """The most returns that are remembered at a time, since each later one is delayed by the last of the waits."""
    return len(tuning.flap_waits_s) + int(tuning.flap_remembered_s / max(tuning.flap_waits_s[-1], 1))


class FlapDamping:
    def __init__(self, context: Context, table: Table, ring: Ring, isolation: Isolation) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._isolation = isolation
        self._tuning = context.config.failure
        self._returns: deque[float] = deque(maxlen=returns_max(context.config.failure))
        """When this member returned after faults of its own, as far as that is not forgotten. Other returns do not
        count: after a partition each side refutes what the other side declared, which is nobody's own fault."""
        self._unexplained_at = float("-inf")
        """When this member last returned without a sign of its own fault. Only this one may count later."""
        self._claim: Claim | None = None
        """The claim with the highest incarnation that we have not refuted yet."""
        self._since = self._until = float("-inf")

    def delays(self, claim: Claim, *, at_fault: bool) -> bool:
        """Return whether the refutation of this claim, that we are dead, is delayed. If so, the claim is kept.
        `at_fault`: lost probes are our own fault (`LocalHealth.at_fault`)."""
        context = self._context
        own = self._table.own
        if (claim.generation, claim.incarnation) < own.liveness[:2] or own.left:
            return False
        if self._claim is not None and self._claim.generation == self._table.generation:
            self._claim = max(self._claim, claim, key=lambda one: one.incarnation)
            return True
        period_s = context.config.period_s
        silent_lately = context.now - self._isolation.heard_again_at <= self._tuning.flap_silence_periods * period_s
        if not at_fault and not silent_lately:
            self._unexplained_at = context.now
            return False
        if at_fault and context.now - self._unexplained_at <= self._tuning.flap_shows_periods * period_s:
            self._returns.append(self._unexplained_at)
            self._unexplained_at = float("-inf")
        while self._returns and context.now - self._returns[0] > self._tuning.flap_remembered_s:
            self._returns.popleft()
        waits_s = self._tuning.flap_waits_s
        wait_s = waits_s[min(len(self._returns), len(waits_s) - 1)]
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
        """Return the claim to refute now. None while the delay lasts, or while we still receive nothing."""
        context, claim = self._context, self._claim
        period_s = context.config.period_s
        network = self._many_lost()
        early = (context.now < self._until and not network) or context.now - context.heard_at > period_s
        # A claim about an earlier generation of ours says nothing of the present one.
        if early and claim is not None and claim.generation == self._table.generation:
            context.timers.set(Return(), context.now + period_s)
            return None
        self._claim, context.damped = None, False
        if not network:
            self._returns.append(context.now)
        context.event("returned")
        return claim

    def _many_lost(self) -> bool:
        """Whether many other members died at about the time when we were declared dead."""
        context = self._context
        since = self._since - self._tuning.flap_silence_periods * context.config.period_s
        lost = sum(row.state is State.DEAD and row.changed_at >= since for row in self._table.rows.values())
        return lost * self._tuning.flap_network_share >= len(self._ring) + lost
