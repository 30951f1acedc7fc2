"""Histories that break naive sagas, in their exact order. The numbers are those of the cases that they come from."""

from collections import Counter

import pytest

from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import LOST, Answer, Attempt, BenchJournals, step

FENCED_S = 20.0


class Ledger:
    """A participant that keeps the three rules: a key is done once, an undo of something unknown is fine, and after an
    undo the do is refused for ever."""

    def __init__(self) -> None:
        self.held: dict[str, Answer] = {}
        self.undone: set[str] = set()
        self.done: Counter[str] = Counter()

    def __call__(self, attempt: Attempt) -> Answer:
        if attempt.undoes:
            self.held.pop(attempt.undoes, None)
            self.undone.add(attempt.undoes)
            return Answer(204, b"")
        if attempt.key in self.undone:
            return Answer(410)
        if attempt.key not in self.held:
            self.done[attempt.key] += 1
        return self.held.setdefault(attempt.key, Answer(201))


def test_case_4_a_refusal_of_a_repeat_is_undone_all_the_same() -> None:
    """The first attempt times out and is still at work; the second, with its key, is answered 409, a third 422."""
    bench, ledger = Bench(), Ledger()
    answers = [LOST, Answer(409), Answer(422)]

    def pay(attempt: Attempt) -> Answer:
        if attempt.undoes or not answers:
            return ledger(attempt)
        ledger(attempt)
        return answers.pop(0)

    bench.participants["pay"] = pay
    saga = bench.begin()
    bench.step(saga, "reserve")
    ticket = bench.call("step", saga=saga, step=step("pay", timeout_ms=7000))
    bench.run(6.0)
    assert ticket not in bench.answers
    bench.ok("abort", saga=saga)
    bench.run(10.0)
    assert "pay/undo" in bench.names
    assert (ledger.held, is_over(bench), bench.faults) == ({}, True, [])


def test_case_4_a_new_leader_believes_no_refusal() -> None:
    bench = Bench(members=2)
    saga = bench.begin()
    bench.participants["pay"] = lambda _: None
    bench.call("step", saga=saga, step=step("pay"))
    bench.run(0.1)
    bench.participants["pay"] = lambda _: Answer(422)
    bench.lead(bench.sidecars[1])
    bench.run(60.0)
    assert bench.story(saga)["steps"][0]["state"] in ("unknown", "undoing", "undone")
    assert "pay/undo" in bench.names or not is_over(bench)


def test_case_5_a_fenced_leader_repeats_nothing() -> None:
    """The new leader aborts and undoes; the old one, which does not know, has a repeat due."""
    bench, ledger = Bench(members=2), Ledger()
    bench.participants["reserve"] = lambda attempt: ledger(attempt) if attempt.undoes else Answer(503)
    saga = bench.begin()
    bench.call("step", saga=saga, step=step("reserve"))
    bench.run(1.0)
    old, new = bench.sidecars
    bench.lead(new, fenced=True)
    bench.ok("abort", new, saga=saga)
    bench.run(FENCED_S)
    late = [attempt for attempt in bench.attempts if attempt.node == old.node and attempt.at > bench.led_since + 0.01]
    assert (late, bench.faults, is_over(bench)) == ([], [], True)


def test_case_5_undo_waits_for_the_attempt_that_is_under_way() -> None:
    bench, ledger = Bench(), Ledger()
    bench.participants["reserve"] = lambda attempt: ledger(attempt) if attempt.undoes else Answer(after_s=3.0)
    saga = bench.begin()
    bench.step(saga, "first")
    bench.call("step", saga=saga, step=step("reserve"))
    bench.run(0.1)
    bench.ok("abort", saga=saga)
    bench.run(1.0)
    assert [name for name in bench.names if "undo" in name] == []
    bench.run(4.0)
    assert bench.names == ["first", "reserve", "reserve/undo", "first/undo"]
    assert (is_over(bench), bench.faults) == (True, [])


def test_case_5_no_attempt_outlives_its_time() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda attempt: Answer() if attempt.undoes else None
    saga = bench.begin()
    bench.call("step", saga=saga, step=step("reserve", attempt_timeout_ms=2000))
    bench.run(0.1)
    bench.ok("abort", saga=saga)
    bench.run(2.1)
    assert bench.names == ["reserve", "reserve/undo"]


