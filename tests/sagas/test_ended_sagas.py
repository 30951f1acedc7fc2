"""What people decide about sagas, and what is remembered of those that have ended."""

import pytest

from gossipreg.sagas import saga_model
from gossipreg.sagas.saga_facts import BeginVerdict, DecidedByHand, SagaBegun, SagaEnded, SagasForgotten, StepStuck
from gossipreg.sagas.saga_model import MAX_HAND_NOTES, Decision, HandDecision, StepIntent, StepState
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.sagas.saga_machines import SagasByHand, begun, ignored, intent, running

S = StepState


def aborted(*steps: StepIntent) -> SagasByHand:
    hand = running(*steps)
    hand.abort()
    return hand


# -- people ------------------------------------------------------------------------------------------------------------


def test_a_stuck_undo_is_marked_until_it_is_done() -> None:
    hand = aborted(intent("a"), intent("b"))
    assert hand.stuck("a") == [StepStuck("7", "a")]
    assert hand.saga().stuck
    undo = hand.saga().steps["a"].undo_result
    assert undo is not None
    assert undo.attempts == 20
    hand.undone("a")
    assert not hand.saga().stuck


def test_a_retry_by_hand_takes_the_mark_and_is_noted() -> None:
    hand = aborted(intent("a"), intent("b"))
    hand.stuck("a")
    assert hand.by_hand(HandDecision.RETRY, "a") == [DecidedByHand("7", "a", HandDecision.RETRY)]
    step = hand.saga().steps["a"]
    assert (step.state, step.stuck, step.by_hand[0].who) == (S.UNDOING, False, "ann")


def test_a_skipped_step_ends_and_the_others_go_on() -> None:
    hand = aborted(intent("a"), intent("b"))
    assert hand.by_hand(HandDecision.SKIP, "a") == [DecidedByHand("7", "a", HandDecision.SKIP)]
    assert hand.states() == {"a": S.SKIPPED, "b": S.UNDOING}
    assert hand.undone("b")[-1] == SagaEnded("7", Decision.ABORT)
    ended = hand.machine.ended("7")
    assert ended is not None
    assert (ended.steps, ended.skipped) == (2, 1)
    assert hand.story().steps["a"].by_hand[0].why == "why"


@pytest.mark.parametrize("step", ["", "a"])
def test_to_give_up_ends_all_of_the_saga(step: str) -> None:
    hand = aborted(intent("a"), intent("b"))
    facts = hand.by_hand(HandDecision.GIVE_UP, step)
    assert facts == [
        DecidedByHand("7", "a", HandDecision.GIVE_UP), DecidedByHand("7", "b", HandDecision.GIVE_UP),
        SagaEnded("7", Decision.ABORT),
    ]  # fmt: skip


def test_decisions_by_hand_need_something_open() -> None:
    hand = running(intent("a"), intent("b"))
    assert "abort it instead" in ignored(hand.by_hand(HandDecision.SKIP, "a"))
    hand.abort()
    hand.undone("a")
    for decision in (HandDecision.RETRY, HandDecision.SKIP):
        for step in ("a", "unknown"):
            text = f"step {step!r} is not open; open are b"
            assert text in ignored(hand.by_hand(decision, step))


def test_notes_by_hand_are_bounded() -> None:
    hand = aborted(intent("a"))
    for count in range(MAX_HAND_NOTES + 3):
        hand.by_hand(HandDecision.RETRY, "a", why=str(count))
    assert [note.why for note in hand.saga().steps["a"].by_hand] == [str(3 + count) for count in range(MAX_HAND_NOTES)]


# -- ended ones --------------------------------------------------------------------------------------------------------


def test_an_ended_saga_is_forgotten_by_led_time() -> None:
    hand = SagasByHand(SagaTuning(kept_s=10))
    hand.begin()
    hand.commit()
    hand.led_ms = 10_000
    assert hand.expire() == []
    assert hand.begin() == [SagaBegun("7", BeginVerdict.EXISTS)]
    hand.led_ms = 10_001
    assert hand.expire() == [SagasForgotten(("7",))]
    assert hand.records.everything == {}
    assert hand.begin(begun(input=b"[]")) == [SagaBegun("7", BeginVerdict.NEW)]


def test_an_open_saga_never_expires() -> None:
    hand = SagasByHand(SagaTuning(kept_s=1))
    hand.begin()
    hand.led_ms = 10**12
    assert hand.expire() == []
    assert "7" in hand.machine.open


def test_more_ended_sagas_than_the_bound_forget_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_model, "MAX_ENDED_SAGAS", 2)
    hand = SagasByHand()
    for id in ("1", "2", "3"):
        hand.begin(begun(id))
    for id in ("2", "1"):
        hand.commit(id)
    assert hand.commit("3")[-1] == SagasForgotten(("2",))
    assert [saga.id for saga in hand.machine.ended_last_first()] == ["3", "1"]
    assert hand.begin(begun("2")) == [SagaBegun("2", BeginVerdict.NEW)]


def test_the_oldest_stories_go_and_their_ids_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = SagasByHand()
    for id in ("1", "2", "3"):
        hand.begin(begun(id))
        hand.commit(id)
    monkeypatch.setattr(saga_model, "MAX_STORIES_BYTES", hand.machine.stories_bytes)
    hand.begin(begun("4"))
    hand.commit("4")
    assert [saga.id for saga in hand.machine.ended_last_first() if saga.story_bytes] == ["4", "3", "2"]
    assert hand.begin(begun("1")) == [SagaBegun("1", BeginVerdict.EXISTS)]
    with pytest.raises(KeyError):
        hand.story("1")


def test_a_journal_is_not_empty_while_it_remembers_a_saga() -> None:
    hand = running()
    assert not hand.machine.is_empty(hand.records)
    hand.commit()
    assert not hand.machine.is_empty(hand.records)
    hand.led_ms = int(SagaTuning().kept_s * 1000) + 1
    assert hand.expire() == [SagasForgotten(("7",))]
    assert hand.machine.is_empty(hand.records)


def test_entries_of_other_kinds_change_nothing() -> None:
    hand = running()
    assert all(hand.entry(b"\x90", kind) == [] for kind in (0, 1, 2, 16))
    assert "7" in hand.machine.open
