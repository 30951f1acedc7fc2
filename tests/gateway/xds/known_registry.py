"""A registry of instances for tests of the resources: what is put into it is announced as the sidecar announces it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import cast

from gossipreg.core.knowledge import Knowledge
from gossipreg.core.view import View
from gossipreg.gateway.xds.model import Audience, ClientKind, Resource, ResourceKey, ResourceType
from gossipreg.gateway.xds.resources.policy import XdsPolicy
from gossipreg.gateway.xds.resources.policy_file import read_policy_untrusted
from gossipreg.gateway.xds.resources.xds_resources import XdsResources
from gossipreg.model import (
    CatalogInstance,
    Change,
    ChangeKind,
    Health,
    NodeId,
    RegisteredService,
    fold_name,
)
from tests.gateway.beside import api_of

PY, JS, GO, ENVOY = ClientKind.GRPC_CORE, ClientKind.GRPC_JS, ClientKind.GRPC, ClientKind.ENVOY


def instance(
    name: str = "web", address: str = "10.0.0.1", port: int = 80, *, id: str = "", tags: tuple[str, ...] = (),
    weight: int = 1, zone: str = "", health: Health = Health.PASSING, node: int = 1,
) -> CatalogInstance:  # fmt: skip
    service = RegisteredService(id or f"{name}-{address}-{port}", name, address, port, tags, (), weight)
    return CatalogInstance(service, health, NodeId(node.to_bytes(16, "big")), f"node-{node}", zone, 1, 1)


class _Catalog:
    """The part of `core.table.catalog.Catalog` that the resources read."""

    def __init__(self) -> None:
        self.held: dict[tuple[NodeId, str], CatalogInstance] = {}

    def instances(self) -> Iterator[CatalogInstance]:
        yield from self.held.values()

    def lookup(self, name: str) -> tuple[CatalogInstance, ...]:
        found = (one for one in self.held.values() if fold_name(one.service.name) == fold_name(name))
        return tuple(one for one in found if one.health is Health.PASSING)


class _View:
    def __init__(self) -> None:
        self.catalog = _Catalog()
        self.knowledge = Knowledge.SYNCED

    def row_ids(self) -> list[NodeId]:
        return []


class KnownRegistry:
    def __init__(self, instances: Iterable[CatalogInstance] = (), policy: str = "", domain: str | None = None) -> None:
        self.view = _View()
        self.held = self.view.catalog.held
        for one in instances:
            self.held[one.node, one.service.id] = one
        self.notes: list[str] = []
        self.counts: Counter[str] = Counter()
        self.told: list[frozenset[ResourceKey]] = []
        self._domain = domain
        self.source = self.fresh(policy_of(policy))
        self.source.follow(self.told.append)

    def fresh(self, policy: XdsPolicy) -> XdsResources:
        """Resources made from the registry as it is now."""
        api = api_of(cast(View, self.view), bug=lambda _, error: self._bug(error))
        object.__setattr__(api, "note", self.notes.append)
        return XdsResources(api, policy, self.counts, domain=self._domain)

    @staticmethod
    def _bug(error: Exception) -> None:
        raise error

    def put(self, *instances: CatalogInstance) -> frozenset[ResourceKey]:
        """Add or update these; return the keys that were told."""
        changes = []
        for one in instances:
            key = one.node, one.service.id
            before = self.held.get(key)
            if before is not None and fold_name(before.service.name) != fold_name(one.service.name):
                changes.append(Change(ChangeKind.REMOVED, before))
                before = None
            self.held[key] = one
            changes.append(Change(ChangeKind.ADDED if before is None else ChangeKind.UPDATED, one))
        return self.announce(changes)

    def take(self, *instances: CatalogInstance) -> frozenset[ResourceKey]:
        for one in instances:
            del self.held[one.node, one.service.id]
        return self.announce([Change(ChangeKind.REMOVED, one) for one in instances])

    def know(self, knowledge: Knowledge) -> frozenset[ResourceKey]:
        self.view.knowledge = knowledge
        return self.announce([])

    def announce(self, changes: list[Change]) -> frozenset[ResourceKey]:
        self.told.clear()
        self.source.changed(tuple(changes))
        return frozenset(key for keys in self.told for key in keys)

    def ask(self, type: ResourceType, name: str = "web", kind: ClientKind = PY, zone: str = "") -> Resource:
        found = self.source.resource(ResourceKey(type, name), Audience(kind, zone))
        assert found is not None
        return found

    def endpoints(self, name: str = "web", kind: ClientKind = PY, zone: str = "") -> list[str]:
        """The addresses that a client gets, sorted."""
        from tests.gateway.xds.read_back import assignment

        return sorted(
            f"{one.endpoint.address.socket_address.address}:{one.endpoint.address.socket_address.port_value}"
            for group in assignment(self.ask(ResourceType.ENDPOINTS, name, kind, zone)).endpoints
            for one in group.lb_endpoints
        )


def policy_of(text: str) -> XdsPolicy:
    return read_policy_untrusted(text.encode(), "--xds-policy p.toml")
