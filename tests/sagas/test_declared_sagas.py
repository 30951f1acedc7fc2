"""Declared sagas: they go on by themselves, whoever leads."""

from math import inf
from typing import Any

from gossipreg.journal.effects import COPIES_TO_COME
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_definition import definition_untrusted, encode_definition
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import LOST, UNSENT, Answer, SagaSidecar, step


def definition(*steps: dict[str, Any], after: tuple[dict[str, Any], ...] = (), **fields: Any) -> bytes:
    given = {"name": "order", "step": list(steps), "after": list(after), **fields}
    return encode_definition(definition_untrusted(given))


THREE = definition(step("reserve"), step("pay"), step("ship"))
MAIL = {"name": "mail", "service": "mail", "method": "POST", "path": "/", "json": {"to": "{input.to}"}}


def run(bench: Bench, definition: bytes, at: SagaSidecar | None = None, **params: Any) -> str:
    saga = bench.ok("run", at, definition=definition, id="s1", **params)["saga"]
    assert isinstance(saga, str)
    return saga


def test_a_declared_saga_is_durable_when_it_is_answered() -> None:
    bench = Bench()
    bench.auto = False
    ticket = bench.call("run", definition=THREE, id="s1")
    bench.run(1.0)
    assert ticket not in bench.answers
    bench.commit()
    assert bench.answers[ticket][1] == {
        "saga": f"{'4a' * 16}.s1", "id": "s1", "state": "running", "copies": 3, "takeover": True,
    }  # fmt: skip


def test_a_begin_that_names_a_journal_that_has_ended_begins_nowhere() -> None:
    """Whoever led it had forgotten all its sagas: an id of it is free, in another journal."""
    bench = Bench()
    ended = JournalId(b"E" * 16)
    bench.ended[bench.sidecars[0].node] = {ended}
    code, answer = bench.ask("run", begins_in=ended, definition=THREE, id="s1")
    assert (code, answer["text"]) == (
        "not_found", f"journal {'45' * 16} has ended: it forgot its last saga before, so nothing is begun there",
    )  # fmt: skip
    assert bench.entries == 0


def test_a_begin_that_names_a_journal_without_a_leader_waits() -> None:
    bench = Bench()
    bench.claimed.add(JournalId(b"E" * 16))
    code, answer = bench.ask("run", begins_in=JournalId(b"E" * 16), definition=THREE, id="s1")
    assert (code, answer["text"]) == (
        "unavailable", "no answer to run within 10 s: nobody leads journal 454545454545 now",
    )  # fmt: skip
    assert bench.entries == 0


def test_a_declared_saga_commits_by_itself() -> None:
    bench = Bench()
    saga = run(bench, definition(step("reserve"), step("pay"), after=(MAIL,)), input=b'{"to":"ann"}')
    assert bench.ok("wait", saga=saga, until="ended")["decision"] == "commit"
    assert (bench.names, bench.attempts[-1].body) == (["reserve", "pay", "mail"], b'{"to":"ann"}')
    assert (bench.entries, bench.faults) == (4, [])


def test_what_needs_nothing_begins_at_the_same_time() -> None:
    bench = Bench()
    run(bench, definition(step("a", needs=[]), step("b", needs=[]), step("c", needs=["a", "b"])))
    bench.run(1.0)
    assert bench.attempts[0].at == bench.attempts[1].at
    assert (bench.names[2], bench.entries) == ("c", 3)


def test_a_declared_saga_aborts_when_a_step_failed() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda _: Answer(402)
    saga = run(bench, THREE)
    told = bench.ok("wait", saga=saga, until="ended")
    assert (told["decision"], told["reason"]) == ("abort", "step 'pay' is refused: it answered 402")
    assert bench.names == ["reserve", "pay", "reserve/undo"]


def test_a_declared_saga_aborts_when_a_step_is_unknown() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda attempt: Answer() if attempt.undoes else LOST
    saga = run(bench, definition(step("reserve"), step("pay", timeout="7s")))
    told = bench.ok("wait", saga=saga, until="ended")
    assert [one["state"] for one in told["steps"]] == ["undone", "undone"]


