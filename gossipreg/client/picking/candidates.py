"""The instances that may be picked now, and the share of each. One order of rules, written here alone:

    1. what the registry has: an instance that left or is dead is in no snapshot
    2. not in maintenance
    3. passing its health checks. If none passes: with panic="all" those that are warning or critical, else nothing
    4. less what is ejected; but if that leaves fewer than half of the passing ones, all of them (panic: so many
       failures are not single instances). Panic ignores ejection, never the registry
    5. the zone (`zones.py`), from 6 instances
    6. slow start (`slow_start.py`), from 3 passing ones
    7. weights. An instance of weight 0 gets requests only if all have weight 0

Owns: the states of the instances, in step with the snapshot, and their shares. Never knows: latency, outcomes,
policies.

A service may have 10,000 instances, and a change of one must cost less than 1 ms. So lists run parallel in the order of
the snapshot, only the changed stretch of them is worked on in Python, and the tables for sampling are made of them by
functions written in C (compress, accumulate).
"""

from collections.abc import Iterable, Mapping
from itertools import compress

from gossipreg.client.instance import Instance
from gossipreg.client.picking import slow_start, zones
from gossipreg.client.picking.instance_state import NEVER, OUT, PROBING, InstanceState
from gossipreg.client.picking.options import PickOptions
from gossipreg.client.picking.ring_hash import HashRing
from gossipreg.client.picking.weighted_group import WeightedGroup

Snapshot = tuple[Instance, ...]

CHUNK = 256
ZONES_KEPT = 16
"""From more on, zones without instances are forgotten."""
ONE_BY_ONE = 32
"""More changed shares than this: all are worked out again, which is cheaper than to look for each."""


