"""A step as a program writes it, and the map that goes to the sidecar: the step's template.

Owns: the forms in which Python gives an undo, a body, a time. Never knows: what came before, or how a template is
rendered. The sidecar checks the rest, and says it in one line.
"""

import json as json_module
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar, cast

from gossipreg.client.checks import check_bool, check_number, check_text
from gossipreg.errors import BadParams

T = TypeVar("T")
STEP_S = 30.0
"""How long a step may take where neither it nor its saga says."""
MAX_STEP_S = 86_400.0
PLAIN_LEVELS = 5
"""Of JSON that goes to the sidecar as a value: a request of 8 levels has room for these within an undo. What is deeper
goes as text."""
WHEN_UNKNOWN = ("undo", "repeat")
"""What an abort does about a step that may be done or not: undo it, or repeat it until it answers."""


class NotWritten(Enum):
    """Stands for what the program has not given, where None means something."""

    NOT_WRITTEN = "not written"


NOT_WRITTEN: Final = NotWritten.NOT_WRITTEN

UndoGiven = tuple[str, str] | tuple[str, str, object] | Mapping[str, object]
"""(METHOD, PATH), or (METHOD, PATH, JSON), or a map with method, path and, if needed, headers, json, body, service."""


@dataclass(frozen=True)
class SagaStep:
    """A step for `Saga.steps`; the arguments of `Saga.step`."""

    name: str
    service: str
    method: str
    path: str
    json: object = NOT_WRITTEN
    body: bytes | str | None = None
    headers: Mapping[str, str] | None = None
    undo: UndoGiven | NotWritten | None = NOT_WRITTEN
    harmless: bool = False
    optional: bool = False
    timeout: float | None = None
    attempt_timeout: float | None = None
    unknown: str = "undo"
    needs: Iterable[str] | None = None

    def template(self, *, after: bool = False) -> dict[str, Any]:
        """What goes to the sidecar. `after`: it begins after the commit, and has no undo. Raises BadParams."""
        for name in ("name", "service", "method", "path"):
            if not isinstance(getattr(self, name), str):
                raise BadParams(f"{name} of a step is {getattr(self, name)!r}: give text")
        found: dict[str, Any] = {"name": self.name, "service": self.service, "method": self.method, "path": self.path}
        found |= _content(f"step {self.name}", self.json, self.body, self.headers)
        if not after:
            found |= self._undo()
        check_bool("optional", self.optional, "whether the saga may commit where this step was refused")
        if self.optional:
            found["optional"] = True
        for name, value in (("timeout", self.timeout), ("attempt_timeout", self.attempt_timeout)):
            if value is not None:
                found[f"{name}_ms"] = milliseconds(name, value)
        if self.unknown not in WHEN_UNKNOWN:
            raise BadParams(f"unknown is {self.unknown!r}: give 'undo' or 'repeat'")
        if self.unknown != "undo":
            found["unknown"] = self.unknown
        if self.needs is not None:
            if isinstance(self.needs, str):
                raise BadParams(f"needs is one text, {self.needs!r}: give a list of names of steps")
            found["needs"] = list(self.needs)
        return found

    @property
    def timeout_s(self) -> float:
        return STEP_S if self.timeout is None else self.timeout

    def _undo(self) -> dict[str, Any]:
        check_bool("harmless", self.harmless, "whether nothing is to be undone")
        if self.undo is NOT_WRITTEN:
            if self.harmless:
                return {"undo": None, "harmless": True}
            raise BadParams(
                f"step {self.name} does not say how it is undone: give undo=(METHOD, PATH), harmless=True if it "
                "changes nothing, or undo=None if it is the last one"
            )
        if self.undo is None:
            return {"undo": None, "harmless": True} if self.harmless else {"undo": None}
        return {"undo": _undo_map(self.name, self.undo)}


