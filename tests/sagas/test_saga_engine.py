"""The rules of attempts, results and decisions, one by one."""

from itertools import pairwise
from typing import Any

import pytest

from gossipreg.sagas import saga_room
from gossipreg.sagas.saga_model import StepState
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import ANSWER_S, COMMIT_S, LOST, UNSENT, Answer, step


def test_a_saga_of_three_steps_is_four_entries() -> None:
    """Its beginning rides with the first intent, each result with the next one, the last with the decision."""
    bench = Bench()
    saga = bench.begin()
    for name in ("reserve", "pay", "ship"):
        assert bench.step(saga, name)[1]["state"] == "done"
    assert bench.ok("commit", saga=saga) == {"state": "committed"}
    assert (bench.names, bench.entries, bench.faults) == (["reserve", "pay", "ship"], 4, [])


def test_nothing_is_sent_before_intent_and_undo_are_durable() -> None:
    bench = Bench()
    bench.auto = False
    ticket = bench.call("step", saga=bench.begin(), step=step("reserve"))
    bench.run(1.0)
    assert bench.attempts == []
    bench.commit()
    assert bench.names == ["reserve"]
    assert bench.attempts[0].headers == {
        "idempotency-key": f"{'4a' * 16}.s1/reserve", "gossipreg-attempt": "1",
    }  # fmt: skip
    bench.run(1.0)
    assert bench.answers[ticket][1]["state"] == "done"


def test_a_first_attempt_needs_no_proof_but_its_entry() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.proofs = 0
    bench.step(saga, "reserve")
    assert bench.proofs == 0


def test_a_repeat_waits_for_a_proof_of_leadership() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda attempt: Answer(503) if attempt.headers["gossipreg-attempt"] == "1" else None
    saga = bench.begin()
    bench.proofs, bench.proves = 0, False
    bench.call("step", saga=saga, step=step("reserve"))
    bench.run(5.0)
    assert (bench.names, bench.proofs) == (["reserve"], 5)
    bench.proves = True
    bench.run(1.5)
    assert bench.names == ["reserve", "reserve"]


def test_whoever_leads_forgets_the_ended_sagas_of_a_lost_owner() -> None:
    bench = Bench(members=2, tuning=SagaTuning(kept_s=100.0))
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.ok("commit", saga=saga)
    bench.crash(bench.sidecars[0])
    bench.run(50.0)
    bench.lead(bench.sidecars[1])
    bench.run(45.0)
    assert bench.truth.ended("s1") is not None
    bench.run(10.0)
    assert bench.truth.ended("s1") is None


def test_one_proof_serves_all_repeats_that_were_due_before() -> None:
    bench = Bench()
    for name in ("a", "b", "c"):
        bench.participants[name] = lambda attempt: Answer(503 if attempt.headers["gossipreg-attempt"] == "1" else 200)
    saga = bench.begin()
    bench.proofs = 0
    for name in ("a", "b", "c"):
        bench.call("step", saga=saga, step=step(name))
    bench.run(2.0)
    assert len(bench.attempts) == 6
    assert bench.proofs <= 2


def test_a_refusal_is_believed_of_the_first_attempt_alone() -> None:
    bench = Bench()
    answers = {"pay": [Answer(402)], "reserve": [Answer(500), Answer(422), Answer(422), Answer(201)]}
    bench.participants["pay"] = lambda _: answers["pay"].pop(0)
    bench.participants["reserve"] = lambda _: answers["reserve"].pop(0)
    saga = bench.begin()
    assert bench.step(saga, "reserve")[1] | {"text": ""} == {
        "state": "done", "status": 201, "content_type": "application/json", "body": b'{"ok":true}', "cut": False,
        "attempts": 4, "text": "", "instance": "reserve:1",
    }  # fmt: skip
    assert bench.step(saga, "pay")[1]["state"] == "refused"


def test_a_step_that_was_never_sent_in_its_time_is_refused() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda _: UNSENT
    code, answer = bench.step(bench.begin(), "reserve", timeout_ms=3000)
    assert (code, answer["state"]) == ("", "refused")
    assert len(bench.attempts) > 3


