"""The one step of a saga that cannot be undone, and is not harmless: it is the last before the commit.

Owns: when a program may take it. (`definition_rules.py` has the same rule for declared sagas.) Once it is done the saga
is as good as committed: a step that failed beside it or after it would leave it behind.
"""

from collections.abc import Mapping

from gossipreg.errors import BadParams
from gossipreg.sagas.next_steps import StepSeen
from gossipreg.sagas.saga_model import StepIntent
from gossipreg.sagas.step_order import allows_commit, shown


def is_final(intent: StepIntent) -> bool:
    """It does something, and nothing undoes it."""
    return not (intent.undo is not None or intent.undo_template or intent.options.harmless or intent.options.after)


def check_final(steps: Mapping[str, StepSeen], intent: StepIntent) -> None:
    """Raises BadParams where this step of a program must not be taken beside, or after, those that were."""
    if intent.options.after:
        return
    taken = [(name, step) for name, step in steps.items() if name != intent.name and not step.intent.options.after]
    for name, step in taken:
        if is_final(step.intent):
            raise BadParams(
                f"step {name!r} cannot be undone, and so was the last: commit, or give it an undo to take "
                f"{intent.name!r} after it"
            )
    open = [name for name, step in taken if not allows_commit(step.state, step.intent.options)]
    if open and is_final(intent):
        raise BadParams(
            f"step {intent.name!r} cannot be undone, and {shown(open)} is not done: take it when all others are, "
            "or give it an undo"
        )
