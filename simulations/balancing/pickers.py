"""What a client of the scenario `balance` knows, and which server it takes: the shipped Balancer, and the policies that
it is compared with.

Those do nothing but pick: they neither eject nor give up on a server. All learn from the registry which servers there
are.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import exp
from random import Random

from gossipreg.client.instance import Instance
from gossipreg.client.picking.balancer import Balancer
from gossipreg.client.picking.options import PickOptions
from gossipreg.client.picking.outcomes import Outcome
from simulations.balancing.requests import Request


class Picker(ABC):
    """Of one client."""

    @abstractmethod
    def update(self, instances: Sequence[Instance], now: float) -> None:
        """Take in which servers the registry has. The id of an instance is the number of its server."""

    @abstractmethod
    def pick(self, request: Request, now: float) -> int:
        """Return the number of the server that gets this request."""

    @abstractmethod
    def ended(self, request: Request, outcome: Outcome, load: int | None, now: float) -> None:
        """Take in how a request ended. `load`: what the server said it has in flight; None: nothing came back."""


class Ours(Picker):
    """The Balancer as programs have it."""

    def __init__(self, rng: Random, header: bool) -> None:
        self.balancer = Balancer("billing", PickOptions(), rng)
        self._header = header

    def update(self, instances: Sequence[Instance], now: float) -> None:
        self.balancer.update(tuple(instances), now)

    def pick(self, request: Request, now: float) -> int:
        request.pick = self.balancer.pick(now)
        return int(request.pick.instance.id)

    def ended(self, request: Request, outcome: Outcome, load: int | None, now: float) -> None:
        assert request.pick is not None
        self.balancer.ended(request.pick, outcome, now, load if self._header else None)


class Baseline(Picker):
    """Knows numbers and weights."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._members: list[int] = []
        self._weights: dict[int, int] = {}
        self._drawn_of: list[int] | None = None
        """Each number as often as its weight says, or None if all weights are equal."""

    def update(self, instances: Sequence[Instance], _now: float) -> None:
        self._weights = {int(instance.id): instance.weight for instance in instances}
        self._members = list(self._weights)
        equal = len({*self._weights.values()}) == 1
        self._drawn_of = None if equal else [number for number, weight in self._weights.items() for _ in range(weight)]

    def ended(self, _request: Request, _outcome: Outcome, _load: int | None, _now: float) -> None:
        pass

    def _one(self) -> int:
        of = self._drawn_of or self._members
        return of[int(self._rng.random() * len(of))]

    def _two(self) -> tuple[int, int]:
        """Two different servers, by weight."""
        first = second = self._one()
        while second == first and len(self._members) > 1:
            second = self._one()
        return first, second


class AtRandom(Baseline):
    def pick(self, _request: Request, _now: float) -> int:
        return self._one()


class InTurn(Baseline):
    """Round robin from a random place; by weight as nginx does it (smooth weighted round robin)."""

    def update(self, instances: Sequence[Instance], now: float) -> None:
        super().update(instances, now)
        self._turn = int(self._rng.random() * len(self._members))
        self._credit = {number: self._rng.random() * weight for number, weight in self._weights.items()}

    def pick(self, _request: Request, _now: float) -> int:
        if self._drawn_of is None:
            self._turn += 1
            return self._members[self._turn % len(self._members)]
        credit = self._credit
        for number, weight in self._weights.items():
            credit[number] += weight
        chosen = max(credit, key=credit.__getitem__)
        credit[chosen] -= len(self._drawn_of)
        return chosen


class LeastOfTwo(Baseline):
    """Least request: the one of two with fewer requests of this client in flight (Envoy's default)."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._in_flight: dict[int, int] = {}

    def update(self, instances: Sequence[Instance], now: float) -> None:
        super().update(instances, now)
        for number in self._members:
            self._in_flight.setdefault(number, 0)

    def pick(self, _request: Request, now: float) -> int:
        first, second = self._two()
        chosen = second if self._cost(second, now) < self._cost(first, now) else first
        self._in_flight[chosen] += 1
        return chosen

    def ended(self, request: Request, _outcome: Outcome, _load: int | None, _now: float) -> None:
        self._in_flight[request.server] -= 1

    def _cost(self, number: int, _now: float) -> float:
        return (self._in_flight[number] + 1) / self._weights[number]


PEAK_DECAY_S = 10.0
UNKNOWN_S = 1.0
"""Finagle's penalty for a server that has requests in flight and has never answered."""


class PeakOfTwo(LeastOfTwo):
    """Two choices by peak EWMA: latency x (in flight + 1). The latency jumps up at once and comes down slowly
    (Finagle's `PeakEwma` with its decay of 10 s)."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._latency_s: dict[int, float] = {}
        self._at: dict[int, float] = {}

    def ended(self, request: Request, outcome: Outcome, load: int | None, now: float) -> None:
        super().ended(request, outcome, load, now)
        number, taken_s = request.server, now - request.sent_at
        known_s = self._known_s(number, now)
        decayed = 1.0 - exp((self._at.get(number, now) - now) / PEAK_DECAY_S)
        before_s = self._latency_s.get(number, 0.0)
        self._latency_s[number] = taken_s if taken_s > known_s else before_s + (taken_s - before_s) * decayed
        self._at[number] = now

    def _known_s(self, number: int, now: float) -> float:
        """Its latency, on its way down to 0 while nothing is heard of it."""
        return self._latency_s.get(number, 0.0) * exp((self._at.get(number, now) - now) / PEAK_DECAY_S)

    def _cost(self, number: int, now: float) -> float:
        known_s, in_flight = self._known_s(number, now), self._in_flight[number]
        if not known_s and in_flight:
            return UNKNOWN_S + in_flight
        return known_s * (in_flight + 1) / self._weights[number]


BASELINES: dict[str, Callable[[Random], Baseline]] = {
    "random": AtRandom,
    "round_robin": InTurn,
    "least_request": LeastOfTwo,
    "peak_ewma": PeakOfTwo,
}
