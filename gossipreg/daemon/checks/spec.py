"""What a check is, as text and as a value, and what running one gives.

    http://HOST[:PORT]/PATH   https://...   2xx passes, 429 warns, all else is critical
    tcp://HOST:PORT                         a connection passes
    cmd:COMMAND LINE                        exit code 0 passes, 1 warns, all else is critical
    ttl:DURATION                            passes while heartbeats come, the last no longer ago than that

Options follow after commas and are read from the right, so that a URL or a command may have commas of its own: pieces
are taken as long as they have the form `word=value` with a word that is known. A piece before them with a word that is
almost known (`,intervall=5s`) is an error, but in a command, which may mean it.

    interval=5s  timeout=1s  passes=2  fails=3  deregister_after=1h
    server_name=NAME  for https: the name that is asked for and that the certificate must have, where the URL has
                      another one, or an address
    verify=no         for https: any certificate will do
    check_id=ID  check_name=TEXT  check_notes=TEXT
                      what it is called, for programs and for people; percent-encoded where there is a comma in it
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from gossipreg.durations import parse_duration
from gossipreg.errors import BadParams
from gossipreg.model import Health

Kind = Literal["http", "https", "tcp", "cmd", "ttl"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MAX_TEXT_BYTES = 4096
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 86_400.0
"""Ten times a second is a load on what is checked; less than once a day is no check."""
MIN_TIMEOUT_S = 0.01
MAX_IN_A_ROW = 100
MAX_LABEL_BYTES = 255
DEFAULT_INTERVAL_S = 10.0
DEFAULT_TIMEOUT_S = 5.0
OUTPUT_MAX = 512
"""Characters of what a check said that are kept. It is for a person who wants to know why."""

_OPTION = re.compile(r"([a-z_]+)=(.*)")
_SERVER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_FORMS = "http://..., https://..., tcp://host:port, cmd:... or ttl:DURATION"


@dataclass(frozen=True, slots=True)
class CheckSpec:
    text: str
    """As it was given."""
    kind: Kind
    target: str
    """A URL, host:port, a command line, or nothing (ttl)."""
    interval_s: float = DEFAULT_INTERVAL_S
    """For a ttl: how old the last heartbeat may be."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    passes: int = 1
    """So many in a row until it passes."""
    fails: int = 1
    """So many in a row until it warns or is critical."""
    deregister_after_s: float | None = None
    """Critical for so long without a break, the service is taken out."""
    verify: bool = True
    """For https: whether the certificate must be good."""
    server_name: str = ""
    """For https: the name that is asked for, and that the certificate must have. Empty: the URL's host."""
    id: str = ""
    """Empty: see `check_ids`."""
    name: str = ""
    notes: str = ""


@dataclass(slots=True)
class Progress:
    """What a run has to say for itself where its time is up."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    health: Health
    output: str


def check_ids(service_id: str, checks: Sequence[CheckSpec]) -> list[str]:
    """What the checks of a service are called: as they were given, else `service:ID`, or `service:ID:1` and so on
    where there are several."""
    alone = len(checks) == 1
    return [
        check.id or (f"service:{service_id}" if alone else f"service:{service_id}:{number}")
        for number, check in enumerate(checks, 1)
    ]


def shortened(text: str) -> str:
    """What a check said, fit to be shown: printable, and not much of it."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * OUTPUT_MAX])
    shown = " ".join(shown.split())
    return shown if len(shown) <= OUTPUT_MAX else shown[: OUTPUT_MAX - 3] + "..."


def parse_check_untrusted(name: str, text: object) -> CheckSpec:
    """`name` is the parameter's, for the message. Raises BadParams only."""
    if type(text) is not str:
        raise BadParams(f"{name} is {text!r:.80}: give text, {_FORMS}")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadParams(f"{name} is {text!r:.80}: give UTF-8 text") from None
    if size > MAX_TEXT_BYTES:
        raise BadParams(f"{name} has {size} bytes: give at most {MAX_TEXT_BYTES}")
    if not text.isprintable():
        raise BadParams(f"{name} is {text!r:.80}: give text without control characters")
    try:
        return _parse(text)
    except ValueError as error:
        raise BadParams(f"{name} is {text!r:.160}: {error}") from None


