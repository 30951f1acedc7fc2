"""The Lifeguard experiments, small: the laboratory shows what the paper found."""

from dataclasses import replace

import pytest

from simulations.scenario import DETECTORS, Case, DetectorName
from simulations.scenarios.lifeguard import cases, long_cases, run

_SLOW = "c=4 d=16.384 i=0.001"


def figures(
    detector: DetectorName, label: str, *, nodes: int = 24, seed: int = 1, duration_s: float = 60.0
) -> dict[str, tuple[float, ...]]:
    case = Case(nodes=nodes, seed=seed, duration_s=duration_s, detector=detector, label=label)
    return {figure.metric: figure.values for figure in run(case)}


@pytest.mark.wide
def test_lifeguard_has_fewer_false_positives_than_swim() -> None:
    swim, lifeguard = (figures(detector, f"{_SLOW} model=blocked") for detector in ("swim", "lifeguard"))
    assert swim["false_positives"] > (5.0,)
    assert lifeguard["false_positives"] < (swim["false_positives"][0] / 3,)
    assert swim["false_positives_at_healthy"] < (swim["false_positives"][0] / 3,), "most are at the slow ones"


@pytest.mark.parametrize("model", ["blocked", "stalled"])
def test_slow_members_make_nobody_take_a_healthy_one_for_dead(model: str) -> None:
    found = figures("ours", f"{_SLOW} model={model}", duration_s=40)
    assert found["false_positives_at_healthy"] == (0.0,)


@pytest.mark.wide
def test_two_slow_members_do_not_confirm_each_other() -> None:
    """Helpers that were silent as well must count against our own health: without it one was lost, by all."""
    found = figures("ours", "c=32 d=8.192 i=1.024 model=blocked", nodes=128, duration_s=12)
    assert found["false_positives"] == (0.0,)


@pytest.mark.parametrize("detector", sorted(DETECTORS))
def test_where_nobody_is_slow_nobody_is_taken_for_dead(detector: DetectorName) -> None:
    found = figures(detector, "c=0 d=1 i=1 model=blocked", duration_s=20)
    assert found["false_positives"] == (0.0,)
    assert found["messages"] > (24.0 * 20,)


@pytest.mark.parametrize("detector", sorted(DETECTORS))
def test_a_member_slow_for_long_is_declared_dead_by_all(
    detector: DetectorName,
) -> None:
    found = figures(detector, "c=1 d=32.768 model=stalled", duration_s=40)
    (first,), (last,) = found["first_detection"], found["full_dissemination"]
    assert 1.0 < first <= last < 32.768
    assert found["undetected"] == (0.0,)
    assert figures(detector, "c=1 d=0.512 model=stalled", duration_s=20)["undetected"] == (1.0,)


def test_the_standard_sweep_meets_every_pair_of_the_grid() -> None:
    asked = Case()
    standard, grid = ([case.label for case in make(asked)] for make in (cases, long_cases))
    assert 180 <= len(standard) == len(set(standard)) <= 220
    assert set(standard) < set(grid)
    blocked = [label.split()[:3] for label in standard if "blocked" in label and " i=" in label]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        values = ({parts[at] for parts in blocked} for at in (one, other))
        met = {(parts[one], parts[other]) for parts in blocked}
        assert len(met) == len(next(values)) * len(next(values))


def test_the_same_seed_gives_the_same_figures() -> None:
    label = "c=3 d=2.048 i=0.256 model=blocked"
    case = Case(nodes=12, seed=5, duration_s=10, detector="lifeguard", label=label)
    assert run(case) == run(case)
    assert run(case) != run(replace(case, seed=6))
