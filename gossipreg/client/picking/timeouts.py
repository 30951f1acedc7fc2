"""How long an attempt may take, and when a second one is sent beside it.

A deadline is for the whole call. If the first attempt could use it up, an instance that hangs would leave nothing for
another one. So an attempt that can be followed by another ends after 4 times the p99 of the service, but at least
250 ms; and the first leaves a third of the deadline. An attempt that nothing can follow gets all that is left.
"""

from gossipreg.client.picking.latency import LatencyQuantiles

SHORTEST_S = 0.25
P99_TIMES = 4.0
KEPT_PART = 1 / 3
HEDGE_SAMPLES = 100
HEDGE_QUANTILE = 0.95
"""Then at most about 5 % of the requests are sent twice (Dean and Barroso, The Tail at Scale, 2013)."""


def attempt_timeout_s(quantiles: LatencyQuantiles, deadline_s: float, left_s: float, first: bool, now: float) -> float:
    """The time for an attempt that another one can follow. `left_s`: until the deadline, above 0."""
    p99_s = quantiles.quantile_s(0.99, now)
    timeout_s = left_s if p99_s is None else min(left_s, max(SHORTEST_S, P99_TIMES * p99_s))
    return min(timeout_s, max(left_s - KEPT_PART * deadline_s, KEPT_PART * left_s)) if first else timeout_s


def connect_timeout_s(timeout_s: float, left_s: float) -> float:
    """The part of an attempt's time for making its connection: what was never sent can go elsewhere."""
    return min(timeout_s, max(SHORTEST_S, KEPT_PART * left_s))


def hedge_after_s(quantiles: LatencyQuantiles, now: float) -> float | None:
    """After what time a second attempt is worth sending; None while too little is known."""
    if quantiles.samples(now) < HEDGE_SAMPLES:
        return None
    return quantiles.quantile_s(HEDGE_QUANTILE, now)
