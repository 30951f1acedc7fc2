"""What the checkers of sagas need to know: what is committed, and which requests were sent.

Owns: the sagas of all journals as their entries say; the attempts of each key. Never knows: any one invariant. It reads
entries when the first replica applies them: all apply the same (`state_safety`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gossipreg.journal.effects import AppliedEntry, JournalEffect
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_codec import decode_changes
from gossipreg.sagas.saga_effects import CommandDone, SendCommand
from gossipreg.sagas.saga_entries import SAGA_ENTRY, BeginSaga, IntendStep, NoteStuck
from gossipreg.sagas.saga_facts import (
    BeginVerdict,
    DecidedByHand,
    SagaBegun,
    SagaDecided,
    SagaEnded,
    SagaFact,
    SagasForgotten,
    StepIntended,
    StepSettled,
)
from gossipreg.sagas.saga_model import (
    BegunSaga,
    Decision,
    HandDecision,
    SagaRef,
    StepIntent,
    StepState,
    step_key,
)
from simulations.orchestrating.observer import SagaObserver
from simulations.orchestrating.participant import KEY, UNDOES
from simulations.orchestrating.process import SagaProcess


@dataclass(slots=True, eq=False)
class CommittedStep:
    saga: "CommittedSaga"
    intent: StepIntent
    at: float
    state: StepState

    @property
    def key(self) -> str:
        return step_key(self.saga.ref, self.intent.name)

    @property
    def has_undo(self) -> bool:
        return self.intent.undo is not None or bool(self.intent.undo_template)

    @property
    def allows_commit(self) -> bool:
        options = self.intent.options
        return options.after or self.state is StepState.DONE or (self.state is StepState.REFUSED and options.optional)


@dataclass(slots=True, eq=False)
class CommittedSaga:
    ref: SagaRef
    begun: BegunSaga
    at: float
    """World time, as all times here."""
    steps: dict[str, CommittedStep] = field(default_factory=dict)
    decision: Decision | None = None
    decided_at: float = 0.0
    ended_at: float | None = None
    forgotten_at: float | None = None

    @property
    def aborted(self) -> bool:
        return self.decision is Decision.ABORT


@dataclass(slots=True, eq=False)
class SentAttempt:
    """A request that a sidecar sent."""

    process: SagaProcess
    command: SendCommand
    at: float
    done: CommandDone | None = None
    done_at: float | None = None

    @property
    def may_have_arrived(self) -> bool:
        return self.done is None or self.done.sent


class SagaLedger(SagaObserver):
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.sagas: dict[str, CommittedSaga] = {}
        """By `JOURNAL.ID`."""
        self.attempts: dict[str, list[SentAttempt]] = {}
        """Of steps and what comes after the commit, by key."""
        self.undos: dict[str, list[SentAttempt]] = {}
        """By the key of the step that is undone."""
        self.stuck = self.unknown = 0
        self._applied: set[tuple[JournalId, int]] = set()
        self._sent: dict[tuple[SagaProcess, int], SentAttempt] = {}

    def step(self, key: str) -> CommittedStep | None:
        """The step of this key, if its intent is committed."""
        ref, _, name = key.rpartition("/")
        saga = self.sagas.get(ref)
        return None if saga is None else saga.steps.get(name)

    # -- requests ----------------------------------------------------------------------------------------------------

    def on_command(self, process: SagaProcess, command: SendCommand) -> None:
        attempt = SentAttempt(process, command, self._now())
        self._sent[process, command.number] = attempt
        undoes = header(command, UNDOES)
        if undoes:
            self.undos.setdefault(undoes, []).append(attempt)
        else:
            self.attempts.setdefault(header(command, KEY), []).append(attempt)

    def on_command_done(self, process: SagaProcess, command: SendCommand, done: CommandDone) -> None:
        attempt = self._sent.pop((process, command.number))
        attempt.done, attempt.done_at = done, self._now()

    # -- entries -----------------------------------------------------------------------------------------------------

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:  # noqa: ARG002  whoever applies
        if not isinstance(effect, AppliedEntry) or effect.entry.kind != SAGA_ENTRY:
            return
        if (effect.journal, effect.entry.index) in self._applied or not isinstance(effect.result, tuple):
            return
        self._applied.add((effect.journal, effect.entry.index))
        self._apply(effect.journal, effect.entry.data, effect.result)

    def _apply(self, journal: JournalId, data: bytes, facts: Sequence[SagaFact]) -> None:
        changes = decode_changes(data)
        begun = {change.saga.id: change.saga for change in changes if isinstance(change, BeginSaga)}
        intents = {(change.saga, change.step.name): change.step for change in changes if isinstance(change, IntendStep)}
        self.stuck += sum(isinstance(change, NoteStuck) for change in changes)
        for fact in facts:
            match fact:
                case SagaBegun(id, BeginVerdict.NEW):
                    ref = SagaRef(journal, id)
                    self.sagas[str(ref)] = CommittedSaga(ref, begun[id], self._now())
                case StepIntended(id, name):
                    saga, intent = self._named(journal, id), intents[id, name]
                    state = StepState.AFTER if intent.options.after else StepState.INTENDED
                    saga.steps[name] = CommittedStep(saga, intent, self._now(), state)
                case StepSettled(id, name, state):
                    self._settle(self._named(journal, id), name, state)
                case SagaDecided(id, decision):
                    self._decide(self._named(journal, id), decision)
                case DecidedByHand(id, name, by_hand) if by_hand is not HandDecision.RETRY:
                    self._named(journal, id).steps[name].state = StepState.SKIPPED
                case SagaEnded(id):
                    self._named(journal, id).ended_at = self._now()
                case SagasForgotten(ids):
                    for one in ids:
                        self._named(journal, one).forgotten_at = self._now()

    def _named(self, journal: JournalId, id: str) -> CommittedSaga:
        return self.sagas[str(SagaRef(journal, id))]

    def _settle(self, saga: CommittedSaga, name: str, state: StepState) -> None:
        step = saga.steps[name]
        answers_repeat = saga.aborted and state is StepState.DONE  # it is still to be undone
        if not answers_repeat:
            step.state = state

    def _decide(self, saga: CommittedSaga, decision: Decision) -> None:
        saga.decision, saga.decided_at = decision, self._now()
        for step in saga.steps.values() if decision is Decision.ABORT else ():
            self.unknown += step.state is StepState.UNKNOWN
            if step.state in (StepState.INTENDED, StepState.DONE, StepState.UNKNOWN):
                step.state = StepState.UNDOING


def header(command: SendCommand, name: str) -> str:
    """The value of this header; empty where there is none."""
    return dict((*command.command.headers, *command.headers)).get(name, "")
