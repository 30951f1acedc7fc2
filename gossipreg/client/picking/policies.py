"""The policies: which of the instances that may be picked gets the next request.

Each policy is a callable from a group that is not empty to one of its members. It changes nothing but its own place.

`adaptive` and `least_request` draw some instances by weight, and take one of these (Mitzenmacher 2001): two are as good
as all against hot spots, and clients that know the same do not all run to the same instance.
"""

from collections.abc import Callable
from math import exp, floor

from gossipreg.client.picking.instance_state import InstanceState
from gossipreg.client.picking.latency import DECAY_S, MedianLatency
from gossipreg.client.picking.weighted_group import WeightedGroup

Uniform = Callable[[], float]
"""Gives numbers from 0 to below 1, each with the same chance."""
Policy = Callable[[WeightedGroup, float, float], InstanceState]
"""(group, the load: the sum of `in_flight` and `others` over all instances, now) -> a member."""

FOREVER = float("inf")
EQUAL_WITHIN = 1.25 + 1e-9
"""Costs that differ less are equal. What one client measures is noisy: without this, two instances of the same speed
would get all or nothing in turns. Costs are often exactly 5/4 apart (4 and 3 requests in flight): the last digits make
them equal, however a machine rounds."""


GOOD_UNEQUAL = 2.5
"""Of instances with different weights one is good enough that costs up to so many times what the fastest quarter takes.
A light one has few requests, so what is known of it is noisy, and one request more is much against its part. With 1.25
such noise moves a third of its requests; with 2.5 shares are within 5 % of the weights, and one that is slowed to a
quarter is still found."""
DRAWS_MAX = 6
"""Of two draws among 12 of which 4 are slow, both are slow in 9 %, and the slowest 1 % of requests is all theirs."""


class Adaptive:
    """Draws by weight until one is good enough, at most DRAWS_MAX times; then the cheapest of these.

    cost = latency x (load + 1) / (expected load + 1). The expected load is the instance's part by weight of all that is
    in flight. So an idle service is shared by weight (with load / weight instead, every idle client would send all to
    the heaviest), and a busy one by latency x load / weight. Costs within 25 % are equal. Good enough is what costs as
    much as a free instance of the fastest quarter: a client that finds one has little to gain by looking further ("join
    below threshold", Zhou et al. 2017), and no reason to share its requests otherwise than by weight.
    """

    def __init__(self, uniform: Uniform, median: MedianLatency) -> None:
        self._uniform = uniform
        self._median = median

    def __call__(self, group: WeightedGroup, load: float, now: float) -> InstanceState:
        members = group.members
        if len(members) == 1:
            return members[0]
        median = self._median
        median_s = median.median_s
        good_s = (EQUAL_WITHIN if group.equal else GOOD_UNEQUAL) * median.quick_s
        by_weight = load / group.total
        chosen, least_s, place = members[0], FOREVER, -1
        for _ in range(DRAWS_MAX):
            place = group.draw(self._uniform(), place)
            state = members[place]
            latency, cost_s = state.latency, median_s
            if latency.fresh_from <= now < latency.fresh_until:  # it moves to the median as it ages
                cost_s += (latency.average_s - median_s) * exp((latency.last_at - now) / DECAY_S)
            cost_s *= (state.in_flight + state.others + 1.0) / (by_weight * state.share + 1.0)
            if EQUAL_WITHIN * cost_s < least_s:
                chosen, least_s = state, cost_s
                if cost_s <= good_s:
                    break
        return chosen


class LeastRequest:
    """The one of two with fewer requests in flight, against those expected by its weight."""

    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform

    def __call__(self, group: WeightedGroup, load: float, _now: float) -> InstanceState:
        if len(group.members) == 1:
            return group.members[0]
        first, second = group.two(self._uniform(), self._uniform())
        by_weight = load / group.total
        cost = (first.in_flight + 1.0) / (by_weight * first.share + 1.0)
        other = (second.in_flight + 1.0) / (by_weight * second.share + 1.0)
        return second if other < cost else first


class RandomByWeight:
    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform

    def __call__(self, group: WeightedGroup, _load: float, _now: float) -> InstanceState:
        return group.one(self._uniform())


SKIPS_MAX = 64
"""Turns without a pick. Only with extreme weights there are so many in a row; then the pick is random by weight."""
GOLDEN = 0.6180339887498949
"""Spreads the turns of light instances, which would otherwise all come in the same round."""


class RoundRobin:
    """One after the other, from a random place, so that processes that start together do not march in step.

    Weights: in round r an instance takes its turn if r x (its share / the largest share), moved by an offset of its
    own, passes a whole number: as in gRPC's static stride scheduler (gRFC A58).
    """

    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform
        self._turn = floor(uniform() * 2**20)

    def __call__(self, group: WeightedGroup, _load: float, _now: float) -> InstanceState:
        members = group.members
        count = len(members)
        if group.equal:
            self._turn += 1
            return members[self._turn % count]
        largest = group.largest
        for _ in range(SKIPS_MAX):
            self._turn += 1
            round, place = divmod(self._turn, count)
            part = members[place].share / largest
            offset = place * GOLDEN
            if floor((round + 1) * part + offset) > floor(round * part + offset):
                return members[place]
        return group.one(self._uniform())


def make_policy(name: str, uniform: Uniform, median: MedianLatency) -> Policy:
    """The policy of this name. `ring_hash` is for picks with a key; those without one are random by weight."""
    match name:
        case "adaptive":
            return Adaptive(uniform, median)
        case "least_request":
            return LeastRequest(uniform)
        case "round_robin":
            return RoundRobin(uniform)
    return RandomByWeight(uniform)
