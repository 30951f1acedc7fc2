"""What the state machine says of a change that makes no sense, for people.

Owns: the texts, and which saga and step a change is about. Never knows: when a change makes no sense (`machine.py`).
"""

from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_entries import (
    BeginSaga,
    DecideByHand,
    DecideSaga,
    ExpireSagas,
    IntendStep,
    NoteResult,
    NoteStuck,
    NoteTried,
    NoteUndo,
    SagaChange,
    UnreadChange,
)

_NAMED_STEPS = 5
"""That a reason names at most."""


def decided(saga: OpenSaga) -> str:
    return f"the saga is decided: {saga.state.name.lower()}"


def standing(saga: OpenSaga, step: OpenStep) -> str:
    return f"the saga is {saga.state.name.lower()}, the step {step.state.name.lower()}"


def names_of(steps: list[OpenStep]) -> str:
    named = ", ".join(step.name for step in steps[:_NAMED_STEPS])
    more = len(steps) - _NAMED_STEPS
    return f"{named} and {more} more" if more > 0 else named


def subject(change: SagaChange | UnreadChange) -> tuple[str, str]:
    """(saga, step) that a change is about, each empty where it is about none."""
    match change:
        case BeginSaga(begun):
            return begun.id, ""
        case IntendStep(saga, intent):
            return saga, intent.name
        case (
            NoteResult(saga, step)
            | NoteUndo(saga, step)
            | NoteStuck(saga, step)
            | NoteTried(saga, step)
            | DecideByHand(saga, step)
        ):
            return saga, step
        case DecideSaga(saga) | UnreadChange(saga):
            return saga, ""
        case ExpireSagas():
            return "", ""
