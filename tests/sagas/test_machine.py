"""What committed entries make of sagas, change by change."""

from itertools import product

import pytest

from gossipreg.sagas import saga_model
from gossipreg.sagas.open_saga import OpenStep
from gossipreg.sagas.saga_entries import BeginSaga, DecideSaga, IntendStep, NoteResult
from gossipreg.sagas.saga_facts import (
    BeginVerdict,
    ChangeIgnored,
    SagaBegun,
    SagaDecided,
    SagaEnded,
    StepIntended,
    StepSettled,
)
from gossipreg.sagas.saga_model import (
    MAX_RESULT_BYTES,
    MAX_STEP_RECORD_BYTES,
    MAX_STEPS,
    MAX_TEXT_BYTES,
    Decision,
    SagaCommand,
    SagaState,
    StepIntent,
    StepResult,
    StepState,
)
from gossipreg.sagas.step_moves import may_move
from tests.sagas.saga_machines import WALL, SagasByHand, begun, ignored, intent, running

S = StepState


def aborted(*steps: StepIntent) -> SagasByHand:
    hand = running(*steps)
    hand.abort()
    return hand


# -- beginning ---------------------------------------------------------------------------------------------------------


def test_a_saga_begins_in_the_entry_of_its_first_intent() -> None:
    hand = SagasByHand()
    facts = hand.apply(BeginSaga(begun()), IntendStep("7", intent("reserve"), WALL))
    assert facts == [SagaBegun("7", BeginVerdict.NEW), StepIntended("7", "reserve")]
    assert hand.saga().state is SagaState.RUNNING
    assert hand.states() == {"reserve": S.INTENDED}


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize(
    ("again", "verdict"),
    [
        (begun(), BeginVerdict.EXISTS),
        (begun(input=b"[]"), BeginVerdict.CONFLICT),
        (begun(name="cancel-order"), BeginVerdict.CONFLICT),
        (begun("8", input=b"[]"), BeginVerdict.NEW),
    ],
)
def test_a_known_id_is_begun_once(*, ended: bool, again: saga_model.BegunSaga, verdict: BeginVerdict) -> None:
    hand = SagasByHand()
    hand.begin()
    if ended:
        hand.commit()
    assert hand.begin(again) == [SagaBegun(again.id, verdict)]
    assert (hand.machine.ended("7") is not None) is ended


def test_steps_meant_for_another_saga_of_this_id_are_ignored() -> None:
    hand = running(intent("reserve"))
    facts = hand.apply(
        BeginSaga(begun(input=b"[]")), IntendStep("7", intent("pay"), WALL), DecideSaga("7", Decision.ABORT, "", WALL)
    )
    assert facts[0] == SagaBegun("7", BeginVerdict.CONFLICT)
    assert [type(fact) for fact in facts[1:]] == [ChangeIgnored] * 2
    assert hand.states() == {"reserve": S.INTENDED}
    assert hand.saga().decision is None


def test_too_many_open_sagas_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_model, "MAX_OPEN_SAGAS", 2)
    hand = SagasByHand()
    for id in ("1", "2"):
        hand.begin(begun(id))
    assert "2 sagas are open" in ignored(hand.begin(begun("3")))
    hand.commit("1")
    assert hand.begin(begun("3")) == [SagaBegun("3", BeginVerdict.NEW)]


def test_bytes_of_open_sagas_are_bounded_and_results_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_model, "MAX_OPEN_BYTES", 3000)
    hand = running(intent("reserve"))
    assert "try again" in ignored(hand.intend(intent("pay", body=bytes(3000))))
    assert hand.result("reserve", body=bytes(3000)) == [StepSettled("7", "reserve", S.DONE)]
    assert "try again" in ignored(hand.begin(begun("8")))
    assert hand.commit()[-1] == SagaEnded("7", Decision.COMMIT)
    assert hand.begin(begun("8")) == [SagaBegun("8", BeginVerdict.NEW)]


# -- steps -------------------------------------------------------------------------------------------------------------


def test_a_step_is_intended_once() -> None:
    hand = running(intent("reserve"))
    assert ignored(hand.intend(intent("reserve", body=b"other"))) == "the step is intended already"
    assert hand.saga().steps["reserve"].intent == intent("reserve")


def test_a_saga_has_at_most_so_many_steps() -> None:
    hand = running(*(intent(f"s{place}") for place in range(MAX_STEPS)))
    assert "at most" in ignored(hand.intend(intent("more")))
    assert len(hand.saga().steps) == MAX_STEPS


