"""Picks an instance of one service for each request, and learns from how the request ends.

    candidates (who may be picked) -> policy (who is picked) -> Pick -> outcome -> latency, ejection -> candidates

Owns: the requests in flight. Pure: `now` in monotonic seconds and a random generator are handed in, so the laboratory
runs this file as it is. It takes no lock: its owner must (an RLock, since a signal handler may pick).

A pick costs the same for 3 and for 10,000 instances. All that takes longer is done in `_advance`, which runs when
something is due: after a change of the snapshot or of an ejection, and at the next time that `_due` names.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from random import Random

from gossipreg.client.instance import InstanceKey
from gossipreg.client.picking.breaker import GRANTED, Permission
from gossipreg.client.picking.candidates import Candidates, Snapshot
from gossipreg.client.picking.counters import new_counters
from gossipreg.client.picking.ejection import Ejection
from gossipreg.client.picking.instance_state import IN, NEVER, InstanceState
from gossipreg.client.picking.latency import LatencyQuantiles, MedianLatency
from gossipreg.client.picking.options import PickOptions
from gossipreg.client.picking.outcomes import IS_FAILURE, IS_NEUTRAL, IS_SUCCESS, NEUTRAL, Outcome, OutcomeKind
from gossipreg.client.picking.policies import make_policy
from gossipreg.client.picking.ring_hash import key_point
from gossipreg.client.picking.weighted_group import WeightedGroup
from gossipreg.errors import NoInstance

DEADLINE_S = 10.0
OVERDUE_AFTER = 10.0
"""A request without an end leaves the count after so many times its deadline: its owner has lost it."""
OVERDUE_EVERY_S = 10.0
LOAD_VALID_S = 1.0
"""What a server said about its load is old after that."""
OTHERS_PART = 0.25
"""How much a request of another client counts, against 1 of an own one. What servers say is the same for all clients
and a little old: counted in full, all would run to the same instance (the laboratory's scenario `balance`)."""
FAILED_LATENCY = 2.0
"""A failure counts as at least so many times the p95."""
FAILED_AT_FIRST_S = 1.0
"""The latency of a failure while no request of the service has succeeded yet."""
TRIES = 4
"""Picks in search of an instance that is not to be avoided; then all are looked at."""
FOREVER = float("inf")


class Pick:
    """One request on its way to an instance. Made by `Balancer.pick`; ends by `Balancer.ended`, once."""

    __slots__ = (
        "answered_at", "critical", "ended", "instance", "overdue_at", "permission", "probe", "started", "state",
    )  # fmt: skip

    def __init__(self, state: InstanceState, started: float, overdue_at: float) -> None:
        self.state = state
        self.instance = state.instance
        self.started = started
        self.overdue_at = overdue_at
        self.answered_at: float | None = None
        """When the headers came, if the owner said so: a body that streams for an hour is no slow answer."""
        self.probe = False
        """It decides whether an ejected instance returns."""
        self.critical = False
        """The instance does not pass its health checks: none does."""
        self.permission: Permission = GRANTED
        """The breaker's."""
        self.ended = False


class Balancer:
    def __init__(self, service: str, options: PickOptions, rng: Random) -> None:
        self.service = service
        self.counters = new_counters()
        self.quantiles = LatencyQuantiles()
        """Of all instances: for timeouts and hedges."""
        self.in_flight = 0
        self._others = 0.0
        """The sum of `others` of all instances."""
        self._uniform = rng.random
        self._options = options
        self._median = MedianLatency()
        self._policy = make_policy(options.policy, self._uniform, self._median)
        self._candidates = Candidates(options)
        self._ejection = Ejection(self._uniform, self._candidates.passing_states)
        self._open: dict[Pick, None] = {}
        """The picks that have not ended, the oldest first."""
        self._abandoned: deque[Pick] = deque()
        self._reporting: dict[InstanceState, None] = {}
        """Instances whose `others` is not 0."""
        self._due = NEVER
        self._overdue_due = NEVER

    # -- what the registry says ----------------------------------------------------------------------------------------

    def update(self, snapshot: Snapshot, now: float) -> None:
        """Follow a new snapshot: all instances that the registry has, in a steady order."""
        gone = self._candidates.update(snapshot, now)
        self._ejection.forget(gone)
        self._median.forget(gone)
        for state in gone:
            self._report(state, 0.0, FOREVER)
        self._due = NEVER

    def set_callers(self, callers: Mapping[str, float]) -> None:
        """By zone, how many members have the service that this process belongs to. Without this call requests spread
        over the zones by weight."""
        self._candidates.set_callers(callers)
        self._due = NEVER

    # -- picks ---------------------------------------------------------------------------------------------------------

    def pick(
        self,
        now: float,
        key: str | None = None,
        avoid: Collection[InstanceState] = (),
        deadline_s: float = DEADLINE_S,
    ) -> Pick:
        """Choose the instance of one request. `ended` has to follow. Raises NoInstance.

        `key`: requests with the same key go to the same instance. `avoid`: those that were tried already; they are
        picked only if there is no other. `deadline_s`: of the request; it bounds how long a lost one is counted.
        """
        if now >= self._due or self._abandoned:
            self._advance(now)
        if key is None and not avoid:
            groups = self._candidates.by_zone
            group = groups[0][1] if len(groups) == 1 else self._zone_group(groups)
            if not group.members:
                raise self._no_instance()
            state = self._policy(group, self.in_flight + self._others, now)
        else:
            state = self._pick_apart(key, avoid, now)
        pick = Pick(state, now, now + OVERDUE_AFTER * deadline_s)
        self._open[pick] = None
        state.in_flight += 1
        self.in_flight += 1
        self.counters["picks"] += 1
        if state.phase or self._candidates.critical or self._candidates.panic:
            self._pick_in_trouble(pick)
        return pick

    def others_than(self, avoid: Collection[InstanceState]) -> int:
        """How many instances can be picked beside these."""
        return len(self._candidates.everywhere.members) - sum(state.share > 0 for state in {*avoid})

    def _pick_apart(self, key: str | None, avoid: Collection[InstanceState], now: float) -> InstanceState:
        everywhere = self._candidates.everywhere
        if not everywhere.members:
            raise self._no_instance()
        if key is not None and not avoid:
            return self._pick_by_key(key)
        for _ in range(TRIES):
            groups = self._candidates.by_zone
            group = groups[0][1] if len(groups) == 1 else self._zone_group(groups)
            state = self._policy(group, self.in_flight + self._others, now)
            if state not in avoid:
                return state
        others = [state for state in everywhere.members if state not in avoid]
        if not others:
            return everywhere.one(self._uniform())
        return WeightedGroup(others, [state.share for state in others]).one(self._uniform())

    def _pick_by_key(self, key: str) -> InstanceState:
        self.counters["picks_by_key"] += 1
        holder, moved = self._candidates.holder(key_point(key), self.in_flight)
        self.counters["keys_moved"] += moved
        return holder or self._candidates.everywhere.one(self._uniform())

    def _zone_group(self, groups: list[tuple[float, WeightedGroup]]) -> WeightedGroup:
        drawn = self._uniform()
        for total, group in groups:
            if drawn < total:
                return group
        return groups[-1][1]

    def _pick_in_trouble(self, pick: Pick) -> None:
        if self._candidates.panic:
            self.counters["picks_in_panic"] += 1
        if self._candidates.critical:
            pick.critical = True
            self.counters["picks_of_critical"] += 1
        if self._ejection.picked(pick.state):
            pick.probe = True
            self.counters["probes"] += 1
            self._phases_changed([pick.state])

    def _no_instance(self) -> NoInstance:
        self.counters["no_instance"] += 1
        reasons = self._candidates.reasons()
        if not reasons:
            return NoInstance(f"no instance of {self.service} is registered: register one, or check its name and tags")
        return NoInstance(f"no instance of {self.service} passes its checks ({reasons}): mend one, or use panic=all")

    # -- outcomes ------------------------------------------------------------------------------------------------------

    def answered(self, pick: Pick, now: float) -> None:
        """Take in that the headers of the answer came. The request stays in flight until `ended`."""
        if pick.answered_at is None:
            pick.answered_at = now

    def ended(self, pick: Pick, outcome: Outcome, now: float, load: int | None = None) -> bool:
        """Take in how a request ended. A second end, and that of a request of before a fork, change nothing: then it
        returns False.

        `load`: what the server says it has in flight (`gossipreg-load`), this request included.
        """
        if pick not in self._open:
            return False
        pick.ended = True
        del self._open[pick]
        state = pick.state
        if load is not None and not state.gone:
            self._report(state, OTHERS_PART * max(0, load - state.in_flight), now + LOAD_VALID_S)
        state.in_flight -= 1
        self.in_flight -= 1
        kind = outcome.kind
        if kind is IS_SUCCESS:
            latency_s = (now if pick.answered_at is None else pick.answered_at) - pick.started
            self.quantiles.add(latency_s, now)
            state.latency.add(latency_s, now)
            self.counters["successes"] += 1
        elif kind is not IS_NEUTRAL:
            self._failed(pick, outcome, now)
        else:
            self.counters["neutral"] += 1
        if not state.gone:
            self._learn(pick, kind, now)
        return True

    def abandon(self, pick: Pick) -> None:
        """Note that nobody will end this pick: for finalizers, which may run in the middle of anything. It ends with
        the next pick, as neutral."""
        self._abandoned.append(pick)

    def forked(self, rng: Random) -> None:
        """Begin anew in a forked child: what is in flight is the parent's. Latencies and ejections are kept."""
        self._open.clear()
        self._abandoned.clear()
        self._uniform = rng.random
        self._policy = make_policy(self._options.policy, self._uniform, self._median)
        self._ejection.forked(self._uniform)
        self.in_flight = 0
        self._others = 0.0
        for state in self._candidates.states:
            state.in_flight = 0
            state.others = 0.0
        self._reporting.clear()
        self._candidates.ejection_changed(self._ejection.out)
        self._due = NEVER

    def _failed(self, pick: Pick, outcome: Outcome, now: float) -> None:
        taken_s = now - pick.started
        usual_s = self.quantiles.quantile_s(0.95, now) or self.quantiles.longest_s(now)
        counted_s = max(taken_s, FAILED_LATENCY * usual_s if usual_s else FAILED_AT_FIRST_S)
        pick.state.latency.add(counted_s, now, failed=True)
        if outcome.timed_out:
            self.quantiles.add(taken_s, now)
        self.counters["failures" if outcome.kind is IS_FAILURE else "overloaded"] += 1

    def _learn(self, pick: Pick, kind: OutcomeKind, now: float) -> None:
        state = pick.state
        if kind is IS_SUCCESS:
            changed = self._ejection.succeeded(state, pick.probe, now)
        elif kind is IS_FAILURE:
            changed = self._ejection.failed(state, pick.probe, now)
        else:
            changed = self._ejection.neutral(state, pick.probe)
        if kind is not IS_NEUTRAL:
            self._median.sampled(state, now)
        if changed:
            self._phases_changed(changed)

    def _phases_changed(self, states: Iterable[InstanceState]) -> None:
        self._candidates.ejection_changed(states)
        self._due = NEVER

    def _report(self, state: InstanceState, others: float, until: float) -> None:
        self._others += others - state.others
        state.others = others
        state.others_until = until
        if others:
            self._reporting[state] = None
            self._due = min(self._due, until)
        else:
            self._reporting.pop(state, None)

    # -- what is due ---------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        while self._abandoned:
            self.counters["abandoned"] += not self._abandoned[0].ended
            self.ended(self._abandoned.popleft(), NEUTRAL, now)
        if now < self._due:
            return
        if now >= self._overdue_due:
            self._overdue_due = now + OVERDUE_EVERY_S
            for pick in [pick for pick in self._open if now >= pick.overdue_at]:
                self.counters["overdue"] += 1
                self.ended(pick, NEUTRAL, now)
        for state in [state for state in self._reporting if now >= state.others_until]:
            self._report(state, 0.0, FOREVER)
        self._candidates.ejection_changed(self._ejection.over(now))
        next_step = self._candidates.rebuild(self._ejection.out, now)
        reported = min((state.others_until for state in self._reporting), default=FOREVER)
        self._due = min(next_step, reported, self._ejection.next_over_at(), self._overdue_due)

    def chances(self, now: float) -> dict[InstanceKey, float]:
        """The instances that can be picked now, and the part of the requests that each gets by zone, slow start and
        weight, before a policy looks at load and latency. The parts sum to 1."""
        self._advance(now)
        found: dict[InstanceKey, float] = {}
        before = 0.0
        for until, group in self._candidates.by_zone:
            for state in group.members:
                found[state.instance.key] = (until - before) * state.share / group.total
            before = until
        return found

    # -- for people ----------------------------------------------------------------------------------------------------

    def stats(self) -> dict[str, int]:
        """Every decision so far, by the names of `counters.COUNTERS`, and what is in flight and ejected now."""
        counters = dict(self.counters)
        counters["ejections"] = self._ejection.ejected
        counters["ejections_refused"] = self._ejection.refused
        counters["returns"] = self._ejection.returned
        return {**counters, "in_flight": self.in_flight, "ejected": sum(one.phase != IN for one in self._ejection.out)}
