"""What the answer to an attempt means: one table.

Owns: the rule. Never knows: time, proofs, or what is done next.

A refusal is believed only from the first attempt that was ever sent: a later one may meet the work of an earlier one,
which is still going on or was done, and says nothing of it (409 while it runs; 404 from a proxy; 422 for what is there
already). So a step is refused only if it had no effect, for certain. Attempts of an earlier leader count as sent, for
an intent without a result may have been sent.
"""

from enum import Enum, auto

from gossipreg.sagas.saga_model import StepState


class AnswerKind(Enum):
    """What came of one attempt, by kind."""

    OK = auto()
    """2xx."""
    REDIRECT = auto()
    """3xx: it is not followed, so nothing was done there."""
    NOT_FOUND = auto()
    """404: also a route that is not there yet."""
    GONE = auto()
    """410: also a participant that refuses what was undone."""
    UNCLEAR = auto()
    """401, 403, 408, 409, 423, 425, 429: by something before the participant, or for now only."""
    CLIENT_ERROR = auto()
    """Every other 4xx."""
    FAILED = auto()
    """5xx, and what is no status of an answer."""
    NONE = auto()
    """Something was sent, and no whole answer came."""
    UNSENT = auto()
    """Nothing was sent, for certain."""


class AttemptKind(Enum):
    """What was attempted, and after what."""

    FIRST = auto()
    """A step's command, of which nothing was ever sent before."""
    LATER = auto()
    """A step's command that was sent before, or may have been."""
    UNDO = auto()
    AFTER = auto()
    """Of what comes after the commit."""


class StepOutcome(Enum):
    DONE = auto()
    REFUSED = auto()
    AGAIN = auto()


_UNCLEAR = frozenset((401, 403, 408, 409, 423, 425, 429))
_OK = dict.fromkeys(AttemptKind, StepOutcome.DONE)
_AGAIN = dict.fromkeys(AttemptKind, StepOutcome.AGAIN)
_REFUSAL = _AGAIN | {AttemptKind.FIRST: StepOutcome.REFUSED}
_UNDONE = {AttemptKind.UNDO: StepOutcome.DONE}
_TABLE: dict[AnswerKind, dict[AttemptKind, StepOutcome]] = {
    AnswerKind.OK: _OK,
    AnswerKind.REDIRECT: _REFUSAL,
    AnswerKind.NOT_FOUND: _AGAIN | _UNDONE,
    AnswerKind.GONE: _REFUSAL | _UNDONE,
    AnswerKind.UNCLEAR: _AGAIN,
    AnswerKind.CLIENT_ERROR: _REFUSAL,
    AnswerKind.FAILED: _AGAIN,
    AnswerKind.NONE: _AGAIN,
    AnswerKind.UNSENT: _AGAIN,
}


def answer_of(*, sent: bool, status: int) -> AnswerKind:
    """The kind of answer of a `CommandDone`; status 0: no whole answer came."""
    if not sent:
        return AnswerKind.UNSENT
    if status == 0:
        return AnswerKind.NONE
    if 200 <= status < 300:
        return AnswerKind.OK
    if 300 <= status < 400:
        return AnswerKind.REDIRECT
    if 400 <= status < 500:
        if status in _UNCLEAR:
            return AnswerKind.UNCLEAR
        return {404: AnswerKind.NOT_FOUND, 410: AnswerKind.GONE}.get(status, AnswerKind.CLIENT_ERROR)
    return AnswerKind.FAILED


def step_outcome(status: int, *, sent: bool, first: bool) -> StepOutcome:
    """What the answer to an attempt of a step means. `first`: nothing of the step was ever sent before."""
    return _TABLE[answer_of(sent=sent, status=status)][AttemptKind.FIRST if first else AttemptKind.LATER]


def undo_outcome(status: int, *, sent: bool) -> StepOutcome:
    """DONE or AGAIN."""
    return _TABLE[answer_of(sent=sent, status=status)][AttemptKind.UNDO]


def after_outcome(status: int, *, sent: bool) -> StepOutcome:
    """DONE or AGAIN."""
    return _TABLE[answer_of(sent=sent, status=status)][AttemptKind.AFTER]


def state_when_over(*, ever_sent: bool) -> StepState:
    """The state of a step whose time is over, and that no answer has settled. `ever_sent`: an attempt of it may have
    arrived."""
    return StepState.UNKNOWN if ever_sent else StepState.REFUSED