def _parse(text: str) -> CheckSpec:
    """ValueError says what to do."""
    kind = next((kind for kind in KINDS if text.startswith(f"{kind}{_mark(kind)}")), None)
    if kind is None:
        raise ValueError(f"give {_FORMS}")
    target, given = _split(kind, text[len(kind) + len(_mark(kind)) :])
    for option in given:
        if option not in _ALLOWED[kind]:
            raise ValueError(f"a {kind} check has no {option}: it takes {', '.join(_ALLOWED[kind])}")
    values: dict[str, Any] = {_FIELDS[option][0]: _FIELDS[option][1](option, value) for option, value in given.items()}
    if kind == "ttl":
        return CheckSpec(text, kind, "", **{**values, "interval_s": _interval("ttl", target)})
    interval_s = values.setdefault("interval_s", DEFAULT_INTERVAL_S)
    timeout_s = values.setdefault("timeout_s", min(DEFAULT_TIMEOUT_S, interval_s))
    if timeout_s > interval_s:
        raise ValueError(f"the timeout of {timeout_s:g}s is longer than the interval of {interval_s:g}s")
    return CheckSpec(text, kind, _TARGETS[kind](target), **values)


def _mark(kind: Kind) -> str:
    return ":" if kind in ("cmd", "ttl") else "://"


def _split(kind: Kind, rest: str) -> tuple[str, dict[str, str]]:
    """The target, and the options behind it."""
    given: dict[str, str] = {}
    while True:
        before, comma, last = rest.rpartition(",")
        match = _OPTION.fullmatch(last)
        if not comma or match is None or match[1] not in _FIELDS:
            break
        if match[1] in given:
            raise ValueError(f"{match[1]} is given twice")
        given[match[1]] = match[2]
        rest = before
    if kind != "cmd" and comma and get_close_matches(last.partition("=")[0].lower(), _FIELDS, cutoff=0.7):
        raise ValueError(f"{last!r} is no option: there are {', '.join(_ALLOWED[kind])}")
    return rest, given


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
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:4]) <= MAX_IN_A_ROW and len(value) <= 4):
        raise ValueError(f"{option} is {value[:20]}: choose 1 to {MAX_IN_A_ROW}")
    return int(value)


def _verify(option: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError(f"{option} is {value}: choose yes or no")
    return value == "yes"


def _server_name(option: str, value: str) -> str:
    if not _SERVER_NAME.fullmatch(value) or not _is_host(value):
        raise ValueError(f"{option} is {value[:80]!r}: give the name of a host, without a port")
    return value


def _label(option: str, value: str) -> str:
    text = unquote(value, errors="strict")
    if not text.isprintable() or not 0 < len(text.encode()) <= MAX_LABEL_BYTES:
        raise ValueError(f"{option} is {value[:80]!r}: give 1 to {MAX_LABEL_BYTES} bytes without control characters")
    return text


_FIELDS = {
    "interval": ("interval_s", _interval),
    "timeout": ("timeout_s", _timeout),
    "passes": ("passes", _in_a_row),
    "fails": ("fails", _in_a_row),
    "deregister_after": ("deregister_after_s", _deregister_after),
    "verify": ("verify", _verify),
    "server_name": ("server_name", _server_name),
    "check_id": ("id", _label),
    "check_name": ("name", _label),
    "check_notes": ("notes", _label),
}
_CALLED = ("check_id", "check_name", "check_notes")
_RUN = ("interval", "timeout", "passes", "fails", "deregister_after", *_CALLED)
_ALLOWED: dict[Kind, tuple[str, ...]] = {
    "http": _RUN, "https": (*_RUN, "server_name", "verify"), "tcp": _RUN, "cmd": _RUN,
    "ttl": ("deregister_after", *_CALLED),
}  # fmt: skip


# -- targets -----------------------------------------------------------------------------------------------------------


def _url(scheme: str, rest: str) -> str:
    url = f"{scheme}://{rest}"
    if " " in rest or "\\" in rest or not rest.isascii():
        raise ValueError("percent-encode what a URL may not hold")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("leave out user and password: they would be shown")
    _host_port(parts.hostname, parts.port if parts.port is not None else 1)
    return url


def _tcp(rest: str) -> str:
    parts = urlsplit(f"//{rest}")
    if parts.path or parts.query or parts.fragment or parts.username is not None or parts.port is None:
        raise ValueError("give tcp://host:port, an IPv6 address in brackets")
    _host_port(parts.hostname, parts.port)
    return rest


def _host_port(host: str | None, port: int) -> None:
    if not host or any(char in host for char in " %/?#@"):
        raise ValueError("name the host")
    if not _is_host(host):
        raise ValueError(f"{host[:80]!r} is no name of a host")
    if port == 0:
        raise ValueError("port 0 takes no connection: choose 1 to 65535")


def _is_host(host: str) -> bool:
    """Whether a resolver would take it: no part of it empty or too long."""
    try:
        return ":" in host or bool(host.encode("idna"))
    except UnicodeError:
        return False


def _command(rest: str) -> str:
    if not rest.strip():
        raise ValueError("name the command")
    return rest


_TARGETS = {
    "http": lambda rest: _url("http", rest),
    "https": lambda rest: _url("https", rest),
    "tcp": _tcp,
    "cmd": _command,
}
