"""A source of resources whose content a test sets: what `xds.model.ResourceSource` promises, and nothing else."""

from collections.abc import Callable

from google.protobuf.any_pb2 import Any

from gossipreg.gateway.xds.model import Audience, ClientKind, Resource, ResourceKey, ResourceType

CLUSTER, ENDPOINTS, LISTENER, ROUTE = (
    *(ResourceType.CLUSTER, ResourceType.ENDPOINTS, ResourceType.LISTENER, ResourceType.ROUTE),
)
WILD = (CLUSTER, LISTENER)


def any_of(type: str, value: bytes) -> bytes:
    """A serialised Any."""
    made: bytes = Any(type_url=type, value=value).SerializeToString()
    return made


class MadeSource:
    """Each name has content 0 until it is set. Names that are `hidden` are not known yet."""

    def __init__(self, *, wild: tuple[str, ...] = ()) -> None:
        self.known = True
        self.content: dict[ResourceKey, int] = {}
        self.hidden: set[ResourceKey] = set()
        self.wild: dict[ResourceType, tuple[str, ...] | None] = dict.fromkeys(WILD, wild)
        self.forgotten: list[ResourceKey] = []
        self.asked = 0
        self._made: dict[tuple[ResourceKey, Audience], tuple[int, Resource]] = {}
        self._told: list[Callable[[frozenset[ResourceKey]], None]] = []

    def resource(self, key: ResourceKey, audience: Audience) -> Resource | None:
        self.asked += 1
        if key in self.hidden:
            return None
        content = self.content.get(key, 0)
        made = self._made.get((key, audience))
        if made is None or made[0] != content:
            value = f"{key.name} {content} {audience.zone}"
            resource = Resource(key.name, f"{key.name}={content}", any_of(key.type, value.encode()))
            made = self._made[key, audience] = content, resource
        return made[1]

    def wildcard(self, type: ResourceType, audience: Audience) -> tuple[str, ...] | None:
        return self.wild[type] if audience.kind is ClientKind.ENVOY else ()

    def why_not(self, key: ResourceKey, audience: Audience) -> str:
        return f"{key.name} is not for {audience.service}" if audience.service and key in self.hidden else ""

    def forget(self, key: ResourceKey) -> None:
        self.forgotten.append(key)

    def follow(self, changed: Callable[[frozenset[ResourceKey]], None]) -> None:
        self._told.append(changed)

    # -- for tests -----------------------------------------------------------------------------------------------------

    def tell(self, *keys: ResourceKey) -> None:
        for told in self._told:
            told(frozenset(keys))

    def set(self, type: ResourceType, name: str, content: int) -> None:
        key = ResourceKey(type, name)
        self.content[key] = content
        self.tell(key)

    def reveal(self, key: ResourceKey) -> None:
        self.hidden.discard(key)
        self.tell(key)

    def version(self, type: ResourceType, name: str) -> str:
        return f"{name}={self.content.get(ResourceKey(type, name), 0)}"
