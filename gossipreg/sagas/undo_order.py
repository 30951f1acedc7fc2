"""What may be undone now of an aborted saga, and what may be done now of what comes after a commit.

Owns: the order. Never knows: which commands are under way.

    undo      in reverse: a step may be undone once nothing that needs it, directly or by way of others, is still to be
              undone. So what does not need each other is undone at the same time, and what is stuck holds only what it
              needs. `strict` undoes one step after the other, in reverse order of intent.
    after     in the order of intent; what needs something else that comes after the commit waits for it
"""

from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.step_order import all_needs


def undo_now(saga: OpenSaga) -> list[OpenStep]:
    """The steps of an aborted saga whose undo may begin, or goes on; the last intended first."""
    waiting = saga.open_steps[::-1]
    if saga.begun.strict:
        return waiting[:1]
    before = _before(saga)
    held = frozenset[str]().union(*(before[step.name] for step in waiting))
    return [step for step in waiting if step.name not in held]


def after_now(saga: OpenSaga) -> list[OpenStep]:
    """What may be done, or is being done, of what comes after the commit; the first intended first."""
    waiting = saga.open_steps
    before, names = _before(saga), {step.name for step in waiting}
    return [step for step in waiting if not names & before[step.name]]


def _before(saga: OpenSaga) -> dict[str, frozenset[str]]:
    return all_needs({name: step.intent.needs for name, step in saga.steps.items()})
