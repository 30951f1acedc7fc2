"""The commands of a saga's steps as they are sent, and the result that is recorded of an answer.

Owns: keys and headers. Never knows: when a command is sent, or what its answer means.
"""

from math import inf

from gossipreg.sagas.command_attempts import CommandId, CommandTask, CommandWork
from gossipreg.sagas.live_sagas import LiveSaga
from gossipreg.sagas.saga_effects import CommandDone
from gossipreg.sagas.saga_model import (
    BegunSaga,
    SagaCommand,
    SagaRef,
    StepIntent,
    StepResult,
    StepState,
    step_key,
    undo_key,
)
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.trace_context import TRACE_PARENT, TRACE_STATE


def step_task(
    live: LiveSaga, intent: StepIntent, now: float, tuning: SagaTuning, *, maybe_sent: bool = False
) -> CommandTask:
    """The command of a step that was just intended; its time begins now."""
    options = intent.options
    return CommandTask(
        CommandId(live.ref.id, intent.name, CommandWork.STEP), intent.command,
        _headers(live.ref, intent.name, live.begun), options.attempt_timeout_ms / 1000, tuning.again,
        now + options.timeout_ms / 1000, maybe_sent,
    )  # fmt: skip


def lasting_task(
    work: CommandWork, saga: SagaRef, intent: StepIntent, command: SagaCommand, begun: BegunSaga, tuning: SagaTuning
) -> CommandTask:
    """A command of a decided saga: an undo, or what comes after the commit. It is tried until it is done."""
    if work is CommandWork.UNDO:
        headers = _undo_headers(saga, intent.name, begun)
    else:
        headers = _headers(saga, intent.name, begun)
    return CommandTask(
        CommandId(saga.id, intent.name, work), command, headers, intent.options.attempt_timeout_ms / 1000,
        tuning.undo_again, inf, maybe_sent=True,
    )  # fmt: skip


def _headers(saga: SagaRef, step: str, begun: BegunSaga) -> tuple[tuple[str, str], ...]:
    return (("idempotency-key", step_key(saga, step)), *_trace(begun))


def _undo_headers(saga: SagaRef, step: str, begun: BegunSaga) -> tuple[tuple[str, str], ...]:
    key = ("idempotency-key", undo_key(saga, step))
    return (key, ("gossipreg-undoes", step_key(saga, step)), *_trace(begun))


def _trace(begun: BegunSaga) -> tuple[tuple[str, str], ...]:
    named = (TRACE_PARENT, begun.traceparent), (TRACE_STATE, begun.tracestate)
    return tuple(header for header in named if header[1])


def result_of(state: StepState, task: CommandTask, done: CommandDone | None) -> StepResult:
    """What is recorded: the last answer, and what to tell people of it."""
    if done is None:
        return StepResult(state, attempts=task.attempts, text="it was not sent in its time")
    return StepResult(
        state, done.status, done.body, done.content_type, done.cut, task.attempts, _text(state, done), done.instance
    )


def _text(state: StepState, done: CommandDone) -> str:
    if state in (StepState.DONE, StepState.UNDONE, StepState.AFTER_DONE):
        return ""
    return done.text or (f"it answered {done.status}" if done.status else "no answer came")
