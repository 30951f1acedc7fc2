"""What the steps of a definition may say of each other, so that one that was accepted can only fail by its values.

Owns: these rules. Never knows: what a single step may say (`step_template.py`).
"""

from collections.abc import Sequence

from gossipreg.errors import BadParams, TooLarge
from gossipreg.sagas.saga_model import MAX_STEPS
from gossipreg.sagas.saga_templates import short
from gossipreg.sagas.step_order import all_needs, circle, in_order, is_final, shown
from gossipreg.sagas.step_template import StepTemplate, needs_of, results_in


def check_steps(steps: Sequence[StepTemplate], afters: Sequence[StepTemplate]) -> None:
    """Raises BadParams, TooLarge for what could not be carried out; `steps` have all their needs."""
    _check_names([*steps, *afters])
    names, after_names = {step.name for step in steps}, {step.name for step in afters}
    for step in steps:
        for need in step.needs or ():
            if need in after_names:
                raise BadParams(f"step {step.name!r} needs {need!r}, which comes after the commit: leave it out")
            if need not in names:
                raise _no_such_step(step, need, names)
    for step in afters:
        _check_after(step, names, after_names)
    for group in (steps, afters):
        if found := circle({step.name: step.needs or () for step in group}):
            raise BadParams(f"steps need each other in a circle, {' -> '.join(found)}: take one of these needs out")
    _check_last(steps)


def _no_such_step(step: StepTemplate, need: str, names: set[str]) -> BadParams:
    known = shown(sorted(names))
    return BadParams(f"step {step.name!r} needs {short(need)!r}, and there is no such step: the steps are {known}")


def _check_names(steps: Sequence[StepTemplate]) -> None:
    if len(steps) > MAX_STEPS:
        raise TooLarge(f"the definition has {len(steps)} steps: at most {MAX_STEPS}, with those after the commit")
    seen: set[str] = set()
    for step in steps:
        if step.name in seen:
            raise BadParams(
                f"two steps have the name {step.name!r}: a name is part of the step's key, so choose another"
            )
        seen.add(step.name)


def _check_after(step: StepTemplate, names: set[str], after_names: set[str]) -> None:
    for need in needs_of(step):
        if need not in names | after_names:
            raise _no_such_step(step, need, names)
    if late := results_in(step.command) & after_names:
        raise BadParams(
            f"step {step.name!r} needs the result of {shown(sorted(late))}, which comes after the commit too: what "
            "comes after it is recorded before it, so name a [[step]]"
        )


def _check_last(steps: Sequence[StepTemplate]) -> None:
    """A step that cannot be undone and is not harmless comes when everything else is done."""
    before = all_needs({name: {one.name: one for one in steps}[name].needs or () for name in
                        in_order({step.name: step.needs or () for step in steps})})  # fmt: skip
    for step in steps:
        others = {other.name for other in steps} - {step.name} - before[step.name]
        if is_final(step.options, has_undo=step.undo is not None) and others:
            raise BadParams(
                f"step {step.name!r} cannot be undone, and so has to be the last: let it need {shown(sorted(others))}, "
                "or give it an undo"
            )
