"""Clients that behave as real ones were seen to, made of nothing but the protobufs.

Each has a queue of requests that the server has not received yet. It fails the test if it loses a resource, or gets
what it has.
"""

from collections import Counter
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

from gossipreg.gateway.xds.model import ResourceType
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, WILD

POISON = 99
"""Content that a client refuses."""


def name_and_version(any: Any) -> tuple[str, str]:
    """What `MadeSource` put into an Any."""
    name, content, _zone = any.value.decode().split(" ")
    return name, f"{name}={content}"


def is_poisoned(version: str) -> bool:
    return version.endswith(f"={POISON}")


class MadeClient:
    """What state of the world and delta have in common."""

    def __init__(self, agent: str, zone: str = "") -> None:
        self.agent = agent
        self.zone = zone
        self.wants: dict[ResourceType, set[str]] = {}
        self.has: dict[ResourceType, dict[str, str]] = {}
        self.nonces: dict[ResourceType, str] = {}
        self.accepted: dict[ResourceType, str] = {}
        self.asks: dict[ResourceType, Counter[str]] = {}
        """How often each name was asked for without a response so far."""
        self.cold: set[str] = set()
        """Clusters of Envoy that are new or changed and wait for their endpoints. Until they have them, Envoy does not
        answer the response of clusters."""
        self._held: tuple[str, str] | None = None
        """The nonce and error of that answer."""
        self.under_way = 0
        """How many responses a request crosses: each may have what is asked for, and does not answer it."""
        self.requests: list[bytes] = []
        self.responses = 0
        self._is_new = True

    @property
    def is_envoy(self) -> bool:
        return self.agent == "envoy"

    def node(self, request: Any) -> Any:
        if self._is_new or self.is_envoy:
            request.node.id = "client-1"
            request.node.user_agent_name = self.agent
            request.node.locality.zone = self.zone
        self._is_new = False
        return request

    def take_in(self, type: ResourceType, resources: list[tuple[str, str]], *, crossed: bool = False) -> bool:
        """Returns whether all were accepted. Fails if nothing among them is new, or asked for. `crossed`: something
        came with them that this client has dropped meanwhile."""
        asks = self.asks.setdefault(type, Counter())
        has = self.has.setdefault(type, {})
        fresh = [name for name, version in resources if has.get(name) != version or asks[name]]
        if type in WILD and isinstance(self, SotwClient):
            assert fresh or crossed or not resources, f"a response of {type} without anything new: {resources}"
        else:
            assert len(fresh) == len(resources), f"twice: {resources}, had {has}"
        for name, _ in resources:
            asks[name] = max(0, asks[name] - 1)
        if type is ENDPOINTS:
            self.cold -= {name for name, _ in resources}  # also if Envoy refuses them
        good = not any(is_poisoned(version) for _, version in resources)
        if self.is_envoy and not good:  # it takes none of them, and may get each by itself
            asks.update([name for name, _ in resources])
            if type is CLUSTER:  # those that it takes later need their endpoints again
                self.asks.setdefault(ENDPOINTS, Counter()).update(self.wants.get(ENDPOINTS, ()))
            return False
        before = dict(has)
        has.update({name: version for name, version in resources if not is_poisoned(version)})
        if type is CLUSTER and self.is_envoy:
            for name, version in has.items():
                if before.get(name) != version:
                    self.cold.add(name)
                    self.asks.setdefault(ENDPOINTS, Counter())[name] += 1  # it comes again, and must
        return good

    def answer(self, type: ResourceType, nonce: str, error: str) -> None:
        if type is CLUSTER:
            self._held = nonce, error
        else:
            self.acknowledge(type, nonce, error)
        if self._held is not None and not self.cold:
            nonce, error = self._held
            self._held = None
            self.acknowledge(CLUSTER, nonce, error)

    def acknowledge(self, type: ResourceType, nonce: str, error: str) -> None:
        raise NotImplementedError

    def ask(self, type: ResourceType, names: set[str]) -> None:
        """Have these names, and no others."""
        raise NotImplementedError

    def receive(self, message: bytes) -> None:
        """Take a response, and answer it."""
        raise NotImplementedError

    def reconnect(self) -> None:
        """Ask anew on a new stream for what is wanted."""
        raise NotImplementedError


