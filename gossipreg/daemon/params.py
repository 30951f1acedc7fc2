"""The parameters of the local socket's methods, each checked for type, range and form.

Everything here reads what a client wrote and raises BadParams only, with the parameter's name, its value, and a value
that would be accepted. An unknown parameter is an error; otherwise a mistyped one would be ignored silently. nil stands
for a parameter that is left out. A bool is not a number.
"""

from collections.abc import Callable
from typing import Any

from msgpack import packb

from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import CheckSpec
from gossipreg.errors import BadParams
from gossipreg.model import MAX_NAME_BYTES, MAX_TAG_BYTES, NODE_ID_BYTES, Health, RegisteredService
from gossipreg.net.addresses import WILDCARDS, is_literal
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.rpc import MAX_WATCHES

Check = Callable[[str, Any], Any]
"""(parameter's name, its value) -> the value to use."""

MAX_TAGS = 256
MAX_META = 64
MAX_META_KEY_BYTES = 128
MAX_META_VALUE_BYTES = 4096
MAX_CHECKS = 16
MAX_NOTE_BYTES = 4096
MAX_PATH_BYTES = 1024
REPORTED = {health.name.lower(): health for health in (Health.PASSING, Health.WARNING, Health.CRITICAL)}
MAX_WEIGHT = 65_535
MAX_HOLD_S = 60.0
MAX_WAIT_S = 3600.0
MAX_IDS = 16_384
"""The ids of members in one request."""
PAGE_DEFAULT = 1000
PAGE_MAX = 10_000
"""The most entries on a page of `services` and `members`: some 2 MB in MessagePack."""


def take_untrusted(method: str, params: dict[str, Any], allowed: dict[str, Check], *required: str) -> dict[str, Any]:
    """Check the given parameters and return them without those that are left out."""
    taken: dict[str, Any] = {}
    for name, value in params.items():
        check = allowed.get(name)
        if check is None:
            takes = ", ".join(allowed) or "none"
            raise BadParams(f"{method} has no parameter {_short(name)}: it takes {takes}")
        if value is not None:
            taken[name] = check(name, value)
    for name in required:
        if name not in taken:
            raise BadParams(f"{method} needs the parameter {name}")
    return taken


# -- checks ------------------------------------------------------------------------------------------------------------


