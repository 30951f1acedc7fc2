"""Parse a check as a user writes it, in text or as a table, into a `CheckSpec`: one reader of options for all kinds.

    http://HOST[:PORT]/PATH   https://...   2xx passes, 429 warns, every other status is critical
    tcp://HOST:PORT                         a connection passes
    grpc://HOST:PORT[/SERVICE]   grpcs://   SERVING passes (grpc.health.v1; needs the extra `grpc`)
    cmd:COMMAND LINE                        exit code 0 passes, 1 warns, every other code is critical
    ttl:DURATION                            passes while the last heartbeat is not older than that
    alias:SERVICE_ID                        has the health of that service

In text, options follow after commas and are read from the right, so that a URL or a command may have commas of its own:
pieces are options as long as they have the form `word=value` with a known word. A piece before them with a word that is
almost known (`,intervall=5s`) is an error, as is any other `word=value` behind a target that cannot hold one. Values
are percent-decoded where they are free text (header, body, check_name, check_notes, check_id): write a comma as %2C.

    interval=5s  timeout=1s  passes=2  fails=3  deregister_after=1h
    method=HEAD  header=NAME:VALUE (repeatable)  body=TEXT     for http and https
    server_name=NAME  verify=no                                for https and grpcs
    node=NAME                                                  for alias: the node that has the service
    check_id=ID  check_name=TEXT  check_notes=TEXT             what the check is called, for programs and for people

A table (in a services file, or a map on the local socket) has the target under `check` and the options beside it, as
they are, without percent-encoding: {check = "http://127.0.0.1/", interval = "5s", header = {Authorization = "..."}}.

Values of headers and bodies are secrets. No message of this file shows one.
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote, unquote

from gossipreg.daemon.checks.spec import (
    ALIAS_INTERVAL_S,
    ALIAS_TIMEOUT_S,
    DEFAULT_INTERVAL_S,
    DEFAULT_TIMEOUT_S,
    KINDS,
    CheckSpec,
    Kind,
)
from gossipreg.daemon.checks.targets import TARGETS, is_host
from gossipreg.durations import parse_duration
from gossipreg.errors import BadParams

MAX_TEXT_BYTES = 8192
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 86_400.0
"""Ten times a second is a load on what is checked; less than once a day is no check."""
MIN_TIMEOUT_S = 0.01
MAX_IN_A_ROW = 100
MAX_LABEL_BYTES = 255
MAX_HEADERS = 32

Table = Mapping[str, Any]
Given = dict[str, list[str]]
"""The values of each option, in the order given."""

_OPTION = re.compile(r"([A-Za-z_]+)=(.*)", re.DOTALL)
_PIECE = re.compile(r",([A-Za-z_]+)=((?:(?!,[A-Za-z_]+=).)*)", re.DOTALL)
"""One option with its value, which ends where the next option begins."""
_SERVER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]{1,20}")
_OURS = ("connection", "content-length", "transfer-encoding", "te", "upgrade", "expect", "trailer")
"""Headers that say how the request is framed: the check sets them itself."""
_FORMS = "http://..., https://..., tcp://host:port, grpc://host:port, cmd:..., ttl:DURATION or alias:SERVICE_ID"
_PLAIN = ":/@!$&'()*+;=?# "
"""Characters that are not percent-encoded when a table is written as text."""
HIDDEN = "***"
BRIEF_MAX = 40
"""Characters of a check that an error shows: some clients show no more than 80 characters of an error."""


def parse_check_untrusted(name: str, given: object) -> CheckSpec:
    """`given` is text or a table; `name` is the parameter's, for the message. Raises BadParams only."""
    if isinstance(given, Mapping):
        return _parse_table(name, given)
    if type(given) is not str:
        raise BadParams(f"{name} is {_brief(given)}: give text, {_FORMS}")
    _check_size(name, given)
    if not given.isprintable():
        raise BadParams(f"{name} is {_brief(_hidden(given))}: give text without control characters")
    try:
        kind, rest = _kind_of(given)
        target, options = _split(kind, rest)
        return _made(given, _shown(kind, target, given), kind, target, options)
    except ValueError as error:
        raise BadParams(f"{name} is {_brief(_hidden(given))}: {error}") from None


