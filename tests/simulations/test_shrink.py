"""A failure is told with all that is needed to repeat it, and shrinks to fewer actions and members."""

from dataclasses import replace
from typing import Any

import pytest

from gossipreg.core.failure.detector import FailureDetector
from simulations import shrink
from simulations.breaks import Break, broken
from simulations.checkers.checker import Broken
from simulations.cli import main
from simulations.failure import command
from simulations.plan import Action, Part, numbered
from simulations.scenario import Case
from simulations.scenarios import swarm
from simulations.selftest import BREAKS
from simulations.world import START

TOMBSTONE = next(one for one in BREAKS if one.what == "a tombstone is lost")
CASE = Case(nodes=6, seed=2, duration_s=40.0)


def failure(case: Case) -> Broken:
    with pytest.raises(Broken) as caught:
        swarm.run(case)
    assert isinstance(caught.value, Broken)
    return caught.value


@pytest.mark.parametrize("needed", [(), (3,), (0, 9), (2, 3, 4), tuple(range(10))])
def test_what_is_needed_is_what_is_left(needed: tuple[int, ...]) -> None:
    tried: list[tuple[int, ...]] = []

    def fails(kept: tuple[int, ...]) -> bool:
        tried.append(kept)
        return set(needed) <= set(kept)

    assert shrink.without(range(10), fails) == needed
    assert len(tried) <= 40


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", Part()),
        ("3,7,12", Part((3, 7, 12))),
        ("none", Part(())),
        ("n0,n4", Part(None, (0, 4))),
        ("none,n0", Part((), (0,))),
        ("3,n0,n4", Part((3,), (0, 4))),
    ],
)
def test_a_part_of_a_plan_is_written_and_read(text: str, part: Part) -> None:
    assert Part.parse(text) == part
    assert str(part) == text


def test_part_of_a_plan_keeps_the_numbers_of_its_actions() -> None:
    plan = numbered(
        [Action(at_s=2.0, what="stall", hosts=(1, 2)), Action(at_s=1.0, what="crash", hosts=(0,), seeds=(1, 2))],
        [Action(at_s=3.0, what="loss", value=0.1), Action(at_s=0.5, what="register", hosts=(2,))],
    )
    assert [action.number for action in plan] == [0, 1, 2, 3]
    kept = Part((1, 2, 3), (0, 1)).of(plan)
    assert [(one.number, one.what, one.hosts, one.seeds) for one in kept] == [
        (1, "crash", (0,), (1,)),
        (2, "stall", (1,), ()),
        (3, "loss", (), ()),
    ]


def test_a_failure_gives_its_seed_plan_events_and_command() -> None:
    with broken(TOMBSTONE):
        told = str(failure(CASE))
    assert told.startswith("as_written: ")
    assert "6 members" in told
    assert "faults so far:" in told
    assert "answers: added" in told
    assert told.endswith("scripts/simulate run swarm --seed 2 --nodes 6 --duration 40 --detector ours")


def test_an_exception_in_a_member_is_a_failure_naming_it() -> None:
    def raises(on_period: Any) -> Any:
        def broken_period(self: FailureDetector, due: float) -> None:
            on_period(self, due)
            if self._context.now > START + 5:
                raise KeyError("no such row")

        return broken_period

    with broken(Break("an exception escapes", (), FailureDetector, "_on_period", raises)):
        found = failure(CASE)
    assert found.checker == "no_exception (KeyError in broken_period)"
    (name,) = found.members
    told = str(found)
    assert f"members {name}; at " in told
    assert "Traceback (most recent call last):" in told
    assert f"{name}  member_alive name=" in told, "its last events"


@pytest.mark.wide
def test_a_failure_shrinks_to_a_case_that_fails_the_same_way() -> None:
    with broken(TOMBSTONE):
        first = failure(CASE)
        shrunk = shrink.shrink(swarm.SCENARIO, CASE, first, attempts_max=60)
        assert shrunk.attempts <= 60
        assert 1 <= shrunk.actions <= 4, "a value and its deregistration"
        assert shrunk.members <= 3
        assert failure(shrunk.case).checker == first.checker
    swarm.run(shrunk.case)


def test_a_report_ends_with_a_command_and_keeps_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrink, "ATTEMPTS_MAX", 3)
    with broken(TOMBSTONE):
        told = shrink.report(swarm.SCENARIO, CASE, failure(CASE))
    assert "after 3 attempts" in told
    assert "--only " in told.splitlines()[-1]


def test_the_command_of_a_shrunk_case_runs_that_case(capsys: pytest.CaptureFixture[str]) -> None:
    one = next(action for action in swarm.draw(CASE).plan if action.hosts[:1] == (1,))
    case = replace(CASE, label=f"only={one.number},n0,n1")
    words = command(case).split()
    assert words[0] == "scripts/simulate"
    assert main([*words[1:], "--jobs", "1"]) == 0
    members, actions = (line.split()[-2] for line in capsys.readouterr().out.splitlines()[1:3])
    assert (members, actions) == ("2", "1")


def test_a_command_asks_for_exactly_what_was_run() -> None:
    case = Case(nodes=5, seed=3, duration_s=12.34567891, loss=0.123456789, label="shape=halves for=20")
    assert command(case, "partition") == (
        "scripts/simulate run partition --seed 3 --nodes 5 --duration 12.34567891 --detector ours --loss 0.123456789"
        " --label 'shape=halves for=20'"
    )
    assert "--duration" not in command(replace(case, duration_s=0.0), "partition"), "it cannot be asked for"
