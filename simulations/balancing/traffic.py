"""The loop: requests arrive at random, clients pick servers, answers come back, deadlines pass.

Owns: virtual time and its heap of events, the links, the connections, the deadlines, what is measured. Never knows: how
a server fails, how a policy chooses.

Requests of a case arrive at the same times, at the same clients, and with the same work, whatever the policy is. There
are no retries: a request has one attempt.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import log, sqrt
from random import Random
from typing import Any

from gossipreg.client.instance import Instance
from gossipreg.client.picking.outcomes import SUCCESS, TIMED_OUT, Outcome
from simulations.balancing.connections import Connections
from simulations.balancing.pickers import Picker
from simulations.balancing.prequal import ProbeAnswer
from simulations.balancing.requests import Request
from simulations.balancing.servers import Server

LINK_S = 0.0002
"""One way, between a client and a server."""
DEADLINE_S = 1.0
"""After this a request has failed for its client."""
SPREAD = sqrt(log(2.0))
"""Of the logarithm of a request's work: so its standard deviation equals its mean, as in the paper on Prequal."""
BURST_EVERY_S, BURST_S, BURST_TIMES = 1.0, 0.1, 4.0
"""With bursts, the first tenth of each second has four times the mean rate."""

Event = tuple[float, int, Callable[[Any], None], Any]


@dataclass(frozen=True, slots=True)
class Demand:
    """What the clients ask for."""

    rate: float
    """Requests a second, of all clients together."""
    work_s: float
    """The mean work of a request."""
    bursts: bool
    connect_s: float
    """What a request waits that has to open a connection: TCP, TLS, and what both sides do at the first request."""


@dataclass(slots=True)
class Measured:
    """From `since` on."""

    since: float
    latencies_s: list[float] = field(default_factory=list)
    """Of the requests that were answered."""
    requests: int = 0
    errors: int = 0
    probes: int = 0
    sent: dict[tuple[int, int], int] = field(default_factory=dict)
    """By client and server."""


class Traffic:
    def __init__(self, demand: Demand, arrivals: Random, measured: Measured) -> None:
        self.now = 0.0
        self.measured = measured
        self.servers: list[Server] = []
        self.pickers: list[Picker] = []
        self._connections: list[Connections] = []
        self.servers_tell = False
        """Servers note latencies, for Prequal."""
        self._demand = demand
        self._arrivals = arrivals
        self._heap: list[Event] = []
        self._number = 0
        self._open: deque[Request] = deque()
        """The oldest first: all have the same time."""
        self._mean_of_log = log(demand.work_s) - SPREAD**2 / 2

    # -- what the parts call -------------------------------------------------------------------------------------------

    def later(self, wait_s: float, do: Callable[[Any], None], subject: Any) -> None:
        self._number += 1
        heappush(self._heap, (self.now + wait_s, self._number, do, subject))

    def answer(self, request: Request, outcome: Outcome, load: int) -> None:
        """Send an outcome from its server to its client."""
        if self.servers_tell and outcome is SUCCESS:
            self.servers[request.server].remember(request, self.now - request.arrives_at, self.now)
        self.later(LINK_S, self._answered, (request, outcome, load))

    def probe(self, number: int, answer: ProbeAnswer) -> None:
        self.measured.probes += self.now >= self.measured.since
        self.later(LINK_S, self._probe_arrived, (number, answer))

    def registry_says(self, instances: Sequence[Instance]) -> None:
        for picker in self.pickers:
            picker.update(instances, self.now)

    # -- the loop ------------------------------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Run to this time, and count what is then under way neither as answered nor as an error."""
        self._connections = [Connections() for _ in self.pickers]
        self.later(self._arrivals.expovariate(self._demand.rate), self._arrival, None)
        heap, waiting = self._heap, self._open
        while heap:
            at, _, do, subject = heappop(heap)
            if at > until:
                return
            while waiting and waiting[0].sent_at + DEADLINE_S <= at:
                request = waiting.popleft()
                if not request.done:
                    self.now = request.sent_at + DEADLINE_S
                    self._ended(request, TIMED_OUT, None)
            self.now = at
            do(subject)

    def _arrival(self, _: None) -> None:
        arrivals = self._arrivals
        request = Request(
            int(arrivals.random() * len(self.pickers)), self.now, arrivals.lognormvariate(self._mean_of_log, SPREAD)
        )
        self.later(self._wait_s(), self._arrival, None)
        number = request.server = self.pickers[request.client].pick(request, self.now)
        if self.now >= self.measured.since:
            sent, pair = self.measured.sent, (request.client, number)
            sent[pair] = sent.get(pair, 0) + 1
        self._open.append(request)
        is_warm = self._connections[request.client].take(number, self.now)
        way_s = LINK_S if is_warm else LINK_S + self._demand.connect_s
        request.arrives_at = self.now + way_s
        self.later(way_s, self.servers[number].arrive, request)

    def _wait_s(self) -> float:
        """Until the next request arrives. The rate may change on the way: then the draw begins anew from there."""
        if not self._demand.bursts:
            return self._arrivals.expovariate(self._demand.rate)
        at, calm = self.now, (BURST_EVERY_S - BURST_S * BURST_TIMES) / (BURST_EVERY_S - BURST_S)
        while True:
            start = at // BURST_EVERY_S * BURST_EVERY_S
            bursting = at < start + BURST_S
            end = start + (BURST_S if bursting else BURST_EVERY_S)
            wait_s = self._arrivals.expovariate(self._demand.rate * (BURST_TIMES if bursting else calm))
            if at + wait_s < end:
                return at + wait_s - self.now
            at = end + 1e-9

    def _answered(self, came: tuple[Request, Outcome, int]) -> None:
        request, outcome, load = came
        if not request.done:
            self._ended(request, outcome, load)

    def _ended(self, request: Request, outcome: Outcome, load: int | None) -> None:
        request.done = True
        measured = self.measured
        if request.sent_at >= measured.since:
            measured.requests += 1
            if outcome is SUCCESS:
                measured.latencies_s.append(self.now - request.sent_at)
            else:
                measured.errors += 1
        if outcome is SUCCESS:
            self._connections[request.client].give_back(request.server, self.now)
        self.pickers[request.client].ended(request, outcome, load, self.now)

    def _probe_arrived(self, probe: tuple[int, ProbeAnswer]) -> None:
        number, answer = probe
        told = self.servers[number].probed(self.now)
        if told is not None:
            self.later(LINK_S, self._probe_answered, (number, answer, *told))

    def _probe_answered(self, came: tuple[int, ProbeAnswer, int, float]) -> None:
        number, answer, in_flight, latency_s = came
        answer(number, in_flight, latency_s, self.now)
