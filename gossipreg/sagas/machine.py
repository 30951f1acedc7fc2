"""The state machine of one journal's sagas: what its committed entries make of them.

Owns: which change makes sense when, and what it does. Never knows: who leads, which commands are on their way, or which
program takes the steps; no clock and no randomness. Led time comes with each entry.

How it works: open sagas are kept decoded in memory, and each change is written into the records at once, in a record of
its own where it is small. So `load` after any history gives an equal machine, and equal entries give equal records,
byte for byte. A change that makes no sense changes nothing, and the other changes of its entry hold: it is answered by
ChangeIgnored. When a saga ends, its story goes to a large record, which is on the disk alone.

What `kept_s` of the tuning says decides what all replicas forget, so it has to be the same on every member.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gossipreg.journal.model import LogEntry
from gossipreg.journal.state import Records
from gossipreg.sagas import saga_model
from gossipreg.sagas.ended_sagas import ENDED, EndedSaga, EndedSagas
from gossipreg.sagas.open_saga import SAGA, STEP, HandNote, OpenSaga, OpenStep, first_state
from gossipreg.sagas.open_sagas import OpenSagas
from gossipreg.sagas.saga_codec import decode_changes, intent_bytes
from gossipreg.sagas.saga_entries import (
    MAX_CHANGES,
    SAGA_ENTRY,
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
from gossipreg.sagas.saga_facts import (
    BeginVerdict,
    ChangeIgnored,
    DecidedByHand,
    SagaBegun,
    SagaDecided,
    SagaEnded,
    SagaFact,
    SagasForgotten,
    StepIntended,
    StepSettled,
    StepStuck,
)
from gossipreg.sagas.saga_model import (
    BegunSaga,
    Decision,
    HandDecision,
    SagaState,
    StepIntent,
    StepResult,
    StepState,
    WhenUnknown,
)
from gossipreg.sagas.saga_reasons import decided, names_of, standing, subject
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.step_moves import may_move

_BEFORE_DECISION = (StepState.DONE, StepState.REFUSED, StepState.UNKNOWN)
_OF_COMMANDS = (*_BEFORE_DECISION, StepState.AFTER_DONE)


class _NoSense(Exception):
    """A change makes no sense where it is applied. Nothing was changed."""


@dataclass(slots=True)
class _Applying:
    """The entry that is applied just now: where, and what came of it so far."""

    entry: LogEntry
    records: Records
    place: int = 0
    """Of the change that is carried out."""
    facts: list[SagaFact] = field(default_factory=list)
    not_begun: set[str] = field(default_factory=set)
    """Ids that this entry did not begin, since they are known: what follows of them was meant for another saga."""

    @property
    def number(self) -> int:
        """Of this change among all of the journal."""
        return self.entry.index * MAX_CHANGES + self.place


class SagasMachine:
    """A `journal.state.StateMachine`. What it shows may be read between entries, and is changed by entries alone."""

    def __init__(self, tuning: SagaTuning) -> None:
        self._kept_ms = int(tuning.kept_s * 1000)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._open = OpenSagas()
        self._ended = EndedSagas(self._kept_ms)

    # -- read ----------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> Mapping[str, OpenSaga]:
        """By id, in the order in which they began."""
        return MappingProxyType(self._open.by_id)

    @property
    def open_bytes(self) -> int:
        """What the records of the open ones take. Beyond MAX_OPEN_BYTES only what ends something is taken."""
        return self._open.size_bytes

    def ended(self, id: str) -> EndedSaga | None:
        return self._ended.get(id)

    def ended_last_first(self) -> Iterator[EndedSaga]:
        """All that are remembered."""
        return self._ended.last_first()

    @property
    def ended_count(self) -> int:
        return len(self._ended)

    @property
    def stories_bytes(self) -> int:
        """What the stories of ended sagas take, on the disk."""
        return self._ended.stories_bytes

    @property
    def oldest_ended_led_ms(self) -> int | None:
        """When the first of those that are remembered ended; None where there is none. `kept_s` after that an
        ExpireSagas is due."""
        return self._ended.oldest_led_ms

    def find(self, id: str) -> OpenSaga | EndedSaga | None:
        return self._open.by_id.get(id) or self._ended.get(id)

    # -- the state machine ---------------------------------------------------------------------------------------------

    @property
    def kinds(self) -> Collection[int]:
        return (SAGA_ENTRY,)

    def is_empty(self, records: Records) -> bool:  # noqa: ARG002 - its sagas are those of the records
        """Whether nothing would be lost with these records: no saga is open, and none that has ended is remembered:
        what begins it again, an outbox say, has to find it as long as `kept_s` promises."""
        return not self._open.by_id and not len(self._ended)

    def load(self, records: Records) -> None:
        self._begin_anew()
        found = sorted((key, value) for key, value in records.all().items() if key[:1] in (SAGA, STEP, ENDED))
        self._open.load(item for item in found if item[0][:1] != ENDED)
        self._ended.load([item for item in found if item[0][:1] == ENDED])

    def apply(self, entry: LogEntry, records: Records) -> tuple[SagaFact, ...]:
        if entry.kind != SAGA_ENTRY:
            return ()
        try:
            changes = decode_changes(entry.data)
        except ValueError as error:
            return (ChangeIgnored(0, "", "", f"no entry of sagas: {error}"),)
        at = _Applying(entry, records)
        for place, change in enumerate(changes):
            at.place = place
            try:
                self._carry_out(change, at)
            except _NoSense as fault:
                at.facts.append(ChangeIgnored(place, *subject(change), str(fault)))
        return tuple(at.facts)

    def _carry_out(self, change: SagaChange | UnreadChange, at: _Applying) -> None:
        match change:
            case BeginSaga(begun):
                self._begin(begun, at)
            case IntendStep(id, intent, wall_ms):
                self._intend(self._named(id, at), intent, wall_ms, at)
            case NoteResult(id, name, result, wall_ms):
                self._note_result(*self._step(id, name, at), result, wall_ms, at)
            case NoteUndo(id, name, result, wall_ms):
                self._note_undo(*self._step(id, name, at), result, wall_ms, at)
            case NoteStuck(id, name, result):
                self._note_stuck(*self._step(id, name, at), result, at)
            case NoteTried(id, name, attempts):
                self._note_tried(*self._step(id, name, at), attempts, at)
            case DecideSaga(id, decision, reason, wall_ms):
                self._decide(self._named(id, at), decision, reason, wall_ms, at)
            case DecideByHand(id, name, by_hand, who, why, wall_ms):
                self._decide_by_hand(self._named(id, at), name, HandNote(by_hand, who, why, wall_ms), at)
            case ExpireSagas():
                self._expire(at)
            case UnreadChange(_, reason):
                raise _NoSense(reason)

    def _named(self, id: str, at: _Applying) -> OpenSaga:
        if id in at.not_begun:
            raise _NoSense("the saga was there before this entry, which meant another one")
        saga = self._open.by_id.get(id)
        if saga is None:
            raise _NoSense("the saga has ended" if self._ended.get(id) else "there is no such saga")
        return saga

    def _step(self, id: str, name: str, at: _Applying) -> tuple[OpenSaga, OpenStep]:
        saga = self._named(id, at)
        step = saga.steps.get(name)
        if step is None:
            raise _NoSense("the saga has no such step")
        return saga, step

    # -- what changes do -----------------------------------------------------------------------------------------------

    def _begin(self, begun: BegunSaga, at: _Applying) -> None:
        verdict = self._verdict(begun)
        if verdict is BeginVerdict.NEW:
            self._check_room()
            self._open.add(OpenSaga(begun, at.number, at.entry.led_ms), at.records)
        else:
            at.not_begun.add(begun.id)
        at.facts.append(SagaBegun(begun.id, verdict))

    def _verdict(self, begun: BegunSaga) -> BeginVerdict:
        open, ended = self._open.by_id.get(begun.id), self._ended.get(begun.id)
        if open is not None:
            same = (open.begun.name, open.begun.input) == (begun.name, begun.input)
        elif ended is not None:
            same = ended.is_of(begun)
        else:
            return BeginVerdict.NEW
        return BeginVerdict.EXISTS if same else BeginVerdict.CONFLICT

    def _check_room(self, step_bytes: int | None = None) -> None:
        """For a step of this size, or for another saga."""
        if step_bytes is None and len(self._open.by_id) >= saga_model.MAX_OPEN_SAGAS:
            raise _NoSense(f"{saga_model.MAX_OPEN_SAGAS} sagas are open: begin it again when some have ended")
        if self._open.size_bytes + (step_bytes or 0) >= saga_model.MAX_OPEN_BYTES:
            raise _NoSense(f"the open sagas take {self._open.size_bytes} bytes: try again when some have ended")

    def _intend(self, saga: OpenSaga, intent: StepIntent, wall_ms: int, at: _Applying) -> None:
        if saga.state is not SagaState.RUNNING:
            raise _NoSense(decided(saga))
        if intent.name in saga.steps:
            raise _NoSense("the step is intended already")
        if len(saga.steps) >= saga_model.MAX_STEPS:
            raise _NoSense(f"a saga has at most {saga_model.MAX_STEPS} steps")
        size = intent_bytes(intent)
        if size > saga_model.MAX_STEP_RECORD_BYTES:
            raise _NoSense(f"the step takes {size} bytes: at most {saga_model.MAX_STEP_RECORD_BYTES} are kept")
        self._check_room(size)
        step = OpenStep(intent, len(saga.steps), at.entry.led_ms, wall_ms, first_state(intent))
        self._open.add_step(saga, step, at.records)
        at.facts.append(StepIntended(saga.id, intent.name))

    def _note_result(self, saga: OpenSaga, step: OpenStep, result: StepResult, wall_ms: int, at: _Applying) -> None:
        counts = result.state in _OF_COMMANDS and may_move(saga.state, step, result.state)
        if not counts:
            _check_late(saga, step, result)
        step.result, step.settled_wall_ms = result, wall_ms
        if counts:
            step.state, step.stuck = result.state, False
        if counts or _answers_repeat(saga, step):
            step.attempts = 0  # an undo that needed this answer is tried anew
            at.facts.append(StepSettled(saga.id, step.name, result.state))
        self._changed(saga, (step,), wall_ms, at)

    def _note_undo(self, saga: OpenSaga, step: OpenStep, result: StepResult, wall_ms: int, at: _Applying) -> None:
        if result.state is not StepState.UNDONE or not may_move(saga.state, step, StepState.UNDONE):
            raise _NoSense(f"nothing is to be undone: {standing(saga, step)}")
        step.state, step.stuck = StepState.UNDONE, False
        step.undo_result, step.undo_wall_ms = result, wall_ms
        at.facts.append(StepSettled(saga.id, step.name, StepState.UNDONE))
        self._changed(saga, (step,), wall_ms, at)

    def _note_stuck(self, saga: OpenSaga, step: OpenStep, result: StepResult, at: _Applying) -> None:
        if not saga.is_open(step):
            raise _NoSense(f"nothing is tried: {standing(saga, step)}")
        step.stuck = True
        if saga.state is SagaState.ABORTED:
            step.undo_result = result
        else:
            step.result = result
        at.facts.append(StepStuck(saga.id, step.name))
        self._changed(saga, (step,), 0, at)

    def _note_tried(self, saga: OpenSaga, step: OpenStep, attempts: int, at: _Applying) -> None:
        if not saga.is_open(step):
            raise _NoSense(f"nothing is tried: {standing(saga, step)}")
        step.attempts = max(step.attempts, attempts)
        self._changed(saga, (step,), 0, at)

    def _decide(self, saga: OpenSaga, decision: Decision, reason: str, wall_ms: int, at: _Applying) -> None:
        if saga.state is not SagaState.RUNNING:
            raise _NoSense(decided(saga))
        if decision is Decision.COMMIT and saga.not_done:
            raise _NoSense(f"not done: {names_of(saga.not_done)}")
        saga.decision, saga.reason = decision, reason
        saga.decided_led_ms, saga.decided_wall_ms = at.entry.led_ms, wall_ms
        if decision is Decision.COMMIT:
            saga.state = SagaState.COMMITTED
        else:
            saga.state = SagaState.ABORTED
            saga.begin_undo()
        at.facts.append(SagaDecided(saga.id, decision))
        if saga.open_steps:
            self._open.write_decision(saga, at.records)
        else:
            self._end(saga, wall_ms, at)

    def _decide_by_hand(self, saga: OpenSaga, name: str, note: HandNote, at: _Applying) -> None:
        """To give up is about the whole saga, whichever step is named."""
        if saga.state is SagaState.RUNNING:
            raise _NoSense("the saga is not decided: abort it instead")
        all_open = not name or note.decision is HandDecision.GIVE_UP
        steps = [step for step in saga.open_steps if all_open or step.name == name]
        if not steps:
            raise _NoSense(f"step {name!r} is not open; open are {names_of(saga.open_steps)}")
        for step in steps:
            step.stuck, step.attempts = False, 0
            step.by_hand = (*step.by_hand, note)[-saga_model.MAX_HAND_NOTES :]
            if note.decision is not HandDecision.RETRY:
                step.state = StepState.SKIPPED
            at.facts.append(DecidedByHand(saga.id, step.name, note.decision))
        self._changed(saga, steps, note.wall_ms, at)

    def _changed(self, saga: OpenSaga, steps: Collection[OpenStep], wall_ms: int, at: _Applying) -> None:
        """Write these steps, or end the saga if nothing of it is open any more."""
        if saga.state is not SagaState.RUNNING and not saga.open_steps:
            self._end(saga, wall_ms, at)
            return
        for step in steps:
            self._open.write_progress(saga, step, at.records)

    def _end(self, saga: OpenSaga, wall_ms: int, at: _Applying) -> None:
        assert saga.decision is not None
        saga.state, saga.ended_wall_ms = SagaState.ENDED, wall_ms
        self._open.remove(saga, at.records)
        at.facts.append(SagaEnded(saga.id, saga.decision, saga.begun))
        _note_forgotten(self._ended.add(saga, at.number, at.entry.led_ms, at.records), at)

    def _expire(self, at: _Applying) -> None:
        _note_forgotten(self._ended.forget_old(at.entry.led_ms, at.records), at)


def _note_forgotten(sagas: list[str], at: _Applying) -> None:
    if sagas:
        at.facts.append(SagasForgotten(tuple(sagas)))


def _check_late(saga: OpenSaga, step: OpenStep, result: StepResult) -> None:
    """A result that does not count is kept for people once: an answer, in place of none."""
    if step.intent.options.after or result.state not in _BEFORE_DECISION:
        raise _NoSense(f"that is no result here: {standing(saga, step)}")
    known = None if step.result is None else step.result.state
    if known in (StepState.DONE, StepState.REFUSED) or known is result.state:
        raise _NoSense(f"the step has its result: {standing(saga, step)}")


def _answers_repeat(saga: OpenSaga, step: OpenStep) -> bool:
    """Whether the result of this step is what its undo waits for."""
    repeated = saga.state is SagaState.ABORTED and step.intent.options.unknown is WhenUnknown.REPEAT
    return repeated and step.result is not None and step.result.state is StepState.DONE
