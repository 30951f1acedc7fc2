"""A leader that stood still while another one took over answers nothing from what it knew before."""

from collections.abc import Callable
from typing import Any

import pytest

from gossipreg.sagas.journal_sagas import JournalSagas
from gossipreg.sagas.saga_model import SagaRef
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import JOURNAL, Answer, BenchView, SagaSidecar, Ticket, step

SAGA = f"{JOURNAL.hex()}.s1"
PERSON = {"who": "ann", "why": "the service is back"}
COSTLY = {"undo": {"method": "DELETE", "path": "/rooms/{result.room.id}"}, "unknown": "repeat"}


def nothing(bench: Bench, at: SagaSidecar) -> None:
    """Nothing is done."""


def begun(bench: Bench, at: SagaSidecar) -> None:
    """In memory alone."""
    bench.begin(at=at)


def room_taken(bench: Bench, at: SagaSidecar) -> None:
    bench.begin(at=at)
    bench.step(SAGA, "room", at)


def mail_taken(bench: Bench, at: SagaSidecar) -> None:
    bench.begin(at=at)
    bench.ok("after", at, **MAIL)


def room_asked_for(bench: Bench, at: SagaSidecar) -> None:
    """Its participant has not answered."""
    bench.begin(at=at)
    bench.participants["room"] = lambda _: None
    bench.call("step", at, saga=SAGA, step=step("room"))
    bench.run(0.1)
    bench.participants["room"] = lambda _: Answer(201, b'{"id": 7}')


def propose(bench: Bench, at: SagaSidecar, method: str, **params: Any) -> None:
    """The journal does not take it, and nobody waits for it."""
    bench.auto = False
    _, number = bench.call(method, at, **params)
    bench.run(0.1)
    bench.act(at, at.sagas.abandon(number, bench.now))
    bench.auto = True


def other_room_proposed(bench: Bench, at: SagaSidecar) -> None:
    bench.begin(at=at)
    bench.step(SAGA, "first", at)
    propose(bench, at, "step", saga=SAGA, step=step("room", path="/elsewhere"))


def commit_proposed(bench: Bench, at: SagaSidecar) -> None:
    bench.begin(at=at)
    bench.step(SAGA, "first", at)
    propose(bench, at, "commit", saga=SAGA)


def waits_for_room(bench: Bench, at: SagaSidecar) -> None:
    assert bench.step(SAGA, "room", at)[0] == ""


def commits(bench: Bench, at: SagaSidecar) -> None:
    bench.run(10.0)  # a step of before is sent once more
    assert bench.ask("commit", at, saga=SAGA)[1] == {"state": "committed"}


def takes_and_commits(bench: Bench, at: SagaSidecar) -> None:
    room_taken(bench, at)
    commits(bench, at)


def aborts_in_vain(bench: Bench, at: SagaSidecar) -> None:
    """Its undo fails."""
    bench.participants["room"] = lambda attempt: Answer(500 if attempt.undoes else 201, b'{"id": 7}')
    if "s1" not in bench.truth.open:
        room_taken(bench, at)
    assert bench.ask("abort", at, saga=SAGA)[1] == {"state": "aborted"}