def redacted(text: str) -> str:
    """A check as it may be shown: without the values of headers and without the body."""
    try:
        return parse_check_untrusted("check", text).shown
    except BadParams:
        return _hidden(text)


def _shown(kind: Kind, target: str, text: str) -> str:
    before = len(kind) + len(_mark(kind)) + len(target)
    return text[:before] + _PIECE.sub(_hide, text[before:])


def _hidden(text: str) -> str:
    """Hide the value of each piece that looks like an option, except options known to be harmless. This is for text
    that cannot be parsed, so that nobody knows where its options begin."""
    return text if text.startswith("cmd:") else _PIECE.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    word, value = match[1], match[2]
    if word == "header" and ":" in value:
        return f",{word}={value.partition(':')[0]}:{HIDDEN}"
    return match[0] if word in _OPTIONS and word not in ("header", "body") else f",{word}={HIDDEN}"


def with_id(given: str | Table, id: str) -> str | dict[str, Any]:
    """The same check under this id."""
    return f"{given},check_id={quote(id, safe=_PLAIN)}" if isinstance(given, str) else {**given, "check_id": id}


def relabelled(given: str | Table, name: str, notes: str) -> str | dict[str, Any]:
    """The same check with this name and these notes. It was parsed before, so it parses again."""
    labels = {"check_name": name, "check_notes": notes}
    if not isinstance(given, str):
        return {**{key: value for key, value in given.items() if key not in labels},
                **{key: value for key, value in labels.items() if value}}  # fmt: skip
    kind, rest = _kind_of(given)
    target, _ = _split(kind, rest)
    at = len(kind) + len(_mark(kind)) + len(target)
    options = _PIECE.sub(lambda match: "" if match[1] in labels else match[0], given[at:])
    more = "".join(f",{key}={quote(value, safe=_PLAIN)}" for key, value in labels.items() if value)
    return f"{given[:at]}{options}{more}"


def _brief(value: object) -> str:
    """As an error shows it: whole where it is short, else cut, with a mark that says so."""
    shown = repr(value)
    return shown if len(shown) <= BRIEF_MAX else f"{shown[: BRIEF_MAX - 3]}..."


