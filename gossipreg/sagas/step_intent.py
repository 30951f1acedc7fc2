"""A step with its values: what is recorded before its first attempt, and its undo.

Owns: when an undo is rendered. With the step itself, so that it does not depend on what comes later; but one that names
the step's own result (`unknown=REPEAT`) is recorded as it is written, and rendered when that result is known.
"""

import msgpack

from gossipreg.errors import BadParams, TooLarge
from gossipreg.sagas.command_rendering import render_command
from gossipreg.sagas.command_template import command_map, command_untrusted
from gossipreg.sagas.saga_codec import intent_bytes
from gossipreg.sagas.saga_model import MAX_INTENT_BYTES, SagaCommand, StepIntent
from gossipreg.sagas.saga_templates import CannotRender, TemplateValues
from gossipreg.sagas.step_template import StepTemplate, needs_of, results_in


def intent_of(step: StepTemplate, values: TemplateValues) -> StepIntent:
    """What is recorded before its first attempt. Raises CannotRender for a value that is missing or does not fit,
    TooLarge."""
    what = f"step {step.name!r}"
    command = render_command(step.command, values, what)
    undo, later = None, b""
    if step.undo is not None and step.name in results_in(step.undo):
        later = msgpack.packb(command_map(step.undo))
    elif step.undo is not None:
        undo = render_command(step.undo, values, f"{what}: undo")
    intent = StepIntent(step.name, command, undo, step.options, later, needs_of(step))
    if (size := intent_bytes(intent)) > MAX_INTENT_BYTES:
        raise TooLarge(f"{what} and its undo have {size} bytes together: at most {MAX_INTENT_BYTES}")
    return intent


def undo_of(intent: StepIntent, values: TemplateValues) -> SagaCommand | None:
    """The undo of a recorded step; `values` have its own result where its undo names it. None: nothing is to be undone.
    Raises CannotRender."""
    if not intent.undo_template:
        return intent.undo
    what = f"step {intent.name!r}: undo"
    try:
        undo = command_untrusted(msgpack.unpackb(intent.undo_template), what)
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException, BadParams) as error:
        raise CannotRender(f"{what} was recorded in a form that cannot be read: {error}") from None
    return render_command(undo, values, what)
