"""All that one service has for its requests: picks, the breaker, the budget for retries. Pure, as `balancer.py` is.

A single pick is a call with one attempt: the breaker counts its outcome too.
"""

from random import Random

from gossipreg.client.picking.attempts import LogicalCall
from gossipreg.client.picking.balancer import DEADLINE_S, Balancer, Pick
from gossipreg.client.picking.breaker import CLOSED, Breaker, Permission
from gossipreg.client.picking.budget import RetryBudget
from gossipreg.client.picking.options import CallOptions, PickOptions
from gossipreg.client.picking.outcomes import IS_FAILURE, IS_SUCCESS, Outcome
from gossipreg.errors import BreakerOpen, NoInstance


class Resilience:
    def __init__(self, name: str, options: PickOptions, rng: Random) -> None:
        self.name = name
        self.uniform = rng.random
        self.balancer = Balancer(name, options, rng)
        self.breaker = Breaker(rng.random)
        self.budget = RetryBudget()

    def begin(self, options: CallOptions, now: float, key: str | None = None) -> LogicalCall:
        """Begin a logical call. It has to be closed. Raises BreakerOpen."""
        permission = self._admit(now, options.deadline_s)
        self.budget.requested(now)
        self.balancer.counters["calls"] += 1
        return LogicalCall(self, options, permission, key, now)

    def pick(self, now: float, key: str | None = None, deadline_s: float = DEADLINE_S) -> Pick:
        """Choose the instance of a single request, which is not repeated. `pick_ended` has to follow. Raises
        BreakerOpen, NoInstance."""
        if self.breaker.state is CLOSED:
            return self.balancer.pick(now, key, (), deadline_s)
        permission = self._admit(now, deadline_s)
        try:
            pick = self.balancer.pick(now, key, (), deadline_s)
        except NoInstance:
            self.breaker_ended(None, permission, now)
            raise
        pick.permission = permission
        return pick

    def pick_ended(self, pick: Pick, outcome: Outcome, now: float, load: int | None = None) -> None:
        """Take in how a single request ended; its second end changes nothing."""
        if pick.ended or not self.balancer.ended(pick, outcome, now, load):
            return
        self.budget.requested(now)
        kind = outcome.kind
        if kind is IS_SUCCESS:  # it opens no breaker: this is the hot path
            self.breaker.ended(False, pick.permission, now)
        else:
            self.breaker_ended(True if kind is IS_FAILURE else None, pick.permission, now)

    def breaker_ended(self, failed: bool | None, permission: Permission, now: float) -> None:
        if self.breaker.ended(failed, permission, now):
            self.balancer.counters["breaker_opened"] += 1

    def forked(self, rng: Random) -> None:
        """Begin anew in a forked child: see Balancer.forked. The breaker's state and the budget are kept."""
        self.uniform = rng.random
        self.balancer.forked(rng)
        self.breaker.forked(rng.random)

    def stats(self) -> dict[str, int | str]:
        """The counters, and how it is now."""
        return {**self.balancer.stats(), "breaker": self.breaker.state.value}

    def _admit(self, now: float, deadline_s: float) -> Permission:
        permission = self.breaker.admit(now, deadline_s)
        if permission is Permission.REFUSED:
            self.balancer.counters["breaker_refused"] += 1
            left_s = self.breaker.open_until - now
            until = f"for {left_s:.1f} s" if left_s > 0 else "until the one that is sent as a probe has succeeded"
            raise BreakerOpen(f"most calls to {self.name} failed lately: none is sent {until}")
        if permission is Permission.PROBE:
            self.balancer.counters["breaker_probes"] += 1
        return permission
