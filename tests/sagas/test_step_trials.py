"""What is told of a step that is not settled: its attempts, and the answer to the last one."""

from typing import Any

import pytest

from tests.sagas.bench import Bench
from tests.sagas.bench_parts import LOST, UNSENT, Answer, step


def told(bench: Bench, saga: str) -> dict[str, Any]:
    one: dict[str, Any] = bench.story(saga)["steps"][0]
    return one


@pytest.mark.parametrize(("answer", "status"), [(Answer(503), 503), (UNSENT, 0), (LOST, 0)])
def test_a_running_step_tells_its_attempts_and_last_answer(answer: Answer, status: int) -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda _: answer
    saga = bench.begin()
    bench.call("step", saga=saga, step=step("reserve"))
    bench.run(12.0)
    one = told(bench, saga)
    assert (one["state"], one["status"], one["settled"]) == ("intended", status, None)
    assert one["attempts"] == len(bench.sent("reserve")) > 1
    assert one["text"]


def test_a_first_attempt_that_hangs_is_told_without_an_answer() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda _: None
    saga = bench.begin()
    bench.call("step", saga=saga, step=step("reserve"))
    bench.run(1.0)
    one = told(bench, saga)
    assert (one["attempts"], one["status"], one["text"]) == (1, 0, "no answer yet")


def test_an_undo_that_fails_tells_why_before_it_is_stuck() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda attempt: Answer(500) if attempt.undoes else Answer()
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.ok("abort", saga=saga)
    bench.run(20.0)
    one = told(bench, saga)
    assert (one["state"], one["stuck"], one["status"], one["attempts"]) == ("undoing", False, 200, 1)
    assert (one["undo"]["status"], one["undo"]["settled"]) == (500, None)
    assert one["undo"]["attempts"] == len(bench.sent("reserve/undo")) > 2


def test_an_undo_that_waits_for_a_step_under_way_says_so() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda attempt: Answer(after_s=0.1 if attempt.undoes else 4.0)
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.call("step", saga=saga, step=step("pay"))
    bench.run(1.0)
    bench.ok("abort", saga=saga)
    texts = {one["name"]: one["undo"]["text"] for one in bench.story(saga)["steps"]}
    assert texts == dict.fromkeys(("reserve", "pay"), "it waits until no attempt of a step is under way")
    bench.run(10.0)
    assert [one["state"] for one in bench.story(saga)["steps"]] == ["undone", "undone"]


def test_a_stuck_undo_tells_its_last_attempt_not_its_twentieth() -> None:
    bench = Bench()
    undoes = [Answer(423)] * 99 + [Answer(500)] * 20
    bench.participants["reserve"] = lambda one: undoes.pop() if one.undoes else Answer()
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.ok("abort", saga=saga)
    bench.run(1800.0)
    one = told(bench, saga)
    assert one["stuck"]
    assert (one["undo"]["status"], one["undo"]["attempts"]) == (423, len(bench.sent("reserve/undo")))


def test_what_comes_after_a_commit_tells_why_it_is_not_done() -> None:
    bench = Bench()
    bench.participants["mail"] = lambda _: Answer(503)
    saga = bench.begin()
    bench.ok("after", saga=saga, step={name: value for name, value in step("mail").items() if name != "undo"})
    bench.ok("commit", saga=saga)
    bench.run(10.0)
    one = told(bench, saga)
    assert (one["state"], one["status"]) == ("after", 503)
    assert one["attempts"] == len(bench.sent("mail")) > 1


def test_a_step_that_is_repeated_for_its_undo_says_so() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda _: LOST
    saga = bench.begin()
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    bench.call("step", saga=saga, step=step("reserve", unknown="repeat", undo=undo, timeout_ms=1000))
    bench.run(2.0)
    bench.ok("abort", saga=saga)
    bench.run(10.0)
    one = told(bench, saga)
    assert one["state"] == "undoing"
    assert one["undo"]["text"].startswith("its undo needs its answer, so the step is repeated first: ")
    assert one["undo"]["attempts"] > 1


def test_a_shortened_last_attempt_hides_no_answer() -> None:
    """A service that answers 503 for 30 s and hangs at the end: the step is unknown since it answered 503."""
    bench = Bench()
    saga = bench.begin()
    until = bench.now + 7.0
    bench.participants["reserve"] = lambda _: Answer(503) if bench.now < until else LOST
    _, answer = bench.step(saga, "reserve", timeout_ms=9000)
    assert bench.attempts[-1].timeout_s < 5.0
    assert (answer["state"], answer["status"]) == ("unknown", 503)


def test_a_shortened_last_attempt_is_told_where_nothing_was_sent_before() -> None:
    bench = Bench()
    saga = bench.begin()
    until = bench.now + 7.0
    bench.participants["reserve"] = lambda _: UNSENT if bench.now < until else LOST
    _, answer = bench.step(saga, "reserve", timeout_ms=9000)
    assert bench.attempts[-1].timeout_s < 5.0
    assert answer["state"] == "unknown"
    assert answer["text"] == "no answer came"


@pytest.mark.parametrize("undo", [Answer(503, retry_after_s=300.0), Answer(503, after_s=240.0)])
def test_an_undo_that_is_seldom_tried_is_stuck_after_a_quarter_of_an_hour(undo: Answer) -> None:
    """Twenty attempts would take hours where a service asks for long waits, or answers late."""
    bench = Bench()
    bench.participants["reserve"] = lambda attempt: undo if attempt.undoes else Answer()
    saga = bench.begin()
    bench.step(saga, "reserve", attempt_timeout_ms=300_000, timeout_ms=600_000)
    bench.ok("abort", saga=saga)
    bench.run(800.0)
    assert not told(bench, saga)["stuck"]
    bench.run(700.0)
    assert told(bench, saga)["stuck"]
    assert len(bench.sent("reserve/undo")) < 10
    bench.run(1000.0)
    assert [one.kind for one in bench.logged].count("saga_stuck") == 1
    bench.ok("retry", saga=saga, step="reserve")
    bench.run(1.0)
    assert not told(bench, saga)["stuck"]