class Candidates:
    def __init__(self, options: PickOptions) -> None:
        self._options = options
        self.snapshot: Snapshot = ()
        self.states: list[InstanceState] = []
        """In the order of the snapshot."""
        self._shares: list[float] = []
        self._in_zone: dict[str, list[bool]] = {}
        """By zone, which of the states are in it. Empty while zones are not looked at."""
        self._ramping: dict[InstanceState, None] = {}
        self._changed: dict[InstanceState, None] = {}
        """Their shares may have changed."""
        self._mode: tuple[bool, bool, bool, bool] = (False, False, False, False)
        self._ring: HashRing | None = None
        self._callers: Mapping[str, float] = {}

        self.passing = 0
        self.panic = False
        """All passing instances are picked, ejected or not."""
        self.critical = False
        """No instance passes, and those that are warning or critical are picked."""
        self.everywhere = WeightedGroup([], [])
        """All that can be picked, whatever their zones."""
        self.by_zone: list[tuple[float, WeightedGroup]] = []
        """The zones to choose from: (the parts of all up to this one, group). One element: no choice."""

    # -- input ---------------------------------------------------------------------------------------------------------

    def update(self, snapshot: Snapshot, now: float) -> list[InstanceState]:
        """Follow a new snapshot. Return the states of the instances that are gone. `rebuild` has to follow."""
        start, old_end, new_end = changed_span(self.snapshot, snapshot)
        ramps = self.passing > 0
        former = {state.instance.key: state for state in self.states[start:old_end]}
        taken: list[InstanceState] = []
        stopped: list[InstanceState] = []
        started: list[InstanceState] = []
        for instance in snapshot[start:new_end]:
            state = former.pop(instance.key, None)
            before, weight = (False, -1) if state is None else (passes(state), state.weight)
            state = _follow(state, instance)
            taken.append(state)
            if before and (not passes(state) or weight != state.weight):
                stopped.append(state)
            if passes(state) and (not before or weight != state.weight):
                started.append(state)
            if passes(state) and not before:
                self._joined(state, now if ramps else NEVER)
        gone = list(former.values())
        stopped += [state for state in gone if passes(state)]
        self._replace(start, old_end, taken)
        self._forget(gone)
        self.passing += len(started) - len(stopped)
        self.snapshot = snapshot
        if self._ring is not None:
            self._ring.change(stopped, started)
        return gone

    def set_callers(self, callers: Mapping[str, float]) -> None:
        """By zone, how many members call this service. Without this call requests spread over the zones by weight."""
        self._callers = dict(callers)

    def ejection_changed(self, states: Iterable[InstanceState]) -> None:
        """Take in that these instances were ejected, or returned. `rebuild` has to follow."""
        self._changed.update(dict.fromkeys(states))

    # -- the tables ----------------------------------------------------------------------------------------------------

    def rebuild(self, out: Iterable[InstanceState], now: float) -> float:
        """Make the tables anew. `out`: the ejected instances. Return when it has to be done again for slow start, if
        nothing else happens."""
        self._step_ramps(now)
        available = self.passing - sum(state.phase in (OUT, PROBING) and passes(state) for state in out)
        self.panic = available < self.passing / 2
        self.critical = not self.passing and self._options.panic == "all"
        self._work_out_shares((self.panic, self.critical, self.passing >= slow_start.INSTANCES_MIN, False), now)
        self.everywhere = self._group()
        if not self.everywhere.members and (self.passing or self.critical):  # all have weight 0
            self._work_out_shares((*self._mode[:3], True), now)
            self.everywhere = self._group()
        self.by_zone = self._zone_groups() if self._by_zones() else [(1.0, self.everywhere)]
        return min((slow_start.next_step_at(state.joined_at, now) for state in self._ramping), default=float("inf"))

    def holder(self, point: int, in_flight: int) -> tuple[InstanceState | None, bool]:
        """The instance of a key at this point of the ring (None: none that passes can be picked), and whether it is
        another than the key's own."""
        if self._ring is None:
            self._ring = HashRing()
            self._ring.change((), [state for state in self.states if passes(state)])
        return self._ring.pick(point, in_flight, self.everywhere.total)

    def passing_states(self) -> list[InstanceState]:
        return [state for state in self.states if passes(state)]

    def reasons(self) -> str:
        """Why none can be picked, for a person: `2 critical, 1 maintenance`."""
        counts: dict[str, int] = {}
        for state in self.states:
            counts[state.instance.health] = counts.get(state.instance.health, 0) + 1
        return ", ".join(f"{count} {health}" for health, count in sorted(counts.items()))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _replace(self, start: int, old_end: int, taken: list[InstanceState]) -> None:
        self.states[start:old_end] = taken
        self._shares[start:old_end] = [0.0] * len(taken)
        self._changed.update(dict.fromkeys(taken))
        if not self._options.zone:
            return
        length = len(self.states) - len(taken) + (old_end - start)
        for zone in {state.instance.zone for state in taken} - self._in_zone.keys():
            self._in_zone[zone] = [False] * length
        for zone, marks in self._in_zone.items():
            marks[start:old_end] = [state.instance.zone == zone for state in taken]
        if len(self._in_zone) > ZONES_KEPT:
            self._in_zone = {zone: marks for zone, marks in self._in_zone.items() if any(marks)}

    def _joined(self, state: InstanceState, at: float) -> None:
        state.joined_at = at
        if at != NEVER:
            self._ramping[state] = None

    def _forget(self, gone: list[InstanceState]) -> None:
        for state in gone:
            state.gone = True
            state.share = 0.0
            self._ramping.pop(state, None)
            self._changed.pop(state, None)

    def _step_ramps(self, now: float) -> None:
        for state in [state for state in self._ramping if slow_start.ramp(state.joined_at, now) >= 1.0]:
            del self._ramping[state]
            self._changed[state] = None
        self._changed.update(self._ramping)

    def _work_out_shares(self, mode: tuple[bool, bool, bool, bool], now: float) -> None:
        if mode != self._mode or len(self._changed) > ONE_BY_ONE:
            self._mode = mode
            self._shares = [self._share(state, now) for state in self.states]
        else:
            for state in self._changed:
                self._shares[self.states.index(state)] = self._share(state, now)
        self._changed.clear()

    def _share(self, state: InstanceState, now: float) -> float:
        panic, critical, ramps, all_alike = self._mode
        may = passes(state) or (critical and state.instance.health in ("warning", "critical"))
        if not may or (state.phase in (OUT, PROBING) and not panic):
            state.share = 0.0
        else:
            weight = 1.0 if all_alike else float(state.weight)
            state.share = weight * slow_start.ramp(state.joined_at, now) if ramps else weight
        return state.share

    def _group(self) -> WeightedGroup:
        if all(self._shares):
            return WeightedGroup(self.states.copy(), self._shares.copy())
        return WeightedGroup(list(compress(self.states, self._shares)), list(filter(None, self._shares)))

    def _by_zones(self) -> bool:
        return len(self.everywhere.members) >= zones.INSTANCES_MIN and len(self._in_zone) > 1

    def _zone_groups(self) -> list[tuple[float, WeightedGroup]]:
        shares = {zone: list(compress(self._shares, marks)) for zone, marks in self._in_zone.items()}
        weights = {zone: total for zone, masked in shares.items() if (total := sum(masked))}
        groups: list[tuple[float, WeightedGroup]] = []
        total = 0.0
        for zone, part in sorted(zones.zone_shares(self._options.zone, self._callers, weights).items()):
            members = list(compress(compress(self.states, self._in_zone[zone]), shares[zone]))
            total += part
            groups.append((total, WeightedGroup(members, list(filter(None, shares[zone])))))
        return groups


def passes(state: InstanceState) -> bool:
    return state.instance.health == "passing"


def _follow(state: InstanceState | None, instance: Instance) -> InstanceState:
    if state is None:
        return InstanceState(instance)
    state.instance = instance
    state.weight = max(0, instance.weight)
    return state


def changed_span(old: Snapshot, new: Snapshot) -> tuple[int, int, int]:
    """The stretch in which two snapshots differ: (start, end in the old, end in the new)."""
    start = _equal_at_start(old, new)
    old_end, new_end = len(old), len(new)
    most = min(old_end, new_end) - start
    same = 0
    while same < most:
        step = min(CHUNK, most - same)
        if old[old_end - same - step : old_end - same] != new[new_end - same - step : new_end - same]:
            while old[old_end - same - 1] == new[new_end - same - 1]:
                same += 1
            break
        same += step
    return start, old_end - same, new_end - same


def _equal_at_start(old: Snapshot, new: Snapshot) -> int:
    """How many elements are equal from the start. Chunks of tuples are compared: equal elements are nearly always the
    same object, which C finds out quickly."""
    shorter = min(len(old), len(new))
    for start in range(0, shorter, CHUNK):
        end = min(start + CHUNK, shorter)
        if old[start:end] != new[start:end]:
            return next(at for at in range(start, end) if old[at] != new[at])
    return shorter
