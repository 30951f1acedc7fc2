"""The story of a saga that has ended: what it was and what came of each step, for people and programs.

Owns: the bytes of a story. Never knows: where it is kept, or for how long (`ended_sagas.py`).

A story is one large record of the journal, which the state machine writes and never reads: `Journals.read_records` with
`story_key`. Bodies and headers of commands are not in it. It has a bound, so that it fits an answer: a story that is
over it has no bodies of results, and one that is still over it has no input, and texts that are cut.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack

from gossipreg.journal.message_forms import cut_text
from gossipreg.sagas.open_saga import OpenSaga, OpenStep, first_state, pack_progress, unpack_progress
from gossipreg.sagas.saga_codec import pack_begun, pack_options, unpack_begun, unpack_intent
from gossipreg.sagas.saga_model import Decision, SagaCommand, SagaState, StepResult

MAX_STORY_BYTES = 160 * 1024
"""A story of MAX_STEPS steps fits with texts of `_TIGHT_BYTES`; as a map with names it still fits a reply."""
_TIGHT_BYTES = 24
STORY = b"\xffS"

_pack: Callable[[object], bytes] = msgpack.Packer().pack


def story_key(id: str) -> bytes:
    return STORY + id.encode()


def encode_story(saga: OpenSaga) -> bytes:
    """Of a saga that has ended. As much as fits MAX_STORY_BYTES."""
    data = _encode(saga)
    for tell in (_without_bodies, _tight):
        if len(data) > MAX_STORY_BYTES:
            data = _encode(tell(saga))
    return data


def decode_story(id: str, data: bytes) -> OpenSaga:
    """Raises ValueError where it is none."""
    try:
        number, begun, decision, reason, times, steps = msgpack.unpackb(data, use_list=False)[:6]
        began_led_ms, decided_led_ms, decided_wall_ms, ended_wall_ms = times[:4]
        return OpenSaga(
            unpack_begun(id, begun), number, began_led_ms, SagaState.ENDED, Decision(decision), reason, decided_led_ms,
            decided_wall_ms, ended_wall_ms, {step.name: step for step in map(_step, range(len(steps)), steps)},
        )  # fmt: skip
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise ValueError(f"the story of the saga {id} is damaged: {error}") from None


def _encode(saga: OpenSaga) -> bytes:
    begun = replace(saga.begun, definition=b"") if saga.begun.definition else saga.begun
    times = saga.began_led_ms, saga.decided_led_ms, saga.decided_wall_ms, saga.ended_wall_ms
    steps = list(map(_pack_step, saga.steps.values()))
    return _pack((saga.number, pack_begun(begun), int(saga.decision or 0), saga.reason, times, steps))


def _pack_step(step: OpenStep) -> tuple[object, ...]:
    """Without what its commands carried."""
    intent = step.intent
    undo = None if intent.undo is None else _pack_line(intent.undo)
    packed = (
        intent.name, _pack_line(intent.command), undo, pack_options(intent.options), intent.undo_template, intent.needs,
    )  # fmt: skip
    return step.intended_led_ms, step.intended_wall_ms, packed, pack_progress(step)


def _pack_line(command: SagaCommand) -> tuple[object, ...]:
    """Of a request, its first line."""
    return command.service, command.method, command.path, (), b""


def _step(place: int, raw: Any) -> OpenStep:
    led_ms, wall_ms, packed, progress = raw[:4]
    intent = unpack_intent(packed)
    step = OpenStep(intent, place, led_ms, wall_ms, first_state(intent))
    unpack_progress(progress, step)
    return step


# -- how much is told --------------------------------------------------------------------------------------------------


def _without_bodies(saga: OpenSaga) -> OpenSaga:
    steps = {
        step.name: replace(step, result=_no_body(step.result), undo_result=_no_body(step.undo_result))
        for step in saga.steps.values()
    }
    return replace(saga, steps=steps)


def _no_body(result: StepResult | None) -> StepResult | None:
    return None if result is None else replace(result, body=b"", cut=result.cut or bool(result.body))


def _tight(saga: OpenSaga) -> OpenSaga:
    told = _without_bodies(saga)
    begun = replace(told.begun, input=b"")
    return replace(told, begun=begun, steps={step.name: _tight_step(step) for step in told.steps.values()})


def _tight_step(step: OpenStep) -> OpenStep:
    intent, undo = step.intent, step.intent.undo
    intent = replace(
        intent, command=_tight_line(intent.command), undo=None if undo is None else _tight_line(undo), needs=(),
        undo_template=b"",
    )  # fmt: skip
    notes = tuple(replace(note, who=_cut(note.who), why=_cut(note.why)) for note in step.by_hand[-1:])
    return replace(
        step, intent=intent, result=_tight_result(step.result), undo_result=_tight_result(step.undo_result),
        by_hand=notes,
    )  # fmt: skip


def _tight_line(command: SagaCommand) -> SagaCommand:
    return SagaCommand(_cut(command.service), command.method, _cut(command.path))


def _tight_result(result: StepResult | None) -> StepResult | None:
    if result is None:
        return None
    return replace(
        result, text=_cut(result.text), content_type=_cut(result.content_type), instance=_cut(result.instance)
    )


def _cut(text: str) -> str:
    return cut_text(text, _TIGHT_BYTES)
