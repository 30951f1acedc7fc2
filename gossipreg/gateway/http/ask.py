"""The query of a request: its flags, whether the nearest come first, and the time that it may wait.

Owns Consul's rules for `index`, `wait`, flags and durations. Accepted without effect, since every answer here is local
and as fresh as this sidecar is: `stale`, `consistent`, `cached`, `token`.
"""

import random
import re
from collections.abc import Callable

from gossipreg.gateway.http.indexes import MAX_INDEX
from gossipreg.gateway.http.shapes import ConsulNode
from gossipreg.net.http_message import HttpError, Request, bad_request, shown

WAIT_DEFAULT_S = 300.0
WAIT_MAX_S = 600.0
JITTER = 1 / 16
"""The share of the wait that is added at random, so that questions that began together do not end together."""

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
MAX_DURATION_S = 10 * 365 * 86_400.0


def one(request: Request, name: str) -> str | None:
    """The value of a field that may be given once."""
    values = request.query.get(name, [])
    if len(values) > 1:
        raise bad_request(f"{name} is given {len(values)} times")
    return values[0] if values else None


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """`?passing` alone says yes; with a value it is read as Go reads truth."""
    value = one(request, name)
    if value is None:
        return default
    if value in ("", "1", "t", "T", "TRUE", "true", "True"):
        return True
    if value in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise bad_request(f"{name} is {shown(value)}: give true or false")


def pretty(request: Request) -> bool:
    return flag(request, "pretty")


ALIASES = {"default": ("dc1",)}
"""A cluster with its default name goes by Consul's default name too, which is in many configurations."""


def check_datacenter(request: Request, cluster: str) -> None:
    asked = one(request, "dc")
    if asked and asked.lower() not in (cluster.lower(), *ALIASES.get(cluster, ())):
        raise HttpError(
            400, "no_datacenter", f"No path to datacenter {shown(asked)}: give {cluster!r} or nothing"
        )  # fmt: skip


def check_namespace(request: Request) -> None:
    for name in ("ns", "partition", "peer", "peer-name", "sg", "merge-central-config"):
        if one(request, name) not in (None, "", "default", "false"):
            raise bad_request(f"{name} is not here: there is one namespace, in one partition, without peers")


def near(request: Request, own_node: Callable[[], ConsulNode]) -> bool:
    asked = one(request, "near")
    if not asked:
        return False
    if asked not in ("_agent", (node := own_node()).name, node.uuid):
        raise bad_request(f"near is {shown(asked)}: give _agent, since distances between others are not known here")
    return True


def waited_index(request: Request) -> int | None:
    """The index to wait beyond; None where the answer is wanted at once."""
    text = one(request, "index")
    if text is None or text == "":
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise bad_request(f"index is {shown(text)}: give a number, as X-Consul-Index had it")
    index = int(text)
    return index if 0 < index <= MAX_INDEX else None


def wait_s(request: Request, rng: random.Random) -> float:
    text = one(request, "wait")
    wait = WAIT_DEFAULT_S if not text else duration_untrusted("wait", text)
    if wait <= 0:
        wait = WAIT_DEFAULT_S
    wait = min(wait, WAIT_MAX_S)
    return wait + wait * JITTER * rng.random()


def duration_untrusted(name: str, text: str) -> float:
    """Seconds, written as Go writes them: `1m30s`, `250ms`, `0`. Raises HttpError, 400."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    at, seconds = 0, 0.0
    while match := _PIECE.match(rest, at):
        seconds += float(match[1]) * _UNITS_S[match[2]]
        at = match.end()
    if rest == "0":
        return 0.0
    if at == 0 or at < len(rest) or len(text) > 64 or seconds > MAX_DURATION_S:
        raise bad_request(f"{name} is {shown(text)}: give a duration, 250ms, 10s, 5m or 1h30m")
    return sign * seconds
