"""Parse a check as a user writes it, in text or as a table, into a `CheckSpec`. `options.py` reads the options.

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
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from gossipreg.daemon.checks.options import ALLOWED, FREE_TEXT, OPTIONS, read_headers, read_interval
from gossipreg.daemon.checks.spec import (
    ALIAS_INTERVAL_S,
    ALIAS_TIMEOUT_S,
    DEFAULT_INTERVAL_S,
    DEFAULT_TIMEOUT_S,
    KINDS,
    CheckSpec,
    Kind,
)
from gossipreg.daemon.checks.targets import TARGETS
from gossipreg.errors import BadParams

MAX_TEXT_BYTES = 8192

Table = Mapping[str, Any]
Given = dict[str, list[str]]
"""The values of each option, in the order given."""

_OPTION = re.compile(r"([A-Za-z_]+)=(.*)", re.DOTALL)
_PIECE = re.compile(r",([A-Za-z_]+)=((?:(?!,[A-Za-z_]+=).)*)", re.DOTALL)
"""One option with its value, which ends where the next option begins."""
_COMMAS: tuple[Kind, ...] = ("http", "https", "cmd")
"""Kinds whose target may hold `,word=value`."""
_KNOWN = re.compile(f",({'|'.join(OPTIONS)})=")
_SECRET = re.compile(",(header|body)=")
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
    return match[0] if word in OPTIONS and word not in ("header", "body") else f",{word}={HIDDEN}"


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
        if not comma or match is None or match[1] not in OPTIONS:
            break
        value = unquote(match[2], errors="strict") if match[1] in FREE_TEXT else match[2]
        given.setdefault(match[1], []).insert(0, value)
        rest = before
    word, equals, _ = last.partition("=")
    if comma and (_almost_known(word) or (equals and word.isidentifier() and kind not in _COMMAS)):
        raise ValueError(f"{word[:40]!r} is not an option: the options are {', '.join(ALLOWED[kind])}")
    if kind != "cmd" and (early := _KNOWN.search(rest)):
        raise ValueError(f"the value of {early[1]} contains a comma: write it as %2C")
    return rest, given


def _almost_known(word: str) -> bool:
    from difflib import get_close_matches  # needed only after a mistake

    return bool(get_close_matches(word.lower(), OPTIONS, cutoff=0.7))


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
    raise ValueError(f"{str(option)[:40]} has a value that is not a text, a number or a boolean")


def _encoded(option: str, value: str) -> str:
    return quote(value, safe=_PLAIN) if option in FREE_TEXT else value


# -- both --------------------------------------------------------------------------------------------------------------


def _made(text: str, shown: str, kind: Kind, target: str, given: Given) -> CheckSpec:
    values: dict[str, Any] = {}
    for option, texts in given.items():
        if option not in OPTIONS:
            raise ValueError(f"{str(option)[:40]!r} is not an option: the options are {', '.join(ALLOWED[kind])}")
        if option not in ALLOWED[kind]:
            raise ValueError(f"{kind} checks have no {option}: they take {', '.join(ALLOWED[kind])}")
        if len(texts) > 1 and option != "header":
            raise ValueError(f"{option} is given twice")
        field, read = OPTIONS[option]
        values[field] = read_headers(texts) if option == "header" else read(option, texts[0])
    if kind == "ttl":
        return CheckSpec(text, kind, "", **{**values, "interval_s": read_interval("ttl", target)}, shown=shown)
    if kind == "alias":
        if not target and "node" not in values:
            raise ValueError("name the id of a service, or with node=NAME a node")
        return CheckSpec(text, kind, target, ALIAS_INTERVAL_S, ALIAS_TIMEOUT_S, **values, shown=shown)
    interval_s = values.setdefault("interval_s", DEFAULT_INTERVAL_S)
    values.setdefault("timeout_s", min(DEFAULT_TIMEOUT_S, interval_s))
    if values.get("body") and values.get("method") == "HEAD":
        raise ValueError("a HEAD request has no body")
    return CheckSpec(text, kind, TARGETS[kind](target), **values, shown=shown)
