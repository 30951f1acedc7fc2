"""A fixed share of the swarm: everything drawn from the seed, all checkers on."""

from dataclasses import replace

import pytest

from simulations import faults
from simulations.plan import Action
from simulations.scenario import Case, DetectorName
from simulations.scenarios import swarm

OURS = [pytest.param(seed, marks=[pytest.mark.wide] if seed > 4 else []) for seed in range(1, 25)]
OTHERS = [
    pytest.param(seed, "swim" if seed % 2 else "lifeguard", marks=[pytest.mark.wide] if seed > 103 else [])
    for seed in range(101, 109)
]


@pytest.mark.parametrize("seed", OURS)
def test_everything_holds_whatever_happens(seed: int) -> None:
    swarm.run(replace(swarm.SCENARIO.defaults, seed=seed))


@pytest.mark.parametrize(("seed", "detector"), OTHERS)
def test_what_holds_of_the_table_holds_under_other_detectors_too(seed: int, detector: DetectorName) -> None:
    swarm.run(replace(swarm.SCENARIO.defaults, seed=seed, detector=detector, duration_s=20.0))


@pytest.mark.parametrize(
    ("seed", "part"),
    [
        pytest.param(26, "", marks=pytest.mark.wide),
        (1021, "4,14,n0,n3"),
        (294, "19,32,44,n0,n2"),
        (130000, "35,37,n0,n3"),
    ],
)
def test_what_swarm_once_found_holds(seed: int, part: str) -> None:
    """A ghost of a row that was never whole; one that stayed hidden; a checker that took a pause for one of the
    identity that the machine had before; and one that took a search on a path grown wider for chatter."""
    swarm.run(replace(swarm.SCENARIO.defaults, seed=seed, label=f"only={part}" if part else ""))


def test_faults_and_workload_are_drawn_from_streams_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more fault must not change what services do."""

    def without_number(actions: tuple[Action, ...]) -> list[Action]:
        return [replace(one, number=0) for one in actions if one.what in ("register", "health", "deregister", "lookup")]

    case = Case(nodes=8, seed=5, duration_s=40.0)
    before = without_number(swarm.draw(case).plan)
    assert before
    monkeypatch.setattr(faults, "FAULTS", faults.FAULTS[:1])
    assert without_number(swarm.draw(case).plan) == before
