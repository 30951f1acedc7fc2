"""The entry of sagas as bytes and back, and the arrays of the values that stand in it.

Owns: the form of each change and value, and the check of every part against its bound. Never knows: what a change does
(`machine.py`), or who proposes it.

Each value is one msgpack array; elements behind the known ones are ignored.

    entry     [change ...]; a change: [operation, saga id, ...], with the fields of `saga_entries.py` in their order
    begun     [name, kind, input, timeout ms, definition, wall ms, traceparent, strict, tracestate]
    command   [service, method, path, [[name, value] ...], body]
    options   [timeout ms, attempt timeout ms, optional, unknown, after]
    intent    [name, command, undo | nil, options, undo template, [need ...]]
    result    [state, status, body, content type, cut, attempts, text, instance]

What is for people, and the body of an answer, is cut to its bound where it is packed; all else that is over its bound
is refused where it is read.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgpack

from gossipreg.journal.message_forms import (
    MAX_NUMBER,
    cut_text,
    data_untrusted,
    flag_untrusted,
    number_untrusted,
    text_untrusted,
)
from gossipreg.model import MAX_NAME_BYTES as MAX_SERVICE_BYTES
from gossipreg.sagas.saga_entries import (
    MAX_CHANGES,
    BeginSaga,
    DecideByHand,
    DecideSaga,
    ExpireSagas,
    IntendStep,
    NoteResult,
    NoteStuck,
    NoteTried,
    NoteUndo,
    SagaChange,
    SagaOperation,
    UnreadChange,
)
from gossipreg.sagas.saga_model import (
    MAX_BODY_BYTES,
    MAX_CONTENT_TYPE_BYTES,
    MAX_DEFINITION_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_INPUT_BYTES,
    MAX_INSTANCE_BYTES,
    MAX_INTENT_BYTES,
    MAX_METHOD_BYTES,
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    MAX_RESULT_BYTES,
    MAX_SAGA_BYTES,
    MAX_STEP_BYTES,
    MAX_STEPS,
    MAX_TEXT_BYTES,
    MAX_TRACEPARENT_BYTES,
    SAGA_ID,
    STEP_NAME,
    BegunSaga,
    Decision,
    HandDecision,
    SagaCommand,
    SagaKind,
    StepIntent,
    StepOptions,
    StepResult,
    StepState,
    WhenUnknown,
)
from gossipreg.trace_context import MAX_STATE_BYTES
from gossipreg.wire.values import known

MAX_STATUS = 999
E = TypeVar("E")
_pack: Callable[[object], bytes] = msgpack.Packer().pack


# -- values: to an array, and back with ValueError for what is none ----------------------------------------------------


def pack_begun(saga: BegunSaga) -> tuple[object, ...]:
    """All but its id."""
    return (
        saga.name, int(saga.kind), saga.input, saga.timeout_ms, saga.definition, saga.wall_ms, saga.traceparent,
        saga.strict, saga.tracestate,
    )  # fmt: skip


def unpack_begun(id: object, raw: object) -> BegunSaga:
    name, kind, input, timeout_ms, definition, wall_ms, traceparent, strict = known(raw, 8)
    return BegunSaga(
        _saga_id(id), _some_text(name, MAX_NAME_BYTES), _one_of(SagaKind, kind), data_untrusted(input, MAX_INPUT_BYTES),
        number_untrusted(timeout_ms), data_untrusted(definition, MAX_DEFINITION_BYTES), number_untrusted(wall_ms),
        text_untrusted(traceparent, MAX_TRACEPARENT_BYTES), flag_untrusted(strict),
        text_untrusted(_added(raw, 8, ""), MAX_STATE_BYTES),
    )  # fmt: skip


def _added(raw: object, place: int, default: object) -> object:
    """An element that earlier releases did not write."""
    return raw[place] if type(raw) is tuple and len(raw) > place else default


def pack_command(command: SagaCommand) -> tuple[object, ...]:
    return command.service, command.method, command.path, command.headers, command.body


def unpack_command(raw: object) -> SagaCommand:
    service, method, path, headers, body = known(raw, 5)
    if not _some_text(path, MAX_PATH_BYTES).startswith("/"):
        raise ValueError("a path begins with /")
    return SagaCommand(
        _some_text(service, MAX_SERVICE_BYTES), _some_text(method, MAX_METHOD_BYTES), path,
        tuple(map(_header, _array(headers, MAX_HEADERS))), data_untrusted(body, MAX_BODY_BYTES),
    )  # fmt: skip


def pack_options(options: StepOptions) -> tuple[object, ...]:
    return (
        options.timeout_ms, options.attempt_timeout_ms, options.optional, int(options.unknown), options.after,
        options.harmless,
    )  # fmt: skip


def unpack_options(raw: object) -> StepOptions:
    timeout_ms, attempt_timeout_ms, optional, unknown, after, harmless = known(raw, 6)
    return StepOptions(
        number_untrusted(timeout_ms), number_untrusted(attempt_timeout_ms), flag_untrusted(optional),
        _one_of(WhenUnknown, unknown), flag_untrusted(after), flag_untrusted(harmless),
    )  # fmt: skip


def pack_intent(step: StepIntent) -> tuple[object, ...]:
    undo = None if step.undo is None else pack_command(step.undo)
    return step.name, pack_command(step.command), undo, pack_options(step.options), step.undo_template, step.needs


def unpack_intent(raw: object) -> StepIntent:
    name, command, undo, options, undo_template, needs = known(raw, 6)
    return StepIntent(
        _step_name(name), unpack_command(command), None if undo is None else unpack_command(undo),
        unpack_options(options), data_untrusted(undo_template, MAX_INTENT_BYTES),
        tuple(map(_step_name, _array(needs, MAX_STEPS))),
    )  # fmt: skip


def intent_bytes(step: StepIntent) -> int:
    """What an intent takes: more than MAX_STEP_RECORD_BYTES is not recorded."""
    return len(_pack(pack_intent(step)))


def pack_result(result: StepResult) -> tuple[object, ...]:
    return (
        int(result.state), min(result.status, MAX_STATUS), result.body[:MAX_RESULT_BYTES],
        cut_text(result.content_type, MAX_CONTENT_TYPE_BYTES), result.cut or len(result.body) > MAX_RESULT_BYTES,
        min(result.attempts, MAX_NUMBER), cut_text(result.text, MAX_TEXT_BYTES),
        cut_text(result.instance, MAX_INSTANCE_BYTES),
    )  # fmt: skip


def unpack_result(raw: object) -> StepResult:
    state, status, body, content_type, cut, attempts, text, instance = known(raw, 8)
    return StepResult(
        _one_of(StepState, state), number_untrusted(status, MAX_STATUS), data_untrusted(body, MAX_RESULT_BYTES),
        text_untrusted(content_type, MAX_CONTENT_TYPE_BYTES), flag_untrusted(cut), number_untrusted(attempts),
        text_untrusted(text, MAX_TEXT_BYTES), text_untrusted(instance, MAX_INSTANCE_BYTES),
    )  # fmt: skip


# -- changes -----------------------------------------------------------------------------------------------------------


def encode_changes(changes: list[SagaChange]) -> bytes:
    """The data of one entry. What is over `journal.model.MAX_ENTRY_BYTES` has to be two entries."""
    return _pack(list(map(pack_change, changes)))


def pack_change(change: SagaChange) -> tuple[object, ...]:
    match change:
        case BeginSaga(saga):
            return int(SagaOperation.BEGIN), saga.id, pack_begun(saga)
        case IntendStep(saga, step, wall_ms):
            return int(SagaOperation.INTEND), saga, pack_intent(step), wall_ms
        case NoteResult(saga, step, result, wall_ms):
            return int(SagaOperation.RESULT), saga, step, pack_result(result), wall_ms
        case DecideSaga(saga, decision, reason, wall_ms):
            return int(SagaOperation.DECIDE), saga, int(decision), cut_text(reason, MAX_TEXT_BYTES), wall_ms
        case NoteUndo(saga, step, result, wall_ms):
            return int(SagaOperation.UNDO_RESULT), saga, step, pack_result(result), wall_ms
        case NoteStuck(saga, step, result, wall_ms):
            return int(SagaOperation.STUCK), saga, step, pack_result(result), wall_ms
        case NoteTried(saga, step, attempts):
            return int(SagaOperation.TRIED), saga, step, attempts
        case DecideByHand(saga, step, decision, who, why, wall_ms):
            who, why = cut_text(who, MAX_TEXT_BYTES), cut_text(why, MAX_TEXT_BYTES)
            return int(SagaOperation.BY_HAND), saga, step, int(decision), who, why, wall_ms
        case ExpireSagas():
            return int(SagaOperation.EXPIRE), ""


def change_bytes(change: SagaChange) -> int:
    """What a change takes of its entry."""
    return len(_pack(pack_change(change)))


def decode_changes(data: bytes) -> list[SagaChange | UnreadChange]:
    """The changes of an entry, each at its place. ValueError where the entry is none at all."""
    try:
        found = msgpack.unpackb(data, use_list=False, max_array_len=MAX_CHANGES, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise ValueError(f"no msgpack: {error}") from None
    return list(map(_change, _array(found, MAX_CHANGES)))


def _change(raw: object) -> SagaChange | UnreadChange:
    saga = ""
    try:
        operation, id = known(raw, 2)
        saga = text_untrusted(id, MAX_SAGA_BYTES)
        read = _READERS.get(number_untrusted(operation))
        if read is None:
            return UnreadChange(saga, f"operation {operation} is not known to this release")
        return read(saga, raw[2:])  # type: ignore[index]  # it is a tuple, or `known` had raised
    except ValueError as error:
        return UnreadChange(saga, str(error))


def _begin(saga: str, rest: tuple[Any, ...]) -> SagaChange:
    (begun,) = known(rest, 1)
    return BeginSaga(unpack_begun(saga, begun))


def _intend(saga: str, rest: tuple[Any, ...]) -> SagaChange:
    step, wall_ms = known(rest, 2)
    return IntendStep(saga, unpack_intent(step), number_untrusted(wall_ms))


def _noted(
    change: type[NoteResult] | type[NoteUndo] | type[NoteStuck],
) -> Callable[[str, tuple[Any, ...]], SagaChange]:
    def read(saga: str, rest: tuple[Any, ...]) -> SagaChange:
        step, result, wall_ms = known(rest, 3)
        return change(saga, text_untrusted(step, MAX_STEP_BYTES), unpack_result(result), number_untrusted(wall_ms))

    return read


def _decide(saga: str, rest: tuple[Any, ...]) -> SagaChange:
    decision, reason, wall_ms = known(rest, 3)
    return DecideSaga(
        saga, _one_of(Decision, decision), text_untrusted(reason, MAX_TEXT_BYTES), number_untrusted(wall_ms)
    )


def _tried(saga: str, rest: tuple[Any, ...]) -> SagaChange:
    step, attempts = known(rest, 2)
    return NoteTried(saga, text_untrusted(step, MAX_STEP_BYTES), number_untrusted(attempts))


def _by_hand(saga: str, rest: tuple[Any, ...]) -> SagaChange:
    step, decision, who, why, wall_ms = known(rest, 5)
    return DecideByHand(
        saga, text_untrusted(step, MAX_STEP_BYTES), _one_of(HandDecision, decision),
        text_untrusted(who, MAX_TEXT_BYTES), text_untrusted(why, MAX_TEXT_BYTES), number_untrusted(wall_ms),
    )  # fmt: skip


def _expire(saga: str, rest: tuple[Any, ...]) -> SagaChange:
    del saga, rest
    return ExpireSagas()


_READERS: dict[int, Callable[[str, tuple[Any, ...]], SagaChange]] = {
    SagaOperation.BEGIN: _begin,
    SagaOperation.INTEND: _intend,
    SagaOperation.RESULT: _noted(NoteResult),
    SagaOperation.DECIDE: _decide,
    SagaOperation.UNDO_RESULT: _noted(NoteUndo),
    SagaOperation.STUCK: _noted(NoteStuck),
    SagaOperation.BY_HAND: _by_hand,
    SagaOperation.EXPIRE: _expire,
    SagaOperation.TRIED: _tried,
}


# -- parts -------------------------------------------------------------------------------------------------------------


def _array(raw: object, most: int) -> tuple[Any, ...]:
    if type(raw) is not tuple or len(raw) > most:
        raise ValueError(f"an array of at most {most} is needed")
    return raw


def _header(raw: object) -> tuple[str, str]:
    name, value = known(raw, 2)
    if len(_some_text(name, MAX_HEADER_BYTES)) + len(text_untrusted(value, MAX_HEADER_BYTES)) > MAX_HEADER_BYTES:
        raise ValueError(f"a header has at most {MAX_HEADER_BYTES} bytes")
    return name, value


def _some_text(value: object, most_bytes: int) -> str:
    if not text_untrusted(value, most_bytes):
        raise ValueError("a text is empty")
    assert isinstance(value, str)
    return value


def _saga_id(value: object) -> str:
    id = text_untrusted(value, MAX_SAGA_BYTES)
    if not SAGA_ID.fullmatch(id):
        raise ValueError(f"{id!r} is no id of a saga")
    return id


def _step_name(value: object) -> str:
    name = text_untrusted(value, MAX_STEP_BYTES)
    if not STEP_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a step")
    return name


def _one_of(kind: type[E], value: object) -> E:
    return kind(number_untrusted(value))  # type: ignore[call-arg]  # an IntEnum