def test_a_step_that_does_not_fit_an_entry_is_refused() -> None:
    hand = running()
    headers = tuple((f"x-{place}", "v" * 4000) for place in range(31))
    command = SagaCommand("stock", "PUT", "/", headers, bytes(50_000))
    assert f"at most {MAX_STEP_RECORD_BYTES}" in ignored(hand.intend(StepIntent("reserve", command, command)))
    assert hand.states() == {}


@pytest.mark.parametrize("state", [S.DONE, S.REFUSED, S.UNKNOWN])
def test_a_result_settles_a_step_once(state: StepState) -> None:
    hand = running(intent("reserve"))
    assert hand.result("reserve", state, status=201, body=b"[1]") == [StepSettled("7", "reserve", state)]
    assert hand.saga().steps["reserve"].result == StepResult(state, 201, b"[1]")
    later = (S.DONE, S.REFUSED) if state is S.UNKNOWN else ()
    for again in (state, *{S.DONE, S.REFUSED, S.UNKNOWN}.difference(later)):
        assert "has its result" in ignored(hand.result("reserve", again))
    assert hand.saga().steps["reserve"].result == StepResult(state, 201, b"[1]")


@pytest.mark.parametrize("state", [S.INTENDED, S.UNDOING, S.UNDONE, S.SKIPPED, S.AFTER, S.AFTER_DONE])
def test_a_step_that_runs_gets_no_other_state(state: StepState) -> None:
    hand = running(intent("reserve"))
    assert ignored(hand.result("reserve", state))
    assert ignored(hand.undone("reserve", state))
    assert ignored(hand.stuck("reserve"))
    assert hand.states() == {"reserve": S.INTENDED}


def test_an_answer_after_the_time_of_a_step_is_kept_for_people() -> None:
    hand = running(intent("reserve"))
    hand.result("reserve", S.UNKNOWN, status=0)
    assert hand.result("reserve", S.DONE) == []
    step = hand.saga().steps["reserve"]
    assert (step.state, step.result) == (S.UNKNOWN, StepResult(S.DONE, 200))
    assert ignored(hand.commit()) == "not done: reserve"


