"""Sagas from their beginning to their decision, at the leader of their journal.

Owns: which changes are proposed of a saga that runs, and when its steps are sent. Never knows: who waits for what
(`saga_replies.py`), or what follows from a decision (`decided_sagas.py`).

    a step       intent and undo go into the journal; once committed, the command is sent until it is settled
    a result     is known here at once, and goes into the journal with what follows; a refusal goes at once
    a decision   commits where every step is done, or refused and optional; else aborts. From then on no attempt of a
                 step begins, and a step that was never sent is refused: it had no effect

A saga by code is not in the journal before its first intent. One that ends before that leaves no trace.
"""

from dataclasses import dataclass

from gossipreg.journal.model import JournalId
from gossipreg.sagas.command_attempts import CommandDeadline, CommandId, CommandTask, CommandWork
from gossipreg.sagas.live_sagas import LiveSaga, LiveStep, SagaCaller
from gossipreg.sagas.open_saga import OpenSaga, needs_answer
from gossipreg.sagas.saga_calls import BeginAsked, RunAsked
from gossipreg.sagas.saga_codec import intent_bytes
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_effects import CommandDone
from gossipreg.sagas.saga_entries import BeginSaga, DecideSaga, IntendStep, NoteResult, SagaChange
from gossipreg.sagas.saga_model import (
    BegunSaga,
    Decision,
    SagaKind,
    SagaState,
    StepIntent,
    StepResult,
    StepState,
)
from gossipreg.sagas.saga_room import SagaRoom
from gossipreg.sagas.step_checks import check_step
from gossipreg.sagas.step_commands import result_of, step_task
from gossipreg.sagas.step_outcome import StepOutcome, state_when_over, step_outcome


@dataclass(frozen=True, slots=True)
class SagaDeadline:
    """The saga is to be decided by then."""

    journal: JournalId
    saga: str


@dataclass(frozen=True, slots=True)
class KnownSaga:
    """A saga of an id with which another one is to be begun."""

    same: bool
    """It has the same name and input."""
    state: SagaState
    decision: Decision | None
    committed: bool = True
    """The journal has it."""


