"""The budget of a service for requests that are sent a second time. It bounds retries and hedges; fallbacks count.

If a service is overloaded, retries are more load, so they must stay a small part of all requests (SRE book, chapter 21;
Finagle's RetryBudget): 20 % of the requests of the last 10 s, and 10 more, which is 1 a second. The 10 let a process
that has just started, or that seldom calls, retry at all. It is no more because the processes of a service add up: with
Finagle's 10 a second 32 workers may send 320.
"""

from gossipreg.client.picking.window import RecentCount

PART = 0.2
RESERVE = 10


class RetryBudget:
    __slots__ = ("_requests", "_spent")

    def __init__(self) -> None:
        self._requests = RecentCount()
        self._spent = RecentCount()

    def requested(self, now: float) -> None:
        """Count a logical call, which gives its part to the budget."""
        self._requests.add(now)

    def left(self, now: float) -> float:
        """How many may still be sent now."""
        return RESERVE + PART * self._requests.advance(now) - self._spent.advance(now)

    def charge(self, now: float) -> None:
        """Take one, even if there is none."""
        self._spent.add(now)

    def spend(self, now: float) -> bool:
        """Take one. False: there is none."""
        if self.left(now) < 1:
            return False
        self._spent.add(now)
        return True
