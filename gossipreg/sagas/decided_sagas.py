"""Sagas from their decision to their end, at the leader of their journal: undo, and what comes after a commit.

Owns: which commands are sent of a decided saga, and what is recorded of their answers. Never knows: how it came to be
decided. It acts on what the journal has alone: so it begins in the same way after a decision, after an undo that is
durable, and when a new leader begins.

    aborted      no attempt of a step is under way any more -> undo in reverse order, what does not need each other at
                 the same time (`undo_order.py`). A step whose undo needs its answer is repeated until there is one.
    committed    what comes after it, in the order of its intents

Both are tried until they are done. After `stuck_attempts` of all leaders, or `stuck_after_s` of one, a person is told,
and it is tried more rarely.
"""

from gossipreg.errors import RequestError
from gossipreg.sagas.command_attempts import CommandId, CommandTask, CommandWork
from gossipreg.sagas.final_step import is_final_intent
from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_effects import CommandDone
from gossipreg.sagas.saga_entries import NoteResult, NoteStuck, NoteTried, NoteUndo
from gossipreg.sagas.saga_model import HandDecision, SagaCommand, SagaRef, SagaState, StepResult, StepState
from gossipreg.sagas.saga_templates import TemplateValues
from gossipreg.sagas.step_commands import lasting_task, result_of
from gossipreg.sagas.step_intent import undo_of
from gossipreg.sagas.step_outcome import StepOutcome, after_outcome, step_outcome, undo_outcome
from gossipreg.sagas.undo_order import after_now, undo_now

_WORKS = (CommandWork.UNDO, CommandWork.AFTER, CommandWork.REPEAT)


_NOTED_FROM = 3
"""Attempts from this one on are noted in the journal, so that the next leader counts on. Most undos need fewer."""
STAYS = "it has no undo: what it did, or may have done, stays"


