"""The step that cannot be undone is the last that a program takes."""

from typing import Any

import pytest

from gossipreg.errors import BadParams
from gossipreg.sagas.final_step import check_final
from gossipreg.sagas.saga_model import SagaCommand, StepIntent, StepOptions, StepState
from tests.sagas.test_saga_definition import Seen

COMMAND = SagaCommand("s", "PUT", "/")


def intent(name: str, undo: SagaCommand | None = None, **options: Any) -> StepIntent:
    return StepIntent(name, COMMAND, undo, StepOptions(**options))


def taken(*intents: StepIntent, state: StepState = StepState.DONE) -> dict[str, Seen]:
    return {one.name: Seen(one, state, None) for one in intents}


def test_nothing_is_taken_after_a_step_that_cannot_be_undone() -> None:
    for later in (intent("b", COMMAND), intent("b"), intent("b", harmless=True)):
        with pytest.raises(BadParams, match="'a' cannot be undone, and so was the last"):
            check_final(taken(intent("a")), later)
    check_final(taken(intent("a")), intent("mail", after=True))
    check_final(taken(intent("a")), intent("a"))


def test_it_is_taken_when_all_others_are_settled() -> None:
    before = intent("a", COMMAND)
    check_final(taken(before, intent("h", harmless=True), intent("mail", after=True)), intent("b"))
    for state in (StepState.INTENDED, StepState.UNKNOWN, StepState.REFUSED):
        with pytest.raises(BadParams, match="'b' cannot be undone, and a is not done"):
            check_final(taken(before, state=state), intent("b"))
        check_final(taken(before, state=state), intent("b", COMMAND))
    check_final(taken(intent("o", COMMAND, optional=True), state=StepState.REFUSED), intent("b"))


def test_an_undo_that_waits_for_a_result_is_an_undo() -> None:
    repeated = StepIntent("a", COMMAND, None, undo_template=b"x")
    check_final(taken(repeated), intent("b", COMMAND))
