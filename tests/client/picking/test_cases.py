"""The table of cases that the clients of all languages share: this one satisfies it, and the table can fail."""

from typing import Any

import pytest

from tests.client.picking.case_runner import CaseRunner, Xorshift32, cases, run

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_case(case: dict[str, Any]) -> None:
    run(case)


def test_the_table_has_many_cases_with_unique_names() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len({*names}) >= 60


def test_each_case_expects_something_of_what_is_done() -> None:
    for case in CASES:
        assert any(step.get("expect") not in (None, [], {}) for step in case["steps"]), case["name"]


def test_the_table_uses_every_step_that_there_is() -> None:
    steps = {name for name in vars(CaseRunner) if not name.startswith("_")} - {"step"}
    assert {step["do"] for case in CASES for step in case["steps"]} == steps


def test_a_wrong_expectation_is_found() -> None:
    case = {"steps": [{"do": "snapshot", "now": 0, "instances": [{"id": "a"}]},
                      {"do": "pick", "now": 0, "as": "p", "expect": "b"}]}  # fmt: skip
    with pytest.raises(AssertionError, match="got a"):
        run(case)


def test_the_generator_gives_the_numbers_of_its_definition() -> None:
    rng = Xorshift32(1)
    assert [int(rng.random() * 2**32) for _ in range(3)] == [270369, 67634689, 2647435461]
