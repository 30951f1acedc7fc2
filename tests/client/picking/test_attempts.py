"""One logical call: what is retried, where, when, and what it costs; hedges; fallbacks; the breaker above."""

from random import Random
from typing import Any

import pytest

from gossipreg.client.instance import Instance
from gossipreg.client.picking.attempts import AfterAttempt, LogicalCall
from gossipreg.client.picking.options import CallOptions, PickOptions
from gossipreg.client.picking.outcomes import (
    FAILURE,
    NEUTRAL,
    NEVER_SENT,
    SUCCESS,
    TIMED_OUT,
    Outcome,
    OutcomeKind,
    status_outcome,
)
from gossipreg.client.picking.resilience import Resilience
from gossipreg.errors import BreakerOpen, DeadlineExceeded, NoInstance
from tests.client.picking.instances import snapshot

OVERLOADED = status_outcome(429)


def service(instances: tuple[Instance, ...] | None = None) -> Resilience:
    made = Resilience("web", PickOptions(), Random(1))
    made.balancer.update(snapshot("a b c") if instances is None else instances, 0.0)
    return made


def begin(one: Resilience, now: float = 0.0, **options: Any) -> LogicalCall:
    return one.begin(CallOptions(**{"deadline_s": 2.0, "idempotent": True} | options), now)


def run(one: Resilience, outcomes: list[Outcome], now: float = 0.0, **options: Any) -> LogicalCall:
    """A call whose attempts end in this way, one after the other; the last one ends the call."""
    call = begin(one, now, **options)
    for place, outcome in enumerate(outcomes):
        after = call.ended(call.next_attempt(max(now, call.retry_at)), outcome, max(now, call.retry_at))
        assert after is (AfterAttempt.FINAL if place + 1 == len(outcomes) else AfterAttempt.RETRY)
    assert call.is_over
    assert one.balancer.in_flight == 0
    return call


def test_a_failed_attempt_goes_to_another_instance_at_once() -> None:
    call = begin(service())
    first = call.next_attempt(0.0)
    assert call.ended(first, FAILURE, 0.5) is AfterAttempt.RETRY
    assert call.retry_at == 0.5
    second = call.next_attempt(0.5)
    assert second.pick.instance != first.pick.instance
    assert call.ended(second, SUCCESS, 0.6) is AfterAttempt.FINAL


@pytest.mark.parametrize(
    ("outcomes", "options", "why"),
    [
        ([FAILURE], {"idempotent": False}, "not_idempotent"),
        ([TIMED_OUT], {"idempotent": False}, "not_idempotent"),
        ([OVERLOADED], {"idempotent": False}, "not_idempotent"),
        ([NEVER_SENT, FAILURE], {"idempotent": False}, "not_idempotent"),
        ([NEVER_SENT, NEVER_SENT, NEVER_SENT], {"idempotent": False}, "attempts_used_up"),
        ([FAILURE, FAILURE, FAILURE], {}, "attempts_used_up"),
        ([FAILURE], {"attempts_max": 1}, "attempts_used_up"),
        ([FAILURE], {"depth": 2}, "retry_of_a_retry"),
        ([NEVER_SENT], {"depth": 2}, "retry_of_a_retry"),
        ([status_outcome(503, 5.0)], {}, "deadline_too_near"),
        ([NEUTRAL], {}, ""),
        ([FAILURE, SUCCESS], {}, ""),
        ([status_outcome(404)], {}, ""),
    ],
)
def test_a_call_ends_when_the_rule_says_so(outcomes: list[Outcome], options: dict[str, Any], why: str) -> None:
    one = service()
    call = run(one, outcomes, **options)
    assert call.why == why
    assert not why or one.stats()[why] == 1
    assert one.stats()["attempts"] == len(outcomes)
    assert one.stats()["retries"] == len(outcomes) - 1


def test_later_retries_wait_longer_and_never_alike() -> None:
    waits = []
    one = service(snapshot("a b c d e f"))
    for now in range(0, 40, 2):
        call = begin(one, float(now), attempts_max=4)
        for _ in range(3):
            before = max(float(now), call.retry_at)
            call.ended(call.next_attempt(before), NEVER_SENT, before)
            waits.append(call.retry_at - before)
        call.ended(call.next_attempt(call.retry_at), SUCCESS, call.retry_at)
    assert {*waits[::3]} == {0.0}
    assert all(0.025 <= wait <= 0.05 for wait in waits[1::3])
    assert all(0.05 <= wait <= 0.1 for wait in waits[2::3])
    assert len({*waits[1::3]}) > 10


