"""A saga and its steps as the state machine shows them, and the records of those that are open.

Owns: the values and their bytes. Never knows: when they change (`machine.py`).

The key of a record is one byte, its kind, and the id of the saga, in which no byte is 0; the value is one msgpack
array, and elements behind the known ones are ignored. What changes is apart from what is large, so a change never
writes a command, an input or the other steps once more.

    S id                 number, led_ms, begun
    S id 0 d             state, decision, reason, led_ms, wall_ms
    T id 0 place i       led_ms, wall_ms, intent; the place is 2 bytes
    T id 0 place p       state, result, undo result, stuck, settled wall_ms, undo wall_ms, [note by hand ...], attempts

An abort writes no step: a step that it undoes is read as UNDOING, whatever its record says.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from gossipreg.sagas.saga_codec import (
    pack_begun,
    pack_intent,
    pack_result,
    unpack_begun,
    unpack_intent,
    unpack_result,
)
from gossipreg.sagas.saga_model import (
    BegunSaga,
    Decision,
    HandDecision,
    SagaState,
    StepIntent,
    StepResult,
    StepState,
    WhenUnknown,
)

SAGA, STEP = b"S", b"T"
_DECISION, _INTENT, _PROGRESS = b"d", b"i", b"p"
_PLACE_BYTES = 2
_END = b"\x00"

_pack: Callable[[object], bytes] = msgpack.Packer().pack

_BECOME_UNDOING = (StepState.INTENDED, StepState.DONE, StepState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class HandNote:
    """What a person decided about a step."""

    decision: HandDecision
    who: str
    why: str
    wall_ms: int


@dataclass(slots=True)
class OpenStep:
    """Only the state machine changes it."""

    intent: StepIntent
    place: int
    """Steps are numbered in the order of their intents, from 0."""
    intended_led_ms: int
    intended_wall_ms: int
    state: StepState
    result: StepResult | None = None
    """What its command came to. `result.state` stays what it was when the step is being undone, and may be that of an
    answer which came too late to count."""
    undo_result: StepResult | None = None
    """What its undo came to; until it is undone, what the last attempts came to."""
    stuck: bool = False
    settled_wall_ms: int = 0
    """When `result` was noted; 0: never. Shown, never compared."""
    undo_wall_ms: int = 0
    """When it was undone; 0: never."""
    by_hand: tuple[HandNote, ...] = ()
    """The last MAX_HAND_NOTES of them."""
    attempts: int = 0
    """Failed attempts of its undo, or of its command after the commit, as far as leaders have noted them. A person's
    retry begins the count anew."""

    @property
    def name(self) -> str:
        return self.intent.name

    @property
    def allows_commit(self) -> bool:
        """What comes after the commit does not have to be done before."""
        if self.intent.options.after:
            return True
        return self.state is StepState.DONE or (self.state is StepState.REFUSED and self.intent.options.optional)


@dataclass(slots=True)
class OpenSaga:
    """A saga with all its steps. Only the state machine changes one that is open; one that has ended is read from its
    story (`saga_story.py`)."""

    begun: BegunSaga
    number: int
    """It rises with each saga that begins in this journal."""
    began_led_ms: int
    state: SagaState = SagaState.RUNNING
    decision: Decision | None = None
    reason: str = ""
    """Why it was aborted."""
    decided_led_ms: int = 0
    decided_wall_ms: int = 0
    """0: it is not decided. Shown, never compared."""
    ended_wall_ms: int = 0
    steps: dict[str, OpenStep] = field(default_factory=dict)
    """By name, in the order of their intents."""

    @property
    def id(self) -> str:
        return self.begun.id

    @property
    def open_steps(self) -> list[OpenStep]:
        """Of a decided saga: those that are still to be undone, or to be done after the commit, in the order of their
        intents."""
        return [step for step in self.steps.values() if self.is_open(step)]

    def is_open(self, step: OpenStep) -> bool:
        return step.state is _OPEN_STATE.get(self.state)

    @property
    def not_done(self) -> list[OpenStep]:
        """The steps that forbid a commit."""
        return [step for step in self.steps.values() if not step.allows_commit]

    @property
    def stuck(self) -> bool:
        return any(step.stuck for step in self.steps.values())

    def begin_undo(self) -> None:
        """It is aborted: whatever may have happened is to be undone."""
        for step in self.steps.values():
            if step.state in _BECOME_UNDOING:
                step.state = StepState.UNDOING


_OPEN_STATE = {SagaState.ABORTED: StepState.UNDOING, SagaState.COMMITTED: StepState.AFTER}


# -- records -----------------------------------------------------------------------------------------------------------


def saga_key(id: str) -> bytes:
    return SAGA + id.encode()


def decision_key(id: str) -> bytes:
    return saga_key(id) + _END + _DECISION


def _step_key(id: str, place: int, what: bytes) -> bytes:
    return STEP + id.encode() + _END + place.to_bytes(_PLACE_BYTES, "big") + what


def intent_key(id: str, place: int) -> bytes:
    return _step_key(id, place, _INTENT)


def progress_key(id: str, place: int) -> bytes:
    return _step_key(id, place, _PROGRESS)


def encode_saga(saga: OpenSaga) -> bytes:
    return _pack((saga.number, saga.began_led_ms, pack_begun(saga.begun)))


def encode_decision(saga: OpenSaga) -> bytes:
    decision = int(saga.decision or 0)
    return _pack((int(saga.state), decision, saga.reason, saga.decided_led_ms, saga.decided_wall_ms))


def encode_intent(step: OpenStep) -> bytes:
    return _pack((step.intended_led_ms, step.intended_wall_ms, pack_intent(step.intent)))


def encode_progress(step: OpenStep) -> bytes:
    return _pack(pack_progress(step))


def pack_progress(step: OpenStep) -> tuple[object, ...]:
    return (
        int(step.state), step.result and pack_result(step.result), step.undo_result and pack_result(step.undo_result),
        step.stuck, step.settled_wall_ms, step.undo_wall_ms,
        [(int(note.decision), note.who, note.why, note.wall_ms) for note in step.by_hand], step.attempts,
    )  # fmt: skip


def unpack_progress(raw: Any, step: OpenStep) -> None:
    """Give the step what this array says."""
    state, result, undo_result, step.stuck, step.settled_wall_ms, step.undo_wall_ms, notes = raw[:7]
    step.attempts = raw[7] if len(raw) > 7 else 0
    step.state = StepState(state)
    step.result = None if result is None else unpack_result(result)
    step.undo_result = None if undo_result is None else unpack_result(undo_result)
    step.by_hand = tuple(HandNote(HandDecision(note[0]), *note[1:4]) for note in notes)


def first_state(intent: StepIntent) -> StepState:
    return StepState.AFTER if intent.options.after else StepState.INTENDED


def read_open(key: bytes, value: bytes, sagas: dict[str, OpenSaga]) -> None:
    """Read a record of open sagas; called in the order of the keys, those of SAGA first."""
    id, _, part = key[1:].partition(_END)
    raw = msgpack.unpackb(value, use_list=False)
    if key[:1] == SAGA and not part:
        number, led_ms, begun = raw[:3]
        sagas[id.decode()] = OpenSaga(unpack_begun(id.decode(), begun), number, led_ms)
    elif key[:1] == SAGA:
        _read_decision(raw, sagas[id.decode()])
    else:
        place, what = int.from_bytes(part[:_PLACE_BYTES], "big"), part[_PLACE_BYTES:]
        _read_step(raw, place, what, sagas[id.decode()])


def _read_decision(raw: Any, saga: OpenSaga) -> None:
    state, decision, saga.reason, saga.decided_led_ms, saga.decided_wall_ms = raw[:5]
    saga.state, saga.decision = SagaState(state), Decision(decision)


def _read_step(raw: Any, place: int, what: bytes, saga: OpenSaga) -> None:
    if what == _INTENT:
        led_ms, wall_ms, packed = raw[:3]
        intent = unpack_intent(packed)
        saga.steps[intent.name] = OpenStep(intent, place, led_ms, wall_ms, first_state(intent))
    else:
        unpack_progress(raw, next(reversed(saga.steps.values())))


def needs_answer(saga: OpenSaga | None, step: str) -> bool:
    """Whether an undo of this step cannot be written without its answer."""
    found = None if saga is None else saga.steps.get(step)
    return found is not None and found.intent.options.unknown is WhenUnknown.REPEAT