class RunningSagas:
    def __init__(self, context: SagaContext) -> None:
        self._context = context
        self._room = SagaRoom(context)

    # -- the beginning -------------------------------------------------------------------------------------------------

    def resume(self, open: OpenSaga) -> None:
        """A saga of an earlier leader that is not decided. Its times begin anew, in full; a step without a result may
        have been sent, and is sent again: its program may have been told what came of it."""
        context, now = self._context, self._context.now
        live = LiveSaga(context.ref(open.id), open.begun, recorded=True, committed=True)
        self._add(live)
        for name, step in open.steps.items():
            live.steps[name] = LiveStep(step.intent, step.state, step.result, committed=True, inherited=True)
            if step.state is StepState.INTENDED:
                context.attempts.begin(step_task(live, step.intent, now, context.tuning, maybe_sent=True), now)
        context.touch(open.id)

    def _add(self, live: LiveSaga) -> None:
        context, id = self._context, live.ref.id
        context.live[id] = live
        if not live.committed:
            self._room.keep(live)
        context.timers.set(SagaDeadline(context.journal, id), context.now + live.begun.timeout_ms / 1000)
        if live.by_code:
            context.leases.begin(id, context.now)

    def begin(self, asked: BeginAsked, caller: SagaCaller) -> None:
        """A saga that a program takes the steps of. Raises Busy."""
        begun = BegunSaga(
            asked.id, asked.name, SagaKind.BY_CODE, asked.input, asked.timeout_ms, b"", self._context.now_wall_ms(),
            asked.traceparent, asked.strict, asked.tracestate,
        )  # fmt: skip
        self._room.check_saga(len(begun.input))
        self._add(LiveSaga(self._context.ref(asked.id), begun, caller))
        self._context.leases.here(asked.id, caller.node)

    def run(self, asked: RunAsked, caller: SagaCaller) -> None:
        """A declared saga: it goes into the journal with its first intents. Raises Busy."""
        definition = asked.definition
        begun = BegunSaga(
            asked.id, definition.name, SagaKind.DECLARED, asked.input, definition.timeout_ms, asked.encoded,
            self._context.now_wall_ms(), asked.traceparent, definition.strict, asked.tracestate,
        )  # fmt: skip
        self._room.check_saga(len(begun.input) + len(begun.definition))
        live = LiveSaga(self._context.ref(asked.id), begun, caller, definition=definition)
        self._add(live)
        self._record(live)
        self._context.touch(asked.id)

    def known(self, id: str, name: str, input: bytes) -> KnownSaga | None:
        """What is there of this id."""
        context, like = self._context, BegunSaga(id, name, SagaKind.BY_CODE, input, 0)
        live, open, ended = context.live.get(id), context.machine.open.get(id), context.machine.ended(id)
        begun = live.begun if live is not None else None if open is None else open.begun
        if begun is not None:
            state, decision = (SagaState.RUNNING, None) if open is None else (open.state, open.decision)
            return KnownSaga((begun.name, begun.input) == (name, input), state, decision, open is not None)
        return None if ended is None else KnownSaga(ended.is_of(like), SagaState.ENDED, ended.decision)

    def begun(self, saga: str) -> None:
        """The journal has it."""
        self._room.drop(saga)
        live = self._context.live.get(saga)
        if live is not None:
            live.committed = True
            self._context.touch(saga)

    def _forget(self, saga: str) -> None:
        self._context.leases.end(saga)
        self._context.timers.cancel(SagaDeadline(self._context.journal, saga))
        self._room.drop(saga)
        self._context.live.pop(saga, None)
        self._context.touch(saga)

    def _record(self, live: LiveSaga) -> None:
        if not live.recorded:
            live.recorded = True
            self._room.put(live)
            self._context.put(BeginSaga(live.begun))

    # -- steps ---------------------------------------------------------------------------------------------------------

    def intend(self, live: LiveSaga, intent: StepIntent) -> None:
        """Take a step, or note what is to be done after the commit. Raises BadParams, TooLarge, Busy."""
        check_step(live, intent)
        self._room.check_step(live.ref.id, intent_bytes(intent))
        self._record(live)
        live.not_taken.pop(intent.name, None)
        live.steps[intent.name] = LiveStep(intent, StepState.AFTER if intent.options.after else StepState.INTENDED)
        self._context.put(IntendStep(live.ref.id, intent, self._context.now_wall_ms()))

    def intended(self, saga: str, name: str, proposed_at: float) -> None:
        """A step's intent is committed: its command may be sent, unless the saga is being decided meanwhile."""
        context, live = self._context, self._context.live.get(saga)
        open = context.machine.open.get(saga)
        step = None if live is None else live.steps.get(name)
        if live is None or open is None or step is None:
            return
        step.committed = True
        step.intent = open.steps[name].intent
        context.touch(saga)
        if step.state is StepState.INTENDED and live.deciding is None and open.state is SagaState.RUNNING:
            context.attempts.begin(step_task(live, step.intent, context.now, context.tuning), proposed_at)

    def answered(self, task: CommandTask, done: CommandDone, *, first: bool) -> None:
        """An attempt of a step is over. `first`: nothing of it had been sent before."""
        context, now = self._context, self._context.now
        live = context.live.get(task.id.saga)
        if live is None or live.deciding is not None:
            self._answered_late(task, done, first=first)
            return
        outcome = step_outcome(done.status, sent=done.sent, first=first)
        if outcome is not StepOutcome.AGAIN:
            self._settle(live, task, STATES[outcome], done)
            return
        task.failed_at(done.instance)
        at = now + max(task.next_wait_s(), done.retry_after_s)
        last = task.deadline - task.attempt_timeout_s
        if at >= task.deadline and now < last:
            at = last  # whoever asks for more time than there is may be back by then
        if at >= task.deadline:
            self._time_over(live, task)
        else:
            context.attempts.try_later(task, at)

    def time_over(self, timer: CommandDeadline) -> None:
        """The time of a step is over. An attempt that is under way ends now, too: its answer says what came of it."""
        task, live = self._context.attempts.get(timer.id), self._context.live.get(timer.id.saga)
        if task is not None and live is not None and live.deciding is None and not task.number:
            self._time_over(live, task)

    def _time_over(self, live: LiveSaga, task: CommandTask) -> None:
        self._settle(live, task, state_when_over(ever_sent=task.maybe_sent), task.last)

    def _settle(self, live: LiveSaga, task: CommandTask, state: StepState, done: CommandDone | None) -> None:
        """It is known what came of a step."""
        self._context.attempts.end(task.id)
        self._note(live, task.id.step, result_of(state, task, done))

    def _note(self, live: LiveSaga, name: str, result: StepResult) -> None:
        step, id = live.steps[name], live.ref.id
        step.state, step.result = result.state, result
        lazy = result.state is not StepState.REFUSED  # nobody is told of a refusal before it is durable
        self._context.put(NoteResult(id, name, result, self._context.now_wall_ms()), lazy=lazy)
        self._context.touch(id)

    def _answered_late(self, task: CommandTask, done: CommandDone, *, first: bool) -> None:
        """The saga is decided, or is about to be: what came of it is kept for people, and its undo may begin."""
        context, id = self._context, task.id
        context.attempts.end(id)
        outcome = step_outcome(done.status, sent=done.sent, first=first)
        if outcome is not StepOutcome.AGAIN and (id.saga in context.machine.open or id.saga in context.live):
            result = result_of(STATES[outcome], task, done)
            context.put(NoteResult(id.saga, id.step, result, context.now_wall_ms()), lazy=True)
            if needs_answer(context.machine.open.get(id.saga), id.step):
                context.late_answers.add((id.saga, id.step))
        context.touch(id.saga)

    # -- the decision --------------------------------------------------------------------------------------------------

    def decide(self, live: LiveSaga, decision: Decision, reason: str = "") -> None:
        """Decide it; nothing if that is under way."""
        context, id = self._context, live.ref.id
        if live.deciding is not None:
            return
        if decision is Decision.ABORT and not live.recorded:
            self._forget(id)
            return
        context.touch(id)
        self._record(live)
        for name, step in live.steps.items():
            if not step.settled and not step.intent.options.after:
                self._stop(live, name)
        live.deciding = decision
        context.put(DecideSaga(id, decision, reason, context.now_wall_ms()))

    def _stop(self, live: LiveSaga, name: str) -> None:
        """No attempt of it begins any more. Nothing was sent of it, for certain: then it is refused."""
        context, id = self._context, CommandId(live.ref.id, name, CommandWork.STEP)
        task = context.attempts.get(id)
        if task is not None and task.number:
            return
        context.attempts.end(id)
        if task is None or not task.maybe_sent:
            attempts = 0 if task is None else task.attempts
            text = "it was not sent before the saga was aborted"
            self._note(live, name, StepResult(StepState.REFUSED, attempts=attempts, text=text))

    def decided(self, saga: str, decision: Decision) -> None:
        """The decision is committed."""
        self._forget(saga)
        self._context.counts["sagas.committed" if decision is Decision.COMMIT else "sagas.aborted"] += 1

    def timed_out(self, saga: str) -> None:
        live = self._context.live.get(saga)
        if live is not None:
            self._overdue(live, f"it was not decided within {live.begun.timeout_ms / 1000:g} s")

    def lost(self, saga: str) -> None:
        live = self._context.live.get(saga)
        if live is not None:
            self._overdue(live, "its program was lost")

    def _overdue(self, live: LiveSaga, reason: str) -> None:
        """A decision that is on its way goes first; it may be withdrawn."""
        live.overdue = reason
        self.decide(live, Decision.ABORT, reason)

    # -- what the journal did not take ---------------------------------------------------------------------------------

    def given_up(self, change: SagaChange, why: str) -> None:
        """The journal is full, or has too few copies: this did not begin."""
        match change:
            case BeginSaga(begun):
                self._not_begun(begun.id, why)
            case IntendStep(saga, intent):
                self.not_intended(saga, intent.name, why)

    def _not_begun(self, saga: str, why: str) -> None:
        """A declared one is gone, and one that is to be aborted; the program of another may take its first steps again.
        A commit is taken back, as in `not_intended`."""
        context, live = self._context, self._context.live.get(saga)
        if live is None:
            return
        context.batch.drop(saga)
        context.touch(saga)
        if not live.by_code or live.deciding is Decision.ABORT:
            self._forget(saga)
            return
        live.recorded = False
        self._room.keep(live)
        for name, step in live.steps.items():
            live.note_not_taken(name, step.intent.options, why)
        live.steps.clear()
        live.deciding = None
        if live.overdue:
            self.decide(live, Decision.ABORT, live.overdue)

    def not_intended(self, saga: str, name: str, why: str) -> None:
        """This step was not recorded, and nothing of it was sent. A commit that was asked for behind it is taken back:
        something would be missing."""
        live = self._context.live.get(saga)
        step = None if live is None else live.steps.get(name)
        if live is not None and step is not None and not step.committed:
            del live.steps[name]
            live.note_not_taken(name, step.intent.options, why)
            self._context.touch(saga)
            if live.deciding is Decision.COMMIT and self._context.batch.withdraw_decision(saga):
                live.deciding = None
                if live.overdue:
                    self.decide(live, Decision.ABORT, live.overdue)

    def clear(self) -> None:
        """We do not lead any more."""
        for saga in [*self._context.live]:
            self._forget(saga)
        self._context.touched.clear()

    def not_decided(self, saga: str) -> None:
        """The decision made no sense where it was applied: a commit of a step that is not done."""
        live = self._context.live.get(saga)
        if live is not None:
            live.deciding = None
            self.decide(live, Decision.ABORT, "it could not commit")


STATES = {
    StepOutcome.DONE: StepState.DONE,
    StepOutcome.REFUSED: StepState.REFUSED,
}
