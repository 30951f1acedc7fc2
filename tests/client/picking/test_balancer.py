"""Picks and outcomes: what is in flight, how latency is learnt, forks, and lost requests."""

from random import Random
from types import SimpleNamespace

import pytest

from gossipreg.client.picking.counters import COUNTERS
from gossipreg.client.picking.outcomes import (
    FAILURE,
    NEUTRAL,
    NEVER_SENT,
    SUCCESS,
    TIMED_OUT,
    Outcome,
    exception_outcome,
    status_outcome,
)
from tests.client.picking.instances import balancer, fail, hold, instance, pick_of, serve, shares, snapshot


@pytest.mark.parametrize("outcome", [SUCCESS, FAILURE, TIMED_OUT, NEVER_SENT, NEUTRAL, status_outcome(429)])
def test_each_outcome_ends_what_is_in_flight(outcome: Outcome) -> None:
    one = balancer(snapshot("a b"))
    pick = one.pick(0.0)
    assert (one.in_flight, pick.state.in_flight) == (1, 1)
    one.ended(pick, outcome, 1.0)
    one.ended(pick, outcome, 2.0)
    assert (one.in_flight, pick.state.in_flight) == (0, 0)


def test_each_outcome_is_counted_once() -> None:
    one = balancer(snapshot("a"))
    for outcome in (SUCCESS, FAILURE, NEUTRAL, status_outcome(429), status_outcome(404)):
        serve(one, 0.0, outcome=outcome)
    stats = one.stats()
    assert [stats[name] for name in ("picks", "successes", "failures", "neutral", "overloaded")] == [5, 2, 1, 1, 1]


def test_an_error_with_a_response_says_its_status_and_retry_after() -> None:
    error = ConnectionError("raise_for_status of some library")
    date = {"Retry-After": "Sun, 06 Nov 1994 08:49:47 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    for headers, retry_after_s in (
        ({"Retry-After": "7"}, 7.0), (date, 10.0), ({"Retry-After": "soon"}, None), (None, None),
    ):  # fmt: skip
        error.response = SimpleNamespace(status_code=503, headers=headers)  # type: ignore[attr-defined]
        assert exception_outcome(error) == status_outcome(503, retry_after_s)


def test_stats_have_every_counter_from_the_start() -> None:
    assert balancer(()).stats().keys() == {*COUNTERS, "in_flight", "ejected"}


def test_an_abandoned_pick_ends_with_the_next_one() -> None:
    one = balancer(snapshot("a"))
    one.abandon(one.pick(0.0))
    one.ended(one.pick(0.0), SUCCESS, 0.0)
    assert one.in_flight == 0
    assert one.stats()["abandoned"] == 1


def test_a_lost_pick_ends_after_ten_times_its_deadline() -> None:
    one = balancer(snapshot("a"))
    lost = one.pick(0.0, deadline_s=2.0)
    serve(one, 19.9)
    assert one.in_flight == 1
    serve(one, 30.1)
    assert one.in_flight == 0
    assert one.stats()["overdue"] == 1
    one.ended(lost, SUCCESS, 31.0)
    assert one.stats()["successes"] == 2


def test_a_fork_forgets_what_is_in_flight_and_ignores_old_tokens() -> None:
    one = balancer(snapshot("a b c"))
    held = [one.pick(0.0) for _ in range(6)]
    one.forked(Random(2))
    assert one.in_flight == 0
    for pick in held:
        one.ended(pick, FAILURE, 1.0)
    assert one.in_flight == 0
    assert one.stats()["failures"] == 0
    assert all(pick.state.in_flight == 0 for pick in held)


def test_children_of_one_fork_pick_differently() -> None:
    sequences = []
    for seed in (2, 3):
        one = balancer(snapshot("a b c d e f g h"), policy="random")
        one.forked(Random(seed))
        sequences.append([serve(one, 0.0) for _ in range(20)])
    assert sequences[0] != sequences[1]


def test_a_fork_keeps_ejections_and_frees_their_probes() -> None:
    one = balancer(snapshot("a b c"), policy="round_robin")
    fail(one, "b", 5, FAILURE, 0.0)
    now = 7.0
    probes = [pick for pick in (one.pick(now) for _ in range(9)) if pick.probe]
    assert [pick.instance.id for pick in probes] == ["b"]
    one.forked(Random(2))
    assert sum(one.pick(now).probe for _ in range(9)) == 1


def test_an_instance_that_fails_fast_does_not_look_fast() -> None:
    one = balancer(snapshot("a b c d e f g"))
    for step in range(700):
        pick = one.pick(step * 0.01)
        pick.started -= 0.1
        bad = pick.instance.id == "a" and step % 5 < 2  # never 5 in a row, and 40 % over all: not ejected for a while
        one.ended(pick, FAILURE if bad else SUCCESS, step * 0.01)
    assert shares(one, 700, 7.0, took_s=0.1)["a"] < 60


def test_adaptive_prefers_the_faster_one_once_it_knows() -> None:
    one = balancer(snapshot("a b"))
    held: dict[str, int] = {"a": 0, "b": 0}
    for step in range(2000):
        now = step * 0.005
        pick = one.pick(now)
        pick.started = now - (0.02 if pick.instance.id == "a" else 0.1)
        one.ended(pick, SUCCESS, now)
        held[pick.instance.id] += 1
    assert held["a"] > 5 * held["b"] > 0