def test_a_step_without_an_answer_in_its_time_is_unknown() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda _: LOST
    code, answer = bench.step(bench.begin(), "reserve", timeout_ms=12_000)
    assert (code, answer["state"]) == ("", "unknown")
    assert [round(attempt.timeout_s, 1) for attempt in bench.attempts[:2]] == [5.0, 5.0]
    assert all(attempt.at + attempt.timeout_s <= bench.now + 0.01 for attempt in bench.attempts)


def test_attempts_wait_longer_each_time_and_as_the_answer_says() -> None:
    bench = Bench()
    answers = [Answer(503), Answer(503), Answer(429, retry_after_s=4.0), Answer()]
    bench.participants["reserve"] = lambda _: answers.pop(0)
    bench.step(bench.begin(), "reserve")
    times = [attempt.at for attempt in bench.attempts]
    assert [round(after - before, 1) for before, after in pairwise(times)] == [0.3, 0.5, 4.0]


def test_a_wait_that_is_too_long_leaves_one_attempt_before_the_end() -> None:
    bench = Bench()
    answers = [Answer(503, retry_after_s=60.0), Answer()]
    bench.participants["reserve"] = lambda _: answers.pop(0)
    assert bench.step(bench.begin(), "reserve")[1]["state"] == "done"
    assert [round(attempt.at - bench.attempts[0].at) for attempt in bench.attempts] == [0, 25]
    assert round(bench.attempts[1].timeout_s, 2) == 5.0


def test_the_attempt_before_the_end_is_made_once() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda _: Answer(503, retry_after_s=60.0)
    assert bench.step(bench.begin(), "reserve")[1]["state"] == "unknown"
    assert len(bench.attempts) == 2
    assert bench.step(bench.begin("s2"), "reserve", timeout_ms=3000)[1]["state"] == "unknown"
    assert len(bench.attempts) == 3


def test_an_undo_waits_at_most_five_minutes_for_what_an_answer_asks() -> None:
    bench = Bench()
    answers = [Answer(), Answer(503, retry_after_s=20.0), Answer(503, retry_after_s=86_400.0), Answer()]
    bench.participants["reserve"] = lambda _: answers.pop(0)
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.ok("abort", saga=saga)
    bench.run(400.0)
    times = [attempt.at for attempt in bench.attempts[1:]]
    assert [round(after - before) for before, after in pairwise(times)] == [20, 300]
    assert is_over(bench)


def test_an_instance_that_failed_is_asked_last() -> None:
    bench = Bench()
    answers = [Answer(503), Answer()]
    bench.participants["reserve"] = lambda _: answers.pop(0)
    bench.step(bench.begin(), "reserve")
    assert [attempt.avoid for attempt in bench.attempts] == [(), ("reserve:1",)]


def test_an_optional_step_that_was_refused_lets_the_saga_commit() -> None:
    bench = Bench()
    bench.participants["gift"] = lambda _: Answer(422)
    saga = bench.begin()
    assert bench.step(saga, "gift", optional=True)[1]["state"] == "refused"
    assert bench.ask("commit", saga=saga) == ("", {"state": "committed"})


def test_what_does_not_need_each_other_is_undone_at_the_same_time() -> None:
    bench = Bench()
    saga = bench.begin()
    for name, needs in (("a", []), ("b", []), ("c", ["a"])):
        bench.step(saga, name, needs=needs)
    bench.ok("abort", saga=saga)
    bench.run(1.0)
    times = {name: bench.sent(f"{name}/undo")[0].at for name in ("a", "b", "c")}
    assert times["b"] == times["c"] < times["a"]
    assert bench.sent("a/undo")[0].undoes == f"{saga}/a"
    assert is_over(bench)
    assert not bench.faults


def test_a_step_that_needs_one_that_was_not_taken_is_refused() -> None:
    bench = Bench()
    saga = bench.begin()
    code, answer = bench.step(saga, "a", needs=["typo"])
    assert (code, answer["text"]) == ("bad_params", "step 'a' needs 'typo', and no such step was taken: none was")
    for name in ("a", "b"):
        bench.step(saga, name)
    code, answer = bench.ask("after", saga=saga, step=step("mail", undo=None, needs=["a", "typo", "mail"]))
    assert code == "bad_params"
    assert answer["text"] == "step 'mail' needs 'typo', and no such step was taken: there are a, b"
    assert bench.step(saga, "c", needs=["a"])[1]["state"] == "done"


