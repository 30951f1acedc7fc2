"""A server: some workers, a bounded queue, and a speed that may change; and the ways in which it fails.

A request waits until a worker is free, and takes its work divided by the speed of that moment. If all workers are busy
and the queue is full, it is refused for load (429). A server goes on with requests whose clients have given up, as most
do.

Never knows: clients, policies, links.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from statistics import median_low

from gossipreg.client.picking.outcomes import FAILURE, NEVER_SENT, SUCCESS, Outcome, status_outcome
from simulations.balancing.requests import Request

QUEUE_MAX = 100
"""Requests that wait. At 200 requests a second it is half a second: a longer queue only serves clients that left."""
FAILS_FAST_S = 0.001
"""An error at once is faster than any answer: that is what draws requests to such a server."""
PROBE_S = 0.0002
"""A worker's time for the answer to a probe of Prequal: 1 % of a request of 20 ms."""
LATENCIES_KEPT, LATENCY_VALID_S = 16, 5.0
"""For Prequal, at each number of requests in flight. Without an end a server that was slow once would get no request
any more, and so never show that it is fast again."""
REFUSED = status_outcome(429)

Later = Callable[[float, Callable[[Request], None], Request], None]
"""(seconds from now, do, request): call `do(request)` then."""
Answer = Callable[[Request, Outcome, int], None]
"""(request, outcome, requests in flight here with this one)."""


class ServerState(Enum):
    WORKS = "works"
    FAILS_FAST = "fails fast"
    HANGS = "hangs"
    DOWN = "down"


class Server:
    def __init__(self, workers: int, speed: float, later: Later, answer: Answer) -> None:
        self.state = ServerState.WORKS
        self.speed = speed
        self.in_flight = 0
        self._workers = workers
        self._later = later
        self._answer = answer
        self._busy: dict[Request, None] = {}
        self._queue: deque[Request] = deque()
        self._owed_s = 0.0
        """Time that probes have cost and that no request has waited for yet."""
        self._latencies: dict[int, deque[tuple[float, float]]] = {}
        """By requests in flight at the arrival: (time of the end, latency)."""

    def arrive(self, request: Request) -> None:
        if self.state is not ServerState.WORKS:
            self._fail(request)
            return
        if len(self._busy) >= self._workers and len(self._queue) >= QUEUE_MAX:
            self._answer(request, REFUSED, self.in_flight + 1)
            return
        request.in_flight_before = self.in_flight
        self.in_flight += 1
        if len(self._busy) < self._workers:
            self._begin(request)
        else:
            self._queue.append(request)

    def stop(self) -> None:
        """Lose all requests at once: the connections are reset."""
        self.state = ServerState.DOWN
        lost = [*self._busy, *self._queue]
        self._busy.clear()
        self._queue.clear()
        self.in_flight = 0
        for request in lost:
            self._answer(request, FAILURE, 1)

    def hang(self) -> None:
        """Keep all requests, and answer none any more."""
        self.state = ServerState.HANGS
        self._busy.clear()

    def probed(self, now: float) -> tuple[int, float] | None:
        """Answer a probe: requests in flight, and the median latency of those that found about as many."""
        if self.state in (ServerState.HANGS, ServerState.DOWN):
            return None
        self._owed_s += PROBE_S
        while self._latencies:
            nearest = min(self._latencies, key=lambda count: abs(count - self.in_flight))
            if recent := [taken_s for at, taken_s in self._latencies[nearest] if now - at <= LATENCY_VALID_S]:
                return self.in_flight, median_low(recent)
            del self._latencies[nearest]
        return self.in_flight, 0.0

    def remember(self, request: Request, latency_s: float, now: float) -> None:
        """Take in how long a request was here, for the answers to probes."""
        kept = self._latencies.get(request.in_flight_before)
        if kept is None:
            kept = self._latencies[request.in_flight_before] = deque(maxlen=LATENCIES_KEPT)
        kept.append((now, latency_s))

    def _fail(self, request: Request) -> None:
        if self.state is ServerState.DOWN:
            self._answer(request, NEVER_SENT, 1)
        elif self.state is ServerState.FAILS_FAST:
            self.in_flight += 1
            self._later(FAILS_FAST_S, self._failed, request)
        else:
            self.in_flight += 1

    def _failed(self, request: Request) -> None:
        self.in_flight -= 1
        self._answer(request, FAILURE, self.in_flight + 1)

    def _begin(self, request: Request) -> None:
        self._busy[request] = None
        owed_s, self._owed_s = self._owed_s, 0.0
        self._later((request.work_s + owed_s) / self.speed, self._finish, request)

    def _finish(self, request: Request) -> None:
        if request not in self._busy:  # lost meanwhile
            return
        del self._busy[request]
        self._answer(request, SUCCESS, self.in_flight)
        self.in_flight -= 1
        if self._queue:
            self._begin(self._queue.popleft())
