"""Whether a saga may take a step of its program: as it stands at its leader.

Owns: the rules. Never knows: whether the journal has room for it.
"""

from gossipreg.errors import BadParams, RequestError, TooLarge
from gossipreg.sagas.final_step import check_final
from gossipreg.sagas.live_sagas import LiveSaga
from gossipreg.sagas.saga_codec import intent_bytes
from gossipreg.sagas.saga_model import MAX_INTENT_BYTES, MAX_STEPS, StepIntent
from gossipreg.sagas.step_order import shown


class StepsFailed(RequestError):
    """A step of the saga failed: abort is the only decision."""

    code = "not_done"

    def __init__(self, steps: list[str]) -> None:
        super().__init__(f"step {', '.join(steps)} failed: abort the saga")
        self.steps = steps


def check_step(live: LiveSaga, intent: StepIntent) -> None:
    """Raises BadParams, TooLarge, StepsFailed."""
    size = intent_bytes(intent)
    if size > MAX_INTENT_BYTES:
        raise TooLarge(f"step {intent.name!r} takes {size} bytes, with its undo: at most {MAX_INTENT_BYTES} are kept")
    if len(live.steps) >= MAX_STEPS:
        raise BadParams(f"the saga has {MAX_STEPS} steps, the limit: begin another one for the rest")
    if live.by_code and (missing := missing_needs(live, intent)):
        there = f"there are {shown(live.steps)}" if live.steps else "none was"
        raise BadParams(f"step {intent.name!r} needs {missing[0]!r}, and no such step was taken: {there}")
    if intent.options.after:
        return
    failed = [name for name, step in live.steps.items() if step.failed]
    if failed:
        raise StepsFailed(failed)
    check_final(live.steps, intent)


def missing_needs(live: LiveSaga, intent: StepIntent) -> list[str]:
    """What this step needs, and was not taken."""
    return [name for name in intent.needs if name not in live.steps]