def boolean(name: str, value: Any) -> bool:
    if value is True or value is False:
        return value is True
    raise _bad(name, value, "true or false")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in a range."""

    low: int
    high: int

    def __call__(self, name: str, value: Any) -> int:
        if type(value) is int and self.low <= value <= self.high:
            return value
        raise _bad(name, value, f"a whole number from {self.low} to {self.high}")


def seconds(name: str, value: Any) -> float:
    if type(value) in (int, float) and 0 <= value <= MAX_HOLD_S:
        return float(value)
    raise _bad(name, value, f"seconds, from 0 to {MAX_HOLD_S:g}")


def wait_seconds(name: str, value: Any) -> float:
    """How long a request may wait."""
    if type(value) in (int, float) and 0 <= value <= MAX_WAIT_S:
        return float(value)
    raise _bad(name, value, f"seconds, from 0 to {MAX_WAIT_S:g}")


def text(name: str, value: Any, *, most_bytes: int = MAX_NAME_BYTES, least_bytes: int = 1) -> str:
    """Any text of characters that can be seen. It may be empty only if `least_bytes` is 0."""
    if type(value) is not str:
        raise _bad(name, value, "text")
    if not least_bytes <= _size_bytes(value) <= most_bytes:
        raise _bad(name, value, f"{least_bytes} to {most_bytes} bytes")
    if not value.isprintable():
        raise _bad(name, value, f"text without control characters, such as {_unseen(value)}")
    if least_bytes and not value.strip():
        raise _bad(name, value, "text that is not blank")
    return value


def remark(name: str, value: Any) -> str:
    """What a person says to others, on one line. It may be empty."""
    return text(name, value, most_bytes=MAX_NOTE_BYTES, least_bytes=0)


def word(name: str, value: Any) -> str:
    """Text without spaces: an id."""
    if " " in text(name, value) or any(char.isspace() for char in value):
        raise _bad(name, value, "text without spaces")
    return str(value)


def service_name(name: str, value: Any) -> str:
    """One word without a slash: it becomes part of paths and of host names."""
    if "/" in word(name, value):
        raise _bad(name, value, "a name without a slash")
    return str(value)


def zone(name: str, value: Any) -> str:
    return text(name, value, least_bytes=0)


def host(name: str, value: Any) -> str:
    """A host name or a literal address that others can connect to."""
    word(name, value)
    if ":" in value and not is_literal(value):
        raise _bad(name, value, "a host without a port, an IPv6 address without brackets")
    if value.replace(".", "").isdigit() and not is_literal(value):
        raise _bad(name, value, "four numbers from 0 to 255, or a host name")
    if value in WILDCARDS or "/" in value:
        raise _bad(name, value, "a host or an address that others can connect to")
    return str(value)


def tags(name: str, value: Any) -> tuple[str, ...]:
    """In the order in which they are given, without duplicates."""
    if type(value) is not list:
        raise _bad(name, value, f"a list of at most {MAX_TAGS} texts")
    if len(value) > MAX_TAGS:
        raise BadParams(
            f"{len(value)} {name}: give at most {MAX_TAGS}, without {_short(value[MAX_TAGS])} and those after it"
        )
    for tag in value:
        if type(tag) is str and _size_bytes(tag) > MAX_TAG_BYTES:
            raise BadParams(f"the tag {_short(tag)} has {_size_bytes(tag)} bytes: give at most {MAX_TAG_BYTES}")
    return tuple(dict.fromkeys(text(name, tag, most_bytes=MAX_TAG_BYTES) for tag in value))


def wanted_tags(name: str, value: Any) -> tuple[str, ...]:
    """The tags of a lookup, sorted, so that their order makes no other question."""
    return tuple(sorted(tags(name, value)))


def meta(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Sorted by key."""
    if type(value) is not dict or len(value) > MAX_META:
        raise _bad(name, value, f"a map of at most {MAX_META} texts")
    for key, item in value.items():
        text(f"{name}, a key,", key, most_bytes=MAX_META_KEY_BYTES)
        if type(item) is not str or _size_bytes(item) > MAX_META_VALUE_BYTES:
            raise _bad(f"{name}, {key!r},", item, f"a text of at most {MAX_META_VALUE_BYTES} bytes")
    return tuple(sorted(value.items()))


def checks(name: str, value: Any) -> tuple[CheckSpec, ...]:
    """Each as text (see `checks/spec.py`); one that is given twice counts once."""
    if type(value) is not list or len(value) > MAX_CHECKS:
        raise _bad(name, value, f"a list of at most {MAX_CHECKS} checks")
    return tuple({spec.text: spec for spec in (parse_check_untrusted(name, text) for text in value)}.values())


