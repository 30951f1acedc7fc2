"""Programs of sagas: where they are, what happens when they are lost, and calls that are lost on their way."""

import pytest

from gossipreg.sagas.saga_model import SagaRef, SagaState
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import JOURNAL, Answer, BenchView, step


def test_a_lost_program_has_its_time_to_come_back() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.lose_program(saga)
    bench.run(9.0)
    assert bench.ask("step", saga=saga, step=step("pay"))[1]["state"] == "done"
    bench.run(20.0)
    assert bench.ok("commit", saga=saga) == {"state": "committed"}


def test_a_program_that_does_not_come_back_is_undone() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.lose_program(saga)
    bench.run(10.5)
    assert bench.names == ["reserve", "reserve/undo"]
    assert bench.story(saga)["reason"] == "its program was lost"
    assert is_over(bench)


def test_a_sidecar_that_dies_takes_its_programs_with_it() -> None:
    bench = Bench(members=3)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.crash(bench.sidecars[1])
    bench.run(9.5)
    assert bench.names == ["reserve"]
    bench.run(1.0)
    assert bench.names == ["reserve", "reserve/undo"]


def test_a_sidecar_that_started_anew_has_lost_its_programs() -> None:
    bench = Bench(members=2)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.crash(bench.sidecars[1])
    bench.restart(bench.sidecars[1])
    bench.run(10.5)
    assert is_over(bench)


def test_a_program_goes_on_by_way_of_another_sidecar() -> None:
    bench = Bench(members=3)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.crash(bench.sidecars[1])
    bench.run(5.0)
    bench.act(bench.sidecars[2], bench.sidecars[2].sagas.program_here([SagaRef(JOURNAL, "s1")], bench.now))
    bench.run(30.0)
    assert bench.ok("commit", bench.sidecars[2], saga=saga) == {"state": "committed"}


def test_a_word_of_a_sidecar_that_has_it_no_more_counts_for_nothing() -> None:
    bench = Bench(members=3)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[2])
    bench.lose_program(saga, bench.sidecars[1])
    bench.run(20.0)
    assert bench.ok("commit", bench.sidecars[2], saga=saga) == {"state": "committed"}


def test_a_new_leader_hears_of_the_programs_that_are_there() -> None:
    bench = Bench(members=2)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.lead(bench.sidecars[1])
    bench.run(30.0)
    bench.lead(bench.sidecars[0])
    bench.run(25.0)
    assert bench.ok("commit", bench.sidecars[1], saga=saga) == {"state": "committed"}


def test_a_new_leader_waits_for_the_first_word_and_then_aborts() -> None:
    bench = Bench(members=2)
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.crash(bench.sidecars[0])
    bench.run(1.0)
    bench.lead(bench.sidecars[1])
    bench.run(9.5)
    assert bench.names == ["reserve", "reserve"]
    bench.run(1.0)
    assert bench.names == ["reserve", "reserve", "reserve/undo"]


def test_a_broken_stream_loses_no_program_that_is_still_there() -> None:
    bench = Bench(members=2)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.break_stream(bench.sidecars[0], bench.sidecars[1])
    bench.run(25.0)
    assert bench.ok("commit", bench.sidecars[1], saga=saga) == {"state": "committed"}


def test_a_program_that_was_lost_while_the_stream_was_cut_is_lost() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    saga = bench.begin(at=other)
    bench.step(saga, "reserve", other)
    bench.cut.add(frozenset((one.node, other.node)))
    bench.lose_program(saga, other)
    bench.run(0.5)
    bench.cut.clear()
    bench.run(12.0)
    assert is_over(bench)


def test_a_program_that_is_away_costs_a_decided_saga_nothing() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.ok("commit", saga=saga)
    bench.lose_program(saga)
    bench.run(30.0)
    assert bench.story(saga)["decision"] == "commit"


@pytest.mark.parametrize(("decided", "code"), [(True, "decided"), (False, "not_found")])
def test_a_step_that_comes_too_late_needs_no_program(decided: bool, code: str) -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    saga = bench.begin(at=other) if decided else f"{JOURNAL.hex()}.s9"
    if decided:
        bench.step(saga, "reserve", other)
        bench.ok("abort", one, saga=saga)
    bench.act(other, other.sagas.program_here([SagaRef(JOURNAL, saga.partition(".")[2])], bench.now))
    assert len(other.sagas.programs) == 1
    assert bench.step(saga, "pay", other)[0] == code
    assert len(other.sagas.programs) == 0


# -- calls that are lost -----------------------------------------------------------------------------------------------