class SotwClient(MadeClient):
    def ask(self, type: ResourceType, names: set[str]) -> None:
        old = self.wants.get(type, set())
        for name in names - old:
            self.asks.setdefault(type, Counter())[name] += 1 + self.under_way
        for name in old - names:
            self.has.get(type, {}).pop(name, None)
        self.wants[type] = set(names)
        self.send(type)

    def send(self, type: ResourceType, error: str = "") -> None:
        request = DiscoveryRequest(
            type_url=type.value,
            resource_names=sorted(self.wants[type]),
            version_info=self.accepted.get(type, ""),
            response_nonce=self.nonces.get(type, ""),
        )
        if error:
            request.error_detail.code = 3
            request.error_detail.message = error
        self.requests.append(self.node(request).SerializeToString())

    def reconnect(self) -> None:
        self.requests.clear()
        self._held = None
        self.nonces.clear()
        self._is_new = True
        for type, names in self.wants.items():
            self.asks[type] = Counter(names | set(self.has.get(type, ())))
            if type is ENDPOINTS and self.is_envoy:  # and again after its clusters, which may have changed meanwhile
                self.asks[type].update(names)
            self.send(type)

    def receive(self, message: bytes) -> None:
        self.responses += 1
        response = DiscoveryResponse.FromString(message)
        type = ResourceType(response.type_url)
        assert type in self.wants, "a type that nobody asked for"
        assert response.nonce
        assert response.version_info
        resources = [name_and_version(one) for one in response.resources]
        wanted = [one for one in resources if one[0] in self.wants[type] or self._takes_all(type)]
        if type in WILD:
            came = {name for name, _ in resources}
            lost = {name for name in self.has.get(type, {}) if name not in came}
            assert not lost & (lost if self._takes_all(type) else self.wants[type]), f"lost {lost}"
        good = self.take_in(type, wanted, crossed=len(wanted) < len(resources))
        if good:
            self.accepted[type] = response.version_info
        self.nonces[type] = response.nonce
        self.answer(type, response.nonce, "" if good else "poisoned")

    def acknowledge(self, type: ResourceType, nonce: str, error: str) -> None:
        assert nonce == self.nonces[type]
        self.send(type, error)

    def _takes_all(self, type: ResourceType) -> bool:
        return self.is_envoy and type in WILD


class DeltaClient(MadeClient):
    def ask(self, type: ResourceType, names: set[str]) -> None:
        first = type not in self.wants
        old = self.wants.get(type, set())
        for name in names - old:
            self.asks.setdefault(type, Counter())[name] += 1 + self.under_way
        for name in old - names:
            self.has.get(type, {}).pop(name, None)
        self.wants[type] = set(names)
        if first or names != old:
            self._send(type, subscribe=names - old, unsubscribe=old - names)

    def ask_again(self, type: ResourceType, name: str) -> None:
        """Drop a name and ask for it in one request, as Envoy does if a cluster returns."""
        self.asks.setdefault(type, Counter())[name] += 1 + self.under_way
        self._send(type, subscribe={name}, unsubscribe={name})

    def _send(
        self, type: ResourceType, *, subscribe: set[str] = frozenset(), unsubscribe: set[str] = frozenset(),  # type: ignore[assignment]
        has: dict[str, str] | None = None, nonce: str = "", error: str = "",
    ) -> None:  # fmt: skip
        request = DeltaDiscoveryRequest(
            type_url=type.value,
            resource_names_subscribe=sorted(subscribe),
            resource_names_unsubscribe=sorted(unsubscribe),
            initial_resource_versions=has or {},
            response_nonce=nonce,
        )
        if error:
            request.error_detail.message = error
        self.requests.append(self.node(request).SerializeToString())

    def reconnect(self) -> None:
        self.requests.clear()
        self._held = None
        self._is_new = True
        for type, names in self.wants.items():
            has = self.has.get(type, {})
            missing = names - has.keys()
            self.asks[type] = Counter(names if type is ENDPOINTS else missing)
            self._send(type, subscribe=names, has=has)

    def receive(self, message: bytes) -> None:
        self.responses += 1
        response = DeltaDiscoveryResponse.FromString(message)
        type = ResourceType(response.type_url)
        assert type in self.wants, "a type that nobody asked for"
        for one in response.resources:
            assert name_and_version(one.resource) == (one.name, one.version)
        wild = type in WILD and self.is_envoy
        resources = [(one.name, one.version) for one in response.resources if wild or one.name in self.wants[type]]
        good = self.take_in(type, resources)
        for name in response.removed_resources:
            assert name not in self.wants[type], "removed while it was asked for"
            self.has.get(type, {}).pop(name, None)
        self.answer(type, response.nonce, "" if good else "poisoned")

    def acknowledge(self, type: ResourceType, nonce: str, error: str) -> None:
        self._send(type, nonce=nonce, error=error)


__all__ = ["CLUSTER", "ENDPOINTS", "LISTENER", "POISON", "DeltaClient", "MadeClient", "SotwClient"]
