"""Templates: texts of a step that are filled in when it is intended.

    {input.order.id}      of the saga's input
    {result.pay.id}       of the answer of the step `pay`, which is done and whose body is JSON
    {saga} {step} {key}   the saga's full name, the step's name, the key of its command
    {{ }}                 braces

A dot goes into an object by name, and into a list by number: `{input.items.0.sku}`.

Owns: how a template is written and what each of its values is. Never knows: what a command is, and where its parts go
(`command_template.py`).

Memory: what is rendered has a bound from the start, since a short template may name a long value many times.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from gossipreg.errors import BadParams, TooLarge
from gossipreg.sagas.saga_model import MAX_RESULT_BYTES, STEP_NAME, SagaRef, StepResult, StepState, step_key
from gossipreg.strict_json import RepeatedName, unique_names

MAX_JSON_DEPTH = 64
"""Lists and objects within each other: of an input, and of a body with templates."""
SHOWN_CHARACTERS = 60
"""Of a value in the text of an error."""
_INDEX = re.compile(r"[0-9]{1,6}")
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_EXAMPLE = "such as {input.id}, {result.STEP.id}, {saga}, {step} or {key}"


class CannotRender(BadParams):
    """A template names a value that is not there, or that does not fit where it stands. The program or the definition
    is at fault; nothing was sent."""


class ResultMissing(CannotRender):
    """A template names the result of a step that is not done."""


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """What stands in the braces."""

    source: str
    """`input`, `result`, `saga`, `step` or `key`."""
    step: str = ""
    """Of `result`."""
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "{" + ".".join((self.source, *((self.step,) if self.step else ()), *self.path)) + "}"


Template = tuple[str | TemplateRef, ...]
"""Texts, and what stands between them."""


def parse_template(text: str, what: str) -> Template:
    """Raises BadParams where it is none; `what` begins the text of errors."""
    if "{" not in text and "}" not in text:  # most texts, and each is read several times
        return (text,) if text else ()
    parts: list[str | TemplateRef] = []
    end = 0
    for piece in _PIECE.finditer(text):
        parts.append(text[end : piece.start()])
        end = piece.end()
        found = piece[0]
        if found in ("{{", "}}"):
            parts.append(found[0])
        elif len(found) == 1:
            raise BadParams(f"{what} has a {found} that belongs to no template: write {found * 2} for the character")
        else:
            parts.append(_parse_ref(piece[1], what))
    parts.append(text[end:])
    return tuple(part for part in parts if part != "")


def _parse_ref(inside: str, what: str) -> TemplateRef:
    source, *path = inside.split(".")
    shown = "{" + short(inside) + "}"
    if "" in path:
        raise BadParams(f"{what} has {shown}, with an empty name in it: write one dot between two names")
    if source in ("saga", "step", "key"):
        if path:
            raise BadParams(f"{what} has {shown}: {{{source}}} is a text and has no parts")
        return TemplateRef(source)
    if source == "input":
        return TemplateRef(source, path=tuple(path))
    if source != "result":
        raise BadParams(f"{what} has {shown}, which is no template: write one {_EXAMPLE}, or {{{{ }}}} for braces")
    if not path or not STEP_NAME.fullmatch(path[0]):
        raise BadParams(f"{what} has {shown}: name the step whose answer is meant, as in {{result.STEP.id}}")
    return TemplateRef(source, path[0], tuple(path[1:]))


def refs_in(template: Template) -> Iterator[TemplateRef]:
    return (part for part in template if isinstance(part, TemplateRef))


def short(value: object) -> str:
    """This in an error's text, cut."""
    text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


# -- values ------------------------------------------------------------------------------------------------------------