def test_a_step_goes_on_when_its_leader_is_replaced() -> None:
    bench = Bench(members=3)
    bench.participants["pay"] = lambda _: Answer(after_s=1.0)
    saga = bench.begin(at=bench.sidecars[2])
    ticket = bench.call("step", bench.sidecars[2], saga=saga, step=step("pay"))
    bench.run(0.5)
    bench.crash(bench.sidecars[0])
    bench.run(2.0)
    bench.lead(bench.sidecars[1])
    bench.run(5.0)
    assert bench.answers[ticket][1]["state"] == "done"
    assert bench.ok("commit", bench.sidecars[2], saga=saga) == {"state": "committed"}


def test_a_begin_whose_answer_is_lost_begins_once() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    ticket = bench.call("begin", other, name="create-order", id="s1")
    bench.run(0.0015)
    bench.cut.add(frozenset((one.node, other.node)))
    bench.run(0.01)
    bench.cut.clear()
    bench.break_stream(one, other)
    bench.run(1.0)
    assert bench.answers[ticket][0] == ""
    assert bench.ask("begin", other, name="create-order", id="s1")[0] == "exists"


def test_the_same_step_again_joins_and_another_is_a_conflict() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda _: Answer(after_s=1.0)
    saga = bench.begin()
    first = bench.call("step", saga=saga, step=step("pay"))
    again = bench.call("step", saga=saga, step=step("pay"))
    assert bench.ask("step", saga=saga, step=step("pay", method="POST"))[0] == "conflict"
    bench.run(2.0)
    assert bench.answers[first] == bench.answers[again] == bench.ask("step", saga=saga, step=step("pay"))
    assert bench.names == ["pay"]


def test_a_commit_after_a_takeover_learns_again_what_was_told() -> None:
    """The program was told `done`, and that result died with its leader: the commit waits for it."""
    bench = Bench(members=2)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.crash(bench.sidecars[0])
    bench.participants["reserve"] = lambda _: Answer(after_s=1.0)
    bench.lead(bench.sidecars[1])
    assert bench.ask("commit", bench.sidecars[1], saga=saga) == ("", {"state": "committed"})
    assert len(bench.sent("reserve")) == 2


def test_a_step_that_needs_what_was_told_waits_for_it_too() -> None:
    bench = Bench(members=2)
    bench.participants["reserve"] = lambda _: Answer(body=b'{"id":7}', after_s=0.5)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.crash(bench.sidecars[0])
    bench.lead(bench.sidecars[1])
    code, answer = bench.step(saga, "pay", bench.sidecars[1], path="/pay/{result.reserve.id}")
    assert (code, answer["state"], bench.attempts[-1].path) == ("", "done", "/pay/7")


def test_a_call_without_a_leader_says_so_in_its_time() -> None:
    bench = Bench(members=2)
    bench.claimed.add(JOURNAL)
    bench.crash(bench.sidecars[0])
    code, answer = bench.ask("commit", bench.sidecars[1], saga=f"{JOURNAL.hex()}.s1")
    assert (code, bench.now < 111.0) == ("unavailable", True)
    assert answer["text"] == "no answer to commit within 10 s: nobody leads journal 4a4a4a4a4a4a now"


@pytest.mark.parametrize("method", ["show", "wait", "abort", "retry"])
def test_a_journal_that_nobody_knows_is_not_waited_for(method: str) -> None:
    bench = Bench(members=2)
    began = bench.now
    code, answer = bench.ask(method, bench.sidecars[1], saga=f"{'0a' * 16}.s1")
    assert (code, bench.now - began < 2.0) == ("unavailable", True)
    assert answer["text"] == (
        "no journal 0a0a0a0a0a0a is known here: no member that this sidecar knows leads it, or did "
        "(see `gossipreg saga list`)"
    )


def test_a_sidecar_that_is_not_synced_says_so_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BenchView, "synced", False)
    bench = Bench(members=2)
    bench.claimed.add(JOURNAL)
    bench.crash(bench.sidecars[0])
    began = bench.now
    code, answer = bench.ask("show", bench.sidecars[1], saga=f"{JOURNAL.hex()}.s1")
    assert (code, bench.now - began < 2.0) == ("not_synced", True)
    assert answer["text"] == ("this sidecar is not synced, so it does not know who leads journal 4a4a4a4a4a4a yet")


def test_a_program_waits_while_its_restarted_sidecar_is_not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BenchView, "synced", False)
    bench = Bench(members=2)
    at = bench.sidecars[1]
    bench.crash(bench.sidecars[0])
    bench.act(at, at.sagas.program_here([SagaRef(JOURNAL, "s1")], bench.now))
    began = bench.now
    code, answer = bench.ask("commit", at, saga=f"{JOURNAL.hex()}.s1")
    assert (code, bench.now - began > 9.0) == ("not_synced", True)
    assert "no answer to commit within 10 s: this sidecar is not synced, so it does not know" in answer["text"]