def test_retry_after_is_obeyed() -> None:
    call = begin(service())
    assert call.ended(call.next_attempt(0.0), status_outcome(503, 1.0), 0.25) is AfterAttempt.RETRY
    assert call.retry_at == 1.25


def test_the_only_instance_is_tried_again_but_not_after_429() -> None:
    one = service(snapshot("a"))
    call = begin(one)
    assert call.ended(call.next_attempt(0.0), FAILURE, 0.0) is AfterAttempt.RETRY
    assert call.retry_at > 0.0
    call.close(0.1)
    assert run(one, [OVERLOADED]).why == "no_other_instance"
    assert begin(service()).ended(begin(service()).next_attempt(0.0), OVERLOADED, 0.0) is AfterAttempt.WAIT
    call = begin(service())
    assert call.ended(call.next_attempt(0.0), OVERLOADED, 0.0) is AfterAttempt.RETRY


def test_retries_stop_when_the_budget_is_used_up() -> None:
    one = service(snapshot(" ".join(f"i{n}" for n in range(40))))
    for _ in range(10):
        run(one, [NEVER_SENT, SUCCESS])
    for _ in range(2):  # 20 % of ten calls
        run(one, [NEVER_SENT, SUCCESS])
    assert run(one, [NEVER_SENT]).why == "budget_used_up"
    assert run(one, [NEVER_SENT, SUCCESS], now=11.0).why == ""


def test_the_first_attempt_leaves_a_third_of_the_deadline() -> None:
    call = begin(service(), deadline_s=3.0)
    first = call.next_attempt(0.0)
    assert first.timeout_s == pytest.approx(2.0)
    call.ended(first, TIMED_OUT, 2.0)
    assert call.next_attempt(2.0).timeout_s == pytest.approx(1.0)


def measured(one: Resilience, latency_s: float, count: int = 200) -> Resilience:
    for _ in range(count):
        pick = one.balancer.pick(0.0)
        pick.started = -latency_s
        one.balancer.ended(pick, SUCCESS, 0.0)
    return one


def test_an_attempt_that_can_be_followed_ends_after_4_times_the_p99() -> None:
    assert begin(measured(service(), 0.001)).next_attempt(0.0).timeout_s == 0.25
    assert begin(measured(service(), 0.1)).next_attempt(0.0).timeout_s == pytest.approx(0.4, rel=0.1)
    assert begin(measured(service(), 0.1), deadline_s=0.3).next_attempt(0.0).timeout_s == pytest.approx(0.2)


@pytest.mark.parametrize("options", [{"idempotent": False}, {"attempts_max": 1}, {"depth": 2}])
def test_an_attempt_that_nothing_can_follow_gets_all_that_is_left(options: dict[str, Any]) -> None:
    assert begin(measured(service(), 0.001), **options).next_attempt(0.5).timeout_s == 1.5


def test_the_last_attempt_gets_all_that_is_left() -> None:
    call = begin(measured(service(), 0.001))
    for now in (0.0, 0.25):
        call.ended(call.next_attempt(max(now, call.retry_at)), TIMED_OUT, now + 0.25)
    assert call.next_attempt(0.6).timeout_s == pytest.approx(1.4)


def test_headers_say_what_is_left_and_which_attempt_it_is() -> None:
    call = begin(service())
    first = call.next_attempt(0.0)
    assert first.headers() == {"Gossipreg-Timeout-Ms": "1333"}
    call.ended(first, FAILURE, 1.0)
    assert call.next_attempt(1.0).headers() == {"Gossipreg-Timeout-Ms": "1000", "Gossipreg-Attempt": "2"}
    assert begin(service(), depth=3).next_attempt(0.0).headers()["Gossipreg-Attempt"] == "3"


def test_a_passed_deadline_and_no_instance_end_the_call() -> None:
    call = begin(service())
    with pytest.raises(DeadlineExceeded, match="web: the deadline of 2 s has passed"):
        call.next_attempt(2.0)
    assert call.is_over
    call = begin(service(()))
    with pytest.raises(NoInstance):
        call.next_attempt(0.0)
    assert call.is_over


def test_a_second_end_of_an_attempt_changes_nothing() -> None:
    one = service()
    call = begin(one)
    first = call.next_attempt(0.0)
    call.ended(first, FAILURE, 0.0)
    assert call.ended(first, FAILURE, 0.0) is AfterAttempt.WAIT
    assert one.stats()["failures"] == 1


