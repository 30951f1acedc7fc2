"""One name that somebody is subscribed to: what it stands for now, and the resources that were made for it.

A resource that may have changed is made again when it is next asked for; if its bytes are the same, it stays the same
object. Endpoints are kept only for zones that have endpoints, so that clients cannot fill the memory with zones.
"""

from typing import NamedTuple

from gossipreg.gateway.xds.model import ClientKind, Resource, ResourceKey, ResourceType
from gossipreg.gateway.xds.resources.endpoints import Endpoints
from gossipreg.gateway.xds.resources.names_asked import Reading

ANY = "*"
"""No SPIFFE id has this."""


class Made(NamedTuple):
    """For whom a resource was made."""

    type: ResourceType
    kind: ClientKind
    zone: str
    of: str = ""
    """The service of the Envoy with mutual TLS that it was made for; of endpoints, which are the same for all of them,
    ANY."""


class AskedName:
    __slots__ = ("_fresh", "_made", "endpoints", "name", "reading", "readings", "types")

    def __init__(self, name: str, readings: tuple[Reading, ...]) -> None:
        self.name = name
        self.readings = readings
        self.reading: Reading | None = None
        """The one that is meant now; None: none of them exists."""
        self.types: dict[ResourceType, None] = {}
        """The types that were asked for."""
        self.endpoints: Endpoints | None = None
        """None: look again."""
        self._made: dict[Made, Resource] = {}
        self._fresh: set[Made] = set()

    def kept(self, made: Made) -> Resource | None:
        """The resource as it was made, if nothing has changed since then."""
        return self._made[made] if made in self._fresh else None

    def keep(self, made: Made, resource: Resource) -> Resource:
        """Keep what was made; return the one to give out, which is the former where nothing changed."""
        before = self._made.get(made)
        self._fresh.add(made)
        if before is not None and before.version == resource.version:
            return before
        self._made[made] = resource
        return resource

    def outdate(self, *types: ResourceType) -> frozenset[ResourceKey]:
        """Make resources of these types again when they are next asked for; return the keys of those that were."""
        for made in [made for made in self._fresh if made.type in types]:
            self._fresh.discard(made)
        if ResourceType.ENDPOINTS in types:
            self.endpoints = None
        return frozenset(ResourceKey(type, self.name) for type in types if type in self.types)

    def found(self, endpoints: Endpoints) -> Endpoints:
        """Take the endpoints as they are now, and drop what was made for zones that have none of them any more."""
        self.endpoints = endpoints
        zones = {"", *endpoints.zones}
        for made in [made for made in self._made if made.zone not in zones]:
            del self._made[made]
            self._fresh.discard(made)
        return endpoints

    def forget_of(self, service: str) -> None:
        """Forget what was made for the Envoys of this service."""
        for made in [made for made in self._made if made.of == service]:
            del self._made[made]
            self._fresh.discard(made)

    def forget(self, type: ResourceType) -> None:
        self.types.pop(type, None)
        self._made = {made: resource for made, resource in self._made.items() if made.type is not type}
        self._fresh = {made for made in self._fresh if made.type is not type}