@pytest.mark.parametrize("method", ["show", "wait"])
def test_a_question_without_an_answer_was_not_carried_out(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(members=2)
    monkeypatch.setattr(bench.sidecars[0].sagas, "received", lambda *_: [])
    params = {"timeout_ms": 0} if method == "wait" else {}
    code, answer = bench.ask(method, bench.sidecars[1], saga=f"{JOURNAL.hex()}.s1", **params)
    assert (code, answer["text"]) == ("unavailable", "no answer from the leader within 10 s: ask again")


def test_a_decision_by_hand_is_sent_once() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    bench.participants["a"] = lambda attempt: Answer(500 if attempt.undoes else 200)
    saga = bench.begin()
    bench.step(saga, "a")
    bench.ok("abort", saga=saga)
    bench.auto = False
    ticket = bench.call("skip", other, saga=saga, step="a", who="ann", why="?")
    bench.run(0.1)
    bench.break_stream(one, other)
    assert bench.answers[ticket][0] == "outcome_unknown"


def test_a_program_that_dies_with_a_withdrawn_commit_is_missed() -> None:
    bench = Bench(members=2)
    other = bench.sidecars[1]
    saga = bench.begin("s1", other)
    bench.step(saga, "a", other)
    bench.auto = False
    bench.call("step", saga=bench.begin("s2"), step=step("b"))  # its entry is under way: the others share the next one
    bench.run(0.1)
    mail = {"name": "mail", "service": "mail", "method": "POST", "path": "/"}
    bench.call("after", other, saga=saga, step=mail)
    bench.call("commit", other, saga=saga)
    bench.run(0.1)
    bench.crash(other)
    bench.refuses = lambda effect: None if effect.ends else ("journal_full", "it is full")
    bench.auto = True
    bench.commit()
    bench.run(9.0)
    assert bench.truth.open["s1"].state is SagaState.RUNNING
    assert bench.ok("wait", saga=saga, until="ended")["reason"] == "its program was lost"


# -- questions ---------------------------------------------------------------------------------------------------------


def test_a_bare_id_is_found_wherever_its_journal_is_led() -> None:
    bench = Bench(members=2)
    saga = bench.begin()
    bench.step(saga, "reserve")
    assert bench.ok("show", bench.sidecars[1], saga="s1")["saga"] == saga
    bench.ok("commit", saga=saga)
    assert bench.ok("show", bench.sidecars[1], saga="s1")["state"] == "ended"
    code, answer = bench.ask("show", bench.sidecars[1], saga="s2")
    assert (code, "s2" in answer["text"]) == ("not_found", True)


def test_wait_answers_when_it_is_decided_and_when_it_has_ended() -> None:
    bench = Bench(members=2)
    bench.participants["reserve"] = lambda attempt: Answer(after_s=2.0 if attempt.undoes else 0.1)
    saga = bench.begin()
    bench.step(saga, "reserve")
    decided = bench.call("wait", bench.sidecars[1], saga=saga)
    ended = bench.call("wait", bench.sidecars[1], saga=saga, until="ended")
    over = bench.call("wait", bench.sidecars[1], saga=saga, timeout_ms=100)
    bench.run(0.2)
    assert (bench.answers[over][1]["state"], decided in bench.answers) == ("running", False)
    bench.ok("abort", saga=saga)
    bench.run(0.1)
    assert (bench.answers[decided][1]["state"], ended in bench.answers) == ("aborted", False)
    bench.run(3.0)
    assert bench.answers[ended][1]["state"] == "ended"


def test_a_list_goes_on_behind_the_last_one() -> None:
    bench = Bench()
    for number in range(5):
        bench.step(bench.begin(f"s{number}"), "a")
    bench.ok("commit", saga=f"{JOURNAL.hex()}.s3")
    first = bench.ok("list", limit=3)["sagas"]
    assert [one["saga"][-2:] for one in first] == ["s0", "s1", "s2"]
    assert [one["saga"][-2:] for one in bench.ok("list", after=first[-1]["saga"])["sagas"]] == ["s3", "s4"]
    assert [one["saga"][-2:] for one in bench.ok("list", state="ended")["sagas"]] == ["s3"]
    assert len(bench.ok("list", state="running")["sagas"]) == 4


def test_a_list_names_the_member_that_did_not_answer() -> None:
    bench = Bench(2)
    leader, other = bench.sidecars
    bench.step(bench.begin("s1"), "a")
    ticket = bench.call("list", other)
    bench.break_stream(other, leader)
    bench.until(lambda: ticket in bench.answers)
    assert bench.answers[ticket] == ("", {"sagas": [], "unanswered": [leader.node], "more": False, "next": ""})
    assert bench.ok("list", other)["unanswered"] == []
