"""How long requests take: one figure an instance for picking, and the quantiles of a service for timeouts.

The figure of an instance is an average that forgets: old samples lose weight with time (Finagle's `peak_ewma` without
the peak). What a client knows grows old, so a figure moves towards the median of the instances while no new sample
comes, and is forgotten after 30 s: otherwise a slow one would never be tried again. The first request after a pause is
often slow for a reason of its own: a connection has to be opened. So its sample is dropped when the second one comes,
and the figure counts only from 5 samples on, or 2 s after the first one: a client with a request in ten seconds for
each instance has no more, and without it would pick at random (the laboratory's scenario `balance`, 200 clients).
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
DECAY_S = 10.0
"""The time constant with which a figure moves towards the median."""
MEDIAN_EVERY_S = 0.25
MEDIAN_OF_MAX = 101
"""Figures that the median is taken of: enough for a median, and the cost has a bound."""


class LatencyEstimate:
    """The average latency of one instance."""

    __slots__ = ("_samples", "average_s", "fresh_from", "fresh_until", "last_at")

    def __init__(self) -> None:
        self.average_s = 0.0
        self.last_at = float("-inf")
        self.fresh_until = float("-inf")
        self.fresh_from = float("inf")
        self._samples = 0

    def add(self, latency_s: float, now: float) -> None:
        if now - self.last_at >= PAUSE_S:
            self._samples, self.fresh_from = 0, now + YOUNG_S
        self._samples = samples = self._samples + 1
        counts = 1.0 - exp((self.last_at - now) / AVERAGE_S)
        if samples <= SAMPLES_ALIKE:
            counts = max(counts, 1.0 / max(1, samples - 1))
            if samples == SAMPLES_MIN:
                self.fresh_from = min(self.fresh_from, now)
        elif counts < SAMPLE_SHARE_MIN:
            counts = SAMPLE_SHARE_MIN
        self.average_s += (latency_s - self.average_s) * counts
        self.last_at = now
        self.fresh_until = now + FRESH_S


class MedianLatency:
    """The median of the figures of a service's instances. It is worked out at most every MEDIAN_EVERY_S."""

    __slots__ = ("_due", "_known", "median_s")

    def __init__(self) -> None:
        self.median_s = 1.0
        """While no figure is known any number will do: it is the same for all, so only requests in flight count."""
        self._known: dict[InstanceState, None] = {}
        """Instances whose figures may be fresh."""
        self._due = float("-inf")

    def sampled(self, state: "InstanceState", now: float) -> None:
        """Take in that this instance has a new sample."""
        if now < state.latency.fresh_until:
            self._known[state] = None
            if now >= self._due:
                self._work_out(now)

    def forget(self, states: Iterable["InstanceState"]) -> None:
        for state in states:
            self._known.pop(state, None)

    def _work_out(self, now: float) -> None:
        for state in [state for state in self._known if now >= state.latency.fresh_until]:
            del self._known[state]
        figures = sorted(state.latency.average_s for state, _ in zip(self._known, range(MEDIAN_OF_MAX), strict=False))
        half = len(figures) // 2
        self.median_s = figures[half] if len(figures) % 2 else (figures[half - 1] + figures[half]) / 2
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