def test_case_6_keys_of_two_journals_never_meet() -> None:
    bench = Bench()
    saga = bench.begin("7")
    bench.step(saga, "stock")
    assert bench.attempts[0].key == f"{'4a' * 16}.7/stock"


def test_case_6_a_known_id_never_runs_the_body_again() -> None:
    bench = Bench()
    saga = bench.begin("7", input=b'{"order":7}')
    assert bench.ask("begin", name="create-order", id="7", input=b'{"order":7}')[0] == "exists"
    assert bench.ask("begin", name="create-order", id="7", input=b'{"order":8}')[0] == "conflict"
    assert bench.ask("begin", name="refund", id="7", input=b'{"order":7}')[0] == "conflict"
    bench.step(saga, "stock")
    bench.ok("commit", saga=saga)
    code, answer = bench.ask("begin", name="create-order", id="7", input=b'{"order":7}')
    assert (code, answer["state"], answer["decision"]) == ("exists", "ended", "commit")
    assert bench.ask("begin", name="create-order", id="7", input=b'{ "order": 7 }')[0] == "exists"
    assert bench.ask("begin", name="create-order", id="7", input=b'{"order":8}')[0] == "conflict"
    assert bench.ask("begin", name="refund", id="7", input=b'{"order":7}')[0] == "conflict"


@pytest.mark.parametrize("takeover", [False, True])
def test_a_saga_that_exists_says_how_many_disks_hold_it(takeover: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BenchJournals, "has_takeover", lambda *_: takeover)
    bench = Bench()
    saga = bench.begin("7")
    assert bench.ask("begin", name="create-order", id="7")[1]["copies"] == 0, "nothing is written yet"
    bench.step(saga, "stock")
    for state in ("running", "ended"):
        answer = bench.ask("begin", name="create-order", id="7")[1]
        assert (answer["state"], answer["copies"], answer["takeover"]) == (state, 1 + takeover, takeover)
        bench.ok("commit", saga=saga)


def test_case_7_an_unknown_step_is_repeated_and_undone_by_its_answer() -> None:
    bench = Bench()
    answers = [LOST, Answer(503), Answer(201, b'{"id":"r 7"}')]
    bench.participants["reserve"] = lambda attempt: Answer(204) if attempt.undoes else answers.pop(0)
    saga = bench.begin()
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    code, answer = bench.step(
        saga, "reserve", path="/reservations", method="POST", undo=undo, unknown="repeat", timeout_ms=1000
    )
    assert (code, answer["state"]) == ("", "unknown")
    bench.ok("abort", saga=saga)
    bench.run(10.0)
    assert bench.names == ["reserve", "reserve", "reserve", "reserve/undo"]
    assert len({attempt.key for attempt in bench.attempts[:3]}) == 1
    assert bench.attempts[-1].path == "/reservations/r%207"
    assert (is_over(bench), bench.faults) == (True, [])


def test_case_7_an_undo_that_cannot_be_written_is_for_a_person() -> None:
    bench = Bench()
    bench.participants["reserve"] = lambda _: Answer(201, b'{"other":1}')
    saga = bench.begin()
    bench.step(saga, "first")
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    bench.step(saga, "reserve", undo=undo, unknown="repeat")
    bench.ok("abort", saga=saga)
    bench.run(10.0)
    told = bench.story(saga)["steps"][1]
    assert (told["state"], told["stuck"]) == ("undoing", True)
    assert "id" in told["undo"]["text"]
    bench.ok("skip", saga=saga, step="reserve", who="ann", why="done by phone")
    bench.run(1.0)
    assert (bench.names, is_over(bench)) == (["first", "reserve", "first/undo"], True)


def test_case_8_commit_is_refused_beside_an_unfinished_step() -> None:
    bench = Bench()
    bench.participants["pay"] = lambda _: Answer(402, after_s=1.0)
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.call("step", saga=saga, step=step("pay"))
    bench.run(0.5)
    code, answer = bench.ask("commit", saga=saga)
    assert (code, answer["steps"]) == ("not_done", ["pay"])
    bench.run(2.0)
    code, answer = bench.ask("commit", saga=saga)
    assert (code, answer["steps"]) == ("not_done", ["pay"])
    assert bench.ask("step", saga=saga, step=step("ship"))[0] == "not_done"
    assert bench.ask("abort", saga=saga) == ("", {"state": "aborted"})


