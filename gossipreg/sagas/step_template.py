"""A step as programs and definitions write it: the map and the value of it.

    name, service, method, path, headers, body | json      its command (`command_template.py`)
    undo                   what undoes it: a map of a command, whose service is the step's where it names none; null,
                           or "none" where there is no null, for the last step before the commit
    harmless               there is nothing to undo
    optional               the saga may commit where this step was refused
    after                  it begins after the commit, and is tried until it is done
    timeout                from its intent until it is unknown: "30s", or seconds; or `timeout_ms`
    attempt_timeout        of one attempt; or `attempt_timeout_ms`
    unknown                "undo", or "repeat": an unknown step is repeated until it answers, and then undone
    needs                  names of steps that have to be done before

Owns: which fields there are, what goes with what, and what each is without its templates. Never knows: the other steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gossipreg.durations import parse_duration
from gossipreg.errors import BadParams
from gossipreg.sagas.command_template import (
    COMMAND_FIELDS,
    CommandTemplate,
    command_map,
    command_untrusted,
    refs_of,
)
from gossipreg.sagas.saga_model import (
    MAX_STEP_BYTES,
    MAX_STEPS,
    STEP_NAME,
    StepOptions,
    WhenUnknown,
)
from gossipreg.sagas.saga_templates import short

STEP_FIELDS = COMMAND_FIELDS | {
    "name", "undo", "harmless", "optional", "after", "timeout", "timeout_ms", "attempt_timeout", "attempt_timeout_ms",
    "unknown", "needs",
}  # fmt: skip
NO_UNDO = "none"
MIN_TIMEOUT_MS = 50
MAX_TIMEOUT_MS = 86_400_000
MAX_ATTEMPT_MS = 3_600_000
_DEFAULT = StepOptions()
_WHEN_UNKNOWN = {"undo": WhenUnknown.UNDO, "repeat": WhenUnknown.REPEAT}
_NEVER_UNDONE = ("undo", "harmless", "optional", "unknown", "timeout", "timeout_ms")


@dataclass(frozen=True, slots=True)
class StepTemplate:
    name: str
    command: CommandTemplate
    undo: CommandTemplate | None = None
    options: StepOptions = _DEFAULT
    needs: tuple[str, ...] | None = None
    """None: it says nothing of them."""


# -- from a map --------------------------------------------------------------------------------------------------------


def read_step(given: object, *, after: bool = False) -> StepTemplate:
    """The step of a map from a stranger; `after`: it comes after the commit, whether the map says so or not. Raises
    BadParams and TooLarge, with the name of the step and what to do."""
    if not isinstance(given, Mapping):
        raise BadParams(
            f"a step is {short(repr(given))}: it has to be a map, with a name, a service, a method and a path"
        )
    name = check_step_name(given.get("name"))
    what = f"step {name!r}"
    check_fields(given, STEP_FIELDS, what)
    given = {field: value for field, value in given.items() if value is not None or field in ("undo", "json")}
    command = command_untrusted(given, what)
    if _flag(given, "after", what) or after:
        return _after(name, given, command, what)
    undo = _undo(given, command, what)
    step = StepTemplate(name, command, undo, _options(given, what), _needs(given, what))
    _check_own_result(step, what)
    return step


def check_step_name(name: object) -> str:
    if type(name) is not str or not STEP_NAME.fullmatch(name) or len(name) > MAX_STEP_BYTES:
        raise BadParams(
            f"the name of a step is {short(repr(name))}: choose letters, digits, `_` and `-`, at most {MAX_STEP_BYTES}"
        )
    return name


def check_fields(given: Mapping[Any, Any], known: frozenset[str], what: str) -> None:
    """Raises BadParams for a field that nobody would read."""
    for field in given:
        if field not in known:
            raise BadParams(f"{what} has the unknown field {short(field)!r}: the fields are {', '.join(sorted(known))}")


def _after(name: str, given: Mapping[str, Any], command: CommandTemplate, what: str) -> StepTemplate:
    for field in _NEVER_UNDONE:
        if given.get(field) not in (None, False, NO_UNDO):
            raise BadParams(
                f"{what} comes after the commit and has {field}: it is tried until it is done, and never undone"
            )
    attempt = milliseconds(given, "attempt_timeout", what, _DEFAULT.attempt_timeout_ms, MAX_ATTEMPT_MS)
    return StepTemplate(name, command, None, StepOptions(attempt_timeout_ms=attempt, after=True), _needs(given, what))


def _undo(given: Mapping[str, Any], command: CommandTemplate, what: str) -> CommandTemplate | None:
    undo, harmless = given.get("undo"), _flag(given, "harmless", what)
    if undo is None or undo == NO_UNDO:
        if "undo" not in given and not harmless:
            raise BadParams(
                f"{what} does not say how it is undone: give it `undo`; or `harmless` where there is nothing to undo; "
                'or undo "none" where it is the last step before the commit'
            )
        return None
    if harmless:
        raise BadParams(f"{what} is harmless and has an undo: leave one of them out")
    if not isinstance(undo, Mapping):
        raise BadParams(f'{what}: undo is {short(repr(undo))}: it has to be a map with a method and a path, or "none"')
    check_fields(undo, COMMAND_FIELDS, f"{what}: undo")
    return command_untrusted(undo, f"{what}: undo", command.service)


def _options(given: Mapping[str, Any], what: str) -> StepOptions:
    timeout = milliseconds(given, "timeout", what, _DEFAULT.timeout_ms, MAX_TIMEOUT_MS)
    attempt = milliseconds(given, "attempt_timeout", what, min(_DEFAULT.attempt_timeout_ms, timeout), MAX_ATTEMPT_MS)
    if attempt > timeout:
        raise BadParams(
            f"{what}: one attempt may take {attempt} ms, and the step {timeout} ms: give the step more time"
        )
    unknown = given.get("unknown", "undo")
    if type(unknown) is not str or unknown not in _WHEN_UNKNOWN:
        raise BadParams(f'{what}: unknown is {short(repr(unknown))}: choose "undo" or "repeat"')
    return StepOptions(
        timeout,
        attempt,
        _flag(given, "optional", what),
        _WHEN_UNKNOWN[unknown],
        harmless=_flag(given, "harmless", what),
    )


def milliseconds(given: Mapping[str, Any], name: str, what: str, default: int, most: int) -> int:
    """Of the field NAME, a duration or seconds, or NAME_ms. Raises BadParams."""
    in_ms, value = given.get(f"{name}_ms"), given.get(name)
    if value is not None and in_ms is not None:
        raise BadParams(f"{what} has {name} and {name}_ms: leave one of them out")
    if value is None and in_ms is None:
        return default
    found = in_ms if value is None else _from_duration(value, f"{what}: {name}")
    if not isinstance(found, int | float) or type(found) is bool or not MIN_TIMEOUT_MS <= found <= most:
        given_as = short(repr(in_ms) if value is None else repr(value))
        raise BadParams(f"{what}: {name} is {given_as}: choose from {MIN_TIMEOUT_MS}ms to {most // 1000}s")
    return round(found)


def _from_duration(value: object, what: str) -> float:
    """In milliseconds."""
    try:
        return parse_duration(value if type(value) is str else str(value)) * 1000
    except ValueError as error:
        raise BadParams(f"{what}: {error}") from None


def _flag(given: Mapping[str, Any], name: str, what: str) -> bool:
    value = given.get(name, False)
    if type(value) is not bool:
        raise BadParams(f"{what}: {name} is {short(repr(value))}: it has to be true or false")
    return value


def _needs(given: Mapping[str, Any], what: str) -> tuple[str, ...] | None:
    needs = given.get("needs")
    if needs is None:
        return None
    if not isinstance(needs, list | tuple) or len(needs) > MAX_STEPS:
        raise BadParams(f"{what}: needs is {short(repr(needs))}: it has to be a list of names of steps")
    return tuple(dict.fromkeys(map(check_step_name, needs)))


def _check_own_result(step: StepTemplate, what: str) -> None:
    """A command cannot need its own answer, and an undo only where there will be one."""
    if step.name in results_in(step.command):
        raise BadParams(f"{what} needs its own result, which comes after it: name another step")
    if step.needs is not None and step.name in step.needs:
        raise BadParams(f"{what} needs itself: name the steps that come before it")
    if step.undo is None:
        if step.options.unknown is WhenUnknown.REPEAT:
            raise BadParams(
                f'{what} has unknown "repeat" and no undo: it is repeated only to be undone, so leave it out'
            )
    elif step.name in results_in(step.undo) and step.options.unknown is not WhenUnknown.REPEAT:
        raise BadParams(
            f"{what}: undo needs the step's own result, which is not there when no answer came: choose an id in the "
            'command itself, such as {key}, or write unknown = "repeat"'
        )


def results_in(command: CommandTemplate) -> frozenset[str]:
    """The steps whose results its templates name."""
    return frozenset(ref.step for ref in refs_of(command) if ref.step)


def needs_of(step: StepTemplate) -> tuple[str, ...]:
    """The steps that have to be done before: those that it says, and those whose results it names."""
    named = results_in(step.command) | (results_in(step.undo) if step.undo is not None else frozenset())
    return tuple(dict.fromkeys((*(step.needs or ()), *sorted(named - {step.name}))))


# -- to a map ----------------------------------------------------------------------------------------------------------


def step_map(step: StepTemplate, *, binary: bool = True) -> dict[str, Any]:
    """The map that `read_step` reads as this step; without `binary` JSON can carry it."""
    options = step.options
    found: dict[str, Any] = {"name": step.name, **command_map(step.command, binary=binary)}
    found["attempt_timeout_ms"] = options.attempt_timeout_ms
    if step.needs is not None:
        found["needs"] = list(step.needs)
    if options.after:
        return {**found, "after": True}
    undo = None if step.undo is None else command_map(step.undo, binary=binary)
    found |= {"undo": undo, "timeout_ms": options.timeout_ms}
    found |= {name: True for name in ("harmless", "optional") if getattr(options, name)}
    return found | ({"unknown": "repeat"} if options.unknown is WhenUnknown.REPEAT else {})