def test_a_declared_saga_goes_on_after_a_takeover_without_its_program() -> None:
    bench = Bench(members=2)
    bench.participants["pay"] = lambda _: None
    saga = run(bench, THREE)
    bench.run(1.0)
    assert bench.names == ["reserve", "pay"]
    bench.participants["pay"] = lambda _: Answer()
    bench.crash(bench.sidecars[0])
    bench.run(1.0)
    bench.lead(bench.sidecars[1])
    bench.run(1.0)
    assert bench.names == ["reserve", "pay", "pay", "ship"]
    assert bench.ok("show", bench.sidecars[1], saga=saga)["decision"] == "commit"
    assert bench.faults == []


def test_an_undo_goes_on_after_a_takeover() -> None:
    bench = Bench(members=2)
    bench.participants["pay"] = lambda _: Answer(402)
    bench.participants["reserve"] = lambda attempt: UNSENT if attempt.undoes else Answer()
    run(bench, THREE)
    bench.run(5.0)
    bench.participants["reserve"] = lambda _: Answer()
    bench.crash(bench.sidecars[0])
    bench.lead(bench.sidecars[1])
    bench.run(1.0)
    assert (is_over(bench), bench.faults) == (True, [])


def test_a_value_that_is_missing_aborts_it() -> None:
    bench = Bench()
    saga = run(bench, definition(step("reserve"), step("pay", path="/{result.reserve.id}")))
    told = bench.ok("wait", saga=saga, until="ended")
    assert "{result.reserve.id}" in told["reason"]
    assert bench.names == ["reserve", "reserve/undo"]


def test_a_full_journal_makes_it_wait_and_loses_no_after_step() -> None:
    bench = Bench()
    full: list[bool] = []
    bench.refuses = lambda effect: ("journal_full", "it is full") if full and not effect.ends else None
    bench.participants["pay"] = lambda _: full.append(True) or Answer()  # type: ignore[func-returns-value]
    saga = run(bench, definition(step("reserve"), step("pay"), after=(MAIL,)), input=b'{"to":"ann"}')
    bench.run(10.0)
    assert (bench.names, bench.story(saga)["state"]) == (["reserve", "pay"], "running")
    full.clear()
    bench.participants["pay"] = lambda _: Answer()
    assert bench.ok("wait", saga=saga, until="ended")["decision"] == "commit"
    assert bench.names == ["reserve", "pay", "mail"]


def test_a_commit_that_was_withdrawn_leaves_its_deadline() -> None:
    bench = Bench()
    full: list[bool] = []
    bench.refuses = lambda effect: ("journal_full", "it is full") if full and not effect.ends else None
    bench.participants["pay"] = lambda _: full.append(True) or Answer()  # type: ignore[func-returns-value]
    saga = run(bench, definition(step("reserve"), step("pay"), after=(MAIL,), timeout=20), input=b'{"to":"ann"}')
    bench.run(19.0)
    assert bench.story(saga)["state"] == "running"
    assert bench.ok("wait", saga=saga, until="ended")["reason"] == "it was not decided within 20 s"
    assert bench.now < 125.0


def test_a_deadline_during_a_commit_counts_if_that_is_withdrawn() -> None:
    bench = Bench()
    says = ["busy"]
    full: list[bool] = []
    bench.refuses = lambda effect: (says[0], "not now") if full and not effect.ends else None
    bench.participants["pay"] = lambda _: full.append(True) or Answer()  # type: ignore[func-returns-value]
    saga = run(bench, definition(step("reserve"), step("pay"), after=(MAIL,), timeout=20), input=b'{"to":"ann"}')
    bench.run(25.0)
    assert bench.story(saga)["state"] == "running"
    says[0] = "journal_full"
    assert bench.ok("wait", saga=saga, until="ended")["reason"] == "it was not decided within 20 s"


