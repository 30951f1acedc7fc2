"""An instance of a service, as programs see it: decoded once from the sidecar's JSON shape, then shared by all threads.

Never knows: where it came from, or how one of several is chosen. The shape is in `docs/local-socket.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NamedTuple

NO_META: Mapping[str, str] = MappingProxyType({})


class InstanceKey(NamedTuple):
    """What names an instance in the cluster. An id is unique only on its member."""

    node: str
    id: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One registered instance. It never changes: a later snapshot has another object for the same key."""

    id: str
    service: str
    """The name as its member writes it. Names are compared in lower case."""
    node: str
    """The member's id: 32 hexadecimal digits."""
    node_name: str
    address: str
    """A host name or an IP address, as it was registered."""
    port: int
    """0: the service has no port."""
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=lambda: NO_META)
    weight: int = 1
    health: str = "passing"
    """`passing`, `warning`, `critical` or `maintenance`."""
    zone: str = ""
    stale: bool = False
    """True: this is what was known last. The sidecar is away or isolated, or it has just restarted."""
    version: tuple[int, int] = (0, 0)
    """(generation, counter) of its last change; the larger is the newer."""
    reason: str = ""
    """Why it is in maintenance, if somebody said so."""

    @property
    def key(self) -> InstanceKey:
        return InstanceKey(self.node, self.id)

    @property
    def hostport(self) -> str:
        """`address:port` for a URL, with an IPv6 address in brackets; the address alone if there is no port."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}" if self.port else host

    def __hash__(self) -> int:
        return hash((self.node, self.id, self.version))

    def __reduce__(self) -> tuple[Any, ...]:  # a read-only mapping has no pickled form of its own
        return _unpickled, tuple(dict(self.meta) if one.name == "meta" else getattr(self, one.name) for one in _FIELDS)

    def __str__(self) -> str:
        return f"{self.service} at {self.hostport} on {self.node_name}"


_FIELDS = fields(Instance)


def _unpickled(*values: Any) -> Instance:
    named = dict(zip((one.name for one in _FIELDS), values, strict=True))
    return Instance(**named | {"meta": MappingProxyType(named["meta"])})


def instance_untrusted(shape: dict[str, Any]) -> Instance:
    """The instance of this JSON shape. Fields that this release does not know are ignored. Raises ValueError: the
    program on the socket is at fault."""
    match shape:
        case {
            "id": str(id),
            "service": str(service),
            "node": str(node),
            "node_name": str(node_name),
            "address": str(address),
            "port": int(port),
            "tags": [*tags],
            "meta": dict(meta),
            "weight": int(weight),
            "health": str(health),
            "zone": str(zone),
            "stale": bool(stale),
            "version": [str(generation), int(counter)],
        } if all(type(text) is str for text in (*tags, *meta, *meta.values())):
            return Instance(
                id, service, node, node_name, address, port, tuple(tags), MappingProxyType(meta), weight, health, zone,
                stale, (int(generation), counter), str(shape.get("reason") or ""),
            )  # fmt: skip
    raise ValueError(f"not an instance: {str(shape)[:200]}")