def test_case_8_undo_waits_for_all_steps_that_are_in_flight() -> None:
    bench = Bench()
    bench.participants["b"] = lambda attempt: Answer(after_s=0.0 if attempt.undoes else 2.0)
    bench.participants["c"] = lambda _: Answer(402)
    saga = bench.begin()
    for name in ("a", "b", "c"):
        bench.call("step", saga=saga, step=step(name))
    bench.run(0.5)
    bench.ok("abort", saga=saga)
    bench.run(0.5)
    assert not bench.sent("a/undo")
    bench.run(5.0)
    assert sorted(bench.names[3:]) == ["a/undo", "b/undo"]


def test_case_8_a_result_after_the_decision_is_for_people_alone() -> None:
    bench = Bench()
    bench.participants["b"] = lambda attempt: Answer(after_s=1.0) if not attempt.undoes else Answer(204)
    saga = bench.begin()
    ticket = bench.call("step", saga=saga, step=step("b"))
    bench.run(0.5)
    bench.ok("abort", saga=saga)
    bench.run(0.2)
    assert bench.answers[ticket][0] == "decided"
    bench.run(3.0)
    told = bench.story(saga)["steps"][0]
    assert (told["state"], told["status"], told["undo"]["status"]) == ("undone", 200, 204)


def test_case_8_no_attempt_begins_behind_a_proposed_decision() -> None:
    """The abort is proposed and not committed yet when the attempt before it is answered with a no for now."""
    bench = Bench()
    bench.participants["b"] = lambda attempt: Answer(204) if attempt.undoes else Answer(503, after_s=1.0)
    saga = bench.begin()
    bench.call("step", saga=saga, step=step("b"))
    bench.run(0.5)
    bench.auto = False
    bench.call("abort", saga=saga)
    bench.run(5.0)
    assert bench.names == ["b"]
    bench.auto = True
    bench.commit()
    bench.run(5.0)
    assert bench.names == ["b", "b/undo"]


def test_case_8_a_commit_may_be_repeated() -> None:
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "reserve")
    assert bench.ask("commit", saga=saga) == bench.ask("commit", saga=saga) == ("", {"state": "committed"})
    assert bench.ask("abort", saga=saga)[0] == "committed"
    assert bench.ask("step", saga=saga, step=step("late"))[0] == "decided"


def test_case_8_a_commit_whose_outcome_cannot_be_learned_is_no_no() -> None:
    bench = Bench(members=2)
    saga = bench.begin(at=bench.sidecars[1])
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.auto = False
    code, answer = bench.ask("commit", bench.sidecars[1], saga=saga)
    assert code == "outcome_unknown", answer
    bench.commit()
    assert bench.ask("commit", bench.sidecars[1], saga=saga) == ("", {"state": "committed"})


def test_case_12_a_new_leader_acts_on_what_is_committed_alone() -> None:
    """What its predecessor proposed and did not commit is not there; what it committed goes on at once."""
    bench = Bench(members=2)
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.auto = False
    bench.call("step", saga=saga, step=step("pay"))
    bench.run(0.1)
    bench.auto = True
    bench.lead(bench.sidecars[1])
    assert bench.names == ["reserve"]
    bench.run(1.0)
    assert (bench.faults, bench.names.count("pay")) == ([], 1)


def test_case_12_a_sidecar_that_does_not_lead_answers_nothing() -> None:
    bench = Bench(members=2)
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.leader = None
    bench.depose(bench.sidecars[0])
    code, answer = bench.ask("commit", saga=saga)
    assert (code, "nobody leads" in answer["text"] or "could not answer" in answer["text"]) == ("unavailable", True)


def test_case_13_the_answer_of_a_dead_leader_s_command_is_not_missed() -> None:
    """The command's answer goes to a process that is dead: the next leader repeats it, with its key."""
    bench, ledger = Bench(members=2), Ledger()
    bench.participants["pay"] = ledger
    saga = bench.begin(at=bench.sidecars[1])
    ticket = bench.call("step", bench.sidecars[1], saga=saga, step=step("pay"))
    bench.until(lambda: "pay" in bench.names)
    bench.crash(bench.sidecars[0])
    bench.run(1.0)
    bench.lead(bench.sidecars[1])
    bench.until(lambda: ticket in bench.answers)
    assert bench.answers[ticket][1]["state"] == "done"
    assert (ledger.done.total(), len(bench.sent("pay"))) == (1, 2)
    assert bench.ask("commit", bench.sidecars[1], saga=saga) == ("", {"state": "committed"})