def _check_size(name: str, text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadParams(f"{name} is {_brief(_hidden(text))}: give UTF-8 text") from None
    if size > MAX_TEXT_BYTES:
        raise BadParams(f"{name} has {size} bytes: give at most {MAX_TEXT_BYTES}")


def _kind_of(text: str) -> tuple[Kind, str]:
    """Split off the kind. Here and below, the text of a ValueError says what to do."""
    for kind in KINDS:
        if text.startswith(f"{kind}{_mark(kind)}"):
            return kind, text[len(kind) + len(_mark(kind)) :]
    raise ValueError(f"give {_FORMS}")


def _mark(kind: Kind) -> str:
    return ":" if kind in ("cmd", "ttl", "alias") else "://"


def _split(kind: Kind, rest: str) -> tuple[str, Given]:
    """The target, and the options behind it."""
    given: Given = {}
    while True:
        before, comma, last = rest.rpartition(",")
        match = _OPTION.fullmatch(last)
        if not comma or match is None or match[1] not in _OPTIONS:
            break
        value = unquote(match[2], errors="strict") if match[1] in _FREE_TEXT else match[2]
        given.setdefault(match[1], []).insert(0, value)
        rest = before
    word, equals, _ = last.partition("=")
    if comma and (_almost_known(word) or (equals and word.isidentifier() and kind not in _COMMAS)):
        raise ValueError(f"{word[:40]!r} is no option: there are {', '.join(_ALLOWED[kind])}")
    if kind != "cmd" and (early := _KNOWN.search(rest)):
        raise ValueError(f"what follows {early[1]}= has a comma and is no option: write a comma in a value as %2C")
    return rest, given


def _almost_known(word: str) -> bool:
    return bool(get_close_matches(word.lower(), _OPTIONS, cutoff=0.7))


# -- tables ------------------------------------------------------------------------------------------------------------


def _parse_table(name: str, table: Table) -> CheckSpec:
    target = table.get("check")
    if type(target) is not str:
        raise BadParams(f"{name}: a table without `check`: give {{check = ...}}, {_FORMS}")
    try:
        kind, rest = _kind_of(target)
        if kind != "cmd" and (beside := _SECRET.search(rest)):
            raise ValueError(f"in a table {beside[1]} stands beside `check`, not in it")
        given = {option: _table_values(option, value) for option, value in table.items() if option != "check"}
        text = target + "".join(f",{key}={_encoded(key, one)}" for key, values in given.items() for one in values)
        _check_size(name, text)
        if not (target.isprintable() and text.isprintable()):
            raise ValueError("give text without control characters")
        return _made(text, _shown(kind, rest, text), kind, rest, given)
    except ValueError as error:
        raise BadParams(f"{name} is {_brief(_hidden(target))}: {error}") from None


def _table_values(option: str, value: Any) -> list[str]:
    if option == "header" and isinstance(value, Mapping):
        return [
            f"{header}:{one}"
            for header, values in value.items()
            for one in (values if isinstance(values, list | tuple) else [values])
        ]
    if option == "header" and isinstance(value, list | tuple) and all(type(one) is str for one in value):
        return list(value)
    if type(value) is bool:
        return ["yes" if value else "no"]
    if type(value) in (str, int, float):
        return [str(value)]
    raise ValueError(f"{str(option)[:40]} has a value that is no text, number or boolean")


def _encoded(option: str, value: str) -> str:
    return quote(value, safe=_PLAIN) if option in _FREE_TEXT else value


# -- both --------------------------------------------------------------------------------------------------------------


def _made(text: str, shown: str, kind: Kind, target: str, given: Given) -> CheckSpec:
    values: dict[str, Any] = {}
    for option, texts in given.items():
        if option not in _OPTIONS:
            raise ValueError(f"{str(option)[:40]!r} is no option: there are {', '.join(_ALLOWED[kind])}")
        if option not in _ALLOWED[kind]:
            raise ValueError(f"{kind} checks have no {option}: they take {', '.join(_ALLOWED[kind])}")
        if len(texts) > 1 and option != "header":
            raise ValueError(f"{option} is given twice")
        field, read = _OPTIONS[option]
        values[field] = _headers(texts) if option == "header" else read(option, texts[0])
    if kind == "ttl":
        return CheckSpec(text, kind, "", **{**values, "interval_s": _interval("ttl", target)}, shown=shown)
    if kind == "alias":
        if not target and "node" not in values:
            raise ValueError("name the id of a service, or with node=NAME a node")
        return CheckSpec(text, kind, target, ALIAS_INTERVAL_S, ALIAS_TIMEOUT_S, **values, shown=shown)
    interval_s = values.setdefault("interval_s", DEFAULT_INTERVAL_S)
    values.setdefault("timeout_s", min(DEFAULT_TIMEOUT_S, interval_s))
    if values.get("body") and values.get("method") == "HEAD":
        raise ValueError("a HEAD request has no body")
    return CheckSpec(text, kind, TARGETS[kind](target), **values, shown=shown)


# -- options -----------------------------------------------------------------------------------------------------------


def _duration(option: str, value: str, low: float, high: float) -> float:
    seconds = parse_duration(value)
    if not low <= seconds <= high:
        raise ValueError(f"{option} is {value}: choose {low:g}s to {high:g}s")
    return seconds


def _interval(option: str, value: str) -> float:
    return _duration(option, value, MIN_INTERVAL_S, MAX_INTERVAL_S)


def _timeout(option: str, value: str) -> float:
    return _duration(option, value, MIN_TIMEOUT_S, MAX_INTERVAL_S)


def _deregister_after(option: str, value: str) -> float:
    return _duration(option, value, 1.0, 365 * 86_400.0)


def _in_a_row(option: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= MAX_IN_A_ROW):
        raise ValueError(f"{option} is {value[:20]}: choose 1 to {MAX_IN_A_ROW}")
    return int(value)


def _verify(option: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError(f"{option} is {value[:20]}: choose yes or no")
    return value == "yes"


def _server_name(option: str, value: str) -> str:
    if not _SERVER_NAME.fullmatch(value) or not is_host(value):
        raise ValueError(f"{option} is {value[:80]!r}: give the name of a host, without a port")
    return value


def _label(option: str, value: str) -> str:
    if not value.isprintable() or not 0 < len(value.encode()) <= MAX_LABEL_BYTES:
        raise ValueError(f"{option} is {value[:80]!r}: give 1 to {MAX_LABEL_BYTES} bytes without control characters")
    return value


def _method(option: str, value: str) -> str:
    if not _METHOD.fullmatch(value.upper()) or value.upper() == "CONNECT":
        raise ValueError(f"{option} is {value[:20]!r}: give GET, HEAD, POST or another method in letters")
    return value.upper()


def _body(option: str, value: str) -> str:
    if not value:
        raise ValueError(f"{option} is empty: leave it out")
    return value


def _headers(values: list[str]) -> tuple[tuple[str, str], ...]:
    if len(values) > MAX_HEADERS:
        raise ValueError(f"{len(values)} headers: give at most {MAX_HEADERS}")
    return tuple(_header(value) for value in values)


def _header(value: str) -> tuple[str, str]:
    name, colon, content = value.partition(":")
    content = content.strip(" ")
    if not colon or not _TOKEN.fullmatch(name):
        raise ValueError("header: give NAME:VALUE, the name in letters, digits and dashes")
    if name.lower() in _OURS:
        raise ValueError(f"header {name[:40]} is set by the check itself: leave it out")
    if not (content.isascii() and content.isprintable()):
        raise ValueError(f"header {name[:40]} has a value that is not printable ASCII")
    return name, content


def _unused(option: str, value: str) -> str:
    raise AssertionError(f"{option} is read as a list, not one by one: {len(value)}")


_OPTIONS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "interval": ("interval_s", _interval),
    "timeout": ("timeout_s", _timeout),
    "passes": ("passes", _in_a_row),
    "fails": ("fails", _in_a_row),
    "deregister_after": ("deregister_after_s", _deregister_after),
    "verify": ("verify", _verify),
    "server_name": ("server_name", _server_name),
    "method": ("method", _method),
    "header": ("headers", _unused),
    "body": ("body", _body),
    "node": ("node", _label),
    "check_id": ("id", _label),
    "check_name": ("name", _label),
    "check_notes": ("notes", _label),
}
_FREE_TEXT = ("header", "body", "node", "check_id", "check_name", "check_notes")
"""Percent-decoded in text: they may hold commas."""
_CALLED = ("check_id", "check_name", "check_notes")
_RUN = ("interval", "timeout", "passes", "fails", "deregister_after", *_CALLED)
_TLS = ("server_name", "verify")
_HTTP = (*_RUN, "method", "header", "body")
_ALLOWED: dict[Kind, tuple[str, ...]] = {
    "http": _HTTP, "https": (*_HTTP, *_TLS), "tcp": _RUN, "grpc": _RUN, "grpcs": (*_RUN, *_TLS), "cmd": _RUN,
    "ttl": ("deregister_after", *_CALLED), "alias": ("node", "deregister_after", *_CALLED),
}  # fmt: skip
_COMMAS: tuple[Kind, ...] = ("http", "https", "cmd")
"""Kinds whose target may hold `,word=value`."""
_KNOWN = re.compile(f",({'|'.join(_OPTIONS)})=")
_SECRET = re.compile(",(header|body)=")
