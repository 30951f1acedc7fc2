"""How long requests take: one figure an instance for picking, and the quantiles of a service for timeouts.

The figure of an instance is an average that forgets: old samples lose weight with time (Finagle's `peak_ewma` without
the peak). It is a geometric mean: latencies differ by factors, and a single sample of twenty times the others, such as
that of a request that had to open a connection, must not make an instance look slow. What a client knows grows old, so
a figure moves towards the median of the instances while no new sample comes, and is forgotten after 30 s: otherwise
a slow one would never be tried again. The first request after a pause nearly always opens a connection. So its sample
is dropped when the second one comes, and the figure counts only from 5 samples on, or 2 s after the first one: a client
with a request in ten seconds for each instance has no more, and without it would pick at random (the laboratory's
scenario `balance`, 200 clients).
"""

from bisect import bisect_left
from collections.abc import Iterable
from math import exp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossipreg.client.picking.instance_state import InstanceState

FRESH_S = 30.0
"""A figure counts until so long after its last sample."""
SAMPLES_MIN = 5
YOUNG_S = 2.0
"""A figure counts once it has SAMPLES_MIN samples, or YOUNG_S after the first one. If the first sample counted at once,
an instance whose first connection took long would get no second request from a client that has others."""
PAUSE_S = 5.0
"""After a pause of this length the samples are counted anew, since connections may have been closed."""
AVERAGE_S = 2.0
"""A sample that came AVERAGE_S after the one before counts 63 %: long enough to average, short enough to follow."""
SAMPLE_SHARE_MIN = 0.002
"""The least that one sample counts, however fast they come. An average over few samples is noisy, and noise moves
requests from heavy instances to light ones."""
SAMPLES_ALIKE = round(1 / SAMPLE_SHARE_MIN)
"""Up to so many, all samples may count alike: the average forgets only what is old."""
SHORTEST_SAMPLE_S = 1e-6
"""A geometric mean has no place for 0."""
DECAY_S = 3.0
"""The time constant with which a figure moves towards the median: so long an instance that looked slow by chance gets
few requests. With 10 s clients that open connections starved some of their instances."""
MEDIAN_EVERY_S = 0.25
MEDIAN_OF_MAX = 101
"""Figures that the median is taken of: enough for a median, and the cost has a bound."""


class LatencyEstimate:
    """The average latency of one instance: a geometric mean."""

    __slots__ = ("_samples", "average_s", "fresh_from", "fresh_until", "last_at")

    def __init__(self) -> None:
        self.average_s = 0.0
        self.last_at = float("-inf")
        self.fresh_until = float("-inf")
        self.fresh_from = float("inf")
        self._samples = 0

    def add(self, latency_s: float, now: float, failed: bool = False) -> None:
        """Take in a sample. That of a failure counts as in an arithmetic mean: a single one has to be felt."""
        if now - self.last_at >= PAUSE_S:
            self._samples, self.fresh_from = 0, now + YOUNG_S
        self._samples = samples = self._samples + 1
        if latency_s < SHORTEST_SAMPLE_S:
            latency_s = SHORTEST_SAMPLE_S
        if samples <= 2:
            self.average_s = latency_s
        else:
            counts = 1.0 - exp((self.last_at - now) / AVERAGE_S)
            least = 1.0 / (samples - 1) if samples <= SAMPLES_ALIKE else SAMPLE_SHARE_MIN
            if counts < least:
                counts = least
            if failed:
                self.average_s += (latency_s - self.average_s) * counts
            else:
                self.average_s *= (latency_s / self.average_s) ** counts
            if samples == SAMPLES_MIN and now < self.fresh_from:
                self.fresh_from = now
        self.last_at = now
        self.fresh_until = now + FRESH_S