def test_a_strict_saga_is_undone_one_step_after_the_other() -> None:
    bench = Bench()
    saga = bench.begin(strict=True)
    for name in ("a", "b", "c"):
        bench.step(saga, name)
    bench.ok("abort", saga=saga)
    bench.run(1.0)
    assert bench.names[3:] == ["c/undo", "b/undo", "a/undo"]


def test_a_refused_step_is_not_undone() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda _: Answer(402)
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.step(saga, "pay")
    bench.ok("abort", saga=saga, reason="no money")
    bench.run(1.0)
    assert bench.names == ["reserve", "pay", "reserve/undo"]
    assert bench.story(saga)["reason"] == "no money"


def test_a_refusal_is_told_once_it_is_durable() -> None:
    """Else the program takes another way, and the next leader, which has not heard of it, does this step too."""
    bench = Bench(members=2)
    other = bench.sidecars[1]
    bench.participants["gift"] = lambda _: Answer(422)
    saga = bench.begin("s1", other)
    ticket = bench.call("step", other, saga=saga, step=step("gift", optional=True))
    bench.until(lambda: bench.names == ["gift"])
    bench.auto = False
    bench.run(1.0)
    assert ticket not in bench.answers
    bench.participants["gift"] = lambda _: Answer()
    bench.auto = True
    bench.crash(bench.sidecars[0])
    bench.lead(other)
    bench.run(1.0)
    assert (bench.answers[ticket][1]["state"], bench.names) == ("done", ["gift", "gift"])


def test_a_refusal_waits_for_no_other_change() -> None:
    bench = Bench()
    bench.participants["gift"] = lambda _: Answer(422)
    saga = bench.begin()
    assert bench.step(saga, "gift", optional=True)[1]["state"] == "refused"
    assert bench.now - bench.attempts[0].at < ANSWER_S + 2 * COMMIT_S
    assert bench.truth.open["s1"].steps["gift"].state is StepState.REFUSED


def test_a_step_that_was_never_sent_is_not_undone() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda _: UNSENT
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.call("step", saga=saga, step=step("pay"))
    bench.run(1.0)
    bench.ok("abort", saga=saga)
    bench.run(1.0)
    assert "pay/undo" not in bench.names
    assert is_over(bench)


def test_an_intent_that_meets_the_decision_is_never_sent() -> None:
    bench = Bench()
    bench.auto = False
    saga = bench.begin()
    bench.call("step", saga=saga, step=step("reserve"))
    ticket = bench.call("abort", saga=saga)
    for _ in range(4):
        bench.run(0.1)
        bench.commit()
    bench.run(0.1)
    assert (bench.answers[ticket], bench.attempts) == (("", {"state": "aborted", "ended": True}), [])
    assert is_over(bench)


def test_abort_of_a_saga_that_is_undone_says_that_it_is_over() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    assert bench.ask("abort", saga=saga) == ("", {"state": "aborted"})
    bench.run(1.0)
    assert is_over(bench)
    assert bench.ask("abort", saga=saga) == ("", {"state": "aborted", "ended": True})
    committed = bench.begin("s2")
    bench.ok("commit", saga=committed)
    bench.run(1.0)
    assert bench.ask("commit", saga=committed) == ("", {"state": "committed"})


def test_what_comes_after_begins_with_the_commit_and_is_retried() -> None:
    bench = Bench()
    answers = [Answer(500), UNSENT, Answer(404), Answer()]
    bench.participants["mail"] = lambda _: answers.pop(0)
    saga = bench.begin()
    bench.step(saga, "reserve")
    assert bench.ok("after", saga=saga, step={"name": "mail", "service": "mail", "method": "POST", "path": "/"}) == {}
    bench.run(10.0)
    assert bench.names == ["reserve"]
    bench.ok("commit", saga=saga)
    bench.run(10.0)
    assert bench.names == ["reserve", "mail", "mail", "mail", "mail"]
    assert bench.story(saga)["steps"][1]["state"] == "after_done"


def test_what_comes_after_is_not_done_for_an_aborted_saga() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.ok("after", saga=saga, step={"name": "mail", "service": "mail", "method": "POST", "path": "/"})
    bench.ok("abort", saga=saga)
    bench.run(10.0)
    assert bench.names == ["reserve", "reserve/undo"]
    assert is_over(bench)


