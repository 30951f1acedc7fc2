"""The file of `--xds-policy`, in TOML.

    [listen]                          # where Envoy listens
    address = "127.0.0.1"
    port = 10000

    [default]                         # for all services
    timeout = "30s"

    [service.web]                     # for one; a key here takes the place of the same key in [default]
    retries = { attempts = 2, on = ["unavailable"], per_try_timeout = "1s" }
    limits = { connections = 100, pending = 50, requests = 200, retries = 3 }
    outlier = { consecutive_5xx = 5, interval = "10s", ejection_time = "30s" }
    lb = "ring_hash"
    hash_header = "x-user"
    split = { v1 = 90, v2 = 10 }
    mirror = { to = "v3.web", percent = 5 }
    tls = "require"                   # only with --xds-tls

    [[service.web.route]]             # before the split
    headers = { x-canary = "yes", x-user = { prefix = "test-" } }
    tag = "v2"

Every fault is one BadConfig in one line: the file, the table, the value and what to write. Then nothing of the file is
used.
"""

import ipaddress
import os
import re
import stat
from collections.abc import Callable, Mapping
from typing import Any

from gossipreg.durations import parse_duration
from gossipreg.errors import BadConfig, cannot_start
from gossipreg.gateway.xds.model import TAKEN_NAMES
from gossipreg.gateway.xds.resources.policy import (
    HASHING,
    LISTEN_HOST,
    LISTEN_PORT,
    RETRY_ON,
    Balancing,
    ClusterLimits,
    HeaderCondition,
    HeaderRoute,
    Matching,
    MirrorPolicy,
    OutlierPolicy,
    RetryPolicy,
    ServicePolicy,
    XdsPolicy,
)
from gossipreg.model import MAX_NAME_BYTES, MAX_TAG_BYTES, fold_name

FILE_MAX_BYTES = 1024 * 1024
"""Some 5,000 services with all settings."""
ROUTES_MAX = 64
TAGS_MAX = 64
"""Of one split. Each tag is a cluster of its own in every client."""
SHARE_MAX = 1_000_000
COUNT_MAX = 2**32 - 1
"""Counts are 32 bits wide in xDS."""
ATTEMPTS_MAX = 100
PERCENT_MIN = 0.0001
"""A millionth: clients count no smaller share."""
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_BROADCAST = ipaddress.ip_address("255.255.255.255")
_OF_ONE = ("split", "route", "mirror")
"""Settings that make no sense for all services."""

Reader = Callable[[str, Any], Any]
"""`reader(where, value)` raises BadConfig."""