def read_json_untrusted(data: bytes, what: str, *, unique: bool = False) -> Any:
    """The value of this JSON. Raises BadParams: no JSON in UTF-8, nested too deep, a number that JSON does not have;
    with `unique` also a name that an object has twice."""
    pairs = unique_names if unique else None
    try:
        value = json.loads(
            data.decode(), parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=pairs
        )  # fmt: skip
    except UnicodeDecodeError as error:
        raise BadParams(f"{what} is no JSON: byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise BadParams(f"{what} is nested too deep: at most {MAX_JSON_DEPTH} levels") from None
    except RepeatedName as error:
        raise BadParams(f"{what} has {error}") from None
    except json.JSONDecodeError as error:  # it ends with the position, and has nothing of the data
        raise BadParams(f"{what} is no JSON: {error}") from None
    except ValueError as error:
        raise BadParams(f"{what} is no JSON: {short(error)}") from None
    check_depth(value, what)
    return value


def ordered_json(value: Any) -> bytes:
    """The one form of a value: names in order, nothing between. Two values are equal if, and only if, these are."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which has a form in JSON alone
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it has {name}, which is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {short(text)} is too large")
    return number


def check_depth(value: object, what: str) -> None:
    """Raises BadParams for a value that is nested too deep."""
    level: list[Any] = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list | tuple)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise BadParams(f"{what} is nested too deep: at most {MAX_JSON_DEPTH} levels")


def write_json(value: object) -> str:
    """The shortest JSON of a value. Raises ValueError for infinite numbers."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which has a form in JSON alone
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text


class TemplateValues:
    """What the templates of one step mean."""

    def __init__(self, saga: SagaRef, step: str, input: bytes, results: Mapping[str, StepResult]) -> None:
        """`results`: of the steps that have one, by name; `input`: JSON. Errors begin with the name of the step, if it
        has one."""
        self._what = f"step {step!r}: " if step else ""
        self._texts = {"saga": str(saga), "step": step, "key": step_key(saga, step)}
        self._input = input
        self._results = results
        self._read: dict[str, Any] = {}

    def value(self, ref: TemplateRef) -> Any:
        """A value of JSON. Raises CannotRender where it is not there."""
        if ref.source in self._texts:
            return self._texts[ref.source]
        value = self._whole(ref)
        for place, name in enumerate(ref.path):
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
                value = value[int(name)]
            else:
                above = TemplateRef(ref.source, ref.step, ref.path[:place])
                raise CannotRender(f"{self._missing(ref)}: {short(above)} {_described(value)}")
        return value

    def _whole(self, ref: TemplateRef) -> Any:
        name = f"result.{ref.step}" if ref.step else ref.source
        if name not in self._read:
            self._read[name] = self._read_result(ref) if ref.step else read_json_untrusted(self._input, "the input")
        return self._read[name]

    def _read_result(self, ref: TemplateRef) -> Any:
        result = self._results.get(ref.step)
        if result is None or result.state is not StepState.DONE:
            why = "was refused" if result is not None and result.state is StepState.REFUSED else "is not done"
            raise ResultMissing(f"{self._missing(ref)}: the step {ref.step!r} {why}")
        if result.cut:
            raise CannotRender(
                f"{self._missing(ref)}: the answer of the step {ref.step!r} has more than {MAX_RESULT_BYTES} bytes, so "
                "it is kept cut: have its service answer less, or name no value of it"
            )
        try:
            return read_json_untrusted(result.body, f"the answer of the step {ref.step!r}")
        except BadParams as error:
            raise CannotRender(f"{self._missing(ref)}: {error}") from None

    def _missing(self, ref: TemplateRef) -> str:
        return f"{self._what}{short(ref)} is not there"


def _described(value: object) -> str:
    match value:
        case dict():
            return f"has {short(', '.join(map(str, value)))}" if value else "is an empty object"
        case list():
            return f"is a list of {len(value)}"
        case _:
            return f"is {short(json.dumps(value))}, which has no parts"


# -- rendering ---------------------------------------------------------------------------------------------------------


def _as_it_is(text: str) -> str:
    return text


def render_text(
    template: Template, values: TemplateValues, what: str, most_bytes: int, form: Callable[[str], str] = _as_it_is
) -> str:
    """The text, with each value in this form. Raises CannotRender for a value that is no text, number, true or false,
    TooLarge over `most_bytes`."""
    texts: list[str] = []
    left = most_bytes
    for part in template:
        text = form(_scalar(part, values.value(part), what)) if isinstance(part, TemplateRef) else part
        left -= len(text)
        if left < 0:
            raise TooLarge(f"{what} has more than {most_bytes} bytes with its values filled in")
        texts.append(text)
    return "".join(texts)


def _scalar(ref: TemplateRef, value: object, what: str) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        kind = "null" if value is None else "an object" if isinstance(value, dict) else "a list"
        raise CannotRender(f"{what}: {short(ref)} is {kind}, and only text, a number, true or false fits there")
    return write_json(value)


class JsonRenderer:
    """Fills in the strings of a value of JSON. One that is a single template keeps the type of its value."""

    def __init__(self, values: TemplateValues, what: str, most_bytes: int) -> None:
        self._values = values
        self._what = what
        self._most_bytes = self._left = most_bytes
        self._sizes: dict[TemplateRef, int] = {}

    def render(self, value: Any) -> Any:
        """Raises CannotRender, TooLarge."""
        if isinstance(value, dict):
            return {name: self.render(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.render(inner) for inner in value]
        if not isinstance(value, str):
            return value
        template = parse_template(value, self._what)
        if len(template) == 1 and isinstance(template[0], TemplateRef):
            return self._whole(template[0])
        text = render_text(template, self._values, self._what, self._most_bytes)
        self._take(len(text))
        return text

    def _whole(self, ref: TemplateRef) -> Any:
        value = self._values.value(ref)
        if ref not in self._sizes:
            self._sizes[ref] = len(write_json(value))
        self._take(self._sizes[ref])
        return value

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"{self._what} has more than {self._most_bytes} bytes with its values filled in")