def test_a_closed_call_leaves_nothing_in_flight() -> None:
    one = service()
    call = begin(one)
    attempt = call.next_attempt(0.0)
    call.close(1.0)
    assert call.ended(attempt, SUCCESS, 2.0) is AfterAttempt.FINAL
    assert (one.balancer.in_flight, one.stats()["successes"], one.stats()["neutral"]) == (0, 0, 1)


# -- hedges ------------------------------------------------------------------------------------------------------------


def test_a_slow_attempt_is_hedged_after_the_p95_at_another_instance() -> None:
    one = measured(service(), 0.1)
    call = begin(one, hedge=True)
    first = call.next_attempt(0.0)
    hedge_at = call.hedge_at(first, 0.0)
    assert hedge_at is not None
    assert hedge_at == pytest.approx(0.1, rel=0.1)
    second = call.hedge(hedge_at)
    assert second is not None
    assert second.pick.instance != first.pick.instance
    assert call.ended(second, SUCCESS, 0.2) is AfterAttempt.FINAL
    assert (one.balancer.in_flight, one.stats()["hedges"], one.stats()["neutral"]) == (0, 1, 1)
    assert call.hedge(0.2) is None


def test_the_loser_of_a_hedge_is_not_measured() -> None:
    one = measured(service(), 0.1)
    call = begin(one, hedge=True)
    first = call.next_attempt(0.0)
    second = call.hedge(0.1)
    assert second is not None
    call.ended(second, SUCCESS, 0.2)
    assert one.balancer.quantiles.samples(0.2) == 201
    assert call.ended(first, SUCCESS, 9.0) is AfterAttempt.FINAL
    assert one.balancer.quantiles.samples(9.0) == 201


def test_the_other_attempt_goes_on_when_one_of_two_fails() -> None:
    call = begin(measured(service(), 0.1), hedge=True)
    first = call.next_attempt(0.0)
    second = call.hedge(0.1)
    assert second is not None
    assert call.ended(first, FAILURE, 0.15) is AfterAttempt.WAIT
    assert call.ended(second, FAILURE, 0.2) is AfterAttempt.RETRY
    third = call.next_attempt(call.retry_at)
    assert third.pick.instance not in (first.pick.instance, second.pick.instance)


@pytest.mark.parametrize(
    ("options", "samples", "instances"),
    [
        ({"hedge": False}, 200, "a b"),
        ({"hedge": True, "idempotent": False}, 200, "a b"),
        ({"hedge": True}, 99, "a b"),
        ({"hedge": True}, 200, "a"),
        ({"hedge": True, "depth": 2}, 200, "a b"),
        ({"hedge": True, "attempts_max": 1}, 200, "a b"),
        ({"hedge": True, "deadline_s": 0.05}, 200, "a b"),
    ],
    ids=["not wanted", "not idempotent", "few samples", "one instance", "a retry", "one attempt", "deadline near"],
)
def test_no_hedge_if(options: dict[str, Any], samples: int, instances: str) -> None:
    call = begin(measured(service(snapshot(instances)), 0.1, samples), **options)
    assert call.hedge_at(call.next_attempt(0.0), 0.0) is None


def test_the_first_attempt_goes_on_if_all_instances_leave_before_the_hedge() -> None:
    one = measured(service(), 0.1)
    call = begin(one, hedge=True)
    first = call.next_attempt(0.0)
    one.balancer.update((), 0.1)
    assert call.hedge(0.1) is None
    assert (call.is_over, one.balancer.in_flight, one.stats()["hedges"]) == (False, 1, 0)
    assert call.ended(first, SUCCESS, 0.2) is AfterAttempt.FINAL


def test_hedges_are_paid_from_the_retry_budget() -> None:
    one = measured(service(), 0.1)
    while one.budget.spend(0.0):
        pass
    call = begin(one, hedge=True)
    call.next_attempt(0.0)
    assert call.hedge(0.1) is None
    assert one.stats()["budget_used_up"] == 1


# -- fallbacks ---------------------------------------------------------------------------------------------------------


def test_a_fallback_follows_the_rule_of_retries() -> None:
    assert run(service(), [FAILURE] * 3).may_fall_back(0.5)
    assert run(service(), [NEVER_SENT] * 3, idempotent=False).may_fall_back(0.5)
    assert not run(service(), [FAILURE], idempotent=False).may_fall_back(0.5)
    assert not run(service(), [NEVER_SENT, FAILURE], idempotent=False).may_fall_back(0.5)
    assert not run(service(), [FAILURE], depth=2).may_fall_back(0.5)
    assert not run(service(), [FAILURE] * 3).may_fall_back(2.0)


