"""What may be undone now: in reverse, at the same time where steps do not need each other, one by one if `strict`."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_model import BegunSaga, SagaCommand, SagaKind, SagaState, StepIntent, StepOptions, StepState
from gossipreg.sagas.undo_order import after_now, undo_now

COMMAND = SagaCommand("s", "PUT", "/")
Needs = dict[str, tuple[str, ...]]


def saga(needs: Needs, state: StepState = StepState.UNDOING, *, strict: bool = False) -> OpenSaga:
    begun = BegunSaga("7", "test", SagaKind.BY_CODE, b"null", 60_000, strict=strict)
    options = StepOptions(after=state is StepState.AFTER)
    steps = {
        name: OpenStep(StepIntent(name, COMMAND, COMMAND, options, needs=wanted), place, 0, 0, state)
        for place, (name, wanted) in enumerate(needs.items())
    }
    decided = SagaState.COMMITTED if options.after else SagaState.ABORTED
    return OpenSaga(begun, 1, 0, decided, steps=steps)


def names(steps: list[OpenStep]) -> list[str]:
    return [step.name for step in steps]


def test_steps_that_do_not_need_each_other_are_undone_at_once() -> None:
    assert names(undo_now(saga({"a": (), "b": (), "c": ()}))) == ["c", "b", "a"]


def test_a_step_is_undone_after_all_that_came_after_it() -> None:
    aborted = saga({"a": (), "b": ("a",), "c": ("b",), "d": ()})
    assert names(undo_now(aborted)) == ["d", "c"]
    aborted.steps["c"].state = StepState.UNDONE
    assert names(undo_now(aborted)) == ["d", "b"]


def test_a_refused_step_between_two_does_not_part_them() -> None:
    aborted = saga({"a": (), "b": ("a",), "c": ("b",)})
    aborted.steps["b"].state = StepState.REFUSED
    assert names(undo_now(aborted)) == ["c"]


def test_a_stuck_undo_holds_only_what_it_needs() -> None:
    aborted = saga({"a": (), "b": (), "c": ("a",)})
    aborted.steps["c"].stuck = True
    aborted.steps["b"].state = StepState.UNDONE
    assert names(undo_now(aborted)) == ["c"]
    aborted.steps["c"].state = StepState.SKIPPED
    assert names(undo_now(aborted)) == ["a"]


def test_strict_undoes_one_after_the_other_in_reverse() -> None:
    aborted, seen = saga({"a": (), "b": (), "c": ()}, strict=True), []
    while now := undo_now(aborted):
        assert len(now) == 1
        now[0].state = StepState.UNDONE
        seen += names(now)
    assert seen == ["c", "b", "a"]


def test_what_comes_after_the_commit_goes_in_its_own_order() -> None:
    committed = saga({"mail": (), "ship": (), "note": ("mail",), "old": ("gone",)}, StepState.AFTER)
    assert names(after_now(committed)) == ["mail", "ship", "old"]
    committed.steps["mail"].state = StepState.AFTER_DONE
    assert names(after_now(committed)) == ["ship", "note", "old"]


@st.composite
def orders(draw: st.DrawFn) -> Needs:
    needs: Needs = {}
    for name in "abcdefg"[: draw(st.integers(1, 7))]:
        needs[name] = tuple(draw(st.lists(st.sampled_from([*needs, "none"]), max_size=2, unique=True)))
    return needs


@given(orders(), st.sets(st.sampled_from("abcdefg")), st.booleans(), st.randoms(use_true_random=False))
def test_every_undo_comes_to_its_end_and_in_reverse(needs: Needs, refused: set[str], strict: bool, rng: Random) -> None:
    aborted = saga(needs, strict=strict)
    for name in refused & needs.keys():
        aborted.steps[name].state = StepState.REFUSED
    undone: list[str] = []
    while now := undo_now(aborted):
        step = rng.choice(now)
        step.state = StepState.UNDONE
        undone.append(step.name)
    assert sorted(undone) == sorted(needs.keys() - refused)
    for name, wanted in needs.items():
        for need in {*wanted} & {*undone} if name in undone else ():
            assert undone.index(name) < undone.index(need)
    assert not strict or undone == sorted(undone, reverse=True)