Doing = Callable[[Bench, SagaSidecar], None]
NOTICE: dict[str, Any] = {"saga": SAGA, "step": step("notice", path="/rooms/{result.room.id}")}
MAIL: dict[str, Any] = {"saga": SAGA, "step": step("mail", undo=None)}
ROOM: dict[str, Any] = {"saga": SAGA, "step": step("room")}
BY_HAND: dict[str, Any] = {"saga": SAGA, **PERSON}
ORDER: dict[str, Any] = {"id": "s1", "name": "create-order"}
CASES: dict[str, tuple[Doing, Doing, str, dict[str, Any], str, dict[str, Any]]] = {
    "wait: not_found": (nothing, takes_and_commits, "wait", {"saga": SAGA}, "", {"decision": "commit"}),
    "commit: not_found": (nothing, room_taken, "commit", {"saga": SAGA}, "", {"state": "committed"}),
    "abort: not_found": (nothing, room_taken, "abort", {"saga": SAGA}, "", {"state": "aborted"}),
    "step: not_found": (nothing, begun, "step", ROOM, "", {"state": "done"}),
    "after: not_found": (nothing, begun, "after", MAIL, "", {}),
    "by hand: not_found": (nothing, aborts_in_vain, "retry", BY_HAND, "", {"steps": ["room"]}),
    "show: not_found": (nothing, takes_and_commits, "show", {"saga": SAGA}, "", {"decision": "commit"}),
    "show: running": (room_taken, commits, "show", {"saga": SAGA}, "", {"decision": "commit"}),
    "wait, over: running": (
        room_taken, commits, "wait", {"saga": SAGA, "timeout_ms": 100}, "", {"decision": "commit"},
    ),
    "commit: not_done": (room_asked_for, commits, "commit", {"saga": SAGA}, "", {"state": "committed"}),
    "abort: unrecorded": (begun, takes_and_commits, "abort", {"saga": SAGA}, "committed", {}),
    "step: done": (room_taken, commits, "step", ROOM, "decided", {"decision": "commit"}),
    "after: taken": (mail_taken, commits, "after", MAIL, "decided", {"decision": "commit"}),
    "step: conflict": (other_room_proposed, nothing, "step", ROOM, "", {"state": "done"}),
    "step: being decided": (commit_proposed, nothing, "step", ROOM, "", {"state": "done"}),
    "step: missing values": (room_asked_for, waits_for_room, "step", NOTICE, "", {"state": "done"}),
    "by hand: not decided": (room_taken, aborts_in_vain, "retry", BY_HAND, "", {"steps": ["room"]}),
    "begin: conflict": (begun, nothing, "begin", {**ORDER, "name": "other"}, "", {"state": "running"}),
    "begin: exists": (begun, nothing, "begin", ORDER, "", {"state": "running"}),
    "begin: begun": (nothing, takes_and_commits, "begin", ORDER, "exists", {"decision": "commit"}),
}  # fmt: skip
"""What the old leader did, and the new one after it; what is asked of the old one; and the answer of the new one."""


@pytest.mark.parametrize("case", CASES)
def test_a_leader_that_stood_still_leaves_the_answer_to_the_next(case: str) -> None:
    before, meanwhile, method, params, code, fields = CASES[case]
    bench = Bench(members=2)
    bench.participants["room"] = lambda _: Answer(201, b'{"id": 7}')
    old, new = bench.sidecars
    before(bench, old)
    bench.lead(new, fenced=True)
    bench.act(new, new.sagas.program_here([SagaRef(JOURNAL, "s1")], bench.now))
    meanwhile(bench, new)
    assert old.leads
    ticket = bench.call(method, old, **params)
    bench.run(3.0)
    assert ticket not in bench.answers
    bench.depose(old)
    bench.run(3.0)
    answer = bench.answers[ticket]
    assert (answer[0], {name: answer[1].get(name) for name in fields}) == (code, fields)


def test_a_final_answer_needs_no_proof() -> None:
    bench = Bench()
    room_taken(bench, bench.sidecars[0])
    bench.ok("commit", saga=SAGA)
    bench.proofs, bench.proves = 0, False
    assert bench.ask("abort", saga=SAGA)[0] == "committed"
    assert bench.ask("commit", saga=SAGA)[0] == ""
    assert bench.ask("wait", saga=SAGA)[1]["decision"] == "commit"
    assert bench.step(SAGA, "more")[0] == "decided"
    assert bench.proofs == 0


def test_an_answer_whose_entry_came_after_the_call_needs_no_proof() -> None:
    bench = Bench()
    bench.begin()
    bench.proofs, bench.proves = 0, False
    assert bench.step(SAGA, "room")[1]["state"] == "done"
    bench.ok("after", **MAIL)
    assert bench.proofs == 0


def led(bench: Bench) -> JournalSagas:
    return bench.sidecars[0].sagas.led[JOURNAL]


def unproven(bench: Bench, at: SagaSidecar) -> Ticket:
    """A call that waits for a proof."""
    bench.proves = False
    ticket = bench.call("show", at, saga=SAGA)
    bench.run(0.1)
    assert led(bench).waiting == 1
    return ticket


def test_a_call_without_proof_ends_with_its_time() -> None:
    bench = Bench(members=2)
    ticket = unproven(bench, bench.sidecars[1])
    bench.run(9.8)
    assert ticket not in bench.answers
    bench.run(0.2)
    assert bench.answers[ticket][0] == "unavailable"
    assert led(bench).waiting == 0
    bench.run(1.0)
    assert bench.sidecars[0].sagas.next_deadline() == float("inf")


@pytest.mark.parametrize("how", ["abandoned", "closed"])
def test_nothing_waits_for_a_proof_that_nobody_needs(how: str) -> None:
    bench = Bench(members=2)
    other = bench.sidecars[1]
    _, number = unproven(bench, other)
    if how == "abandoned":
        bench.act(other, other.sagas.abandon(number, bench.now))
        bench.run(0.1)
    else:
        leader = bench.sidecars[0]
        bench.act(leader, leader.sagas.closed(other.node, bench.now))
    assert led(bench).waiting == 0
    assert bench.sidecars[0].sagas.next_deadline() == float("inf")


