"""A command as a program or a definition writes it, with templates: from a map, to a map, to the command that is sent.

    service       a name of the registry: it is found and picked at each attempt
    method, path  the path begins with /, and its values are percent-encoded
    headers       a map; a value may name a secret (`saga_secrets.py`)
    body          text with templates; bytes are sent as they are, as `body_base64` is where there are no bytes
    json          a value whose strings are templates; as bytes it is JSON that is sent as it is
    json_template the same as text of JSON: for a value that is nested deeper than a request may be

Owns: what may stand in each of them, before and after the templates are filled in.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gossipreg.errors import BadParams, TooLarge
from gossipreg.sagas.request_rules import check_header, check_header_name, check_method, check_path, check_service
from gossipreg.sagas.saga_model import MAX_BODY_BYTES, MAX_HEADERS
from gossipreg.sagas.saga_secrets import check_secrets
from gossipreg.sagas.saga_templates import (
    Template,
    TemplateRef,
    check_depth,
    parse_template,
    read_json_untrusted,
    refs_in,
    short,
    write_json,
)

COMMAND_FIELDS = frozenset(("service", "method", "path", "headers", *("body", "body_base64", "json", "json_template")))


@dataclass(frozen=True, slots=True)
class CommandTemplate:
    service: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""
    text: str = ""
    """A body with templates."""
    data: bytes = b""
    """A body that is sent as it is."""
    json: str = ""
    """A body of JSON whose strings are templates."""


# -- from a map --------------------------------------------------------------------------------------------------------


def command_untrusted(given: Mapping[str, Any], what: str, service: str = "") -> CommandTemplate:
    """The command of a map; `service` stands in where it names none, and fields that are not of a command are left to
    the caller. Raises BadParams, TooLarge; `what` begins the text of errors."""
    kind, text, data, json = _body_untrusted(given, what)
    headers = dict(_headers_untrusted(given.get("headers"), what))
    if kind:
        headers.setdefault("content-type", kind)
    command = CommandTemplate(
        check_service(_text(given, "service", what, service), what),
        check_method(_text(given, "method", what, ""), what),
        _text(given, "path", what, ""), tuple(headers.items()), text, data, json,
    )  # fmt: skip
    _check(command, what)
    return command


def _text(given: Mapping[str, Any], name: str, what: str, default: str) -> str:
    value = given.get(name)
    if value is None:
        value = default
    if type(value) is not str:
        raise BadParams(f"{what}: {name} is {short(repr(value))}: it has to be text")
    if not value:
        raise BadParams(f"{what} has no {name}: name one")
    return value


def _headers_untrusted(given: object, what: str) -> Iterator[tuple[str, str]]:
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise BadParams(f"{what}: headers are {short(repr(given))}: they have to be a map of names to texts")
    if len(given) > MAX_HEADERS:
        raise BadParams(f"{what} has {len(given)} headers: at most {MAX_HEADERS}")
    seen: set[str] = set()
    for name, value in given.items():
        lower = check_header_name(name, what)
        if lower in seen:
            raise BadParams(f"{what} has the header {lower} twice")
        seen.add(lower)
        if type(value) is not str:
            raise BadParams(f"{what}: the header {lower} is {short(repr(value))}: it has to be text")
        yield lower, value.strip(" \t")


def _body_untrusted(given: Mapping[str, Any], what: str) -> tuple[str, str, bytes, str]:
    """(its content type where no header names one, text, bytes, JSON); at most one of the three is there."""
    named = [name for name in ("body", "body_base64", "json", "json_template") if given.get(name) is not None]
    if len(named) > 1:
        raise BadParams(f"{what} has {named[0]} and {named[1]}: a command has one body")
    if not named:
        return ("application/json", "", b"null", "") if "json" in given else ("", "", b"", "")
    value = given[named[0]]
    match named[0], value:
        case "body", str():
            return "text/plain; charset=utf-8", value, b"", ""
        case "body", bytes():
            return "application/octet-stream", "", value, ""
        case "body_base64", str():
            return "application/octet-stream", "", _from_base64(value, what), ""
        case "json", bytes():
            read_json_untrusted(value, f"{what}: json")
            return "application/json", "", value, ""
        case "json_template", str():
            read = read_json_untrusted(in_utf8(value, what), f"{what}: json_template")
            return "application/json", "", b"", _json_template(read, what)
        case "json", _:
            return "application/json", "", b"", _json_template(value, what)
    form = "text or bytes" if named[0] == "body" else "text"
    raise BadParams(f"{what}: {named[0]} is {short(repr(value))}: it has to be {form}")


def _from_base64(text: str, what: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise BadParams(f"{what}: body_base64 cannot be decoded: it has to be standard base64") from None


def in_utf8(text: str, what: str) -> bytes:
    """Raises BadParams for text that has no bytes."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadParams(f"{what} has half of a surrogate pair, which has no bytes") from None


