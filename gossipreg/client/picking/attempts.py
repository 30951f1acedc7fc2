"""One logical call as a state machine: which attempt comes next, and what the end of an attempt leads to.

    call = resilience.begin(CallOptions(idempotent=True, deadline_s=2.0), now)   BreakerOpen
    attempt = call.next_attempt(now)                                             NoInstance, DeadlineExceeded
    ... send it to attempt.instance, with attempt.timeout_s ...
    match call.ended(attempt, outcome, now):
        RETRY: wait until call.retry_at, then next_attempt
        WAIT:  another attempt of this call (a hedge) still runs
        FINAL: this outcome is the outcome of the call

An attempt that failed is followed by another if all of these hold; otherwise the counter of the first that does not
says why. The request may be sent again (it was never sent, or is idempotent); the request that this call serves is no
retry itself; attempts are left; there is time before the deadline, Retry-After included; there is another instance (a
failed attempt may go to the same one if it is the only one, but not after 429); the budget has one left.

It does no I/O and does not wait: threads, asyncio, trio and the laboratory drive it. Whoever begins a call closes it.
"""

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from gossipreg.client.picking import headers
from gossipreg.client.picking.balancer import Pick
from gossipreg.client.picking.breaker import Permission
from gossipreg.client.picking.options import CallOptions
from gossipreg.client.picking.outcomes import NEUTRAL, Outcome, OutcomeKind
from gossipreg.client.picking.timeouts import attempt_timeout_s, connect_timeout_s, hedge_after_s
from gossipreg.errors import DeadlineExceeded, NoInstance

if TYPE_CHECKING:
    from gossipreg.client.picking.resilience import Resilience

BACKOFF_S = 0.025
BACKOFF_LONGEST_S = 1.0
"""The wait before the second retry and later ones, and before a retry at the same instance: doubled each time, drawn
between its half and the whole. The first retry at another instance waits for nothing."""


class AfterAttempt(Enum):
    RETRY = "retry"
    WAIT = "wait"
    FINAL = "final"


class Attempt:
    """One request of a call to one instance."""

    __slots__ = ("connect_timeout_s", "depth", "is_hedge", "left_s", "number", "pick", "timeout_s")

    def __init__(self, pick: Pick, number: int, timeout_s: float, left_s: float, depth: int, is_hedge: bool) -> None:
        self.pick = pick
        self.number = number
        """1, 2, ... within the call, those before a fallback included."""
        self.timeout_s = timeout_s
        self.connect_timeout_s = connect_timeout_s(timeout_s, left_s)
        """At most so much of `timeout_s` for making the connection."""
        self.left_s = left_s
        """Until the deadline of the call, from the attempt's start."""
        self.depth = depth
        self.is_hedge = is_hedge

    def headers(self) -> Mapping[str, str]:
        """What the server has to know."""
        return headers.attempt_headers(self.timeout_s, max(self.number, self.depth))