def test_a_beginning_that_got_no_proof_in_time_can_be_made_again() -> None:
    """The first call ends with `outcome_unknown`. The next must not hear that the saga runs: nobody takes its steps."""
    bench = Bench(members=2)
    other = bench.sidecars[1]
    bench.proves = False
    ticket = bench.call("begin", other, **ORDER)
    bench.run(10.5)
    assert bench.answers[ticket][0] == "outcome_unknown"
    assert led(bench).running == 0
    bench.proves = True
    code, answer = bench.ask("begin", other, **ORDER)
    assert (code, answer["state"]) == ("", "running")


def test_a_repeated_step_that_is_done_is_not_said_to_be_not_begun() -> None:
    """Its result waits for a proof, and no other leader is found: `unavailable` would say that nothing was begun."""
    bench = Bench(members=2)
    leader, other = bench.sidecars
    bench.begin(at=other)
    bench.step(SAGA, "room", other)
    bench.run(1.0)
    bench.proves = False
    ticket = bench.call("step", other, **ROOM)
    bench.run(0.1)
    assert (ticket in bench.answers, led(bench).waiting) == (False, 1)
    bench.depose(leader)
    bench.run(60.0)
    assert bench.answers[ticket][0] == "outcome_unknown"


def test_answers_are_proven_while_a_journal_is_handed_over() -> None:
    bench = Bench()
    bench.pause()
    assert bench.ask("show", saga=SAGA)[0] == "not_found"
    bench.resume()
    assert bench.ask("show", saga=SAGA)[0] == "not_found"


def test_calls_that_came_before_a_proof_was_asked_for_share_it() -> None:
    bench = Bench()
    tickets = []
    for _ in range(100):
        tickets.append(bench.call("show", saga=SAGA))
        bench.run(0.000_001)
    bench.run(1.0)
    assert (bench.proofs, {bench.answers[ticket][0] for ticket in tickets}) == (2, {"not_found"})


def test_an_entry_of_its_own_proves_an_answer_that_waits() -> None:
    bench = Bench(members=2)
    saga = bench.begin("s2")
    ticket = unproven(bench, bench.sidecars[1])
    bench.step(saga, "room")
    assert bench.answers[ticket][0] == "not_found"


# -- questions to all journals -----------------------------------------------------------------------------------------

UNPROVEN = f"journal {JOURNAL.hex()[:8]}: its leader did not prove that it leads it"


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A saga runs; its leader has been replaced, and nobody knows it yet but the new one, which commits it."""
    bench = Bench(members=3)
    old, new, _ = bench.sidecars
    room_taken(bench, old)
    bench.lead(new, fenced=True)
    bench.ok("commit", new, saga=SAGA)
    monkeypatch.setattr(BenchView, "leaders", lambda _: [old.node])
    monkeypatch.setattr(BenchView, "leader", lambda _, journal: old.node if journal == JOURNAL else None)
    bench.claimed.add(JOURNAL)
    return bench


def test_a_list_names_the_journal_of_a_stale_leader(stale: Bench) -> None:
    for sidecar in (stale.sidecars[0], stale.sidecars[2]):
        found = stale.ok("list", sidecar)
        assert (found["sagas"], found["unanswered"]) == ([], [UNPROVEN])
    assert stale.sidecars[0].leads


@pytest.mark.parametrize("id", ["s1", "s2"])
def test_show_by_id_does_not_believe_a_stale_leader(stale: Bench, id: str) -> None:
    code, answer = stale.ask("show", stale.sidecars[2], saga=id)
    assert (code, UNPROVEN in answer["text"]) == ("unavailable", True)


def test_a_survey_leaves_no_timer_and_no_question_behind(stale: Bench) -> None:
    stale.ok("list", stale.sidecars[2])
    stale.run(1.0)
    proofs = stale.proofs
    stale.run(5.0)
    assert stale.proofs == proofs


def test_questions_of_the_moment_in_which_a_proof_came_wait_for_no_other() -> None:
    bench = Bench()
    bench.ok("list")
    bench.proves = False
    assert bench.ok("list")["unanswered"] == []


def test_a_stale_leader_that_is_deposed_answers_for_what_it_leads(stale: Bench) -> None:
    ticket = stale.call("list", stale.sidecars[2])
    stale.run(0.5)
    assert ticket not in stale.answers
    stale.depose(stale.sidecars[0])
    stale.run(0.1)
    assert stale.answers[ticket][1]["unanswered"] == [UNPROVEN]