def read_policy(path: str) -> XdsPolicy:
    """Raises BadConfig, and CannotStart if the file cannot be read."""
    where = f"--xds-policy {path}"
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadConfig(f"{where}: not a regular file")
        with open(path, "rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (None, error)
        raise cannot_start(f"{where}: {why}", number) from None
    return read_policy_untrusted(data, where)


def read_policy_untrusted(data: bytes, where: str) -> XdsPolicy:
    """`where` begins each message. Raises BadConfig only."""
    import tomllib  # not for a sidecar without such a file

    if len(data) > FILE_MAX_BYTES:
        raise BadConfig(f"{where}: more than {FILE_MAX_BYTES} bytes")
    try:
        found = tomllib.loads(data.decode("utf-8-sig"))  # editors on Windows put a mark first
    except UnicodeDecodeError as error:
        raise BadConfig(f"{where}: not UTF-8 at byte {error.start}") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise BadConfig(f"{where}: not TOML: {' '.join(str(error).split())[:200]}") from None
    top = _fields(f"{where}:", found, {"listen": _table, "default": _table, "service": _table})
    listen = _fields(f"{where}: [listen]", top.get("listen", {}), {"address": _address, "port": _count(1, 65_535)})
    default = _settings(f"{where}: [default]", top.get("default", {}), {})
    for name in _OF_ONE:
        if name in default:
            raise BadConfig(f"{where}: [default] {name} is of one service: write it under [service.NAME]")
    services = _services(where, top.get("service", {}), default)
    if not any(_hashes_by(default.get("hash_header", ""), one) for one in (_policy(default), *services.values())):
        _refuse_unused_header(f"{where}: [default]", default)
    return XdsPolicy(
        listen.get("address", LISTEN_HOST), listen.get("port", LISTEN_PORT), _policy(default), services
    )  # fmt: skip


def _services(where: str, tables: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, ServicePolicy]:
    services: dict[str, ServicePolicy] = {}
    for name, table in tables.items():
        at = f"{where}: [service.{_key(name)}]"
        if not 0 < len(name.encode()) <= MAX_NAME_BYTES or "/" in name or " " in name or not name.isprintable():
            raise BadConfig(f"{at} is no name of a service")
        if fold_name(name) in services:
            raise BadConfig(f"{at} is there twice, since names are compared in any case: make one table of them")
        settings = _settings(at, _table(at, table), default)
        services[fold_name(name)] = policy = _policy(settings)
        if "hash_header" in table and policy.lb not in HASHING:
            _refuse_unused_header(at, settings)
    return services


def _hashes_by(header: str, policy: ServicePolicy) -> bool:
    return policy.lb in HASHING and policy.hash_header == header


def _refuse_unused_header(where: str, settings: Mapping[str, Any]) -> None:
    """A header by which nobody chooses: who wrote it believes that calls of one user go to one instance."""
    if "hash_header" in settings:
        lb, choices = settings.get("lb", Balancing.ROUND_ROBIN), " or ".join(f'"{one}"' for one in HASHING)
        raise BadConfig(f'{where} hash_header has no effect with lb = "{lb}": write lb = {choices}, or leave it out')


def _settings(where: str, table: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    return {**default, **_fields(where, table, _SETTINGS)}


def _policy(settings: Mapping[str, Any]) -> ServicePolicy:
    names = {"timeout": "timeout_s", "route": "routes", "tls": "tls_required"}
    return ServicePolicy(**{names.get(name, name): value for name, value in settings.items()})


# -- readers -----------------------------------------------------------------------------------------------------------


def _fields(where: str, table: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The keys of this table, each read by its reader. An unknown key is a fault."""
    for name in table:
        if name not in readers:
            raise BadConfig(f"{where.removesuffix(':')}: {name[:80]!r} is unknown: choose from {', '.join(readers)}")
    return {name: reader(f"{where} {name}", table[name]) for name, reader in readers.items() if name in table}


def _key(name: str) -> str:
    """A key of the file for people, in one line."""
    return name[:80] if name.isprintable() else repr(name[:80])


def _bad(where: str, value: Any, write: str) -> BadConfig:
    return BadConfig(f"{where} is {value!r:.80}: write {write}")


def _table(where: str, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _bad(where, value, "a table")
    return value


def _filled(where: str, value: Any, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """A table with at least one key: an empty one would say nothing."""
    if not _table(where, value):
        raise BadConfig(f"{where} is empty: choose from {', '.join(readers)}")
    return _fields(where, value, readers)


def _count(least: int, most: int) -> Reader:
    def read(where: str, value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise _bad(where, value, f"a whole number from {least} to {most}")
        return value

    return read


def _duration(where: str, value: Any) -> float:
    try:
        seconds = parse_duration(str(value)) if type(value) in (str, int, float) else 0.0
    except ValueError as error:
        raise BadConfig(f"{where}: {error}") from None
    if seconds < 0.001:
        raise _bad(where, value, 'a time of at least 1ms, such as "250ms" or "5s"')
    return seconds


def _percent(where: str, value: Any) -> float:
    if type(value) not in (int, float) or not PERCENT_MIN <= value <= 100:
        raise _bad(where, value, f"a number from {PERCENT_MIN} to 100")
    return float(value)


def _text(where: str, value: Any, most_bytes: int) -> str:
    if type(value) is not str or not 0 < len(value.encode()) <= most_bytes or not value.isprintable():
        raise _bad(where, value, f"text of 1 to {most_bytes} bytes")
    return value


def _tag(where: str, value: Any) -> str:
    """A tag becomes part of the name of a cluster. C-core puts that into JSON as it is, and fails all calls to the
    service if this breaks it."""
    tag = _text(where, value, MAX_TAG_BYTES)
    if '"' in tag or "\\" in tag:
        raise _bad(where, value, 'a tag without " and \\, with which gRPC clients on C-core fail every call')
    return tag


def _name(where: str, value: Any) -> str:
    return fold_name(_text(where, value, MAX_NAME_BYTES + MAX_TAG_BYTES))


def _address(where: str, value: Any) -> str:
    try:
        found = ipaddress.ip_address(value if type(value) is str and "%" not in value else "")
    except ValueError:
        raise _bad(where, value, 'an IP address such as "127.0.0.1"') from None
    if found.is_multicast or found == _BROADCAST or (found.version == 6 and found.is_link_local):
        raise _bad(where, value, 'an address where Envoy can listen, such as "127.0.0.1"')
    return str(found)


def _one_of(choices: type[Balancing]) -> Reader:
    def read(where: str, value: Any) -> Balancing:
        if type(value) is not str or value not in list(choices):
            raise _bad(where, value, f"one of {', '.join(choices)}")
        return choices(value)

    return read


def _header(where: str, value: Any) -> str:
    name = value.lower() if type(value) is str else ""
    if not _HEADER.fullmatch(name) or name.endswith("-bin"):
        raise _bad(where, value, "the name of a header; one in -bin cannot be compared")
    return name


def _retry_on(where: str, value: Any) -> tuple[str, ...]:
    if type(value) is not list or not value or any(one not in RETRY_ON for one in value):
        raise _bad(where, value, f"a list of {', '.join(RETRY_ON)}")
    return tuple(dict.fromkeys(value))


def _retries(where: str, value: Any) -> RetryPolicy:
    readers = {"attempts": _count(1, ATTEMPTS_MAX), "on": _retry_on, "per_try_timeout": _duration}
    found = _filled(where, value, readers)
    limit = found.pop("per_try_timeout", None)
    return RetryPolicy(**found, per_try_timeout_s=limit)


def _limits(where: str, value: Any) -> ClusterLimits:
    return ClusterLimits(**_filled(where, value, dict.fromkeys(ClusterLimits.__slots__, _count(1, COUNT_MAX))))


def _outlier(where: str, value: Any) -> OutlierPolicy:
    found = _filled(where, value, {
        "consecutive_5xx": _count(1, COUNT_MAX), "failure_percentage": _count(1, 100),
        "minimum_hosts": _count(1, COUNT_MAX), "request_volume": _count(1, COUNT_MAX), "interval": _duration,
        "ejection_time": _duration, "max_ejection_percent": _count(1, 100),
    })  # fmt: skip
    if not found.keys() & {"consecutive_5xx", "failure_percentage"}:
        raise BadConfig(f"{where} says not what an outlier is: give it consecutive_5xx or failure_percentage")
    if found.keys() & {"minimum_hosts", "request_volume"} and "failure_percentage" not in found:
        raise BadConfig(f"{where}: minimum_hosts and request_volume are about failure_percentage, which is not set")
    seconds = {f"{name}_s": found.pop(name) for name in ("interval", "ejection_time") if name in found}
    return OutlierPolicy(**found, **seconds)


def _split(where: str, value: Any) -> tuple[tuple[str, int], ...]:
    shares = _table(where, value)
    if len(shares) > TAGS_MAX:
        raise BadConfig(f"{where} has {len(shares)} tags: write at most {TAGS_MAX}")
    read_share = _count(0, SHARE_MAX)
    found = [(_tag(where, tag), read_share(f"{where}.{_key(tag)}", share)) for tag, share in shares.items()]
    if len({fold_name(tag) for tag, _ in found}) < len(found):
        raise BadConfig(f"{where} has a tag twice, since tags are compared in any case: write it once")
    if not any(share for _, share in found):
        raise _bad(where, value, "a share above 0 for at least one tag, such as { v1 = 90, v2 = 10 }")
    return tuple((tag, share) for tag, share in found if share)


def _mirror(where: str, value: Any) -> MirrorPolicy:
    found = _filled(where, value, {"to": _name, "percent": _percent})
    if "to" not in found:
        raise BadConfig(f"{where} says not where to: add to = NAME")
    if meaning := TAKEN_NAMES.get(found["to"]):
        raise BadConfig(f"{where} to is {found['to']!r}: to Envoy this name means {meaning}; write another name")
    return MirrorPolicy(**found)


def _tls(where: str, value: Any) -> bool:
    if value != "require":
        raise _bad(where, value, '"require", or leave it out')
    return True


def _routes(where: str, value: Any) -> tuple[HeaderRoute, ...]:
    if type(value) is not list or not 0 < len(value) <= ROUTES_MAX:
        raise _bad(where, value, f"1 to {ROUTES_MAX} tables [[service.NAME.route]]")
    routes = []
    for number, table in enumerate(value, 1):
        at = f"{where} {number}"
        found = _fields(at, _table(at, table), {"headers": _conditions, "tag": _tag})
        if len(found) < 2:
            raise BadConfig(f"{at} needs both headers and tag")
        routes.append(HeaderRoute(**found))
    return tuple(routes)


def _conditions(where: str, value: Any) -> tuple[HeaderCondition, ...]:
    if not 0 < len(_table(where, value)) <= ROUTES_MAX:
        raise _bad(where, value, f'1 to {ROUTES_MAX} headers, such as {{ x-canary = "yes" }}')
    return tuple(_condition(f"{where}.{_key(name)}", name, wanted) for name, wanted in value.items())


def _condition(where: str, name: str, wanted: Any) -> HeaderCondition:
    table = {"exact": wanted} if type(wanted) is str else wanted
    if type(table) is not dict or len(table) != 1 or next(iter(table)) not in list(Matching):
        raise _bad(where, wanted, f"a text, or a table with one of {', '.join(Matching)}")
    (how, text), header = next(iter(table.items())), _header(where, name)
    if how == Matching.PRESENT:
        if text is not True:
            raise _bad(f"{where}.present", text, "true")
        return HeaderCondition(header, Matching.PRESENT)
    return HeaderCondition(header, Matching(how), _text(where, text, MAX_TAG_BYTES))


_SETTINGS: Mapping[str, Reader] = {
    "timeout": _duration, "retries": _retries, "limits": _limits, "outlier": _outlier, "lb": _one_of(Balancing),
    "hash_header": _header, "split": _split, "route": _routes, "mirror": _mirror,
    "tls": _tls,
}  # fmt: skip
