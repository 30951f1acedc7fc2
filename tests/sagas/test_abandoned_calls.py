"""Calls for which nobody waits any more: they take no place at the leader, and what they have begun goes on."""

from math import inf
from typing import Any

import pytest

from gossipreg.daemon.sagas.saga_answer import SENT_ANYWAY
from gossipreg.sagas import saga_replies, waiting_calls
from gossipreg.sagas.saga_calls import METHODS
from gossipreg.sagas.saga_messages import CallAbandoned
from gossipreg.sagas.saga_model import SagaState, StepState
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import JOURNAL, Answer, SagaSidecar, Ticket, step
from tests.sagas.test_declared_sagas import THREE


def waiting(bench: Bench, at: SagaSidecar | None = None) -> int:
    """The calls that wait at the leader."""
    return (at or bench.leader or bench.sidecars[0]).sagas.led[JOURNAL].waiting


def abandon(bench: Bench, ticket: Ticket, at: SagaSidecar) -> None:
    bench.act(at, at.sagas.abandon(ticket[1], bench.now))
    bench.run(0.1)


def asked(bench: Bench, method: str, at: SagaSidecar) -> Ticket:
    """Ask this of a saga whose entries are not committed, or, of a wait, that goes on."""
    if method == "run":
        bench.auto = False
        ticket = bench.call("run", at, definition=THREE, id="s1")
    else:
        saga = bench.begin("s1", at)
        bench.step(saga, "reserve", at)
        bench.auto = method == "wait"
        fields: dict[str, dict[str, Any]] = {
            "step": {"step": step("pay")}, "after": {"step": step("mail", undo=None)},
            "wait": {"timeout_ms": 3_600_000},
        }  # fmt: skip
        ticket = bench.call(method, at, saga=saga, **fields.get(method, {}))
    bench.run(0.1)
    assert ticket not in bench.answers
    assert waiting(bench) == 1
    return ticket


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("method", ["step", "after", "run", "wait"])
def test_a_wait_that_is_abandoned_ends_at_the_leader(method: str, at: int) -> None:
    bench = Bench(members=3)
    asker = bench.sidecars[at]
    abandon(bench, asked(bench, method, asker), asker)
    assert waiting(bench) == 0
    assert len(asker.sagas._forwarding) == 0


def test_an_abandoned_wait_leaves_no_timer() -> None:
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    ticket = asked(bench, "wait", asker)
    saga = f"{JOURNAL.hex()}.s1"
    bench.ok("commit", asker, saga=saga)
    bench.run(bench.tuning.kept_s + 120.0)
    assert asker.sagas.next_deadline() == inf, "the wait was answered, and the saga is forgotten"
    assert ticket in bench.answers
    second = bench.call("wait", asker, saga=bench.begin("s2", asker), until="ended", timeout_ms=3_600_000)
    bench.run(0.1)
    assert bench.sidecars[0].sagas.next_deadline() < inf
    bench.lose_program(f"{JOURNAL.hex()}.s2", asker)
    abandon(bench, second, asker)
    bench.run(bench.tuning.lost_s + 1.0)
    assert bench.sidecars[0].sagas.next_deadline() == inf


def test_the_step_of_an_abandoned_call_goes_on() -> None:
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    bench.participants["pay"] = lambda _: Answer(after_s=2.0)
    saga = bench.begin("s1", asker)
    ticket = bench.call("step", asker, saga=saga, step=step("pay"))
    bench.run(0.5)
    abandon(bench, ticket, asker)
    bench.run(3.0)
    assert bench.truth.open["s1"].steps["pay"].state is StepState.DONE
    assert bench.names == ["pay"], "sent once"
    assert ticket not in bench.answers
    assert bench.step(saga, "pay", asker)[1]["state"] == "done", "the same call again joins it"
    assert bench.ok("commit", asker, saga=saga) == {"state": "committed"}
    assert not bench.faults


def test_an_abandoned_declared_saga_goes_on() -> None:
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    abandon(bench, asked(bench, "run", asker), asker)
    bench.auto = True
    bench.commit()
    bench.until(lambda: is_over(bench))
    assert bench.story(f"{JOURNAL.hex()}.s1")["decision"] == "commit"


@pytest.mark.parametrize("method", ["commit", "abort"])
def test_a_decision_is_made_though_its_call_is_abandoned(method: str) -> None:
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    abandon(bench, asked(bench, method, asker), asker)
    bench.auto = True
    bench.commit()
    bench.until(lambda: is_over(bench))
    assert bench.story(f"{JOURNAL.hex()}.s1")["decision"] == method
    assert waiting(bench) == 0


def test_a_decision_by_hand_is_made_though_its_call_is_abandoned() -> None:
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    bench.participants["pay"] = lambda attempt: Answer(500 if attempt.undoes else 200)
    saga = bench.begin("s1", asker)
    bench.step(saga, "pay", asker)
    bench.ok("abort", asker, saga=saga)
    bench.auto = False
    ticket = bench.call("skip", asker, saga=saga, step="pay", who="ann", why="it is gone")
    bench.run(0.1)
    abandon(bench, ticket, asker)
    bench.auto = True
    while bench.waiting:
        bench.commit()
    bench.until(lambda: is_over(bench))
    assert waiting(bench) == 0
    assert bench.story(saga)["steps"][0]["state"] == "skipped"