def test_a_result_over_the_bound_is_cut_and_marked() -> None:
    hand = running(intent("reserve"))
    hand.result("reserve", body=bytes(MAX_RESULT_BYTES + 1), text="é" * MAX_TEXT_BYTES, instance="i" * 900)
    result = hand.saga().steps["reserve"].result
    assert result is not None
    assert (len(result.body), result.cut) == (MAX_RESULT_BYTES, True)
    assert result.text == "é" * (MAX_TEXT_BYTES // 2)
    assert hand.states() == {"reserve": S.DONE}


def test_every_move_of_a_step_is_in_the_table() -> None:
    """Each cell: (state of the saga, of the step) and where the step may go, without and with repeats."""
    allowed = {
        (SagaState.RUNNING, S.INTENDED): {S.DONE, S.REFUSED, S.UNKNOWN},
        (SagaState.ABORTED, S.UNDOING): {S.UNDONE, S.SKIPPED},
        (SagaState.COMMITTED, S.AFTER): {S.AFTER_DONE, S.SKIPPED},
    }
    for saga, state, to in product(SagaState, S, S):
        once, repeated = (OpenStep(intent("s", repeat=repeat), 0, 0, 0, state) for repeat in (False, True))
        expected = to in allowed.get((saga, state), set())
        also = (saga, state, to) == (SagaState.ABORTED, S.UNDOING, S.REFUSED)
        assert may_move(saga, once, to) is expected
        assert may_move(saga, repeated, to) is (expected or also)


# -- decisions ---------------------------------------------------------------------------------------------------------


def test_a_commit_of_done_steps_ends_the_saga() -> None:
    hand = running(intent("reserve"), intent("pay", optional=True))
    facts = hand.apply(
        NoteResult("7", "reserve", StepResult(S.DONE), WALL), NoteResult("7", "pay", StepResult(S.REFUSED), WALL),
        DecideSaga("7", Decision.COMMIT, "", WALL),
    )  # fmt: skip
    assert facts[2:] == [SagaDecided("7", Decision.COMMIT), SagaEnded("7", Decision.COMMIT)]
    assert hand.machine.open == {}
    assert hand.states() == {"reserve": S.DONE, "pay": S.REFUSED}


@pytest.mark.parametrize("open", [S.INTENDED, S.REFUSED, S.UNKNOWN])
def test_a_commit_beside_a_step_that_is_not_done_is_ignored(open: StepState) -> None:
    hand = running(intent("reserve"), intent("pay"))
    hand.result("reserve")
    if open is not S.INTENDED:
        hand.result("pay", open)
    before = hand.small()
    assert ignored(hand.commit()) == "not done: pay"
    assert hand.small() == before
    assert hand.saga().state is SagaState.RUNNING


def test_an_unknown_step_forbids_a_commit_though_optional() -> None:
    hand = running(intent("reserve", optional=True))
    hand.result("reserve", S.UNKNOWN)
    assert ignored(hand.commit()) == "not done: reserve"


@pytest.mark.parametrize("first", Decision)
def test_the_first_decision_stays(first: Decision) -> None:
    hand = running(intent("reserve"), intent("mail", after=True))
    hand.result("reserve")
    hand.apply(DecideSaga("7", first, "why", WALL))
    before = hand.small()
    for again in Decision:
        assert "the saga is decided" in ignored(hand.apply(DecideSaga("7", again, "", WALL)))
    assert ignored(hand.intend(intent("more"))) == f"the saga is decided: {hand.saga().state.name.lower()}"
    assert hand.small() == before


def test_an_abort_undoes_what_may_have_happened() -> None:
    hand = running(intent("a"), intent("b"), intent("c"), intent("d"), intent("mail", after=True))
    hand.result("a")
    hand.result("b", S.REFUSED)
    hand.result("c", S.UNKNOWN)
    assert hand.abort() == [SagaDecided("7", Decision.ABORT)]
    assert hand.states() == {"a": S.UNDOING, "b": S.REFUSED, "c": S.UNDOING, "d": S.UNDOING, "mail": S.AFTER}
    assert [step.name for step in hand.saga().open_steps] == ["a", "c", "d"]
    assert hand.undone("a") == [StepSettled("7", "a", S.UNDONE)]
    hand.undone("c")
    assert hand.undone("d") == [StepSettled("7", "d", S.UNDONE), SagaEnded("7", Decision.ABORT)]
    assert hand.states() == {"a": S.UNDONE, "b": S.REFUSED, "c": S.UNDONE, "d": S.UNDONE, "mail": S.AFTER}


@pytest.mark.parametrize("steps", [(), (intent("mail", after=True),)])
def test_an_abort_with_nothing_to_undo_ends_the_saga(steps: tuple[StepIntent, ...]) -> None:
    hand = running(*steps)
    assert hand.abort() == [SagaDecided("7", Decision.ABORT), SagaEnded("7", Decision.ABORT)]


def test_an_abort_writes_no_step_once_more() -> None:
    hand = running(*(intent(f"s{place}", body=bytes(1000)) for place in range(20)))
    before = hand.small()
    hand.abort()
    written = {key: value for key, value in hand.small().items() if before.get(key) != value}
    assert len(written) == 1
    assert sum(map(len, written.values())) < 100


def test_a_result_writes_no_command_once_more() -> None:
    hand = running(intent("reserve", body=bytes(60_000)))
    before = hand.small()
    hand.result("reserve", body=b"small")
    written = {key: value for key, value in hand.small().items() if before.get(key) != value}
    assert sum(map(len, written.values())) < 100


def test_a_late_result_changes_no_state() -> None:
    hand = aborted(intent("reserve"))
    assert hand.result("reserve", S.DONE) == []
    assert hand.states() == {"reserve": S.UNDOING}
    hand.undone("reserve")
    assert hand.story().steps["reserve"].result == StepResult(S.DONE, 200)
    assert ignored(hand.result("reserve")) == "the saga has ended"


def test_a_late_refusal_leaves_the_undo_to_be_done() -> None:
    hand = aborted(intent("reserve"))
    hand.result("reserve", S.REFUSED)
    assert hand.states() == {"reserve": S.UNDOING}


def test_a_repeated_step_tells_its_answer_and_is_undone_then() -> None:
    hand = aborted(intent("reserve", repeat=True))
    assert hand.result("reserve", S.DONE, body=b"[9]") == [StepSettled("7", "reserve", S.DONE)]
    assert hand.states() == {"reserve": S.UNDOING}
    assert hand.undone("reserve")[-1] == SagaEnded("7", Decision.ABORT)


def test_a_repeated_step_without_effect_is_not_undone() -> None:
    hand = aborted(intent("reserve", repeat=True))
    facts = hand.result("reserve", S.REFUSED)
    assert facts == [StepSettled("7", "reserve", S.REFUSED), SagaEnded("7", Decision.ABORT)]


def test_what_comes_after_the_commit_is_done_after_it() -> None:
    hand = running(intent("mail", after=True), intent("reserve"))
    assert ignored(hand.result("mail", S.AFTER_DONE))
    hand.result("reserve")
    assert hand.commit() == [SagaDecided("7", Decision.COMMIT)]
    assert hand.saga().state is SagaState.COMMITTED
    assert ignored(hand.undone("reserve"))
    assert hand.result("mail", S.AFTER_DONE)[-1] == SagaEnded("7", Decision.COMMIT)
    assert hand.states() == {"mail": S.AFTER_DONE, "reserve": S.DONE}
