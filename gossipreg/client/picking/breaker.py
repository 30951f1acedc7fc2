"""The circuit breaker of one service: while nearly all calls fail, they fail at once instead of waiting.

It counts final outcomes: those of logical calls after their retries. Single instances that fail are ejected; the
breaker is for a service of which no instance works.

    closed      calls go through. From 20 outcomes in 10 s with half of them failures it opens
    open        calls are refused for 5 s to 6.25 s: jittered, so that processes do not try again together
    half open   one call goes through as a probe, the others are refused. A success closes the breaker, a failure opens
                it again; a probe that says nothing (neutral) leaves the place to the next call, and so does one that
                has not ended at its deadline: the program may have lost it
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from gossipreg.client.picking.window import RecentCount

OUTCOMES_MIN = 20
FAILED_PART = 0.5
OPEN_S = 5.0
JITTER = 0.25


class BreakerState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permission(Enum):
    """What the breaker says to a call that wants to begin."""

    REFUSED = "refused"
    GRANTED = "granted"
    PROBE = "probe"


CLOSED: Final = BreakerState.CLOSED
GRANTED: Final = Permission.GRANTED
"""For the hot path, as in `outcomes.py`."""


class Breaker:
    __slots__ = ("_failures", "_outcomes", "_probe_until", "_uniform", "open_until", "state")

    def __init__(self, uniform: Callable[[], float]) -> None:
        self._uniform = uniform
        self._outcomes = RecentCount()
        self._failures = RecentCount()
        self._probe_until = float("-inf")
        """Until then a probe is under way, and nobody else is let through."""
        self.state = BreakerState.CLOSED
        self.open_until = float("-inf")

    def admit(self, now: float, deadline_s: float) -> Permission:
        """Whether a call that may take `deadline_s` may begin. A PROBE has to be given back with `ended`, whatever
        becomes of it."""
        if self.state is BreakerState.CLOSED:
            return Permission.GRANTED
        if self.state is BreakerState.OPEN and now >= self.open_until:
            self.state = BreakerState.HALF_OPEN
        if self.state is BreakerState.OPEN or now < self._probe_until:
            return Permission.REFUSED
        self._probe_until = now + deadline_s
        return Permission.PROBE

    def ended(self, failed: bool | None, permission: Permission, now: float) -> bool:
        """Take in the final outcome of a call; None: neutral. Return whether the breaker has opened by it.

        A call that was admitted before the breaker opened says nothing any more.
        """
        if permission is not GRANTED:
            return permission is Permission.PROBE and self._probe_ended(failed, now)
        if self.state is not CLOSED or failed is None:
            return False
        self._outcomes.add(now)
        if not failed:
            return False
        self._failures.add(now)
        outcomes, failures = self._outcomes.advance(now), self._failures.advance(now)
        if outcomes < OUTCOMES_MIN or failures < FAILED_PART * outcomes:
            return False
        self._open(now)
        return True

    def forked(self, uniform: Callable[[], float]) -> None:
        """In a forked child: the probe under way is the parent's."""
        self._uniform = uniform
        self._probe_until = float("-inf")

    def _probe_ended(self, failed: bool | None, now: float) -> bool:
        self._probe_until = float("-inf")
        if self.state is not BreakerState.HALF_OPEN or failed is None:
            return False
        if failed:
            self._open(now)
            return True
        self.state = BreakerState.CLOSED
        return False

    def _open(self, now: float) -> None:
        self.state = BreakerState.OPEN
        self.open_until = now + OPEN_S * (1.0 + JITTER * self._uniform())
        self._outcomes.clear()
        self._failures.clear()
