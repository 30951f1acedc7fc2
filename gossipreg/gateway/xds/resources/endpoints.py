"""Which endpoints a name has, and how they are grouped for each kind of client. Pure.

An endpoint is one address and port: instances that share both are one. Only what may get traffic is an endpoint at all,
since clients differ in what they do with one that is marked: the instances that a lookup returns (passing, of a living
member), with an IP address and a port. An instance of weight 0 gets no traffic unless all have weight 0 (`weights.py`).

gRPC clients balance by round robin inside a locality and by weight between localities; they ignore weights of
endpoints. Therefore each zone has one locality for each weight, and that locality weighs as much as its endpoints do
together. The client's own zone has priority 0, all others 1. For a ring hash, which does use weights of endpoints, a
zone is one locality. Envoy gets zones as localities, endpoints with their weights, and balances between zones itself.

gRPC clients refuse the whole assignment if it has an address twice, a locality twice in one priority, a gap between
priorities, a weight of 0, or weights that sum up to more than 32 bits.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gossipreg.gateway.xds.resources.names_asked import Reading
from gossipreg.model import CatalogInstance, fold_name

WEIGHTS_MAX = 2**31
"""The largest sum of weights in one assignment. Clients refuse 2**32; the rest is room for weights rounded up to 1."""
_V4_MAPPED = b"\0" * 10 + b"\xff\xff"


class Endpoint(NamedTuple):
    """In the order in which they are sent."""

    packed: bytes
    """The address, 4 or 16 bytes."""
    port: int
    zone: str
    weight: int
    plain: bool = False
    """Marked as one that takes no TLS, for an Envoy with mutual TLS."""

    @property
    def host(self) -> str:
        return socket.inet_ntop(socket.AF_INET if len(self.packed) == 4 else socket.AF_INET6, self.packed)


class EndpointPort(NamedTuple):
    """Where an instance is called at its address."""

    port: int
    plain: bool = False


class Endpoints(NamedTuple):
    """What a name has now."""

    found: tuple[Endpoint, ...] = ()
    unusable: tuple[CatalogInstance, ...] = ()
    """Instances that are left out because they have no port, or a host name, which no xDS client accepts."""

    @property
    def zones(self) -> frozenset[str]:
        return frozenset(one.zone for one in self.found)


class Locality(NamedTuple):
    """Endpoints that clients treat alike."""

    priority: int
    zone: str
    sub_zone: str
    weight: int
    """0: none is sent."""
    endpoints: tuple[Endpoint, ...]
    weighted: bool
    """Whether the weights of the endpoints are sent."""


def packed_literal(host: str) -> bytes | None:
    """4 or 16 bytes; None for a host name, and for an address that means something on one host only (`fe80::1%eth0`).
    An IPv4 address has one form, also where it is written as IPv6."""
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):  # ValueError: a NUL byte
        return None
    return packed[12:] if len(packed) == 16 and packed.startswith(_V4_MAPPED) else packed


def has_tag(instance: CatalogInstance, tag: str) -> bool:
    """Whether it has this folded tag, in any case."""
    return any(fold_name(one) == tag for one in instance.service.tags)


def own_port(instance: CatalogInstance) -> EndpointPort:
    """The port that it was registered with."""
    return EndpointPort(instance.service.port)


def endpoints_of(
    passing: Iterable[CatalogInstance], reading: Reading,
    port_of: Callable[[CatalogInstance], EndpointPort | None] = own_port,
) -> Endpoints:  # fmt: skip
    """The endpoints among the passing instances of a service. The order of the instances does not matter. `port_of`
    says where an instance is called; None: nowhere."""
    best: dict[tuple[bytes, int], Endpoint] = {}
    unusable: list[CatalogInstance] = []
    for instance in passing:
        service = instance.service
        if reading.port is not None and service.port != reading.port:
            continue
        if reading.tag is not None and not has_tag(instance, reading.tag):
            continue
        packed = packed_literal(service.address)
        if packed is None or not service.port:
            unusable.append(instance)
            continue
        where = port_of(instance)
        if where is None:
            continue
        one = Endpoint(packed, where.port, instance.zone, service.weight, where.plain)
        before = best.get(one[:2])
        if before is None or (one.plain, -one.weight, one.zone) < (before.plain, -before.weight, before.zone):
            best[one[:2]] = one
    heavy = [one for one in best.values() if one.weight > 0]
    return Endpoints(tuple(sorted(heavy or (one._replace(weight=1) for one in best.values()))), tuple(unusable))


def by_weight_classes(found: Iterable[Endpoint], own_zone: str) -> list[Locality]:
    """For gRPC clients with round robin: a locality for each zone and weight. `own_zone` empty: all zones are alike."""
    groups: dict[tuple[int, str, int], list[Endpoint]] = {}
    priorities = _priorities(found := tuple(found), own_zone)
    for one in found:
        groups.setdefault((priorities[one.zone], one.zone, one.weight), []).append(one)
    total = sum(one.weight for one in found)
    return [
        Locality(
            priority, zone, "" if weight == 1 else f"weight-{weight}", _scaled(weight * len(group), total),
            tuple(group), weighted=False,
        )
        for (priority, zone, weight), group in sorted(groups.items())
    ]  # fmt: skip


def by_zones(found: Iterable[Endpoint], own_zone: str) -> list[Locality]:
    """For gRPC clients with a ring hash: a locality of weight 1 for each zone, and weights of endpoints."""
    found = tuple(found)
    priorities = _priorities(found, own_zone)
    return [
        Locality(priority, zone, "", 1, group, weighted=True)
        for priority, zone, group in sorted((priorities[zone], zone, group) for zone, group in _zones(found).items())
    ]


def for_envoy(found: Iterable[Endpoint]) -> list[Locality]:
    """A locality for each zone, all of one priority: Envoy keeps calls in its own zone as far as the others do not get
    too much by that."""
    return [Locality(0, zone, "", 0, group, weighted=True) for zone, group in sorted(_zones(tuple(found)).items())]


def _zones(found: tuple[Endpoint, ...]) -> dict[str, tuple[Endpoint, ...]]:
    """The endpoints of each zone, with weights that do not sum up to too much."""
    total = sum(one.weight for one in found)
    groups: dict[str, list[Endpoint]] = {}
    for one in found:
        small = one if total <= WEIGHTS_MAX else one._replace(weight=_scaled(one.weight, total))
        groups.setdefault(one.zone, []).append(small)
    return {zone: tuple(group) for zone, group in groups.items()}


def _priorities(found: Iterable[Endpoint], own_zone: str) -> Mapping[str, int]:
    """The priority of each zone, without gaps."""
    zones = {one.zone for one in found}
    preferred = own_zone != "" and own_zone in zones
    return {zone: int(preferred and zone != own_zone) for zone in zones}


def _scaled(weight: int, total: int) -> int:
    """This share of `total` as a share of WEIGHTS_MAX, where `total` is more than that; at least 1."""
    return weight if total <= WEIGHTS_MAX else max(1, weight * WEIGHTS_MAX // total)
