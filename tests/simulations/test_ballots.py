"""The models of ballots and of sagas: a small instance holds, a mutation is found, and the table is of one piece."""

import re

import pytest

from scripts.checks import ballots
from scripts.checks.ballots import INSTANCES, MODELS, MUTATIONS, SAGA, Case, SearchFailed, search

needs_spin = pytest.mark.skipif(bool(ballots.missing()), reason=ballots.missing() or "spin and gcc are there")


@needs_spin
def test_a_small_journal_holds_in_all_its_states() -> None:
    result = search(Case("small", "BALLOTS=2 LENGTH=2", "three voters, two candidacies"))
    assert result.violated == ""
    assert result.states > 1000


@needs_spin
def test_a_voter_without_the_log_check_loses_an_entry() -> None:
    broken = next(case for case in MUTATIONS if case.name == "NO_UP_TO_DATE")
    result = search(broken)
    assert "chosen" in result.violated
    assert result.history[0] == "0 stand"


@needs_spin
def test_a_small_saga_holds_in_all_its_states() -> None:
    result = search(Case("small", "STEPS=1 MESSAGES=2", "one step, two messages", model=SAGA))
    assert result.violated == ""
    assert result.states > 1000


@needs_spin
def test_a_do_that_comes_after_its_undo_is_found() -> None:
    broken = next(case for case in MUTATIONS if case.name == "NO_RULE_3")
    result = search(broken)
    assert "key" in result.violated
    assert result.history[0] == "0 intend"
    assert "0 undo" in result.history or "1 undo" in result.history


@needs_spin
def test_a_model_that_spin_refuses_is_an_error_not_a_pass() -> None:
    with pytest.raises(SearchFailed, match="spin failed"):
        search(Case("wrong", "BALLOTS=]", "no number"))


def test_a_surviving_mutation_and_a_violated_instance_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {
        "fine": ballots.Result(10, 3, 0.1, "", ()),
        "wrong": ballots.Result(10, 3, 0.1, "(a==b)", ("0 stand", "1 vote")),
    }
    monkeypatch.setattr(ballots, "missing", lambda: "")
    monkeypatch.setattr(ballots, "search", lambda case: results[case.name])
    for instance, mutation, status in (("fine", "wrong", 0), ("wrong", "wrong", 1), ("fine", "fine", 1)):
        monkeypatch.setattr(ballots, "INSTANCES", (Case(instance, "", ""),))
        monkeypatch.setattr(ballots, "MUTATIONS", (Case(mutation, "", "", mutation=True),))
        assert ballots.check_ballots() == status
    assert "fine survives" in capsys.readouterr().out


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "spin" else f"/usr/bin/{tool}")
    assert ballots.check_ballots() == ballots.MISSING
    assert "spin" in capsys.readouterr().err


def test_every_macro_of_the_table_stands_in_the_model() -> None:
    for case in (*INSTANCES, *MUTATIONS):
        model = (MODELS / case.model).read_text()
        for macro in case.macros.split():
            assert re.search(rf"#if.*\b{macro.split('=')[0]}\b", model), f"{case.name}: {macro}"


def test_an_unknown_case_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert ballots.check_ballots(["ONE_STEPP"]) == ballots.USAGE
    assert "ONE_STEPP" in capsys.readouterr().err