def test_a_saga_that_is_not_decided_in_its_time_is_aborted() -> None:
    bench = Bench()
    saga = bench.begin(timeout_ms=5000)
    bench.step(saga, "reserve")
    bench.run(6.0)
    assert bench.names == ["reserve", "reserve/undo"]
    assert bench.ask("commit", saga=saga)[0] == "aborted"
    assert bench.story(saga)["reason"] == "it was not decided within 5 s"


def test_a_saga_that_ends_before_its_first_step_leaves_no_trace() -> None:
    bench = Bench()
    saga = bench.begin(timeout_ms=1000)
    assert bench.ok("show", saga=saga)["state"] == "running"
    bench.run(2.0)
    for method, params in (("step", {"step": step("a")}), ("wait", {"until": "decided", "timeout_ms": 1000})):
        code, answer = bench.ask(method, saga=saga, **params)
        assert (bench.entries, code) == (0, "not_found")
        assert "was lost, or not decided in time, before its first step (then begin it again)" in answer["text"]
    assert bench.ask("abort", saga=bench.begin("s2")) == ("", {"state": "aborted"})
    assert bench.entries == 0


def test_sagas_without_a_first_step_are_bound_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_room, "MAX_OPEN_BYTES", saga_room.KEPT_BYTES + 310_000)
    bench = Bench()
    large: dict[str, Any] = {"name": "order", "input": b'"%s"' % (b"x" * 60_000)}
    sagas = [bench.ok("begin", id=f"s{number}", **large)["saga"] for number in range(4)]
    bench.refuses = lambda effect: None if effect.ends else ("journal_full", "it is full")
    assert bench.step(sagas[0], "reserve")[0] == "journal_full"
    bench.refuses = lambda _: None
    assert bench.ok("begin", id="s4", **large)
    code, answer = bench.ask("begin", id="s5", **large)
    assert (code, "300010 bytes" in answer["text"]) == ("busy", True)
    assert bench.step(sagas[0], "reserve")[1]["state"] == "done"
    assert bench.ask("begin", id="s5", **large)[0] == "busy"
    bench.ok("abort", saga=sagas[1])
    assert bench.ok("begin", id="s5", **large)


def test_a_saga_goes_on_while_as_many_are_open_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_room, "MAX_OPEN_SAGAS", 2)
    bench = Bench()
    saga, _ = bench.begin("s1"), bench.begin("s2")
    code, answer = bench.ask("begin", name="order", id="s3")
    assert (code, answer["text"].startswith("2 sagas of this journal are open")) == ("busy", True)
    for name in ("reserve", "pay"):
        assert bench.step(saga, name)[1]["state"] == "done"


def test_a_large_answer_keeps_no_decision_from_a_full_journal() -> None:
    """A journal in which groups of events had left no room but for what ends something held the sagas for ever."""
    bench = Bench()
    bench.refuses = lambda entry: ("journal_full", "no room") if len(entry.data) > 1000 else None
    bench.participants["reserve"] = lambda _: Answer(200, b'{"n":"' + b"x" * 5000 + b'"}')
    saga = bench.begin()
    code, answer = bench.step(saga, "reserve")
    assert (code, len(answer["body"])) == ("", 5008)
    assert bench.ok("commit", saga=saga) == {"state": "committed"}
    (told,) = bench.story(saga)["steps"]
    assert (told["state"], told["body"], told["cut"]) == ("done", b"", True)


def test_a_saga_without_steps_may_commit() -> None:
    bench = Bench()
    saga = bench.begin()
    assert bench.ask("commit", saga=saga) == ("", {"state": "committed"})
    assert bench.ask("begin", name="create-order", id="s1")[0] == "exists"


def test_commands_beyond_the_room_wait_and_are_proven_anew() -> None:
    bench = Bench(tuning=SagaTuning(commands_at_once=2))
    for name in ("a", "b", "c"):
        bench.participants[name] = lambda _: Answer(after_s=1.0)
    saga = bench.begin()
    bench.proofs = 0
    for name in ("a", "b", "c"):
        bench.call("step", saga=saga, step=step(name))
    bench.run(0.5)
    assert (bench.names, bench.proofs) == (["a", "b"], 0)
    bench.run(2.0)
    assert (bench.names, bench.proofs) == (["a", "b", "c"], 1)