def _undo_map(step: str, undo: object) -> dict[str, Any]:
    match undo:
        case (str(method), str(path)):
            return {"method": method, "path": path}
        case (str(method), str(path), json):
            return {"method": method, "path": path, **_content(f"undo of step {step}", json, None, None)}
        case Mapping():
            return _undo_of_map(step, undo)
    raise BadParams(
        f"undo of step {step} is {undo!r}: give (METHOD, PATH), (METHOD, PATH, JSON), or a map with method and path"
    )


def _undo_of_map(step: str, undo: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(map(str, set(undo) - {"method", "path", "headers", "json", "body", "service"}))
    if unknown:
        raise BadParams(f"undo of step {step} has {unknown[0]}: it has method, path, headers, json, body and service")
    if not isinstance(undo.get("method"), str) or not isinstance(undo.get("path"), str):
        raise BadParams(f"undo of step {step} is {dict(undo)!r}: give a method and a path as text")
    check_text("service", undo.get("service"), "the name of the service")
    found = {name: undo[name] for name in ("method", "path", "service") if undo.get(name) is not None}
    content = undo.get("json", NOT_WRITTEN), undo.get("body"), undo.get("headers")
    return found | _content(f"undo of step {step}", *content)


def _content(what: str, json: object, body: object, headers: object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if headers is not None:
        if not isinstance(headers, Mapping) or not all(
            isinstance(one, str) for pair in headers.items() for one in pair
        ):
            raise BadParams(f"headers of {what} are {headers!r}: give texts by name")
        found["headers"] = dict(headers)
    if json is not NOT_WRITTEN and body is not None:
        raise BadParams(f"{what} has json and body: give one of them")
    if json is not NOT_WRITTEN:
        text = json_text(f"json of {what}", json)
        value = json_module.loads(text)
        found |= {"json_template": text} if is_deeper(value, PLAIN_LEVELS) else {"json": value}
    elif body is not None:
        if not isinstance(body, bytes | bytearray | memoryview | str):
            raise BadParams(f"body of {what} is {body!r}: give bytes or text, or use json=")
        found["body"] = body if isinstance(body, str) else bytes(body)
    return found


def is_deeper(value: object, levels: int) -> bool:
    """Whether more lists and maps than these are within each other."""
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deeper(inner, levels - 1) for inner in inside)


def json_text(what: str, value: object) -> str:
    """Raises BadParams for what JSON has no form for."""
    try:
        return json_module.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"{what} has no form in JSON: {error}") from None


def literal(value: T) -> T:
    """A text, or what JSON can hold, whose braces are no templates: for what comes from outside, in `path`, `json`,
    `body` and `headers` of a step. A text of a customer may have {input.card} in it. Names in JSON are no templates."""
    if isinstance(value, str):
        found: Any = value.replace("{", "{{").replace("}", "}}")
    elif isinstance(value, Mapping):
        found = {name: literal(inner) for name, inner in value.items()}
    elif isinstance(value, list | tuple):
        found = [literal(inner) for inner in value]
    else:
        found = value
    return cast(T, found)


def milliseconds(name: str, value: object) -> int:
    """Of a time in seconds. Raises BadParams."""
    check_number(name, value, "seconds")
    assert isinstance(value, int | float)
    if not 0.001 <= value < 1e9:
        raise BadParams(f"{name} {value!r} is out of range: give seconds, more than 0")
    return round(value * 1000)


def checked_steps(steps: object) -> Sequence[SagaStep]:
    """Raises BadParams unless it is a list of steps."""
    found: list[Any] = list(steps) if isinstance(steps, Iterable) else [steps]
    for one in found:
        if not isinstance(one, SagaStep):
            raise BadParams(f"steps has {one!r}: give a list of gossipreg.SagaStep")
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise BadParams(f"two steps are called {name}: give each a name of its own")
    for one in found:
        for name in one.needs or ():
            if name in names:
                raise BadParams(f"step {one.name} needs {name}, which is taken at the same time: take it before")
    return found
