"""A step that has no undo, of an aborted saga: it may have happened, and nobody must read that it was undone."""

from pathlib import Path

import pytest

from gossipreg.sagas.saga_model import StepState
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import LOST, Answer


@pytest.mark.parametrize("answer", [LOST, Answer(500)])
def test_a_step_without_an_undo_is_told_as_not_undone(answer: Answer) -> None:
    bench = Bench()
    bench.participants["pay"] = lambda _: answer
    saga = bench.begin()
    bench.step(saga, "reserve")
    assert bench.step(saga, "pay", undo=None, timeout_ms=1000)[1]["state"] == "unknown"
    bench.ok("abort", saga=saga)
    bench.run(5.0)
    told = {one["name"]: (one["state"], one["undo"]["text"]) for one in bench.story(saga)["steps"]}
    assert told == {
        "reserve": ("undone", ""),
        "pay": ("not_undone", "it has no undo: what it did, or may have done, stays"),
    }
    assert [(one.kind, dict(one.fields).get("step")) for one in bench.logged if one.kind == "saga_not_undone"] == [
        ("saga_not_undone", "pay"),
    ]  # fmt: skip
    assert is_over(bench)


def test_what_is_done_without_an_undo_stays_after_an_abort_too() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "pay", undo=None)
    bench.ok("abort", saga=saga)
    bench.run(5.0)
    assert bench.story(saga)["steps"][0]["state"] == "not_undone"


def test_a_question_and_a_refused_step_leave_nothing_to_undo() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda _: Answer(422)
    saga = bench.begin()
    bench.step(saga, "ask", undo=None, harmless=True)
    bench.step(saga, "pay", undo=None)
    bench.ok("abort", saga=saga)
    bench.run(5.0)
    assert [one["state"] for one in bench.story(saga)["steps"]] == ["undone", "refused"]
    assert not any(one.kind == "saga_not_undone" for one in bench.logged)


def test_an_undo_that_was_written_from_an_answer_is_undone() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda attempt: Answer(204 if attempt.undoes else 201, b'{"id": 7}')
    saga = bench.begin()
    bench.step(saga, "pay", undo={"method": "DELETE", "path": "/p/{result.pay.id}"}, unknown="repeat")
    bench.ok("abort", saga=saga)
    bench.run(5.0)
    assert bench.story(saga)["steps"][0]["state"] == "undone"


def test_the_manual_has_each_state_of_a_step() -> None:
    page = (Path(__file__).parents[2] / "gossipreg" / "docs" / "local-socket.md").read_text()
    table = page.split("The `state` of a step:")[1].split("### saga-list")[0]
    for state in ("not_undone", *(state.name.lower() for state in StepState)):
        assert f"`{state}`" in table
