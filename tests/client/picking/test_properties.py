"""What holds for any sequence of snapshots, picks, outcomes and time: counts, shares, bounds, and few moved keys."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossipreg.client.picking.balancer import Balancer, Pick
from gossipreg.client.picking.breaker import OPEN_S, OUTCOMES_MIN, Breaker, BreakerState, Permission
from gossipreg.client.picking.budget import PART, RESERVE, RetryBudget
from gossipreg.client.picking.ejection import ejected_max
from gossipreg.client.picking.options import POLICIES, PickOptions
from gossipreg.client.picking.outcomes import FAILURE, NEUTRAL, NEVER_SENT, SUCCESS, TIMED_OUT, status_outcome
from gossipreg.errors import NoInstance
from tests.client.picking.instances import balancer, instance, serve, snapshot
from tests.examples import examples

OUTCOMES = st.sampled_from([SUCCESS, SUCCESS, FAILURE, FAILURE, TIMED_OUT, NEVER_SENT, NEUTRAL, status_outcome(429)])
INSTANCES = st.lists(
    st.builds(
        instance,
        st.sampled_from("abcdefgh"),
        weight=st.sampled_from([0, 1, 1, 1, 5]),
        health=st.sampled_from(["passing", "passing", "passing", "critical", "maintenance"]),
        zone=st.sampled_from(["x", "y"]),
    ),
    unique_by=lambda one: one.id,
    max_size=8,
).map(lambda found: tuple(sorted(found, key=lambda one: one.key)))


class Picking(RuleBasedStateMachine):
    """A balancer under anything that the registry, programs, forks and time do to it."""

    @initialize(policy=st.sampled_from(POLICIES), seed=st.integers(0, 9), zone=st.sampled_from(["", "x"]))
    def begin(self, policy: str, seed: int, zone: str) -> None:
        self.balancer = Balancer("web", PickOptions(policy, zone=zone), Random(seed))
        self.now = 0.0
        self.snapshot: tuple[Any, ...] = ()
        self.open: list[Pick] = []
        self.ended: list[Pick] = []

    @rule(found=INSTANCES)
    def update(self, found: tuple[Any, ...]) -> None:
        self.snapshot = found
        self.balancer.update(found, self.now)

    @rule(count=st.integers(1, 12), key=st.sampled_from([None, None, "k", "l"]))
    def pick(self, count: int, key: str | None) -> None:
        passing = {one.key for one in self.snapshot if one.health == "passing"}
        for _ in range(count):
            try:
                pick = self.balancer.pick(self.now, key, deadline_s=3.0)
            except NoInstance:
                assert not passing
                return
            assert pick.instance.key in passing
            self.open.append(pick)

    @rule(outcome=OUTCOMES, count=st.integers(1, 20), load=st.sampled_from([None, None, 0, 7]))
    def end(self, outcome: Any, count: int, load: int | None) -> None:
        for pick in self.open[:count]:
            self.balancer.ended(pick, outcome, self.now, load)
        self.ended += self.open[:count]
        del self.open[:count]

    @rule(outcome=OUTCOMES)
    def end_again(self, outcome: Any) -> None:
        for pick in self.ended[-5:]:
            assert not self.balancer.ended(pick, outcome, self.now)

    @precondition(lambda self: self.open)
    @rule()
    def abandon(self) -> None:
        self.ended.append(self.open[0])
        self.balancer.abandon(self.open.pop(0))

    @rule(passed_s=st.sampled_from([0.01, 0.3, 1.0, 5.1, 11.0, 40.0]))
    def pass_time(self, passed_s: float) -> None:
        self.now += passed_s

    @rule(seed=st.integers(0, 9))
    def fork(self, seed: int) -> None:
        self.balancer.forked(Random(seed))
        self.ended += self.open
        self.open = []

    @invariant()
    def counts_agree(self) -> None:
        self.balancer.chances(self.now)  # what is due is done
        alive = sum(not pick.ended for pick in self.open)
        stats = self.balancer.stats()
        assert stats["in_flight"] == alive
        in_flight = Counter(pick.state for pick in self.open if not pick.ended)
        assert all(pick.state.in_flight == in_flight[pick.state] >= 0 for pick in self.open)

    @invariant()
    def chances_sum_to_one(self) -> None:
        chances = self.balancer.chances(self.now)
        passing = {one.key for one in self.snapshot if one.health == "passing"}
        assert chances.keys() <= passing
        assert bool(chances) == bool(passing)
        assert not chances or sum(chances.values()) == pytest.approx(1.0)

    def teardown(self) -> None:
        if hasattr(self, "open"):
            for pick in self.open:
                self.balancer.ended(pick, NEUTRAL, self.now)
            self.balancer.chances(self.now)
            assert self.balancer.stats()["in_flight"] == 0


TestPicking = Picking.TestCase
TestPicking.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)


@settings(max_examples=examples(60), deadline=None)
@given(
    count=st.integers(1, 12),
    bad=st.sets(st.integers(0, 11)),
    seed=st.integers(0, 99),
    steps=st.lists(st.sampled_from([0.0, 0.05, 2.0, 7.0]), min_size=30, max_size=150),
)
def test_never_more_are_ejected_than_the_share(count: int, bad: set[int], seed: int, steps: list[float]) -> None:
    one = balancer(snapshot(" ".join(f"i{n:02}" for n in range(count))), policy="random", seed=seed)
    names = {f"i{n:02}" for n in bad}
    now = 0.0
    for passed_s in steps:
        now += passed_s
        for _ in range(4):
            pick = one.pick(now)
            one.ended(pick, FAILURE if pick.instance.id in names else SUCCESS, now)
        assert one.stats()["ejected"] <= ejected_max(count, now, now)


@pytest.mark.parametrize(("passing", "most"), [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (6, 3), (7, 3), (500, 250)])
def test_at_most_so_many_are_ejected_of(passing: int, most: int) -> None:
    assert ejected_max(passing, 0.0, 0.0) == most


def test_of_two_none_is_ejected_without_a_recent_success_of_the_other() -> None:
    assert (ejected_max(2, 0.0, 10.0), ejected_max(2, 0.0, 10.1)) == (1, 0)


@settings(max_examples=examples(25), deadline=None)
@given(
    weights=st.lists(st.integers(1, 100), min_size=2, max_size=12),
    seed=st.integers(0, 99),
    policy=st.sampled_from(["adaptive", "least_request", "random", "round_robin"]),
)
def test_idle_instances_are_picked_by_weight(weights: list[int], seed: int, policy: str) -> None:
    one = balancer(
        tuple(instance(f"i{n:02}", weight=weight) for n, weight in enumerate(weights)), policy=policy, seed=seed
    )
    picks = 6000
    found = Counter(serve(one, step * 0.001) for step in range(picks))
    for number, weight in enumerate(weights):
        part = weight / sum(weights)
        bound = 5 * (part * (1 - part) / picks) ** 0.5 + 0.002
        assert found[f"i{number:02}"] / picks == pytest.approx(part, abs=bound)


KEYS = [f"user-{n}" for n in range(3000)]


def homes(one: Balancer, now: float) -> dict[str, str]:
    return {key: serve(one, now, key=key) for key in KEYS}


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(2, 30), st.data())
def test_only_the_keys_of_an_instance_that_goes_move(count: int, data: st.DataObject) -> None:
    names = [f"i{n}" for n in range(count)]
    gone = data.draw(st.sampled_from(names))
    one = balancer(snapshot(" ".join(names)))
    before = homes(one, 0.0)
    one.update(snapshot(" ".join(name for name in names if name != gone)), 1.0)
    after = homes(one, 1.0)
    assert all(before[key] == gone for key in KEYS if before[key] != after[key])
    one.update(snapshot(" ".join(names)), 2.0)
    assert homes(one, 2.0) == before


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(1, 30))
def test_keys_move_only_to_an_instance_that_comes_and_few_do(count: int) -> None:
    names = " ".join(f"i{n}" for n in range(count))
    one = balancer(snapshot(names))
    before = homes(one, 0.0)
    one.update(snapshot(f"{names} new"), 1.0)
    after = homes(one, 1.0)
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} <= {"new"}
    assert len(moved) / len(KEYS) < 1.6 / (count + 1) + 0.02


def test_a_changed_ring_equals_a_new_one() -> None:
    one = balancer(snapshot("a b c d e f"))
    homes(one, 0.0)
    for now, names in enumerate(["a b c e f", "a b c e f g", "b c e f g h", "a b c d e f g h i"], 1):
        one.update(snapshot(names), float(now))
        assert homes(one, float(now)) == homes(balancer(snapshot(names)), float(now))


def test_no_instance_has_more_than_its_bound_in_flight_for_one_key() -> None:
    one = balancer(snapshot("a b c d"))
    held = Counter(one.pick(0.0, "hot").instance.id for _ in range(400))
    assert max(held.values()) <= 126
    assert len(held) == 4


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.4, 3.0, 30.0]), st.booleans()), max_size=200))
def test_the_budget_never_gives_more_than_its_part_and_reserve(steps: list[tuple[float, bool]]) -> None:
    budget, now = RetryBudget(), 100.0
    requests: list[float] = []
    spent: list[float] = []
    for passed_s, wants in steps:
        now += passed_s
        if not wants:
            requests.append(now)
            budget.requested(now)
        elif budget.spend(now):
            spent.append(now)
        recent = sum(now - at < 9.0 for at in spent)
        assert recent <= RESERVE + PART * sum(now - at <= 20.0 for at in requests)
    now += 11.0
    assert budget.left(now) == RESERVE


NO_DEADLINE_S = 1e6
"""Longer than a run, so no probe is taken for lost."""


class BreakerMachine(RuleBasedStateMachine):
    """The breaker against its description, with calls that end late and in any way."""

    @initialize(seed=st.integers(0, 9))
    def begin(self, seed: int) -> None:
        self.breaker = Breaker(Random(seed).random)
        self.now = 0.0
        self.running: list[Permission] = []
        self.opened_at: float | None = None

    @rule(count=st.integers(1, 25))
    def admit(self, count: int) -> None:
        for _ in range(count):
            before, probes = self.breaker.state, self.running.count(Permission.PROBE)
            permission = self.breaker.admit(self.now, NO_DEADLINE_S)
            if before is BreakerState.CLOSED:
                assert permission is Permission.GRANTED
            elif probes or (self.opened_at is not None and self.now < self.opened_at + OPEN_S):
                assert permission is Permission.REFUSED
            elif self.opened_at is not None and self.now >= self.opened_at + 1.25 * OPEN_S:
                assert permission is Permission.PROBE
            if permission is not Permission.REFUSED:
                self.running.append(permission)

    @rule(count=st.integers(1, 25), failed=st.sampled_from([True, True, False, None]))
    def end(self, count: int, failed: bool | None) -> None:
        for permission in self.running[:count]:
            before = self.breaker.state
            opened = self.breaker.ended(failed, permission, self.now)
            assert opened == (before is not BreakerState.OPEN and self.breaker.state is BreakerState.OPEN)
            if opened:
                assert failed
                self.opened_at = self.now
            if permission is Permission.PROBE and failed is False and before is BreakerState.HALF_OPEN:
                assert self.breaker.state is BreakerState.CLOSED
        del self.running[:count]

    @rule(passed_s=st.sampled_from([0.1, 1.0, 5.5, 12.0]))
    def pass_time(self, passed_s: float) -> None:
        self.now += passed_s

    @invariant()
    def at_most_one_probe(self) -> None:
        assert self.running.count(Permission.PROBE) <= 1


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_breaker_opens_from_20_outcomes_with_half_failed(good: int, bad: int) -> None:
    breaker = Breaker(Random(1).random)
    for failed in [False] * good + [True] * bad:
        breaker.ended(failed, Permission.GRANTED, 0.0)
    opens = any(good + n >= OUTCOMES_MIN and n >= (good + n) / 2 for n in range(1, bad + 1))
    assert (breaker.state is BreakerState.OPEN) == opens