def subscribe(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Patterns of events, each with the path that takes them, in the order in which they were given."""
    from gossipreg.events.entries import MAX_GROUP_PATTERNS  # not for a sidecar whose services take no events
    from gossipreg.events.patterns import check_pattern

    if type(value) is not dict or not 0 < len(value) <= MAX_GROUP_PATTERNS:
        raise _bad(name, value, f"a map of 1 to {MAX_GROUP_PATTERNS} patterns to paths")
    for pattern, path in value.items():
        check_pattern(text(f"{name}, a pattern,", pattern))
        if not _is_path(path):
            raise _bad(f"{name}, {_short(pattern)},", path, "the path of a route, as /orders")
    return tuple(value.items())


def _check_subscriber(service: RegisteredService) -> None:
    """Raises BadParams where events cannot be sent to this service: its name is that of the group."""
    from gossipreg.events.patterns import check_group

    if not service.port:
        raise BadParams(f"subscribe: the service {_short(service.id)} has no port to which events could be sent")
    try:
        check_group(service.name)
    except BadParams as error:
        raise BadParams(f"subscribe: the name of the service is that of its group, and {error}") from None


def _is_path(value: Any) -> bool:
    if type(value) is not str or not value.startswith("/") or len(value) > MAX_PATH_BYTES:
        return False
    return value.isascii() and value.isprintable() and " " not in value and "#" not in value


def health(name: str, value: Any) -> Health:
    """The health that a program may give for itself: only an operator sets maintenance."""
    if type(value) is not str or value not in REPORTED:
        raise _bad(name, value, f"one of {', '.join(REPORTED)}")
    return REPORTED[value]


def note(name: str, value: Any) -> str:
    """Any text: it is cut and cleaned where it is shown."""
    if type(value) is not str or _size_bytes(value) > MAX_NOTE_BYTES:
        raise _bad(name, value, f"text of at most {MAX_NOTE_BYTES} bytes")
    return value


def member_id(name: str, value: Any) -> bytes:
    try:
        id = bytes.fromhex(value)
    except (TypeError, ValueError):
        raise _bad(name, value, "a member's id in hexadecimal") from None
    if len(id) != NODE_ID_BYTES:
        raise _bad(name, value, f"a member's id, {2 * NODE_ID_BYTES} hexadecimal digits")
    return id


def member_ids(name: str, value: Any) -> tuple[bytes, ...]:
    if type(value) is not list or len(value) > MAX_IDS:
        raise _bad(name, value, f"a list of at most {MAX_IDS} ids")
    return tuple(dict.fromkeys(member_id(name, id) for id in value))


def service_names(name: str, value: Any) -> tuple[str, ...]:
    """As they are given, also twice."""
    if type(value) is not list or not 0 < len(value) <= MAX_WATCHES:
        raise _bad(name, value, f"a list of 1 to {MAX_WATCHES} names")
    return tuple(service_name(name, one) for one in value)


port = Whole(0, 65_535)
"""0: it has none."""

SERVICE: dict[str, Check] = {
    "name": service_name,
    "port": port,
    "id": word,
    "address": host,
    "tags": tags,
    "meta": meta,
    "weight": Whole(0, MAX_WEIGHT),
    "checks": checks,
    "subscribe": subscribe,
}


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration, as the parameters of `register` ask for it."""

    service: RegisteredService
    checks: tuple[CheckSpec, ...]
    params: bytes
    """The parameters themselves, as they are kept: equal where the same was asked for."""
    host_given: bool
    """Whether the address was named, or is ours, wherever we are."""
    subscribe: tuple[tuple[str, str], ...] = ()
    """(pattern, path): the events that it takes over HTTP, and where."""


def registration_untrusted(method: str, params: dict[str, Any], *, default_host: str) -> Registration:
    given = take_untrusted(method, params, SERVICE, "name", "port")
    id = given.get("id", f"{given['name']}-{given['port']}" if given["port"] else given["name"])
    service = RegisteredService(
        id=word("id", id),  # the default may be too long
        name=given["name"],
        address=given.get("address", default_host),
        port=given["port"],
        tags=given.get("tags", ()),
        meta=given.get("meta", ()),
        weight=given.get("weight", 1),
    )
    if given.get("subscribe"):
        _check_subscriber(service)
    try:
        kept = packb({name: params[name] for name in sorted(given)})
    except UnicodeEncodeError as error:  # a lone surrogate: bytes on a command line that are not UTF-8
        raise BadParams(f"{_short(error.object)} is not UTF-8: give text") from None
    return Registration(service, given.get("checks", ()), kept, "address" in given, given.get("subscribe", ()))


def _size_bytes(value: str) -> int:
    return len(value.encode("utf-8", "surrogatepass"))


def _unseen(value: str) -> str:
    """The first character that cannot be seen, by its number and name: in the text it may not show, or reorder it."""
    from unicodedata import name  # for this error alone

    first = next(char for char in value if not char.isprintable())
    return f"U+{ord(first):04X} {name(first, '')}".rstrip()


def _bad(name: str, value: Any, wanted: str) -> BadParams:
    return BadParams(f"{name} is {_short(value)}: give {wanted}")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 32 else f"{shown[:29]}..."
