"""A declared saga: TOML or JSON -> checked value -> bytes in the journal.

    name, timeout, strict      of the saga; `timeout` as "60s", or seconds, until its decision
    [[step]]                   its steps (`step_template.py`); `needs` is the step before where it is left out, and a
                               step that needs nothing begins at once
    [[after]]                  what comes after the commit; it needs nothing where nothing is said

Owns: the forms of a definition, and the check of its input. What its steps may say of each other is in
`definition_rules.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgpack

from gossipreg.errors import BadParams, RequestError, TooLarge
from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId
from gossipreg.sagas.command_rendering import check_values
from gossipreg.sagas.command_template import CommandTemplate, refs_of
from gossipreg.sagas.definition_rules import check_steps
from gossipreg.sagas.saga_model import (
    MAX_DEFINITION_BYTES,
    MAX_NAME_BYTES,
    MAX_STEPS,
    STEP_NAME,
    SagaRef,
)
from gossipreg.sagas.saga_templates import CannotRender, TemplateValues, read_json_untrusted, short
from gossipreg.sagas.step_order import in_order
from gossipreg.sagas.step_template import (
    StepTemplate,
    check_fields,
    milliseconds,
    needs_of,
    read_step,
    step_map,
)

DEFINITION_FIELDS = frozenset(("name", "timeout", "timeout_ms", "strict", "step", "after"))
DEFAULT_TIMEOUT_MS = 60_000
BOM = b"\xef\xbb\xbf"
"""Editors on Windows put it first."""
MAX_SAGA_MS = 2_592_000_000
_NOWHERE = SagaRef(JournalId(bytes(JOURNAL_ID_BYTES)), "input")
"""The saga of an input that is only checked."""
MAX_FILE_BYTES = 4 * MAX_DEFINITION_BYTES
"""Of a file with comments and layout."""


@dataclass(frozen=True, slots=True)
class SagaDefinition:
    name: str
    steps: tuple[StepTemplate, ...]
    """Those that are needed first, then what comes after the commit. Each names all that it needs."""
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    strict: bool = False


# -- from a file -------------------------------------------------------------------------------------------------------


def read_definition(data: bytes, *, toml: bool) -> SagaDefinition:
    """The definition in a file. Raises BadParams, TooLarge."""
    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"the definition has more than {MAX_FILE_BYTES} bytes")
    return definition_untrusted(_from_toml(data) if toml else _from_json(data))


def _from_json(data: bytes) -> object:
    return read_json_untrusted(data.removeprefix(BOM), "the definition", unique=True)


def _from_toml(data: bytes) -> object:
    import tomllib  # not for a sidecar

    try:
        return tomllib.loads(data.removeprefix(BOM).decode())
    except (ValueError, RecursionError) as error:
        raise BadParams(f"the definition is no TOML: {error}") from None


def definition_untrusted(given: object) -> SagaDefinition:
    """The definition of a map. Raises BadParams and TooLarge for what could not be carried out, whatever its input."""
    if not isinstance(given, Mapping):
        raise BadParams(f"the definition is {short(repr(given))}: it has to be a map, with a name and a list `step`")
    check_fields(given, DEFINITION_FIELDS, "the definition")
    if given.get("name") is None:
        raise BadParams("the definition has no name: give it one, such as create-order")
    name = check_saga_name(given.get("name"))
    timeout_ms = milliseconds(given, "timeout", "the definition", DEFAULT_TIMEOUT_MS, MAX_SAGA_MS)
    strict = given.get("strict", False)
    if type(strict) is not bool:
        raise BadParams(f"the definition: strict is {short(repr(strict))}: it has to be true or false")
    steps = [_in_time(step, timeout_ms) for step in _steps(given, "step")]
    if not steps:
        raise BadParams("the definition has no [[step]]: a saga has at least one")
    steps = _after_the_one_before(steps)
    afters = _steps(given, "after")
    check_steps(steps, afters)
    order = in_order({step.name: step.needs or () for step in steps})
    by_name = {step.name: step for step in steps}
    found = SagaDefinition(name, (*(by_name[one] for one in order), *afters), timeout_ms, strict)
    encode_definition(found)
    return found


def check_saga_name(name: object) -> str:
    """The name of a saga says what kind it is. Raises BadParams."""
    if type(name) is not str or not STEP_NAME.fullmatch(name) or len(name) > MAX_NAME_BYTES:
        raise BadParams(
            f"the name of the saga is {short(repr(name))}: choose one such as create-order, of letters, digits, `_` "
            f"and `-`, at most {MAX_NAME_BYTES}"
        )
    return name


def _steps(given: Mapping[str, Any], kind: str) -> list[StepTemplate]:
    tables = given.get(kind, [])
    if not isinstance(tables, list | tuple) or len(tables) > MAX_STEPS:
        raise BadParams(
            f"the definition: {kind} has to be a list of at most {MAX_STEPS} tables, each [[{kind}]] in TOML"
        )
    found = []
    for table in tables:
        step = read_step(table, after=kind == "after")
        if step.options.after != (kind == "after"):
            raise BadParams(f"step {step.name!r} comes after the commit: write it as [[after]], without the field")
        found.append(step)
    return found


def _in_time(step: StepTemplate, timeout_ms: int) -> StepTemplate:
    """The step, whose time is not longer than that of the saga."""
    options = step.options
    timeout = min(options.timeout_ms, timeout_ms)
    return replace(
        step, options=replace(options, timeout_ms=timeout, attempt_timeout_ms=min(options.attempt_timeout_ms, timeout))
    )


def _after_the_one_before(steps: Sequence[StepTemplate]) -> list[StepTemplate]:
    """The steps with all that each needs."""
    found: list[StepTemplate] = []
    for step in steps:
        if step.needs is None:
            step = replace(step, needs=(found[-1].name,) if found else ())
        found.append(replace(step, needs=needs_of(step)))
    return found


# -- its input ---------------------------------------------------------------------------------------------------------


def check_input(definition: SagaDefinition, input: bytes) -> None:
    """Raises BadParams if the input is no JSON, or if a template names something that it does not have, or that does
    not fit where it stands; TooLarge."""
    values = TemplateValues(_NOWHERE, "", input, {})
    read_json_untrusted(input, "the input", unique=True)
    for step in definition.steps:
        for command, what in _commands(step):
            for ref in sorted(refs_of(command), key=str):
                if ref.source == "input":
                    try:
                        values.value(ref)
                    except BadParams as error:
                        raise BadParams(f"step {step.name!r}: {error}") from None
            try:
                check_values(command, values, what)
            except CannotRender as error:
                raise BadParams(str(error)) from None


def _commands(step: StepTemplate) -> Iterator[tuple[CommandTemplate, str]]:
    """With what begins the text of errors."""
    what = f"step {step.name!r}"
    yield step.command, what
    if step.undo is not None:
        yield step.undo, f"{what}: undo"


# -- as bytes ----------------------------------------------------------------------------------------------------------


def definition_map(definition: SagaDefinition, *, binary: bool = True) -> dict[str, Any]:
    """The map that `definition_untrusted` reads as this definition; without `binary` JSON can carry it."""
    maps = [step_map(step, binary=binary) for step in definition.steps]
    return {
        "name": definition.name, "timeout_ms": definition.timeout_ms, "strict": definition.strict,
        "step": [one for one in maps if "after" not in one],
        "after": [{name: value for name, value in one.items() if name != "after"} for one in maps if "after" in one],
    }  # fmt: skip


def encode_definition(definition: SagaDefinition) -> bytes:
    """Raises TooLarge."""
    data: bytes = msgpack.packb(definition_map(definition))
    if len(data) > MAX_DEFINITION_BYTES:
        raise TooLarge(f"the definition has {len(data)} bytes: at most {MAX_DEFINITION_BYTES}")
    return data


def decode_definition(data: bytes) -> SagaDefinition:
    """The definition of these bytes, checked as one of a file is. Raises BadParams, TooLarge."""
    if len(data) > MAX_DEFINITION_BYTES:
        raise TooLarge(f"the definition has {len(data)} bytes: at most {MAX_DEFINITION_BYTES}")
    try:
        return definition_untrusted(msgpack.unpackb(data))
    except RequestError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise BadParams(f"the definition cannot be read: {error}") from None