def test_a_fallback_costs_budget_only_if_something_was_sent() -> None:
    for instances, left in (((), 10.2), (snapshot("a b"), 9.2)):
        one = service(instances)
        call = begin(one, attempts_max=1)
        if instances:
            call.ended(call.next_attempt(0.0), FAILURE, 0.0)
        else:
            with pytest.raises(NoInstance):
                call.next_attempt(0.0)
        assert call.may_fall_back(0.0)
        assert one.budget.left(0.0) == pytest.approx(left)
        assert one.stats()["fallbacks"] == 1


# -- the breaker -------------------------------------------------------------------------------------------------------


def broken(now: float = 0.0) -> Resilience:
    one = service()
    for _ in range(20):
        run(one, [FAILURE], now=now, attempts_max=1)
    return one


def test_the_breaker_counts_calls_and_not_their_attempts() -> None:
    one = service()
    for _ in range(5):
        run(one, [FAILURE, FAILURE, FAILURE])
    for _ in range(19):
        run(one, [FAILURE, SUCCESS] if one.budget.left(0.0) >= 1 else [SUCCESS])
    assert one.stats()["breaker"] == "closed"


def test_an_open_breaker_refuses_at_once_and_says_for_how_long() -> None:
    one = broken()
    with pytest.raises(BreakerOpen, match=r"most calls to web failed lately: none is sent for [56]\.\d s"):
        begin(one, 0.0)
    with pytest.raises(BreakerOpen):
        one.pick(4.9)
    assert (one.stats()["breaker_opened"], one.stats()["breaker_refused"]) == (1, 2)


@pytest.mark.parametrize(
    ("outcome", "state"), [(SUCCESS, "closed"), (FAILURE, "open"), (NEUTRAL, "half_open"), (OVERLOADED, "half_open")]
)
def test_one_probe_decides_about_a_half_open_breaker(outcome: Outcome, state: str) -> None:
    one = broken()
    call = begin(one, 7.0, attempts_max=1)
    with pytest.raises(BreakerOpen):
        begin(one, 7.0)
    with pytest.raises(BreakerOpen):
        one.pick(7.0)
    call.ended(call.next_attempt(7.0), outcome, 7.1)
    assert one.stats()["breaker"] == state
    assert one.stats()["breaker_probes"] == 1


def test_a_single_pick_counts_for_the_breaker_and_may_be_its_probe() -> None:
    one = service()
    for _ in range(20):
        one.pick_ended(one.pick(0.0), FAILURE, 0.0)
    assert one.stats()["breaker"] == "open"
    pick = one.pick(7.0)
    with pytest.raises(BreakerOpen):
        one.pick(7.0)
    one.pick_ended(pick, SUCCESS, 7.0)
    assert one.stats()["breaker"] == "closed"


def test_a_probe_without_an_instance_or_an_end_gives_its_place_back() -> None:
    one = broken()
    call = begin(one, 7.0)
    call.close(7.0)
    one.balancer.update((), 7.0)
    with pytest.raises(NoInstance):
        one.pick(7.0)
    with pytest.raises(NoInstance):
        begin(one, 7.0).next_attempt(7.0)
    one.balancer.update(snapshot("a"), 7.0)
    one.pick_ended(one.pick(7.0), SUCCESS, 7.0)
    assert one.stats()["breaker"] == "closed"


def test_a_probe_that_is_lost_gives_its_place_back_at_its_deadline() -> None:
    one = broken()
    one.balancer.abandon(one.pick(7.0, None, 3.0))
    with pytest.raises(BreakerOpen, match="until the one that is sent as a probe has succeeded"):
        one.pick(9.9)
    begin(one, 10.0, deadline_s=2.0)
    with pytest.raises(BreakerOpen):
        one.pick(11.9)
    one.pick_ended(one.pick(12.0), SUCCESS, 12.1)
    assert one.stats()["breaker"] == "closed"


def test_a_fork_gives_the_probe_back() -> None:
    one = broken()
    begin(one, 7.0)
    one.forked(Random(2))
    begin(one, 7.0)


def test_outcome_kinds_are_those_that_the_rules_name() -> None:
    assert [kind.value for kind in OutcomeKind] == ["success", "failure", "overloaded", "neutral"]
