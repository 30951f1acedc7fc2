"""What the answer to an attempt means: the contract, cell by cell, against the table."""

import pytest

from gossipreg.sagas.saga_model import StepState
from gossipreg.sagas.step_outcome import (
    AnswerKind,
    StepOutcome,
    after_outcome,
    answer_of,
    state_when_over,
    step_outcome,
    undo_outcome,
)

DONE, REFUSED, AGAIN = StepOutcome.DONE, StepOutcome.REFUSED, StepOutcome.AGAIN
CELLS = {
    #          first     later  undo   after
    "2xx":     (DONE,    DONE,  DONE,  DONE),
    "3xx":     (REFUSED, AGAIN, AGAIN, AGAIN),
    "401":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "403":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "404":     (AGAIN,   AGAIN, DONE,  AGAIN),
    "408":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "409":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "410":     (REFUSED, AGAIN, DONE,  AGAIN),
    "423":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "425":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "429":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "4xx":     (REFUSED, AGAIN, AGAIN, AGAIN),
    "5xx":     (AGAIN,   AGAIN, AGAIN, AGAIN),
    "none":    (AGAIN,   AGAIN, AGAIN, AGAIN),
    "unsent":  (AGAIN,   AGAIN, AGAIN, AGAIN),
}  # fmt: skip


def row_of(status: int, sent: bool) -> str:
    if not sent:
        return "unsent"
    if status == 0:
        return "none"
    if str(status) in CELLS:
        return str(status)
    return f"{status // 100}xx" if 2 <= status // 100 <= 4 else "5xx"


@pytest.mark.parametrize("sent", [True, False])
def test_every_status_means_what_the_contract_says(sent: bool) -> None:
    for status in (0, *range(100, 700), 999):
        found = (
            step_outcome(status, sent=sent, first=True), step_outcome(status, sent=sent, first=False),
            undo_outcome(status, sent=sent), after_outcome(status, sent=sent),
        )  # fmt: skip
        assert found == CELLS[row_of(status, sent)], (status, sent)


def test_every_kind_of_answer_is_one_of_some_status() -> None:
    kinds = {answer_of(sent=sent, status=status) for sent in (True, False) for status in range(600)}
    assert kinds == set(AnswerKind)


def test_a_step_that_was_never_sent_is_refused_when_its_time_is_over() -> None:
    assert state_when_over(ever_sent=False) is StepState.REFUSED
    assert state_when_over(ever_sent=True) is StepState.UNKNOWN