def test_case_14_a_wrong_clock_after_a_takeover_costs_nothing() -> None:
    """Times begin anew, in full, with a new leader; wall time is shown and never compared."""
    bench = Bench(members=2)
    saga = bench.begin(at=bench.sidecars[1], timeout_ms=20_000)
    bench.step(saga, "reserve", bench.sidecars[1])
    bench.run(15.0)
    bench.lead(bench.sidecars[1])
    bench.run(15.0)
    assert bench.ask("step", bench.sidecars[1], saga=saga, step=step("pay"))[1]["state"] == "done"
    bench.run(6.0)
    assert bench.ask("commit", bench.sidecars[1], saga=saga)[0] == "aborted"


def test_case_24_a_stuck_undo_is_tried_on_and_ends_when_it_can() -> None:
    bench = Bench()
    works: list[bool] = []
    bench.participants["b"] = lambda attempt: Answer(500) if attempt.undoes and not works else Answer()
    saga = bench.begin()
    for name in ("a", "b", "c"):
        bench.step(saga, name)
    bench.ok("abort", saga=saga)
    bench.run(1800.0)
    assert [one.kind for one in bench.logged] == ["saga_aborted", "saga_stuck"]
    assert len(bench.sent("b/undo")) in range(22, 26)
    told = {one["name"]: (one["state"], one["stuck"]) for one in bench.story(saga)["steps"]}
    assert told == {"a": ("undone", False), "b": ("undoing", True), "c": ("undone", False)}
    assert [one["stuck"] for one in bench.ok("list", state="stuck")["sagas"]] == [["b"]]
    works.append(True)
    bench.run(301.0)
    assert (is_over(bench), bench.faults) == (True, [])


def test_case_24_a_person_retries_skips_and_gives_up() -> None:
    bench = Bench()
    bench.participants["b"] = lambda attempt: Answer(500) if attempt.undoes else Answer()
    saga = bench.begin(strict=True)
    for name in ("a", "b"):
        bench.step(saga, name)
    assert bench.ask("skip", saga=saga, step="b", who="ann", why="?")[0] == "refused"
    bench.ok("abort", saga=saga)
    bench.run(1000.0)
    before = len(bench.sent("b/undo"))
    assert bench.ok("retry", saga=saga, step="b", who="ann", why="it is up again") == {"steps": ["b"]}
    bench.run(0.1)
    assert len(bench.sent("b/undo")) == before + 1
    assert not bench.sent("a/undo")
    assert bench.ask("skip", saga=saga, step="z", who="ann", why="?")[0] == "refused"
    assert bench.ok("skip", saga=saga, step="b", who="ann", why="by phone") == {"steps": ["b"]}
    bench.run(1.0)
    assert is_over(bench)
    told = bench.story(saga)["steps"][1]
    assert (told["state"], [note["decision"] for note in told["by_hand"]]) == ("skipped", ["retry", "skip"])
    assert bench.ask("retry", saga=saga, step="", who="ann", why="?")[0] == "refused"


def test_case_24_giving_up_ends_a_saga_with_all_that_is_open() -> None:
    bench = Bench()
    bench.participants["b"] = bench.participants["a"] = lambda attempt: Answer(500 if attempt.undoes else 200)
    saga = bench.begin()
    for name in ("a", "b"):
        bench.step(saga, name)
    bench.ok("abort", saga=saga)
    bench.run(10.0)
    assert bench.ok("give_up", saga=saga, step="", who="ann", why="a test") == {"steps": ["a", "b"]}
    bench.run(600.0)
    assert (is_over(bench), {one["state"] for one in bench.story(saga)["steps"]}) == (True, {"skipped"})


def test_case_5_an_attempt_of_before_a_lost_lead_is_waited_for() -> None:
    """The sidecar loses the journal and gets it back while its own attempt is under way: nothing goes beside it."""
    bench = Bench(members=2)
    bench.participants["reserve"] = lambda attempt: Answer(after_s=0.0 if attempt.undoes else 4.0)
    saga = bench.begin()
    bench.call("step", saga=saga, step=step("reserve"))
    bench.run(0.5)
    bench.lead(bench.sidecars[1])
    bench.lead(bench.sidecars[0])
    bench.run(1.0)
    assert bench.names == ["reserve"]
    bench.ok("abort", saga=saga)
    bench.run(5.0)
    assert (bench.names, is_over(bench), bench.faults) == (["reserve", "reserve/undo"], True, [])