class LogicalCall:
    """Made by `Resilience.begin`."""

    def __init__(
        self, service: "Resilience", options: CallOptions, permission: Permission, key: str | None, now: float
    ) -> None:
        self.options = options
        self.deadline = now + options.deadline_s
        self.retry_at = now
        """Not before this may the next attempt begin."""
        self.attempts = 0
        self.is_over = False
        self.why = ""
        """The counter that says why no further attempt was made; empty after a success."""
        self._service = service
        self._permission = permission
        self._key = key
        self._running: dict[Attempt, None] = {}
        self._tried: list[Pick] = []
        self._hedged = False
        self._may_resend = True
        """No attempt that ended badly has reached a server without being idempotent."""

    # -- attempts ------------------------------------------------------------------------------------------------------

    def next_attempt(self, now: float) -> Attempt:
        """Begin an attempt. `ended` has to follow. Raises DeadlineExceeded, NoInstance."""
        if now >= self.deadline:
            self._close(True if self.attempts else None, "deadline_too_near", now)
            raise DeadlineExceeded(f"{self._service.name}: the deadline of {self.options.deadline_s:g} s has passed")
        if self._tried:
            self._count("retries")
        return self._begin(now, is_hedge=False)

    def ended(self, attempt: Attempt, outcome: Outcome, now: float, load: int | None = None) -> AfterAttempt:
        """Take in how an attempt ended; the second end of the same one changes nothing. `load`: see Balancer.ended."""
        if attempt not in self._running:
            return AfterAttempt.FINAL if self.is_over else AfterAttempt.WAIT
        del self._running[attempt]
        self._service.balancer.ended(attempt.pick, outcome, now, load)
        if outcome.kind in (OutcomeKind.SUCCESS, OutcomeKind.NEUTRAL):
            self._close(None if outcome.kind is OutcomeKind.NEUTRAL else False, "", now)
            return AfterAttempt.FINAL
        self._may_resend = self._may_resend and (outcome.never_sent or self.options.idempotent)
        if self._running:
            return AfterAttempt.WAIT
        why = self._why_no_retry(outcome, now)
        if why:
            self._count(why)
            self._close(True if outcome.kind is OutcomeKind.FAILURE else None, why, now)
            return AfterAttempt.FINAL
        return AfterAttempt.RETRY

    def answered(self, attempt: Attempt, now: float) -> None:
        """Take in that a good answer began, and that its body follows: the call has succeeded. The request is in flight
        until `Balancer.ended`; its latency is that of the headers."""
        if attempt not in self._running:
            return
        del self._running[attempt]
        self._service.balancer.answered(attempt.pick, now)
        self._close(False, "", now)

    def close(self, now: float) -> None:
        """End the call, whatever became of it; attempts that run are neutral. A second end changes nothing."""
        self._close(None, self.why, now)

    # -- hedges --------------------------------------------------------------------------------------------------------

    def hedge_at(self, attempt: Attempt, now: float) -> float | None:
        """When to send a second attempt if this one has not ended by then. None: never."""
        options, balancer = self.options, self._service.balancer
        if self._hedged or not (options.hedge and options.idempotent) or options.depth > 1:
            return None
        if self.attempts >= options.attempts_max or not balancer.others_than([pick.state for pick in self._tried]):
            return None
        after_s = hedge_after_s(balancer.quantiles, now)
        return None if after_s is None or after_s >= attempt.left_s else attempt.pick.started + after_s

    def hedge(self, now: float) -> Attempt | None:
        """Begin the second attempt. None: the first has ended, or the budget or the instances are used up."""
        balancer = self._service.balancer
        if self._hedged or self.is_over or not self._running or now >= self.deadline:
            return None
        if not balancer.others_than([pick.state for pick in self._tried]):
            return None
        self._hedged = True
        if not self._service.budget.spend(now):
            self._count("budget_used_up")
            return None
        try:
            attempt = self._begin(now, is_hedge=True)
        except NoInstance:  # the others have left just now: the first attempt goes on
            return None
        self._count("hedges")
        return attempt

    # -- fallback ------------------------------------------------------------------------------------------------------

    def may_fall_back(self, now: float) -> bool:
        """Whether the call, which has failed, may go to its fallback. A fallback is a retry, so the same rule holds for
        it; if nothing was ever sent it is the first request, and costs nothing. The budget counts it, but never
        refuses it: it goes elsewhere, and a service that is called once a second and is down would have no fallback for
        most of its calls, since retries had used the budget up, and the breaker needs 20 calls in 10 s to open."""
        if now >= self.deadline or not self._may_resend:
            return False
        if self.attempts:
            if self.options.depth > 1:
                return False
            self._service.budget.charge(now)
        self._count("fallbacks")
        return True

    # ------------------------------------------------------------------------------------------------------------------

    def _begin(self, now: float, is_hedge: bool) -> Attempt:
        left_s = self.deadline - now
        avoid = [pick.state for pick in self._tried]
        try:
            pick = self._service.balancer.pick(now, self._key, avoid, left_s)
        except NoInstance:
            if not is_hedge:
                self._close(None, "no_instance", now)
            raise
        self.attempts += 1
        self._count("attempts")
        timeout_s = left_s
        if not is_hedge and self._can_be_followed(now):
            quantiles = self._service.balancer.quantiles
            timeout_s = attempt_timeout_s(quantiles, self.options.deadline_s, left_s, self.attempts == 1, now)
        number = self.options.attempts_before + self.attempts
        attempt = Attempt(pick, number, timeout_s, left_s, self.options.depth, is_hedge)
        self._running[attempt] = None
        self._tried.append(pick)
        return attempt

    def _can_be_followed(self, now: float) -> bool:
        """Whether a retry could follow this attempt if it is sent and times out."""
        options = self.options
        return (
            options.idempotent
            and options.depth == 1
            and self.attempts < options.attempts_max
            and self._service.budget.left(now) >= 1
        )

    def _why_no_retry(self, outcome: Outcome, now: float) -> str:
        """Set `retry_at`, pay for the retry, and return an empty text; or return the counter that says why not."""
        if not self._may_resend:
            return "not_idempotent"
        if self.options.depth > 1:
            return "retry_of_a_retry"
        if self.attempts >= self.options.attempts_max:
            return "attempts_used_up"
        others = self._service.balancer.others_than([pick.state for pick in self._tried])
        if not others and outcome.kind is OutcomeKind.OVERLOADED:
            return "no_other_instance"
        wait_s = 0.0
        if not others or self.attempts > 1:
            longest_s = min(BACKOFF_LONGEST_S, BACKOFF_S * 2.0 ** (self.attempts - 1))
            wait_s = longest_s * (0.5 + 0.5 * self._service.uniform())
        self.retry_at = now + max(wait_s, outcome.retry_after_s or 0.0)
        if self.retry_at >= self.deadline:
            return "deadline_too_near"
        return "" if self._spend(now, counted=False) else "budget_used_up"

    def _spend(self, now: float, counted: bool = True) -> bool:
        paid = self._service.budget.spend(now)
        if not paid and counted:
            self._count("budget_used_up")
        return paid

    def _close(self, failed: bool | None, why: str, now: float) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.why = why
        for attempt in self._running:
            self._service.balancer.ended(attempt.pick, NEUTRAL, now)
        self._running.clear()
        if failed is not None:
            self._count("calls_failed" if failed else "calls_succeeded")
        self._service.breaker_ended(failed, self._permission, now)

    def _count(self, name: str) -> None:
        self._service.balancer.counters[name] += 1
