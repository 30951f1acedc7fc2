"""Ejection: an instance that fails while it passes its health checks gets no requests for a while (Envoy's outlier
detection; gRFC A50).

Two rules. Failures in a row: 5. Success rate: in windows of 10 s, once 5 instances have 20 requests each, one that
succeeds less often than the mean - 1.9 standard deviations, and at least 5 points below the mean.

An ejection lasts 5 s x times ejected, up to 5 min, and up to a quarter more at random, so that processes do not return
together. Then the next request is a probe, and the only one until it has ended. A success ends the ejection. Each 10 s
without an ejection take one from the times.

At most so many are out: floor((n - 1) / 2) of up to 5 passing instances, half of more. Of two, one may be out if the
other succeeded in the last 10 s; a single one never is. Otherwise the clients would move a failure of the whole service
onto its last instances.
"""

from collections.abc import Callable, Iterable
from math import floor, sqrt

from gossipreg.client.picking.instance_state import IN, NEVER, OUT, PROBE_DUE, PROBING, InstanceState

FAILED_IN_ROW = 5
WINDOW_S = 10.0
REQUESTS_MIN = 20
INSTANCES_MIN = 5
DEVIATIONS = 1.9
"""As in Envoy. One bad instance of n is sqrt(n - 1) deviations below the mean: with 5 it is found."""
BELOW_MEAN = 0.05
"""If nearly all requests succeed, the deviation is tiny, and 99 % would be an outlier."""
FIRST_S = 5.0
LONGEST_S = 300.0
JITTER = 0.25
FORGIVEN_S = 10.0
RECENTLY_S = 10.0


def ejected_max(passing: int, other_succeeded_at: float, now: float) -> int:
    """How many of so many passing instances may be out at once. `other_succeeded_at`: with two, of the other one."""
    if passing == 2:
        return 1 if now - other_succeeded_at <= RECENTLY_S else 0
    return (passing - 1) // 2 if passing <= 5 else passing // 2


class Ejection:
    """The ejections of one service. It owns the fields of InstanceState under "ejection"."""

    def __init__(self, uniform: Callable[[], float], passing: Callable[[], Iterable[InstanceState]]) -> None:
        """`passing()`: the instances that pass their checks, of which a part may be out."""
        self._uniform = uniform
        self._passing = passing
        self.out: dict[InstanceState, None] = {}
        """All that are not IN."""
        self._counted: dict[InstanceState, None] = {}
        """Those with requests in this window."""
        self._window_until = NEVER
        self.ejected = 0
        self.refused = 0
        """Ejections that the bound on the share did not allow."""
        self.returned = 0

    def succeeded(self, state: InstanceState, probe: bool, now: float) -> list[InstanceState]:
        """Take in a success. Return the instances whose phase has changed."""
        state.last_success_at = now
        state.failed_in_row = 0
        if probe and state.phase == PROBING:
            del self.out[state]
            self.returned += 1
            state.phase = IN
            state.returned_at = now
            return [state]
        return self._count(state, 0, now)

    def failed(self, state: InstanceState, probe: bool, now: float) -> list[InstanceState]:
        """Take in a failure. Return the instances whose phase has changed."""
        if probe and state.phase == PROBING:
            self._eject(state, now)
            return [state]
        changed = self._count(state, 1, now)
        state.failed_in_row += 1
        if state.phase == IN and state.failed_in_row >= FAILED_IN_ROW and self._try(state, now):
            changed.append(state)
        return changed

    def neutral(self, state: InstanceState, probe: bool) -> list[InstanceState]:
        """Take in an outcome that says nothing: after a probe, the next request is one."""
        if probe and state.phase == PROBING:
            state.phase = PROBE_DUE
            return [state]
        return []

    def picked(self, state: InstanceState) -> bool:
        """Whether this request, which is about to go to an instance in `out`, is its probe."""
        if state.phase != PROBE_DUE:
            return False
        state.phase = PROBING
        return True

    def over(self, now: float) -> list[InstanceState]:
        """The instances whose time has ended: a probe is due."""
        due = [state for state in self.out if state.phase == OUT and now >= state.out_until]
        for state in due:
            state.phase = PROBE_DUE
        return due

    def next_over_at(self) -> float:
        return min((state.out_until for state in self.out if state.phase == OUT), default=float("inf"))

    def forget(self, states: Iterable[InstanceState]) -> None:
        for state in states:
            self.out.pop(state, None)
            self._counted.pop(state, None)

    def forked(self, uniform: Callable[[], float]) -> None:
        """In a forked child: the probes under way are the parent's."""
        self._uniform = uniform
        for state in self.out:
            if state.phase == PROBING:
                state.phase = PROBE_DUE

    def _try(self, state: InstanceState, now: float) -> bool:
        passing = list(self._passing())
        others = [one.last_success_at for one in passing if one is not state]
        out = sum(one.phase != IN for one in passing)
        if out >= ejected_max(len(passing), max(others, default=NEVER), now):
            self.refused += 1
            return False
        self._eject(state, now)
        return True

    def _eject(self, state: InstanceState, now: float) -> None:
        if state.phase == IN and state.times_ejected:
            state.times_ejected = max(0, state.times_ejected - floor((now - state.returned_at) / FORGIVEN_S))
        state.times_ejected += 1
        self.ejected += 1
        state.phase = OUT
        state.failed_in_row = 0
        state.out_until = now + min(LONGEST_S, FIRST_S * state.times_ejected) * (1.0 + JITTER * self._uniform())
        self.out[state] = None

    def _count(self, state: InstanceState, failures: int, now: float) -> list[InstanceState]:
        changed = self._turn(now) if now >= self._window_until else []
        if state.phase == IN:
            self._counted[state] = None
            state.requests += 1
            state.failures += failures
        return changed

    def _turn(self, now: float) -> list[InstanceState]:
        """End the window, and eject the outliers of it, if it is not long over."""
        counted, self._counted = self._counted, {}
        recent, self._window_until = now - self._window_until < WINDOW_S, now + WINDOW_S
        enough = [state for state in counted if state.requests >= REQUESTS_MIN and recent]
        rates = {state: 1.0 - state.failures / state.requests for state in enough}
        for state in counted:
            state.requests = state.failures = 0
        if len(rates) < INSTANCES_MIN:
            return []
        mean = sum(rates.values()) / len(rates)
        deviation = sqrt(sum((rate - mean) ** 2 for rate in rates.values()) / len(rates))
        least = min(mean - DEVIATIONS * deviation, mean - BELOW_MEAN)
        worst_first = sorted((state for state in rates if rates[state] < least), key=rates.__getitem__)
        return [state for state in worst_first if state.phase == IN and self._try(state, now)]
