"""How a step may move from one state to another: the one table of it.

Owns: which moves there are. Never knows: who moves it, or what is written.
"""

from collections.abc import Mapping

from gossipreg.sagas.open_saga import OpenStep
from gossipreg.sagas.saga_model import SagaState, StepState, WhenUnknown

MOVES: Mapping[tuple[SagaState, StepState], frozenset[StepState]] = {
    (SagaState.RUNNING, StepState.INTENDED): frozenset({StepState.DONE, StepState.REFUSED, StepState.UNKNOWN}),
    (SagaState.ABORTED, StepState.UNDOING): frozenset({StepState.UNDONE, StepState.SKIPPED}),
    (SagaState.COMMITTED, StepState.AFTER): frozenset({StepState.AFTER_DONE, StepState.SKIPPED}),
}
"""(state of the saga, state of the step) -> the states that it may move to. From all others it does not move, but for
the decision itself: an abort begins the undo (`OpenSaga.begin_undo`)."""

REPEATED_MOVES: Mapping[tuple[SagaState, StepState], frozenset[StepState]] = {
    (SagaState.ABORTED, StepState.UNDOING): frozenset({StepState.REFUSED}),
}
"""Of a step with `unknown=REPEAT`, too: its command is repeated after the abort, and may turn out to have no effect.
Then there is nothing to undo."""


def may_move(saga: SagaState, step: OpenStep, to: StepState) -> bool:
    if to in MOVES.get((saga, step.state), ()):
        return True
    repeated = step.intent.options.unknown is WhenUnknown.REPEAT
    return repeated and to in REPEATED_MOVES.get((saga, step.state), ())
