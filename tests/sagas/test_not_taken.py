"""A saga does not commit without a step that its program asked for: also where both were asked for at once."""

from typing import Any

import pytest

from gossipreg.sagas import saga_room, waiting_calls
from gossipreg.sagas.saga_model import SagaState
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import step

MAIL = {"name": "mail", "service": "mail", "method": "POST", "path": "/"}
FULL = ("journal_full", "group audit has to acknowledge")


def fill(bench: Bench) -> None:
    bench.refuses = lambda effect: None if effect.ends else FULL


def empty(bench: Bench) -> None:
    bench.refuses = lambda _: None


def asked_at_once(bench: Bench, saga: str, method: str, asked: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The answers of this step and of a commit behind it."""
    tickets = bench.call(method, saga=saga, step=asked), bench.call("commit", saga=saga)
    bench.run(1.0)
    return tuple(bench.answers[ticket] for ticket in tickets)


def assert_refused_until_taken(bench: Bench, saga: str, commit: tuple[str, Any], name: str, why: str) -> None:
    code, answer = commit
    assert (code, answer["steps"]) == ("not_done", [name])
    assert f"{name} not taken ({why}" in answer["text"]
    assert answer["text"].endswith("take it again, or abort")
    assert bench.ask("commit", saga=saga) == commit
    assert bench.story(saga)["decision"] is None


@pytest.mark.parametrize("steps", [["reserve"], []])
def test_a_refused_after_holds_back_a_commit_asked_at_once(steps: list[str]) -> None:
    """With and without a step before it: then the saga is not in the journal yet."""
    bench = Bench()
    saga = bench.begin()
    for name in steps:
        bench.step(saga, name)
    fill(bench)
    after, commit = asked_at_once(bench, saga, "after", MAIL)
    assert after[0] == "journal_full"
    assert_refused_until_taken(bench, saga, commit, "mail", FULL[1])
    empty(bench)
    assert bench.ask("commit", saga=saga)[0] == "not_done", "room alone brings no mail back"
    assert [answer[0] for answer in asked_at_once(bench, saga, "after", MAIL)] == ["", ""]
    assert bench.names == [*steps, "mail"]


def test_a_refused_after_holds_back_a_commit_in_the_same_entry() -> None:
    bench = Bench()
    saga = bench.begin("s1")
    bench.step(saga, "reserve")
    bench.auto = False
    bench.call("step", saga=bench.begin("s2"), step=step("b"))  # its entry is under way: the others share the next one
    tickets = bench.call("after", saga=saga, step=MAIL), bench.call("commit", saga=saga)
    fill(bench)
    bench.auto = True
    bench.commit()
    bench.run(1.0)
    after, commit = (bench.answers[ticket] for ticket in tickets)
    assert after == ("journal_full", {"text": FULL[1]})
    assert_refused_until_taken(bench, saga, commit, "mail", FULL[1])


def asked_in_one_entry(bench: Bench, *calls: tuple[str, dict[str, Any]]) -> list[tuple[str, Any]]:
    """What comes of these calls about a saga without a first step, which share an entry that the journal refuses."""
    saga = bench.begin("s1")
    bench.auto = False
    bench.call("step", saga=bench.begin("s2"), step=step("b"))
    tickets = [bench.call(method, saga=saga, **params) for method, params in calls]
    fill(bench)
    bench.auto = True
    bench.commit()
    bench.run(1.0)
    return [bench.answers[ticket] for ticket in tickets]


def test_a_first_step_and_its_commit_in_one_refused_entry_may_come_again() -> None:
    bench = Bench()
    after, commit = asked_in_one_entry(bench, ("after", {"step": MAIL}), ("commit", {}))
    saga = bench.story("s1")["saga"]
    assert after[0] == "journal_full"
    assert_refused_until_taken(bench, saga, commit, "mail", FULL[1])
    empty(bench)
    assert [answer[0] for answer in asked_at_once(bench, saga, "after", MAIL)] == ["", ""]
    assert "mail" in bench.names


def test_an_abort_behind_a_first_step_that_was_refused_leaves_no_trace() -> None:
    for calls in (
        [("after", {"step": MAIL}), ("abort", {})],
        [("after", {"step": MAIL}), ("commit", {}), ("abort", {})],
    ):
        bench = Bench()
        after, *_, abort = asked_in_one_entry(bench, *calls)
        assert (after[0], abort) == ("journal_full", ("", {"state": "aborted"}))
        assert bench.ask("show", saga="s1")[0] == "not_found"


def test_a_commit_of_no_steps_is_refused_by_a_full_journal() -> None:
    bench = Bench()
    saga = bench.begin()
    fill(bench)
    assert bench.ask("commit", saga=saga) == ("journal_full", {"text": FULL[1]})
    empty(bench)
    assert bench.ask("commit", saga=saga) == ("", {"state": "committed"})


def test_a_saga_whose_time_was_over_beside_a_refused_beginning_is_gone() -> None:
    bench = Bench()
    saga = bench.begin("s1", timeout_ms=5_000)
    bench.auto = False
    bench.call("step", saga=bench.begin("s2"), step=step("b"))
    tickets = [bench.call("after", saga=saga, step=MAIL), bench.call("commit", saga=saga)]
    bench.run(6.0)
    fill(bench)
    bench.auto = True
    bench.commit()
    bench.run(1.0)
    assert [bench.answers[ticket][0] for ticket in tickets] == ["journal_full", "journal_full"]
    assert bench.ask("show", saga="s1")[0] == "not_found"


def test_a_refused_step_holds_back_a_commit_asked_at_once() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    fill(bench)
    refused, commit = asked_at_once(bench, saga, "step", step("pay"))
    assert refused[0] == "journal_full"
    assert_refused_until_taken(bench, saga, commit, "pay", FULL[1])
    assert bench.ok("abort", saga=saga) == {"state": "aborted"}
    bench.run(1.0)
    assert bench.names == ["reserve", "reserve/undo"]


def test_an_optional_step_that_was_not_taken_may_be_left_out() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    fill(bench)
    refused, commit = asked_at_once(bench, saga, "step", step("gift", optional=True))
    assert (refused[0], commit) == ("journal_full", ("", {"state": "committed"}))


def test_a_step_without_room_holds_back_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    monkeypatch.setattr(saga_room, "MAX_OPEN_BYTES", saga_room.KEPT_BYTES + 10)
    after, commit = asked_at_once(bench, saga, "after", MAIL)
    assert after[0] == "busy"
    assert_refused_until_taken(bench, saga, commit, "mail", "the open sagas of this journal take")


def test_a_step_whose_call_may_not_wait_holds_back_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    monkeypatch.setattr(waiting_calls, "MAX_WAITING_CALLS_BYTES", 200)
    after, commit = asked_at_once(bench, saga, "after", {**MAIL, "body": b"m" * 200})
    assert after[0] == "busy"
    assert_refused_until_taken(bench, saga, commit, "mail", "0 calls")


def test_a_step_that_is_wrong_holds_back_nothing() -> None:
    """It can never be taken: its program is told so, and what it asked for besides is whole."""
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    refused, commit = asked_at_once(bench, saga, "step", step("pay", needs=["typo"]))
    assert (refused[0], commit) == ("bad_params", ("", {"state": "committed"}))


def test_a_saga_that_cannot_commit_ends_with_its_time() -> None:
    bench = Bench()
    saga = bench.begin(timeout_ms=20_000)
    bench.step(saga, "reserve")
    fill(bench)
    asked_at_once(bench, saga, "after", MAIL)
    bench.run(15.0)
    assert bench.truth.open["s1"].state is SagaState.RUNNING
    assert bench.ok("wait", saga=saga, until="ended")["reason"] == "it was not decided within 20 s"


def test_no_more_missing_steps_are_named_than_a_saga_has() -> None:
    bench = Bench()
    saga = bench.begin()
    fill(bench)
    for number in range(300):
        assert bench.step(saga, f"s{number}")[0] == "journal_full"
    code, answer = bench.ask("commit", saga=saga)
    assert (code, len(answer["steps"])) == ("not_done", 256)
    assert len(answer["text"]) < 300
