"""What an applied entry has changed in the sagas of a journal. The state machine returns these, in the order of the
entry's changes; whoever leads the journal answers and acts by them."""

from dataclasses import dataclass, field
from enum import Enum

from gossipreg.sagas.saga_model import BegunSaga, Decision, HandDecision, StepState


class BeginVerdict(Enum):
    NEW = "new"
    EXISTS = "exists"
    """A saga of this id, name and input is there: nothing was begun."""
    CONFLICT = "conflict"
    """A saga of this id with another name or input is there."""


@dataclass(frozen=True, slots=True)
class SagaBegun:
    """Of each BeginSaga."""

    saga: str
    verdict: BeginVerdict


@dataclass(frozen=True, slots=True)
class StepIntended:
    saga: str
    step: str


@dataclass(frozen=True, slots=True)
class StepSettled:
    saga: str
    step: str
    state: StepState


@dataclass(frozen=True, slots=True)
class SagaDecided:
    saga: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class StepStuck:
    saga: str
    step: str


@dataclass(frozen=True, slots=True)
class DecidedByHand:
    saga: str
    step: str
    decision: HandDecision


@dataclass(frozen=True, slots=True)
class SagaEnded:
    """It is decided, and nothing of it is open any more."""

    saga: str
    decision: Decision
    begun: BegunSaga | None = field(default=None, compare=False)
    """As it was begun, for the span of the saga."""


@dataclass(frozen=True, slots=True)
class SagasForgotten:
    sagas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangeIgnored:
    """A change that made no sense where it was applied, by its place in the entry: whoever proposed it looks again."""

    place: int
    saga: str
    step: str
    """Empty where it is about no step."""
    reason: str
    """For people: `the saga is decided`."""


SagaFact = (
    SagaBegun | StepIntended | StepSettled | SagaDecided | StepStuck | DecidedByHand | SagaEnded | SagasForgotten
    | ChangeIgnored
)  # fmt: skip