class MedianLatency:
    """The median of the figures of a service's instances, and their lower quartile.

    They are worked out at most every MEDIAN_EVERY_S, and while there are few when another one begins to count. Of two
    in the middle the smaller one is taken: of two instances, a slow one would else move towards a median that is half
    its own.
    """

    __slots__ = ("_due", "_known", "median_s", "quick_s")

    def __init__(self) -> None:
        self.median_s = 1.0
        """While no figure is known any number will do: it is the same for all, so only requests in flight count."""
        self.quick_s = 1.0
        """The lower quartile: what an instance takes that is as fast as any."""
        self._known: dict[InstanceState, None] = {}
        """Instances whose figures may be fresh."""
        self._due = float("-inf")

    def sampled(self, state: "InstanceState", now: float) -> None:
        """Take in that this instance has a new sample."""
        if now < state.latency.fresh_until:
            self._known[state] = None
            if now >= self._due or (now == state.latency.fresh_from and len(self._known) < MEDIAN_OF_MAX):
                self._work_out(now)

    def forget(self, states: Iterable["InstanceState"]) -> None:
        for state in states:
            self._known.pop(state, None)

    def _work_out(self, now: float) -> None:
        for state in [state for state in self._known if now >= state.latency.fresh_until]:
            del self._known[state]
        some = (state.latency for state, _ in zip(self._known, range(MEDIAN_OF_MAX), strict=False))
        figures = sorted(one.average_s for one in some if one.fresh_from <= now)
        if figures:
            last = len(figures) - 1
            self.median_s, self.quick_s = figures[last // 2], figures[last // 4]
        self._due = now + MEDIAN_EVERY_S


BUCKET_GROWTH = 1.1
"""The width of a bucket: a quantile is at most 10 % too large."""
SHORTEST_S = 0.0001
BUCKETS = 150
"""Up to 0.0001 s x 1.1^149, about 147 s."""
WINDOW_S = 10.0
QUANTILE_MIN = 20
"""Samples below which no quantile is given."""

_BOUNDS = [SHORTEST_S * BUCKET_GROWTH**number for number in range(BUCKETS - 1)]


class LatencyQuantiles:
    """A histogram of the latencies of the last 10 to 20 s, with buckets that grow by 10 %."""

    __slots__ = ("_counts", "_former", "_former_count", "_quantiles", "_since", "_worked_out_at", "count")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._former = [0] * BUCKETS
        self.count = 0
        """Samples of the present window."""
        self._former_count = 0
        self._since = float("-inf")
        self._quantiles: dict[float, float | None] = {}
        self._worked_out_at = float("-inf")

    def add(self, latency_s: float, now: float) -> None:
        if now - self._since >= WINDOW_S:
            self._turn(now)
        self._counts[bisect_left(_BOUNDS, latency_s)] += 1
        self.count += 1

    def samples(self, now: float) -> int:
        """How many samples the quantiles rest on."""
        if now - self._since >= WINDOW_S:
            self._turn(now)
        return self.count + self._former_count

    def quantile_s(self, quantile: float, now: float) -> float | None:
        """The latency that this share of the requests does not exceed. None with fewer than 20 samples. At most
        MEDIAN_EVERY_S old."""
        if self.samples(now) < QUANTILE_MIN:
            return None
        if now - self._worked_out_at >= MEDIAN_EVERY_S:
            self._quantiles = {}
            self._worked_out_at = now
        if quantile not in self._quantiles:
            self._quantiles[quantile] = self._walk(quantile)
        return self._quantiles[quantile]

    def longest_s(self, now: float) -> float | None:
        """The longest latency, however few samples there are. None: there is none."""
        return self._walk(1.0) if self.samples(now) else None

    def _walk(self, quantile: float) -> float:
        left = quantile * (self.count + self._former_count)
        for bound, now, before in zip(_BOUNDS, self._counts, self._former, strict=False):
            left -= now + before
            if left <= 0:
                return bound
        return _BOUNDS[-1]

    def _turn(self, now: float) -> None:
        recent = now - self._since < 2 * WINDOW_S
        self._former, self._former_count = (self._counts, self.count) if recent else ([0] * BUCKETS, 0)
        self._counts, self.count = [0] * BUCKETS, 0
        self._since = self._since + WINDOW_S if recent else now
        self._quantiles = {}
