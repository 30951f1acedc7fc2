"""Which instances may be picked: the order of rules, and the snapshot that they follow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.client.picking.candidates import changed_span
from gossipreg.client.picking.outcomes import FAILURE
from gossipreg.errors import NoInstance
from tests.client.picking.instances import balancer, fail, instance, shares, snapshot


def picked(instances: tuple[Any, ...], **options: Any) -> set[str]:
    return set(shares(balancer(instances, **options), 200, 0.0))


def test_maintenance_and_failing_checks_are_never_picked() -> None:
    mixed = (
        instance("a"),
        instance("m", health="maintenance"),
        instance("c", health="critical"),
        instance("w", health="warning"),
    )
    assert picked(mixed) == {"a"}


def test_without_passing_instances_the_error_says_why() -> None:
    mixed = (instance("m", health="maintenance"), *snapshot("c d", health="critical"))
    with pytest.raises(NoInstance, match=r"no instance of web passes its checks \(2 critical, 1 maintenance\)"):
        balancer(mixed).pick(0.0)
    with pytest.raises(NoInstance, match="no instance of web is registered"):
        balancer(()).pick(0.0)


def test_panic_all_picks_critical_ones_marked_and_no_maintenance() -> None:
    mixed = (instance("m", health="maintenance"), instance("c", health="critical"), instance("w", health="warning"))
    one = balancer(mixed, panic="all")
    assert set(shares(one, 100, 0.0)) == {"c", "w"}
    assert one.pick(0.0).critical
    assert one.stats()["picks_of_critical"] == 101
    one.update((*mixed, instance("a")), 1.0)
    assert set(shares(one, 100, 1.0)) == {"a"}
    assert not one.pick(1.0).critical


def test_stale_instances_are_picked_as_others() -> None:
    assert picked((instance("a"), instance("b", stale=True))) == {"a", "b"}


def test_ejected_instances_are_left_out_until_too_many_are() -> None:
    one = balancer(snapshot("a b c d e f"), policy="random")
    for name in ("a", "b", "c"):
        fail(one, name, 5, FAILURE, 0.0)
    assert set(shares(one, 200, 0.0)) == {"d", "e", "f"}
    one.update(snapshot("a b c d e"), 1.0)  # 2 of 5 are fewer than half
    assert set(shares(one, 200, 1.0)) == {"a", "b", "c", "d", "e"}
    assert one.stats()["picks_in_panic"] == 200


def test_panic_ignores_ejection_but_never_the_registry() -> None:
    one = balancer(snapshot("a b c d e f"), policy="random")
    for name in ("a", "b", "c"):
        fail(one, name, 5, FAILURE, 0.0)
    one.update((*snapshot("a b c"), instance("d", health="critical"), instance("e", health="maintenance")), 1.0)
    assert set(shares(one, 200, 1.0)) == {"a", "b", "c"}


def test_weight_0_gets_requests_only_if_all_have_it() -> None:
    assert picked((instance("a", weight=0), instance("b", weight=2))) == {"b"}
    assert picked((instance("a", weight=0), instance("b", weight=0))) == {"a", "b"}


def test_what_joins_others_starts_slowly_and_ramps_up() -> None:
    one = balancer(snapshot("a b c"), policy="random")
    one.update(snapshot("a b c d"), 100.0)
    for now, low, high in ((100.0, 0.02, 0.05), (104.5, 0.11, 0.18), (110.0, 0.22, 0.28)):
        assert low < shares(one, 4000, now)["d"] / 4000 < high


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "a b c"), ("a", "a b")],
    ids=["the first snapshot", "fewer than three"],
)
def test_no_slow_start_for(before: str, after: str) -> None:
    one = balancer(snapshot(before), policy="random")
    one.update(snapshot(after), 100.0)
    assert shares(one, 3000, 100.0)[after[-1]] > 3000 / len(after.split()) * 0.9


def test_return_from_critical_starts_slowly_too() -> None:
    one = balancer((*snapshot("a b"), instance("c", health="critical")), policy="random")
    one.update(snapshot("a b c"), 50.0)
    assert shares(one, 3000, 50.0)["c"] / 3000 < 0.08


def zoned(**counts: int) -> tuple[Any, ...]:
    return tuple(instance(f"{zone}{i}", zone=zone) for zone, count in counts.items() for i in range(count))


@pytest.mark.parametrize(
    ("instances", "callers", "own_part"),
    [
        ({"a": 3, "b": 3}, {"a": 5, "b": 5}, 1.0),
        ({"a": 2, "b": 6}, {"a": 5, "b": 5}, 0.5),
        ({"a": 5, "b": 1}, {"a": 1, "b": 9}, 1.0),
        ({"b": 6}, {"a": 5, "b": 5}, 0.0),
        ({"a": 2, "b": 4}, {}, 1 / 3),
        ({"a": 1, "b": 4}, {"a": 5, "b": 5}, 0.2),
    ],
    ids=["enough", "too few", "more than needed", "none", "callers unknown", "below 6 instances"],
)
def test_a_zone_keeps_what_its_instances_carry(
    instances: dict[str, int], callers: dict[str, float], own_part: float
) -> None:
    one = balancer(zoned(**instances), policy="random", zone="a")
    one.set_callers(callers)
    found = shares(one, 4000, 0.0)
    assert sum(count for name, count in found.items() if name[0] == "a") / 4000 == pytest.approx(own_part, abs=0.04)


def test_zone_shares_follow_ejections() -> None:
    one = balancer(zoned(a=4, b=8), policy="random", zone="a")
    one.set_callers({"a": 4, "b": 8})
    assert {name[0] for name in shares(one, 300, 0.0)} == {"a"}
    fail(one, "a0", 5, FAILURE, 0.0)
    assert {name[0] for name in shares(one, 300, 0.0)} == {"a", "b"}


@given(
    st.lists(st.integers(0, 9), max_size=12, unique=True),
    st.lists(st.integers(0, 9), max_size=12, unique=True),
    st.sets(st.integers(0, 9)),
)
def test_changed_span_covers_each_difference(old: list[int], new: list[int], other: set[int]) -> None:
    before = tuple(instance(str(n)) for n in old)
    after = tuple(instance(str(n), weight=2 if n in other else 1) for n in new)
    start, old_end, new_end = changed_span(before, after)
    assert before[:start] == after[:start]
    assert before[old_end:] == after[new_end:]
    assert start <= old_end
    assert start <= new_end
    if before[start:old_end] and after[start:new_end]:
        assert before[start] != after[start]
        assert before[old_end - 1] != after[new_end - 1]


@pytest.mark.parametrize("at", [0, 255, 256, 511, 700, 999])
def test_changed_span_of_a_large_snapshot_is_one_instance(at: int) -> None:
    before = tuple(instance(str(n)) for n in range(1000))
    after = (*before[:at], instance("new"), *before[at + 1 :])
    assert changed_span(before, after) == (at, at + 1, at + 1)
    assert changed_span(before, before[:at] + before[at + 1 :]) == (at, at + 1, at)
    assert changed_span(before, before) == (1000, 1000, 1000)
