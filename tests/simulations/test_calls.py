"""What a wake-up touches: the calls of Python functions that the core makes. They rose by a third once, unnoticed."""

import pytest

from simulations import calls
from simulations.calls import Calls, count_calls
from simulations.cli import main

IDLE_INPUT_MAX = 60
CHANGE_MAX = 395
"""A tenth above what they are. A newer Python calls fewer functions: comprehensions are none there."""


def test_an_input_of_an_idle_member_and_a_change_make_few_calls() -> None:
    found = count_calls((50,), 160)
    assert 0 < found.idle_input <= IDLE_INPUT_MAX
    assert 0 < found.a_change[50] <= CHANGE_MAX


def test_the_command_prints_the_calls(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "count_calls", lambda: Calls(12.34, {5: 1.0}))
    assert main(["calls"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "12.3 calls in an input of an idle member",
        "1.0 calls of a member for a change, at 5 changes a second",
    ]
