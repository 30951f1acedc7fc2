"""What is known of a step that is not settled: how often it was tried, and what came of the last attempt.

Owns: which command of a step is told, and in which words. Never knows: when it is tried again. The journal has nothing
of this before a step is settled or stuck: it is what the leader has seen since it leads, and is only told to people.
"""

from collections.abc import Mapping
from dataclasses import replace

from gossipreg.sagas.command_attempts import CommandAttempts, CommandId, CommandTask, CommandWork
from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_model import StepResult, StepState
from gossipreg.sagas.step_commands import result_of

_WORKS: Mapping[StepState, tuple[CommandWork, ...]] = {
    StepState.INTENDED: (CommandWork.STEP,),
    StepState.UNDOING: (CommandWork.UNDO, CommandWork.REPEAT),
    StepState.AFTER: (CommandWork.AFTER,),
}
"""By state: what may be sent of a step then."""
NO_ANSWER_YET = "no answer yet"
WAITS_FOR_STEPS = "it waits until no attempt of a step is under way"
REPEATED = "its undo needs its answer, so the step is repeated first: "


def step_trials(saga: OpenSaga, attempts: CommandAttempts) -> dict[str, StepResult]:
    """By step: what its last attempt came to, of those that were tried here and are not settled."""
    found = {step.name: _trial(saga.id, step, attempts) for step in saga.steps.values()}
    return {name: trial for name, trial in found.items() if trial is not None}


def _trial(saga: str, step: OpenStep, attempts: CommandAttempts) -> StepResult | None:
    for work in _WORKS.get(step.state, ()):
        task = attempts.get(CommandId(saga, step.name, work))
        if task is not None and task.attempts:
            return _last(step.state, task)
    if step.state is StepState.UNDOING and step.undo_result is None and attempts.steps_under_way(saga):
        return StepResult(step.state, text=WAITS_FOR_STEPS)
    return None


def _last(state: StepState, task: CommandTask) -> StepResult:
    if task.last is None:
        trial = StepResult(state, attempts=task.attempts, text=NO_ANSWER_YET)
    else:
        trial = result_of(state, task, task.last)
    return replace(trial, text=REPEATED + trial.text) if task.id.work is CommandWork.REPEAT else trial