def _json_template(value: Any, what: str) -> str:
    """The JSON of a value of msgpack, JSON or TOML."""
    check_depth(value, f"{what}: json")
    try:
        return write_json(_json_value(value, what))
    except ValueError:
        raise BadParams(f"{what}: json has a number that JSON does not have") from None


def _json_value(value: Any, what: str) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [_json_value(inner, what) for inner in value]
        case Mapping():
            return {_json_name(name, what): _json_value(inner, what) for name, inner in value.items()}
    raise BadParams(f"{what}: json has {short(repr(value))}, which JSON does not have: write it as text")


def _json_name(name: object, what: str) -> str:
    """Names are no templates: one that looks like it is an error, and not silently a name."""
    if type(name) is not str:
        raise BadParams(f"{what}: json has the name {short(repr(name))}: a name is text")
    try:
        template = parse_template(name, what)
    except BadParams:
        return name
    if any(refs_in(template)):
        raise BadParams(f"{what}: json has a template as the name {short(name)!r}: only values can be templates")
    return name


# -- checks that need no values ----------------------------------------------------------------------------------------


def refs_of(command: CommandTemplate) -> frozenset[TemplateRef]:
    """All that its templates name."""
    return frozenset(ref for template in _templates(command, "the command") for ref in refs_in(template))


def refs_within_text(command: CommandTemplate) -> frozenset[TemplateRef]:
    """What its body names within a text, where only text, a number, true or false fits."""
    templates = [parse_template(command.text, "the command")]
    if command.json:
        value = read_json_untrusted(command.json.encode(), "the command")
        templates += [template for template in _in_strings(value, "the command") if len(template) > 1]
    return frozenset(ref for template in templates for ref in refs_in(template))


def _templates(command: CommandTemplate, what: str) -> Iterator[Template]:
    yield parse_template(command.path, f"{what}: path")
    for name, value in command.headers:
        yield parse_template(value, f"{what}: header {name}")
    yield parse_template(command.text, f"{what}: body")
    if command.json:
        yield from _in_strings(read_json_untrusted(command.json.encode(), what), f"{what}: json")


def _in_strings(value: Any, what: str) -> Iterator[Template]:
    if isinstance(value, str):
        yield parse_template(value, what)
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _in_strings(inner, what)


def _check(command: CommandTemplate, what: str) -> None:
    """Raises for what is wrong whatever the values are."""
    size = len(command.data) or len(in_utf8(command.text or command.json, what))
    if size > MAX_BODY_BYTES:
        raise TooLarge(f"{what}: the body has {size} bytes: at most {MAX_BODY_BYTES}")
    for _ in _templates(command, what):
        pass
    check_path(with_holes(parse_template(command.path, what), "x"), what)
    for name, value in command.headers:
        template = parse_template(value, what)
        check_secrets(with_holes(template), f"{what}: header {name}")
        check_header(name, with_holes(template, "x"), what)


def with_holes(template: Template, hole: str = "\0") -> str:
    """The texts of a template, with this in place of each value."""
    return "".join(part if isinstance(part, str) else hole for part in template)


# -- to a map ----------------------------------------------------------------------------------------------------------


def command_map(command: CommandTemplate, *, binary: bool = True) -> dict[str, Any]:
    """The map that `command_untrusted` reads as this command; without `binary` JSON can carry it."""
    found: dict[str, Any] = {"service": command.service, "method": command.method, "path": command.path}
    if command.headers:
        found["headers"] = dict(command.headers)
    if command.text:
        found["body"] = command.text
    if command.json:
        found["json_template"] = command.json
    if command.data:
        found |= {"body": command.data} if binary else {"body_base64": b64encode(command.data).decode()}
    return found
