"""The scenario with events: small runs hold, and the same seed does the same."""

from dataclasses import replace

import pytest

from simulations.scenario import Case
from simulations.scenarios import events


@pytest.mark.wide
@pytest.mark.parametrize("seed", [15])
def test_events_keep_their_promises_under_random_faults(seed: int) -> None:
    found = {figure.metric: figure.values[0] for figure in events.run(Case(nodes=4, seed=seed, duration_s=30.0))}
    assert found["acked"] > 100
    assert found["decided"] > 0
    assert found["broadcast"] > 0
    assert found["deliveries"] > found["dead"] > 0
    assert found["done"] <= events.HANDLED_S


@pytest.mark.wide
def test_a_run_with_events_depends_on_its_seed_alone() -> None:
    case = Case(nodes=4, seed=3, duration_s=6.0, label="publishers=2")
    assert events.run(case) == events.run(case)
    assert events.run(case) != events.run(replace(case, seed=4))


def test_a_single_member_handles_the_events_of_its_own_journal() -> None:
    found = {figure.metric: figure.values[0] for figure in events.run(Case(nodes=1, seed=1, duration_s=15.0))}
    assert found["acked"] > 10
    assert found["broadcast"] > 0