def test_decisions_and_beginnings_are_not_abandoned_by_a_sidecar() -> None:
    names = {decides.__name__ for decides in saga_replies._DECIDES}
    assert names == {"CommitAsked", "AbortAsked", "HandAsked"}
    assert set(METHODS) - SENT_ANYWAY == {"run", "step", "after", "show", "list", "wait"}


def test_abandoned_waits_take_no_place_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_calls, "MAX_WAITING_CALLS", 4)
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    saga = bench.begin("s1", asker)
    for _ in range(10):
        abandon(bench, bench.call("wait", asker, saga=saga, timeout_ms=3_600_000), asker)
    assert bench.step(saga, "pay", asker)[1]["state"] == "done"
    kept = [bench.call("wait", asker, saga=saga, timeout_ms=3_600_000) for _ in range(5)]
    bench.run(0.1)
    assert [bench.answers[ticket][0] for ticket in kept if ticket in bench.answers] == ["busy"]


def test_a_call_whose_time_is_over_ends_at_the_leader() -> None:
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    ticket = asked(bench, "step", asker)
    bench.run(bench.tuning.call_timeout_s + 31.0)
    assert bench.answers[ticket][0] == "outcome_unknown"
    assert waiting(bench) == 0


def test_a_broken_stream_ends_the_waits_that_came_over_it() -> None:
    bench = Bench(members=2)
    asker = bench.sidecars[1]
    ticket = asked(bench, "step", asker)
    bench.break_stream(asker, bench.sidecars[0])
    assert waiting(bench) == 0
    abandon(bench, ticket, asker)
    bench.run(5.0)
    assert waiting(bench) == 0, "it is not sent again"


def test_the_wait_ends_at_the_leader_to_which_the_call_went_last() -> None:
    bench = Bench(members=3)
    asker = bench.sidecars[1]
    bench.participants["pay"] = lambda _: Answer(after_s=20.0)
    saga = bench.begin("s1", asker)
    ticket = bench.call("step", asker, saga=saga, step=step("pay", timeout_ms=60_000, attempt_timeout_ms=30_000))
    bench.run(0.5)
    bench.lead(bench.sidecars[2])
    bench.run(2.0)
    assert waiting(bench, bench.sidecars[2]) == 1
    abandon(bench, ticket, asker)
    assert waiting(bench, bench.sidecars[2]) == 0
    assert bench.truth.open["s1"].state is SagaState.RUNNING


def test_the_word_of_another_process_ends_no_wait() -> None:
    bench = Bench(members=3)
    asker, other = bench.sidecars[1:]
    ticket = asked(bench, "step", asker)
    word = CallAbandoned(journal=JOURNAL, number=ticket[1])
    leader = bench.sidecars[0]
    bench.act(leader, leader.sagas.received(other.node, word, bench.now, other.boot))
    bench.act(leader, leader.sagas.received(asker.node, word, bench.now, b"another process"))
    assert waiting(bench) == 1
    assert other.sagas.received(asker.node, word, bench.now, asker.boot) == [], "it does not lead"


def test_a_commit_misses_the_step_that_was_abandoned_before_it_began() -> None:
    """A new leader takes no step behind one whose result it has yet to learn."""
    bench = Bench(members=3)
    asker = bench.sidecars[1]
    bench.participants["reserve"] = lambda _: None
    saga = bench.begin("s1", asker)
    bench.call("step", asker, saga=saga, step=step("reserve", service="reserve"))
    bench.run(0.5)
    bench.lead(bench.sidecars[2])
    bench.run(1.0)
    ticket = bench.call("step", asker, saga=saga, step=step("pay", undo=None))
    bench.run(0.1)
    assert waiting(bench) == 2
    assert "pay" not in bench.names
    abandon(bench, ticket, asker)
    bench.participants["reserve"] = lambda _: Answer()
    bench.run(12.0)
    code, answer = bench.ask("commit", asker, saga=saga)
    assert (code, answer["steps"]) == ("not_done", ["pay"])
    assert "nobody waited for it any more" in answer["text"]
    assert bench.step(saga, "pay", asker, undo=None)[1]["state"] == "done"
    assert bench.ok("commit", asker, saga=saga) == {"state": "committed"}


def test_a_new_leader_makes_the_commit_whose_call_was_abandoned() -> None:
    """It learns the results of the steps first; the decision is not begun before that."""
    bench = Bench(members=3)
    asker = bench.sidecars[1]
    bench.participants["reserve"] = lambda _: Answer(after_s=3.0)
    saga = bench.begin("s1", asker)
    bench.call("step", asker, saga=saga, step=step("reserve", service="reserve"))
    bench.run(0.5)
    bench.lead(bench.sidecars[2])
    bench.run(1.0)
    ticket = bench.call("commit", asker, saga=saga)
    bench.run(0.1)
    assert not bench.waiting, "no decision is proposed yet"
    abandon(bench, ticket, asker)
    bench.until(lambda: is_over(bench))
    assert bench.story(saga)["decision"] == "commit"
    assert waiting(bench) == 0
