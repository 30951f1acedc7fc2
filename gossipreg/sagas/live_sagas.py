"""Sagas that run, as their leader knows them: what is committed, and what is on its way into the journal.

Owns: the values. Never knows: what follows from them.

A step's result is known here before it is durable, and the next step may use it: its intent goes into the journal
behind that result. Its program hears of a refusal once that is durable. What is sent rests on what is committed alone.
Once a saga is decided its state is that of the journal (`machine.py`), and it is dropped here.
"""

from dataclasses import dataclass, field

from gossipreg.model import NodeId
from gossipreg.sagas.saga_definition import SagaDefinition
from gossipreg.sagas.saga_model import (
    MAX_STEPS,
    BegunSaga,
    Decision,
    SagaKind,
    SagaRef,
    StepIntent,
    StepOptions,
    StepResult,
    StepState,
)

SETTLED = (StepState.DONE, StepState.REFUSED, StepState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class SagaCaller:
    """The one that waits for the answer of a call."""

    node: NodeId
    process: bytes
    """The boot id of its process: another process counts its calls anew."""
    number: int


@dataclass(slots=True, eq=False)
class LiveStep:
    intent: StepIntent
    state: StepState
    result: StepResult | None = None
    committed: bool = False
    """Its intent is."""
    inherited: bool = False
    """Of an earlier leader, which may have sent it, and told its program what came of it."""

    @property
    def settled(self) -> bool:
        return self.state in SETTLED

    @property
    def may_commit(self) -> bool:
        """Whether the saga may commit with it."""
        if self.intent.options.after or self.state is StepState.DONE:
            return True
        return self.state is StepState.REFUSED and self.intent.options.optional

    @property
    def failed(self) -> bool:
        return self.settled and not self.may_commit


@dataclass(slots=True, eq=False)
class LiveSaga:
    ref: SagaRef
    begun: BegunSaga
    beginner: SagaCaller | None = None
    """The one that began it, while the journal does not have it: the same call again is no other saga."""
    has_program: bool = False
    """A member has said that its program is there: that one was told of it, and its loss ends it."""
    recorded: bool = False
    """The journal has it, or an entry with it is on its way."""
    committed: bool = False
    """The journal has it."""
    steps: dict[str, LiveStep] = field(default_factory=dict)
    not_taken: dict[str, str] = field(default_factory=dict)
    """Steps that its program asked for and that the journal has no room for, and why: it does not commit before they
    are taken. No more than a saga may have."""
    deciding: Decision | None = None
    """The decision that is on its way into the journal."""
    overdue: str = ""
    """Why it is to be aborted, if that decision is withdrawn: its time was over meanwhile, or its program lost."""
    definition: SagaDefinition | None = None
    """Of a declared one, once it was read."""

    @property
    def by_code(self) -> bool:
        return self.begun.kind is SagaKind.BY_CODE

    @property
    def inherits(self) -> bool:
        """Whether a step of an earlier leader is still under way: what its program was told of it is learned again."""
        return any(step.inherited and not step.settled for step in self.steps.values() if not step.intent.options.after)

    def note_not_taken(self, step: str, options: StepOptions, why: str) -> None:
        """This step was not taken, and may be asked for again. An optional one may be left out."""
        if not options.optional and len(self.not_taken) < MAX_STEPS:
            self.not_taken[step] = why

    @property
    def open_steps(self) -> list[str]:
        """The steps that keep it from committing."""
        return [name for name, step in self.steps.items() if not step.may_commit]