def test_a_full_journal_refuses_new_sagas_and_says_so() -> None:
    bench = Bench()
    bench.refuses = lambda effect: None if effect.ends else ("journal_full", "it is full")
    assert bench.ask("run", definition=THREE, id="s1") == ("journal_full", {"text": "it is full"})
    saga = bench.begin("s2")
    assert bench.ask("step", saga=saga, step=step("a"))[0] == "journal_full"
    bench.refuses = lambda _: None
    assert bench.step(saga, "a")[1]["state"] == "done"
    assert bench.ok("commit", saga=saga) == {"state": "committed"}
    assert run(bench, THREE).endswith(".s1")


def few_copies(bench: Bench, until: float = inf) -> None:
    """Copies of the journal are being made until then."""
    refusal = COPIES_TO_COME, "the journal has 1 of at least 3 copies"
    bench.refuses = lambda effect: None if effect.ends or bench.now >= until else refusal


def test_a_saga_is_begun_once_there_are_enough_copies() -> None:
    bench = Bench()
    few_copies(bench, until=bench.now + 3.0)
    saga = run(bench, THREE)
    assert bench.ok("wait", saga=saga, until="ended")["decision"] == "commit"
    few_copies(bench, until=bench.now + 3.0)
    by_code = bench.begin("s2")
    assert bench.step(by_code, "a")[1]["state"] == "done"
    assert bench.ok("commit", saga=by_code) == {"state": "committed"}


def test_a_saga_without_its_copies_in_time_is_not_begun_and_says_why() -> None:
    bench = Bench()
    few_copies(bench)
    code, answer = bench.ask("run", definition=THREE, id="s1")
    assert (code, "the journal has 1 of at least 3 copies" in answer["text"]) == ("unavailable", True)
    bench.refuses = lambda _: None
    bench.run(30.0)
    assert (bench.ask("show", saga="s1")[0], bench.names) == ("not_found", [])


def test_a_saga_that_runs_takes_its_next_step_once_there_are_copies() -> None:
    bench = Bench()
    saga = run(bench, THREE)
    few_copies(bench, until=bench.now + 5.0)
    assert bench.ok("wait", saga=saga, until="ended")["decision"] == "commit"


def test_a_full_journal_takes_results_and_decisions() -> None:
    bench = Bench()
    saga = bench.begin()
    full: list[bool] = []
    bench.refuses = lambda effect: ("journal_full", "it is full") if full and not effect.ends else None
    bench.participants["reserve"] = lambda _: full.append(True) or Answer()  # type: ignore[func-returns-value]
    assert bench.step(saga, "reserve")[1]["state"] == "done"
    assert bench.ask("step", saga=saga, step=step("gift", optional=True))[0] == "journal_full"
    assert bench.ok("commit", saga=saga) == {"state": "committed"}


def test_a_busy_journal_is_asked_again() -> None:
    bench = Bench()
    busy = [True] * 3
    bench.refuses = lambda _: ("busy", "many entries wait") if busy and busy.pop() else None
    saga = bench.begin()
    assert bench.step(saga, "reserve")[1]["state"] == "done"
    assert bench.ok("commit", saga=saga) == {"state": "committed"}


def test_a_journal_that_is_handed_over_begins_nothing_and_ends_what_it_can() -> None:
    bench = Bench(members=2)
    bench.participants["pay"] = lambda _: Answer(after_s=1.0)
    saga = run(bench, THREE)
    bench.run(0.5)
    bench.pause()
    bench.run(5.0)
    assert bench.names == ["reserve", "pay"]
    assert bench.acts[-1] == 0
    bench.lead(bench.sidecars[1])
    assert bench.ok("wait", saga=saga, until="ended")["decision"] == "commit"
    assert bench.names == ["reserve", "pay", "ship"]


def test_a_journal_that_was_not_handed_over_goes_on() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda attempt: Answer(503 if attempt.headers["gossipreg-attempt"] == "1" else 200)
    saga = run(bench, THREE)
    bench.run(0.1)
    bench.pause()
    bench.run(3.0)
    assert bench.names == ["reserve"]
    bench.resume()
    assert bench.ok("wait", saga=saga, until="ended")["decision"] == "commit"
