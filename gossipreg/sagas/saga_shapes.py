"""Sagas as maps, for people and programs: the answer of a step, the story of a saga, and its line in a list.

Owns: the names in these maps. Never knows: who asks.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgpack

from gossipreg.sagas.ended_sagas import EndedSaga
from gossipreg.sagas.final_step import is_final_intent
from gossipreg.sagas.live_sagas import LiveSaga
from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_messages import MAX_SAGA_REPLY_BYTES
from gossipreg.sagas.saga_model import (
    BegunSaga,
    Decision,
    SagaCommand,
    SagaKind,
    SagaRef,
    SagaState,
    StepResult,
    StepState,
)
from gossipreg.sagas.saga_order import MOMENT_END_MS, Place, place_of

Shape = dict[str, Any]
Trials = Mapping[str, StepResult]
"""By step."""
NO_TRIALS: Trials = MappingProxyType({})
_ROOM_BYTES = MAX_SAGA_REPLY_BYTES - 1024
_KINDS = {SagaKind.BY_CODE: "by_code", SagaKind.DECLARED: "declared"}

_pack: Callable[[object], bytes] = msgpack.Packer().pack


def step_answer(result: StepResult) -> Shape:
    """What `step` answers."""
    return {"state": _name(result.state), **_answer(result)}


def _answer(result: StepResult | None) -> Shape:
    if result is None:
        return {"status": 0, "content_type": "", "body": b"", "cut": False, "attempts": 0, "text": "", "instance": ""}
    return {
        "status": result.status, "content_type": result.content_type, "body": result.body, "cut": result.cut,
        "attempts": result.attempts, "text": result.text, "instance": result.instance,
    }  # fmt: skip


# -- one saga ----------------------------------------------------------------------------------------------------------


def story(ref: SagaRef, saga: OpenSaga, *, takeover: bool, trials: Trials = NO_TRIALS) -> Shape:
    """All of a saga; without the bodies of answers, and then without its input, where that is too much to send.
    `trials` is what the attempts of steps that are not settled came to (`step_trials.py`)."""
    told = _head(ref, saga.begun, saga.state, saga.decision, saga.reason)
    told |= {
        "decided": saga.decided_wall_ms or None, "ended": saga.ended_wall_ms or None, "takeover": takeover,
        "steps": [_step(step, trials.get(step.name)) for step in saga.steps.values()],
    }  # fmt: skip
    return _fitting(told)


def unrecorded_story(ref: SagaRef, live: LiveSaga, *, takeover: bool) -> Shape:
    """Of a saga that the journal does not have yet."""
    told = _head(ref, live.begun, SagaState.RUNNING, None, "")
    return told | {"decided": None, "ended": None, "takeover": takeover, "steps": []}


def _head(ref: SagaRef, begun: BegunSaga, state: SagaState, decision: Decision | None, reason: str) -> Shape:
    return {
        "saga": str(ref), "id": ref.id, "name": begun.name, "kind": _KINDS[begun.kind], "state": _name(state),
        "decision": None if decision is None else _name(decision), "reason": reason, "began": begun.wall_ms or None,
        "timeout_ms": begun.timeout_ms, "input": begun.input,
    }  # fmt: skip


def _step(step: OpenStep, trial: StepResult | None) -> Shape:
    intent = step.intent
    of_undo = step.state is StepState.UNDOING
    result = step.result if trial is None or of_undo else trial
    undo = _undo(step, trial if of_undo else None)
    return {
        "name": step.name, **_command(intent.command), "service": intent.command.service, "state": _state(step),
        "optional": intent.options.optional, "after": intent.options.after, "stuck": step.stuck, **_answer(result),
        "intended": step.intended_wall_ms or None, "settled": step.settled_wall_ms or None, "undo": undo,
        "by_hand": [
            {"decision": _name(note.decision), "who": note.who, "why": note.why, "at": note.wall_ms}
            for note in step.by_hand
        ],
    }  # fmt: skip


def _state(step: OpenStep) -> str:
    """`not_undone` of a step without an undo: what it did, or may have done, stays after the abort."""
    undone = step.undo_result is not None and step.undo_result.status
    if step.state is StepState.UNDONE and is_final_intent(step.intent) and not undone:
        return "not_undone"
    return _name(step.state)


def _undo(step: OpenStep, trial: StepResult | None) -> Shape | None:
    undo, result = step.intent.undo, trial or step.undo_result
    if undo is None and result is None and not step.intent.undo_template:
        return None
    answer = _answer(result)
    told = _command(undo) if undo is not None else {"method": "", "path": ""}
    kept = ("status", "attempts", "text", "instance")
    return {**told, **{name: answer[name] for name in kept}, "settled": step.undo_wall_ms or None}


def _command(command: SagaCommand) -> Shape:
    return {"method": command.method, "path": command.path}


def _fitting(told: Shape) -> Shape:
    if len(_pack(told)) <= _ROOM_BYTES:
        return told
    told["steps"] = [{**step, "body": b"", "cut": step["cut"] or bool(step["body"])} for step in told["steps"]]
    if len(_pack(told)) > _ROOM_BYTES:
        told["input"] = b""
    if len(_pack(told)) > _ROOM_BYTES:
        told["steps"] = [_tight(step) for step in told["steps"]]
    return told


def _tight(step: Shape) -> Shape:
    """Of hundreds of steps with long paths and texts: as much as says what became of each."""
    undo = step["undo"] and {**step["undo"], "path": step["undo"]["path"][:24], "text": step["undo"]["text"][:24]}
    return {
        **step, "path": step["path"][:24], "text": step["text"][:24], "content_type": "", "undo": undo,
        "by_hand": [{**note, "who": note["who"][:24], "why": note["why"][:24]} for note in step["by_hand"][-1:]],
    }  # fmt: skip


# -- lists -------------------------------------------------------------------------------------------------------------


def short_open(ref: SagaRef, saga: OpenSaga) -> Shape:
    return _short(ref, saga.begun.name, saga.begun.kind, saga.state, saga.decision, saga.reason) | {
        "began": saga.begun.wall_ms or None, "decided": saga.decided_wall_ms or None, "ended": None,
        "steps": len(saga.steps), "stuck": [step.name for step in saga.steps.values() if step.stuck], "skipped": 0,
    }  # fmt: skip


def short_ended(ref: SagaRef, saga: EndedSaga) -> Shape:
    return _short(ref, saga.name, saga.kind, SagaState.ENDED, saga.decision, saga.reason) | {
        "began": saga.began_wall_ms or None, "decided": saga.decided_wall_ms or None,
        "ended": saga.ended_wall_ms or None, "steps": saga.steps, "stuck": [], "skipped": saga.skipped,
    }  # fmt: skip


def _short(
    ref: SagaRef, name: str, kind: SagaKind, state: SagaState, decision: Decision | None, reason: str
) -> Shape:  # fmt: skip
    return {
        "saga": str(ref), "name": name, "kind": _KINDS[kind], "state": _name(state),
        "decision": None if decision is None else _name(decision), "reason": reason,
    }  # fmt: skip


def shape_place(shape: Shape, *, newest: bool) -> Place:
    """Where it stands in a list. A member has sent it: what is no time is none."""
    began, ended = map(_moment, (shape.get("began"), shape.get("ended")))
    return place_of(str(shape.get("saga", "")), began, ended, newest=newest)


def _moment(value: object) -> int | None:
    return value if type(value) is int and 0 < value < MOMENT_END_MS else None


def fitting(shapes: Iterable[Shape], beside_bytes: int = 0) -> list[Shape]:
    """As many of these as fit a reply, with what stands beside them; the others are asked for with `after`."""
    found: list[Shape] = []
    room = _ROOM_BYTES - beside_bytes
    for shape in shapes:
        room -= len(_pack(shape))
        if room < 0:
            break
        found.append(shape)
    return found


def _name(value: SagaState | StepState | Decision | Any) -> str:
    return str(value.name).lower()
