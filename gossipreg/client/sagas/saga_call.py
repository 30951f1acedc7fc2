"""One call about a saga: what each failed attempt says of its outcome, and when there is another one.

Owns: the time of the call, and whether an attempt may have been carried out. Never knows: connections, clocks, how to
wait. Every call about a saga may be repeated: the sidecar joins a repeat to the first, or answers it the same. So it is
sent again, over another connection, for as long as the program's saga can be kept: a sidecar that is away for LOST_S
has given the program up.
"""

from random import Random
from typing import Any

from gossipreg.errors import (
    Busy,
    GossipregError,
    Leaving,
    NotSynced,
    OutcomeUnknown,
    Unavailable,
    Unreachable,
)
from gossipreg.retry import Retry

LOST_S = 10.0
"""A sidecar waits so long for a program whose connection has ended, before it undoes the program's sagas."""
CALL_S = 10.0
"""How long a call may take, beside the time of what it asks for: a journal may have to find another leader first."""
LATER_S = 5.0
"""The caller waits longer than the sidecar by this: the sidecar knows better what became of the call."""
AGAIN = Retry(first_s=0.02, longest_s=0.5)
"""The waits between attempts, each drawn between its half and the whole."""
MAY_PASS = (Busy, Leaving, NotSynced, Unavailable)
"""The call was not carried out, and the same may succeed soon."""

_random = Random()


class ProgramCall:
    def __init__(self, method: str, params: dict[str, Any], now: float, timeout_s: float = CALL_S) -> None:
        """`now` is of `monotonic`; `timeout_s` is the time of all attempts together."""
        self.method = method
        self.params = params
        self.timeout_s = timeout_s
        self.deadline = now + timeout_s
        self.is_lost = False
        """Whether an attempt may have been carried out, and its answer is missing."""
        self._wait_s = 0.0
        self._began = now
        """The attempt that is under way."""
        self._away_since: float | None = None
        """Since when no sidecar answers; None: it did."""

    def unsent(self, error: GossipregError, now: float) -> float:
        """An attempt found no connection. Returns the seconds to wait for the next one; raises if there can be none."""
        if self._away_since is None:
            self._away_since = now
        return self._again(error, now)

    def failed(self, error: GossipregError, now: float) -> float:
        """As `unsent`, of an attempt that was sent."""
        if isinstance(error, Unreachable):
            self.is_lost = True
            self._away_since = now
            return self._again(error, now)
        self._away_since = None
        if isinstance(error, OutcomeUnknown):
            self.is_lost = True
            return self._again(error, now)
        if isinstance(error, MAY_PASS) and now - self._began < self.deadline - now:
            return self._again(error, now)
        raise error  # one that waits for a leader as long as this one did would only leave the outcome unknown

    def is_unclear(self, error: GossipregError) -> bool:
        """Whether the call ended with this error, and an attempt before may have been carried out: that the last one
        was not says nothing of it."""
        return self.is_lost and isinstance(error, (Unreachable, OutcomeUnknown, *MAY_PASS))

    def _again(self, error: GossipregError, now: float) -> float:
        self._wait_s = AGAIN.after(self._wait_s) if self._wait_s else AGAIN.first_s
        wait_s = self._wait_s * _random.uniform(0.5, 1.0)
        away_until = self.deadline if self._away_since is None else self._away_since + LOST_S
        if now + wait_s >= min(self.deadline, away_until):
            raise error
        self._began = now + wait_s
        return wait_s
