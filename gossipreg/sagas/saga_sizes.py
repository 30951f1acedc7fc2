"""What changes of sagas take in an entry, without encoding them: at most, and not much less.

Owns: the estimate. Never knows: the encoding; a test compares the two.
"""

from gossipreg.sagas.saga_entries import (
    BeginSaga,
    DecideByHand,
    DecideSaga,
    ExpireSagas,
    IntendStep,
    NoteTried,
    SagaChange,
)
from gossipreg.sagas.saga_model import SagaCommand

CHANGE_BYTES = 128
"""A change without its texts and bodies, at most."""


def change_size(change: SagaChange) -> int:
    """What it takes in an entry, at most."""
    match change:
        case BeginSaga(saga):
            texts = len(saga.id) + len(saga.name) + len(saga.traceparent) + len(saga.tracestate)
            return CHANGE_BYTES + texts + len(saga.input) + len(saga.definition)
        case IntendStep(saga, step):
            needs = sum(4 + len(name) for name in step.needs)
            commands = _command_bytes(step.command) + (0 if step.undo is None else _command_bytes(step.undo))
            return CHANGE_BYTES + len(saga) + len(step.name) + needs + commands + len(step.undo_template)
        case ExpireSagas():
            return CHANGE_BYTES
        case DecideSaga(saga, _, reason):
            return CHANGE_BYTES + len(saga) + 4 * len(reason)
        case NoteTried(saga, step):
            return CHANGE_BYTES + len(saga) + len(step)
        case DecideByHand():
            return CHANGE_BYTES + len(change.saga) + len(change.step) + 4 * (len(change.who) + len(change.why))
    result = change.result
    texts = len(change.saga) + len(change.step) + len(result.instance) + 4 * len(result.content_type)
    return CHANGE_BYTES + texts + len(result.body) + 4 * len(result.text)


def _command_bytes(command: SagaCommand) -> int:
    headers = sum(8 + len(name) + 4 * len(value) for name, value in command.headers)
    texts = len(command.service) + len(command.method) + 4 * len(command.path)
    return 24 + texts + headers + len(command.body)
