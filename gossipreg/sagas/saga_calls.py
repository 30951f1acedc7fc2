"""The calls about sagas: what a program or a person asks of whoever leads the journal. Methods and parameters, checked.

    begin    name, id, input, timeout_ms, traceparent, tracestate, strict   a saga whose steps a program takes
    run      definition, id, input, traceparent, tracestate                 a saga that is declared
    step     saga, step                                         take a step, and wait until it is settled
    after    saga, step                                         to be done once the saga has committed
    commit   saga
    abort    saga, reason
    show     saga, or a bare id, or an id behind the beginning of its journal
    list     state, limit, after, newest, since_ms
    wait     saga, until, timeout_ms
    retry, skip, give_up   saga, step, who, why                 what a person decides

`saga` is `JOURNAL.ID`; `input` is JSON as bytes; `definition` is what `saga_definition.encode_definition` gives; `step`
is a map (`step_template.py`). An error's result is a map too: `text`, and what else its code says (`state` and
`decision` with `exists`, `steps` with `not_done`, `reason` with `aborted`).

The parameters come from other sidecars, and so are read as untrusted: BadParams alone is raised.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gossipreg.errors import BadParams, TooLarge, UnknownMethod
from gossipreg.sagas.saga_definition import SagaDefinition, check_input, decode_definition
from gossipreg.sagas.saga_model import (
    MAX_DEFINITION_BYTES,
    MAX_INPUT_BYTES,
    MAX_NAME_BYTES,
    MAX_SAGA_BYTES,
    MAX_TEXT_BYTES,
    MAX_TRACEPARENT_BYTES,
    SAGA_ID,
    STEP_NAME,
    TRACEPARENT,
    HandDecision,
    SagaRef,
    read_saga,
)
from gossipreg.sagas.saga_order import START, Place, read_place
from gossipreg.sagas.saga_templates import ordered_json, read_json_untrusted
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.step_template import StepTemplate, read_step
from gossipreg.trace_context import trace_context_untrusted
from gossipreg.wire.packed import unpacked_untrusted

NEEDS_NO_PROGRAM = frozenset(("not_found", "decided", "aborted", "committed"))
"""Codes of any call about one saga that say that it needs no program."""
MAX_LISTED = 1_000
LISTED_DEFAULT = 100
_MAX_PARAMS = 64
LIST_STATES = ("open", "running", "committed", "aborted", "ended", "stuck")


@dataclass(frozen=True, slots=True)
class BeginAsked:
    id: str
    """Empty: the sidecar of the program makes one."""
    name: str
    input: bytes
    timeout_ms: int
    traceparent: str
    strict: bool
    tracestate: str = ""


@dataclass(frozen=True, slots=True)
class RunAsked:
    id: str
    definition: SagaDefinition
    encoded: bytes
    input: bytes
    traceparent: str
    tracestate: str = ""


@dataclass(frozen=True, slots=True)
class StepAsked:
    saga: SagaRef
    step: StepTemplate


@dataclass(frozen=True, slots=True)
class AfterAsked:
    saga: SagaRef
    step: StepTemplate


@dataclass(frozen=True, slots=True)
class CommitAsked:
    saga: SagaRef


@dataclass(frozen=True, slots=True)
class AbortAsked:
    saga: SagaRef
    reason: str


@dataclass(frozen=True, slots=True)
class ShowAsked:
    saga: SagaRef | None
    id: str
    """In any journal, where `saga` is None."""


@dataclass(frozen=True, slots=True)
class ListAsked:
    state: str
    """Empty: all."""
    limit: int
    after: Place = START
    """Those behind this one."""
    newest: bool = False
    """In the order of time, the newest first; else in that of their names."""
    since_ms: int = 0
    """Without those that ended before this time of the wall."""


@dataclass(frozen=True, slots=True)
class WaitAsked:
    saga: SagaRef
    ended: bool
    """Until it has ended; else until it is decided."""
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class HandAsked:
    saga: SagaRef
    decision: HandDecision
    step: str
    """Empty: all that are open."""
    who: str
    why: str


AskedSaga = StepAsked | AfterAsked | CommitAsked | AbortAsked | WaitAsked | HandAsked
"""What is asked of one saga, by its full name."""
AskedCall = BeginAsked | RunAsked | ShowAsked | ListAsked | AskedSaga


class AskedParams:
    """The parameters of a call; each is taken once. Raises BadParams."""

    def __init__(self, method: str, given: dict[str, Any]) -> None:
        self._method = method
        self._given = dict(given)

    def text(self, name: str, most: int, *, default: str | None = None) -> str:
        value = self._given.pop(name, None)
        if value is None and default is not None:
            return default
        if type(value) is not str:
            raise BadParams(f"{self._method}: {name} is {_shown(value)}: give text")
        size = len(value.encode(errors="replace"))
        if size > most:
            raise BadParams(f"{self._method}: {name} has {size} bytes: give at most {most}")
        return value

    def whole(self, name: str, least: int, most: int, *, default: int) -> int:
        value = self._given.pop(name, None)
        if value is None:
            return default
        if type(value) is not int or not least <= value <= most:
            raise BadParams(f"{self._method}: {name} is {_shown(value)}: give a whole number from {least} to {most}")
        return value

    def flag(self, name: str) -> bool:
        value = self._given.pop(name, None)
        if value is not None and type(value) is not bool:
            raise BadParams(f"{self._method}: {name} is {_shown(value)}: give true or false")
        return bool(value)

    def json(self, name: str, most: int) -> bytes:
        """JSON in the one form that its value has, so that the same value is the same again in whatever order a program
        writes it; nothing given is null."""
        value = self._given.pop(name, None)
        if value is None:
            return b"null"
        data = value.encode() if type(value) is str else value
        if type(data) is not bytes:
            raise BadParams(f"{self._method}: {name} is {_shown(value)}: give JSON, as bytes or text")
        self._check_size(name, data, most)
        ordered = ordered_json(read_json_untrusted(data, f"{self._method}: {name}", unique=True))
        self._check_size(name, ordered, most)
        return ordered

    def _check_size(self, name: str, data: bytes, most: int) -> None:
        if len(data) > most:
            raise TooLarge(
                f"{self._method}: {name} has {len(data)} bytes: give at most {most}, and keep the rest apart"
            )

    def bytes(self, name: str, most: int) -> bytes:
        value = self._given.pop(name, None)
        if type(value) is not bytes:
            raise BadParams(f"{self._method}: {name} is {_shown(value)}: give bytes")
        if len(value) > most:
            raise TooLarge(f"{self._method}: {name} has {len(value)} bytes: give at most {most}")
        return value

    def saga(self) -> SagaRef:
        text = self.text("saga", MAX_SAGA_BYTES + 64)
        saga = read_saga(text)
        if saga is None:
            raise BadParams(
                f"{self._method}: saga is {text[:80]!r}: give the whole name, JOURNAL.ID, as begin answered it"
            )
        return saga

    def id(self) -> str:
        """Of a saga; empty where none is given: one that is given empty may be a variable that was not set."""
        given = self._given.get("id")
        id = self.text("id", MAX_SAGA_BYTES, default="")
        if given is not None and not SAGA_ID.fullmatch(id):
            raise BadParams(f"{self._method}: id is {id[:80]!r}: use letters, digits and _:@=+-. (a dot not first)")
        return id

    def traceparent(self) -> str:
        """Empty where none is given. It goes into a header of each command, which could never be sent else."""
        found = self.text("traceparent", MAX_TRACEPARENT_BYTES, default="")
        if found and not TRACEPARENT.fullmatch(found):
            raise BadParams(
                f"{self._method}: traceparent is {_shown(found)}: give what a header can hold, without spaces, such as "
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            )
        return found

    def tracestate(self, traceparent: str) -> str:
        """Empty where none is given, or it has not its form or belongs to no trace: the standard wants it left out."""
        value = self._given.pop("tracestate", None)
        if value is not None and type(value) is not str:
            raise BadParams(f"{self._method}: tracestate is {_shown(value)}: give text")
        context = trace_context_untrusted(traceparent, value)
        return "" if context is None else context.state

    def step(self, *, after: bool = False) -> StepTemplate:
        value = self._given.pop("step", None)
        if type(value) is not dict:
            raise BadParams(f"{self._method}: step is {_shown(value)}: give a map with name, service, method and path")
        return read_step(value, after=after)

    def choice(self, name: str, choices: tuple[str, ...], *, default: str) -> str:
        value = self.text(name, 64, default=default)
        if value != default and value not in choices:
            raise BadParams(f"{self._method}: {name} is {value!r}: choose {', '.join(choices)}")
        return value

    def end(self) -> None:
        """All parameters were taken."""
        if self._given:
            names = ", ".join(name if name.isprintable() else repr(name) for name in sorted(self._given))
            raise BadParams(f"{self._method} takes no {names[:200]}: leave it out")


def read_call(method: str, params: bytes, tuning: SagaTuning) -> AskedCall:
    """What is asked. Raises BadParams, TooLarge, UnknownMethod."""
    read = _READERS.get(method)
    if read is None:
        raise UnknownMethod(f"no call {method[:80]!r} about sagas here: a newer release asks")
    taken = AskedParams(method, _map(params))
    asked = read(taken, tuning)
    taken.end()
    return asked


def _map(params: bytes) -> dict[str, Any]:
    given = unpacked_untrusted(params, "the parameters")
    if type(given) is not dict or not all(type(name) is str for name in given) or len(given) > _MAX_PARAMS:
        raise BadParams("the parameters are no map of names")
    return given


def _begin(params: AskedParams, tuning: SagaTuning) -> BeginAsked:
    name = params.text("name", MAX_NAME_BYTES)
    if not STEP_NAME.fullmatch(name):
        raise BadParams(f"begin: name is {name!r}: use letters, digits, _ and -, as create-order")
    least, most = (int(bound * 1000) for bound in tuning.BOUNDS["timeout_s"])
    traceparent = params.traceparent()
    return BeginAsked(
        params.id(), name, params.json("input", MAX_INPUT_BYTES),
        params.whole("timeout_ms", least, most, default=int(tuning.timeout_s * 1000)),
        traceparent, params.flag("strict"), params.tracestate(traceparent),
    )  # fmt: skip


def _run(params: AskedParams, tuning: SagaTuning) -> RunAsked:
    del tuning
    encoded = params.bytes("definition", MAX_DEFINITION_BYTES)
    definition, input = decode_definition(encoded), params.json("input", MAX_INPUT_BYTES)
    check_input(definition, input)
    traceparent = params.traceparent()
    return RunAsked(params.id(), definition, encoded, input, traceparent, params.tracestate(traceparent))


def _show(params: AskedParams, tuning: SagaTuning) -> ShowAsked:
    del tuning
    text = params.text("saga", MAX_SAGA_BYTES + 64)
    saga = read_saga(text)
    if saga is None and not (SAGA_ID.fullmatch(text) and len(text) <= MAX_SAGA_BYTES):
        raise BadParams(f"show: saga is {text[:80]!r}: give JOURNAL.ID, of which 4 digits of JOURNAL will do, or an id")
    return ShowAsked(saga, "" if saga is not None else text)


def _list(params: AskedParams, tuning: SagaTuning) -> ListAsked:
    del tuning
    newest = params.flag("newest")
    return ListAsked(
        params.choice("state", LIST_STATES, default=""),
        params.whole("limit", 1, MAX_LISTED, default=LISTED_DEFAULT),
        read_place(params.text("after", MAX_SAGA_BYTES + 64, default=""), newest=newest), newest,
        params.whole("since_ms", 0, 1 << 53, default=0),
    )  # fmt: skip


def _wait(params: AskedParams, tuning: SagaTuning) -> WaitAsked:
    most = int(tuning.BOUNDS["timeout_s"][1] * 1000)
    return WaitAsked(
        params.saga(), params.choice("until", ("decided", "ended"), default="decided") == "ended",
        params.whole("timeout_ms", 0, most, default=int(tuning.timeout_s * 1000)),
    )  # fmt: skip


def _hand(decision: HandDecision) -> Callable[[AskedParams, SagaTuning], HandAsked]:
    def read(params: AskedParams, tuning: SagaTuning) -> HandAsked:
        del tuning
        return HandAsked(
            params.saga(), decision, params.text("step", MAX_NAME_BYTES, default=""),
            params.text("who", 128, default=""), params.text("why", MAX_TEXT_BYTES, default=""),
        )  # fmt: skip

    return read


_READERS: dict[str, Callable[[AskedParams, SagaTuning], AskedCall]] = {
    "begin": _begin,
    "run": _run,
    "step": lambda params, _: StepAsked(params.saga(), params.step()),
    "after": lambda params, _: AfterAsked(params.saga(), params.step(after=True)),
    "commit": lambda params, _: CommitAsked(params.saga()),
    "abort": lambda params, _: AbortAsked(params.saga(), params.text("reason", MAX_TEXT_BYTES, default="")),
    "show": _show,
    "list": _list,
    "wait": _wait,
    "retry": _hand(HandDecision.RETRY),
    "skip": _hand(HandDecision.SKIP),
    "give_up": _hand(HandDecision.GIVE_UP),
}
METHODS = tuple(_READERS)


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:80]