class DecidedSagas:
    def __init__(self, context: SagaContext) -> None:
        self._context = context
        self._noted: set[CommandId] = set()
        """Undo that is nothing, or cannot be sent: what is to be recorded of it is on its way."""

    def look(self, saga: str, due: float) -> None:
        """Begin what may begin; it was due since this time."""
        open = self._context.machine.open.get(saga)
        if open is None:
            return
        if open.state is SagaState.ABORTED and not self._context.attempts.steps_under_way(saga):
            for step in undo_now(open):
                self._begin_undo(open, step, due)
        elif open.state is SagaState.COMMITTED:
            for step in after_now(open):
                self._begin(open, step, CommandWork.AFTER, step.intent.command, due)

    def _begin(self, open: OpenSaga, step: OpenStep, work: CommandWork, command: SagaCommand, due: float) -> None:
        context = self._context
        if CommandId(open.id, step.name, work) not in context.attempts:
            task = lasting_task(work, context.ref(open.id), step.intent, command, open.begun, context.tuning)
            task.attempts = step.attempts
            context.attempts.begin(task, due)

    def _begin_undo(self, open: OpenSaga, step: OpenStep, due: float) -> None:
        context, intent = self._context, step.intent
        if intent.undo is not None:
            self._begin(open, step, CommandWork.UNDO, intent.undo, due)
        elif not intent.undo_template:
            self._note_nothing(open, step)
        elif step.result is None or step.result.state is not StepState.DONE:
            # The attempt before it may have been over after the decision was proposed: that proves too little.
            if (open.id, step.name) not in context.late_answers:
                self._begin(open, step, CommandWork.REPEAT, intent.command, context.now)
        elif CommandId(open.id, step.name, CommandWork.UNDO) not in context.attempts:
            try:
                command = undo_of(intent, _values(context.ref(open.id), open, step.name))
            except RequestError as error:
                self._note_unsendable(open, step, str(error))
            else:
                if command is not None:
                    self._begin(open, step, CommandWork.UNDO, command, due)

    def _note_nothing(self, open: OpenSaga, step: OpenStep) -> None:
        if self._note_once(open, step):
            stays = is_final_intent(step.intent)
            if stays:
                self._context.log("saga_not_undone", open.id, step=step.name)
            result = StepResult(StepState.UNDONE, text=STAYS if stays else "nothing is to be undone")
            self._context.put(NoteUndo(open.id, step.name, result, self._context.now_wall_ms()))

    def _note_unsendable(self, open: OpenSaga, step: OpenStep, text: str) -> None:
        """The answer of the step has not what its undo needs: a person has to look."""
        if not step.stuck and self._note_once(open, step):
            result = StepResult(StepState.UNDOING, text=f"its undo cannot be written: {text}")
            self._context.put(NoteStuck(open.id, step.name, result, self._context.now_wall_ms()))

    def _note_once(self, open: OpenSaga, step: OpenStep) -> bool:
        id = CommandId(open.id, step.name, CommandWork.UNDO)
        if id in self._noted:
            return False
        self._noted.add(id)
        return True

    # -- answers -------------------------------------------------------------------------------------------------------

    def answered(self, task: CommandTask, done: CommandDone) -> None:
        """An attempt is over."""
        open = self._context.machine.open.get(task.id.saga)
        step = None if open is None else open.steps.get(task.id.step)
        if task.ended or step is None:
            return
        if _outcome(task.id.work, done) is StepOutcome.DONE:
            task.settled = True
            self._note_done(task, done)
        else:
            self._try_later(task, step, done)

    def _note_done(self, task: CommandTask, done: CommandDone) -> None:
        (saga, step, work), wall_ms = task.id, self._context.now_wall_ms()
        match work:
            case CommandWork.UNDO:
                self._context.put(NoteUndo(saga, step, result_of(StepState.UNDONE, task, done), wall_ms))
            case CommandWork.AFTER:
                self._context.put(NoteResult(saga, step, result_of(StepState.AFTER_DONE, task, done), wall_ms))
            case CommandWork.REPEAT:
                self._context.put(NoteResult(saga, step, result_of(StepState.DONE, task, done), wall_ms))

    def _try_later(self, task: CommandTask, step: OpenStep, done: CommandDone) -> None:
        context, tuning = self._context, self._context.tuning
        task.failed_at(done.instance)
        tried_s = context.now - task.since
        stuck = step.stuck or task.attempts >= tuning.stuck_attempts or tried_s >= tuning.stuck_after_s
        if stuck and not step.stuck and not task.told_stuck:
            task.told_stuck = True
            result = result_of(step.state, task, done)
            context.put(NoteStuck(task.id.saga, task.id.step, result, context.now_wall_ms()))
        elif not stuck and task.attempts >= _NOTED_FROM:
            context.put(NoteTried(task.id.saga, task.id.step, task.attempts))
        wait_s = tuning.stuck_again_s if stuck else task.next_wait_s()
        asked_s = min(done.retry_after_s, tuning.stuck_again_s)  # else a day of waiting would look like nothing at all
        context.attempts.try_later(task, context.now + max(wait_s, asked_s))

    # -- what the journal says -----------------------------------------------------------------------------------------

    def settled(self, saga: str, step: str, state: StepState) -> None:
        """It is committed what came of a step of a decided saga."""
        self._context.late_answers.discard((saga, step))
        works = (CommandWork.REPEAT,) if state is StepState.DONE else _WORKS
        for work in works:
            self._context.attempts.end(CommandId(saga, step, work))
        self._noted.discard(CommandId(saga, step, CommandWork.UNDO))
        self._context.touch(saga)

    def by_hand(self, saga: str, step: str, decision: HandDecision) -> None:
        """A person has decided about a step."""
        self._noted.discard(CommandId(saga, step, CommandWork.UNDO))
        if decision is not HandDecision.RETRY:  # a retry waits for an answer that is on its way
            self._context.late_answers.discard((saga, step))
        for work in _WORKS:
            id = CommandId(saga, step, work)
            if decision is HandDecision.RETRY:
                self._context.attempts.try_at_once(id, self._context.now)
            else:
                self._context.attempts.end(id)
        self._context.touch(saga)


def _values(ref: SagaRef, open: OpenSaga, step: str) -> TemplateValues:
    results = {name: one.result for name, one in open.steps.items() if one.result is not None}
    return TemplateValues(ref, step, open.begun.input, results)


def _outcome(work: CommandWork, done: CommandDone) -> StepOutcome:
    match work:
        case CommandWork.UNDO:
            return undo_outcome(done.status, sent=done.sent)
        case CommandWork.AFTER:
            return after_outcome(done.status, sent=done.sent)
    return step_outcome(done.status, sent=done.sent, first=False)
