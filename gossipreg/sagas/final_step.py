"""The one step of a saga that cannot be undone, and is not harmless: it is the last before the commit.

Owns: when a program may take it; `definition_rules.py` says when a declared saga may. Once it is done the saga is as
good as committed: a step that failed beside it or after it would leave it behind.
"""

from collections.abc import Mapping

from gossipreg.errors import BadParams
from gossipreg.sagas.next_steps import StepSeen
from gossipreg.sagas.saga_model import StepIntent
from gossipreg.sagas.step_order import allows_commit, is_final, shown


def is_final_intent(intent: StepIntent) -> bool:
    """Whether this step, with its values, does something that nothing undoes."""
    return is_final(intent.options, has_undo=intent.undo is not None or bool(intent.undo_template))


def check_final(steps: Mapping[str, StepSeen], intent: StepIntent) -> None:
    """Raises BadParams where this step of a program must not be taken beside, or after, those that were."""
    if intent.options.after:
        return
    taken = [(name, step) for name, step in steps.items() if name != intent.name and not step.intent.options.after]
    for name, step in taken:
        if is_final_intent(step.intent):
            raise BadParams(
                f"step {name!r} cannot be undone, and so was the last: commit, or give it an undo to take "
                f"{intent.name!r} after it"
            )
    open = [name for name, step in taken if not allows_commit(step.state, step.intent.options)]
    if open and is_final_intent(intent):
        raise BadParams(
            f"step {intent.name!r} cannot be undone, and {shown(open)} is not done: take it when all others are, "
            "or give it an undo"
        )
