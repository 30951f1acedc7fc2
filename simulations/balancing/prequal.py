"""Prequal (Wydrowski et al., "Load is not what you should balance", NSDI 2024): probes ask servers for their load.

With each request a client sends about three probes to random servers, and does not wait for them. The answers form a
pool of at most 16; one is dropped with each request, the oldest and the worst in turns. Hot is what has more requests
in flight than most of the recent answers. Of the cold servers the one with the least latency gets the request; if all
are hot, the one with the fewest requests in flight. An answer is used several times, and counts the requests that this
client has sent since.

What the paper leaves open: with fewer servers than 17 the pool has one answer of each, whose use is not limited then.
Its protection against servers that fail fast is not described, so there is none.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from random import Random

from gossipreg.client.instance import Instance
from simulations.balancing.pickers import Baseline
from simulations.balancing.requests import Request

POOL = 16
PROBES = 3
REMOVED = 1.0
AGE_MAX_S = 1.0
HOT_FROM = 2**-0.25
"""The quantile of requests in flight from which a server is hot."""
SLACK = 1.0
RECENT = 64
"""Answers that the quantile is taken of."""
QUANTILE_EVERY = 8
"""Answers between two looks at the quantile."""
POOL_MIN = 2
"""With fewer answers the choice is random."""

ProbeAnswer = Callable[[int, int, float, float], None]
"""(server, requests in flight, latency in seconds, now)."""
SendProbe = Callable[[int, ProbeAnswer], None]


class Answered:
    """An answer in the pool."""

    __slots__ = ("at", "in_flight", "latency_s", "server", "uses")

    def __init__(self, server: int, in_flight: int, latency_s: float, at: float, uses: float) -> None:
        self.server = server
        self.in_flight = in_flight
        self.latency_s = latency_s
        self.at = at
        self.uses = uses


class Prequal(Baseline):
    def __init__(self, rng: Random, send: SendProbe) -> None:
        super().__init__(rng)
        self._send = send
        self._pool: dict[int, Answered] = {}
        """By server, the oldest first."""
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._hot_from: float = inf
        self._unsorted = 0
        self._uses = inf
        self._drop_oldest = True

    def update(self, instances: Sequence[Instance], now: float) -> None:
        super().update(instances, now)
        self._pool = {number: one for number, one in self._pool.items() if number in self._weights}
        spare = (1.0 - POOL / len(self._members)) * PROBES - REMOVED
        self._uses = max(1.0, (1.0 + SLACK) / spare) if spare > 0 else inf

    def pick(self, _request: Request, now: float) -> int:
        for number in self._rng.sample(self._members, min(PROBES, len(self._members))):
            self._send(number, self._answered)
        pool = self._pool
        for number in [number for number, one in pool.items() if now - one.at > AGE_MAX_S]:
            del pool[number]
        if len(pool) < POOL_MIN:
            return self._one()
        chosen = min(pool.values(), key=self._badness)
        chosen.in_flight += 1
        chosen.uses -= 1.0
        if chosen.uses <= 0:
            del pool[chosen.server]
        if len(pool) > POOL_MIN:
            self._drop()
        return chosen.server

    def _answered(self, server: int, in_flight: int, latency_s: float, now: float) -> None:
        if server not in self._weights:
            return
        self._recent.append(in_flight)
        self._unsorted -= 1
        if self._unsorted < 0:
            self._unsorted = QUANTILE_EVERY
            self._hot_from = sorted(self._recent)[int(HOT_FROM * len(self._recent))]
        self._pool.pop(server, None)
        whole = int(self._uses) if self._uses < inf else inf
        uses = whole + (self._rng.random() < self._uses - whole) if whole < inf else inf
        self._pool[server] = Answered(server, in_flight, latency_s, now, uses)
        if len(self._pool) > POOL:
            del self._pool[next(iter(self._pool))]

    def _badness(self, one: Answered) -> tuple[bool, float]:
        """The least is picked, the most is dropped."""
        hot = one.in_flight > self._hot_from
        return hot, one.in_flight if hot else one.latency_s

    def _drop(self) -> None:
        pool = self._pool
        worst = next(iter(pool)) if self._drop_oldest else max(pool.values(), key=self._badness).server
        self._drop_oldest = not self._drop_oldest
        del pool[worst]
