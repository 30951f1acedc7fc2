"""What an operator sets for each service (`--xds-policy`), and which kind of client honours which setting.

Pure. `policy_file.py` reads it. A setting that a kind of client ignores, or that would break it, is not sent to it, and
the log says so; `HONOURED` was found by running the clients, and docs/mesh.md shows it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from gossipreg.gateway.xds.model import ClientKind
from gossipreg.model import fold_name

LISTEN_HOST, LISTEN_PORT = "127.0.0.1", 10_000
GRPC_RETRY_ON = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
"""Status codes of gRPC. Envoy reads them too, in the answers of gRPC servers."""
NOT_SENT = ("connect-failure", "refused-stream", "reset-before-request")
"""Faults after which no server has handled the call: it may be sent again whatever it does."""
ENVOY_RETRY_ON = ("5xx", "gateway-error", "reset", *NOT_SENT, "retriable-4xx")
RETRY_ON = (*ENVOY_RETRY_ON, *GRPC_RETRY_ON)


class Balancing(StrEnum):
    ROUND_ROBIN = "round_robin"
    LEAST_REQUEST = "least_request"
    RING_HASH = "ring_hash"
    RANDOM = "random"
    MAGLEV = "maglev"


HASHING = (Balancing.RING_HASH, Balancing.MAGLEV)
"""Those that choose by `hash_header`."""
GRPC_BALANCING = (Balancing.ROUND_ROBIN, Balancing.RING_HASH)
"""gRPC clients refuse a cluster with any other; they get round robin instead."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    attempts: int = 2
    """How many times a failed call is sent again. gRPC clients stop at 4."""
    on: tuple[str, ...] = (*NOT_SENT, "unavailable")
    """Words of RETRY_ON. With the default only what no server has handled is sent again, and what a server calls
    unavailable itself."""
    per_try_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterLimits:
    """Circuit breakers: what is beyond them fails at once. None: no limit."""

    connections: int | None = None
    pending: int | None = None
    requests: int | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class OutlierPolicy:
    """An endpoint that fails is left out for a while. None: the client's own default; without `consecutive_5xx` and
    `failure_percentage` that way of finding one is off."""

    consecutive_5xx: int | None = None
    failure_percentage: int | None = None
    """Of the calls in one interval."""
    minimum_hosts: int | None = None
    """`failure_percentage` ejects nobody where fewer endpoints than this have `request_volume` calls in an interval."""
    request_volume: int | None = None
    interval_s: float | None = None
    ejection_time_s: float | None = None
    max_ejection_percent: int = 50
    """The largest share of the endpoints that are left out at once. The clients' own default, 10, leaves out none of
    nine."""


@dataclass(frozen=True, slots=True)
class MirrorPolicy:
    to: str
    """A name as clients ask for it."""
    percent: float = 100.0


class Matching(StrEnum):
    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    CONTAINS = "contains"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    header: str
    """In lower case."""
    how: Matching
    text: str = ""


@dataclass(frozen=True, slots=True)
class HeaderRoute:
    headers: tuple[HeaderCondition, ...]
    """All must hold."""
    tag: str


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """The settings of one service. None and empty: not set."""

    timeout_s: float | None = None
    retries: RetryPolicy | None = None
    limits: ClusterLimits | None = None
    outlier: OutlierPolicy | None = None
    lb: Balancing = Balancing.ROUND_ROBIN
    hash_header: str = ""
    """The header by whose value a ring hash or maglev chooses. Empty: each call chooses at random."""
    split: tuple[tuple[str, int], ...] = ()
    """(tag, share) in the order of the file; a share is more than 0."""
    routes: tuple[HeaderRoute, ...] = ()
    """The first that matches wins; what none matches is split."""
    mirror: MirrorPolicy | None = None
    tls_required: bool = False
    """Calls go by mutual TLS or not at all."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that calls are sent to, each once."""
        return tuple(dict.fromkeys([*(one.tag for one in self.routes), *(tag for tag, _ in self.split)]))

    def settings(self) -> Iterator[str]:
        """The names of the settings that are set, as in HONOURED."""
        if self.timeout_s is not None:
            yield "timeout"
        if self.retries is not None:
            yield from _retry_settings(self.retries)
        for table, group, names in (
            ("limits", self.limits, ("connections", "pending", "requests", "retries")),
            ("outlier", self.outlier, ("consecutive_5xx", "failure_percentage")),
        ):
            yield from (f"{table}.{name}" for name in names if getattr(group, name, None) is not None)
        if self.lb is not Balancing.ROUND_ROBIN:
            yield f"lb = {self.lb}"
        for name in ("hash_header", "split", "routes", "mirror"):
            if getattr(self, name):
                yield name.removesuffix("s") if name == "routes" else name


def _retry_settings(retries: RetryPolicy) -> Iterator[str]:
    if any(word in GRPC_RETRY_ON for word in retries.on):
        yield "retries on gRPC codes"
    if any(word in ENVOY_RETRY_ON for word in retries.on):
        yield "retries on other faults"
    if retries.per_try_timeout_s is not None:
        yield "retries.per_try_timeout"


_ENVOY, _CORE, _JS, _GRPC = ClientKind.ENVOY, ClientKind.GRPC_CORE, ClientKind.GRPC_JS, ClientKind.GRPC
_ALL = frozenset(ClientKind)
HONOURED: Mapping[str, frozenset[ClientKind]] = MappingProxyType({
    "timeout": frozenset({_ENVOY, _JS}),
    "retries on gRPC codes": _ALL,
    "retries on other faults": frozenset({_ENVOY}),
    "retries.per_try_timeout": frozenset({_ENVOY}),
    "limits.connections": frozenset({_ENVOY}),
    "limits.pending": frozenset({_ENVOY}),
    "limits.requests": _ALL,
    "limits.retries": frozenset({_ENVOY}),
    "outlier.consecutive_5xx": frozenset({_ENVOY}),
    "outlier.failure_percentage": frozenset({_ENVOY, _CORE}),
    "lb = least_request": frozenset({_ENVOY}),
    "lb = ring_hash": _ALL,
    "lb = random": frozenset({_ENVOY}),
    "lb = maglev": frozenset({_ENVOY}),
    "hash_header": _ALL,
    "split": _ALL,
    "route": _ALL,
    "mirror": frozenset({_ENVOY}),
})  # fmt: skip
"""Which kinds of client honour a setting, by its name. C-core ends calls too early where it is told a limit of time
(1.2 to 2 s), and outlier detection may end the process of a client of grpc-js, so neither gets it. `grpc`, any other
client, gets what both of them honour."""


def honours(kind: ClientKind, setting: str) -> bool:
    return kind in HONOURED[setting]


def ignored_by(policy: ServicePolicy, kind: ClientKind) -> tuple[str, ...]:
    """The settings that are set and that this kind of client does not honour."""
    return tuple(setting for setting in policy.settings() if kind not in HONOURED[setting])


@dataclass(frozen=True, slots=True)
class XdsPolicy:
    """The whole file. Without a file all is as in the defaults."""

    listen_host: str = LISTEN_HOST
    listen_port: int = LISTEN_PORT
    default: ServicePolicy = ServicePolicy()
    services: Mapping[str, ServicePolicy] = field(default_factory=dict)
    """By folded name; what a service does not set itself is as in `default`."""

    def of(self, service: str) -> ServicePolicy:
        """The settings of a service, by its name in any case."""
        return self.services.get(fold_name(service), self.default)

    def section(self, service: str) -> str:
        """The table of the file where they stand, for people."""
        name = fold_name(service)
        return f"[service.{name}]" if name in self.services else "[default]"