def test_costs_within_a_quarter_are_shared_by_weight() -> None:
    one = balancer((instance("a", weight=1), instance("b", weight=3)))
    count = {"a": 0, "b": 0}
    for step in range(4000):
        pick = one.pick(step * 0.005)
        pick.started -= 0.10 if pick.instance.id == "a" else 0.12
        one.ended(pick, SUCCESS, step * 0.005)
        count[pick.instance.id] += 1
    assert count["b"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_a_slow_one_is_tried_again_when_its_figure_is_old() -> None:
    one = balancer(snapshot("a b"))
    for _ in range(20):
        pick = one.pick(0.0)
        pick.started = -1.0 if pick.instance.id == "a" else -0.01
        one.ended(pick, SUCCESS, 0.0)
    assert shares(one, 100, 0.1)["a"] == 0
    assert 20 < shares(one, 100, 31.0)["a"] < 80


def test_few_requests_a_client_are_spread_by_chance() -> None:
    """Not herded: 200 clients that each saw the same fast instance last do not all run to it."""
    first = []
    for seed in range(200):
        one = balancer(snapshot("a b c d e f g h i j"), seed=seed)
        for second in range(30):
            pick = one.pick(float(second))
            pick.started -= 0.01 if pick.instance.id == "a" else 0.05
            one.ended(pick, SUCCESS, float(second))
        first.append(one.pick(30.0).instance.id)
    assert first.count("a") < 40


def test_a_busy_instance_gets_less() -> None:
    for policy in ("adaptive", "least_request"):
        one = balancer(snapshot("a b c"), policy=policy)
        hold(one, "a", 10, 0.0)
        assert shares(one, 100, 0.0)["a"] == 0


def test_what_a_server_says_of_its_load_counts_for_a_second() -> None:
    one = balancer(snapshot("a b"))
    one.ended(pick_of(one, "a", 0.0), SUCCESS, 0.0, load=400)
    assert shares(one, 10, 0.5)["a"] == 0
    assert shares(one, 100, 1.5)["a"] > 20


def test_streams_count_their_latency_until_the_headers() -> None:
    one = balancer(snapshot("a"))
    for _ in range(30):
        pick = one.pick(0.0)
        one.answered(pick, 0.02)
        one.ended(pick, SUCCESS, 60.0)
    assert one.quantiles.quantile_s(0.99, 60.0) == pytest.approx(0.02, rel=0.1)


def test_a_retry_avoids_what_was_tried_while_there_is_another() -> None:
    for policy in ("adaptive", "round_robin", "ring_hash"):
        one = balancer(snapshot("a b c"), policy=policy)
        first = one.pick(0.0)
        second = one.pick(0.0, avoid=[first.state])
        third = one.pick(0.0, avoid=[first.state, second.state])
        assert len({first.instance.id, second.instance.id, third.instance.id}) == 3
        assert one.others_than([first.state, second.state]) == 1
        assert one.pick(0.0, avoid=[first.state, second.state, third.state]).instance.id in "abc"


def test_round_robin_takes_turns_from_a_random_place() -> None:
    starts = set()
    for seed in range(20):
        one = balancer(snapshot("a b c d"), policy="round_robin", seed=seed)
        turn = [serve(one, 0.0) for _ in range(8)]
        assert sorted(turn[:4]) == list("abcd")
        assert turn[:4] == turn[4:]
        starts.add(turn[0])
    assert starts == set("abcd")


def test_round_robin_honours_weights_without_bursts() -> None:
    one = balancer((instance("a", weight=1), instance("b", weight=3), instance("c", weight=2)), policy="round_robin")
    turns = [serve(one, 0.0) for _ in range(600)]
    assert [turns.count(name) for name in "abc"] == [100, 300, 200]
    assert max(turns[n : n + 6].count("a") for n in range(590)) <= 2


def test_instances_that_are_gone_teach_nothing_more() -> None:
    one = balancer(snapshot("a b c"))
    held = hold(one, "b", 6, 0.0)
    one.update(snapshot("a c"), 1.0)
    for pick in held:
        one.ended(pick, FAILURE, 2.0)
    assert one.in_flight == 0
    assert one.stats()["ejected"] == 0
    assert set(shares(one, 100, 2.0)) == {"a", "c"}


@pytest.mark.parametrize("seed", range(20))
def test_a_slow_first_request_starves_no_equal_instance(seed: int) -> None:
    one, rng = balancer(snapshot("a b c"), seed=seed), Random(seed)
    for begun in (0.0, 10.0, 100.0):  # after each pause, connections have to be opened again
        counts = dict.fromkeys("abc", 0)
        for number in range(300):
            pick = one.pick(now := begun + number * 0.004)
            cold = pick.instance.id == "a" and not counts["a"]
            pick.started = now - (0.05 if cold else 0.002) * rng.uniform(0.9, 1.1)
            one.ended(pick, SUCCESS, now)
            counts[pick.instance.id] += 1
        assert counts["a"] > 50, (begun, counts)
