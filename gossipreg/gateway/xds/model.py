"""The values that the parts of the xDS gateway exchange. They know neither protobufs nor HTTP/2.

The parts meet here. A `ResourceSource` says what a name stands for; the streams say which client is subscribed to which
names, and send each what it does not have yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from gossipreg.callers import Caller

LOCAL_CLUSTER = "gossipreg-members"
"""The cluster whose endpoints are the living members by their zones: what Envoy's zone-aware balancing takes for the
distribution of the callers. A bootstrap for Envoy names it as `cluster_manager.local_cluster_name`."""
SIDECAR_CLUSTER = "gossipreg-xds"
"""The cluster by which an Envoy reaches this sidecar: its bootstrap has it."""
WILDCARD = "*"
"""In a request, all resources of a type."""
TAKEN_NAMES = {
    WILDCARD: "all names",
    LOCAL_CLUSTER: "the members",
    SIDECAR_CLUSTER: "the sidecar, whose control plane would be open to all callers of Envoy",
}
"""What these names mean to Envoy: a service of such a name is no cluster for it. An Envoy with a cluster `*` asks for
the endpoints of `*`, and then refuses those of all services."""

MESH_CA = "gossipreg-mesh-ca"
"""The secret with the CAs of the mesh. A certificate is a secret by its SPIFFE id."""
INBOUND = "Inbound "
"""What the names of the listeners begin with at which an Envoy takes mutual TLS, and of the clusters behind them. No
other cluster that Envoy gets has a capital letter in its name."""


class ResourceType(StrEnum):
    """The types that are served, by their type URLs. The order is the one in which a client must get them: a cluster
    before its endpoints and its secrets, and these before the routes that name it."""

    CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    """Only with mutual TLS, see `mesh_tls.py`."""
    LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
    ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


class ClientKind(StrEnum):
    """What a client is, since each honours another part of xDS. Read from the node's `user_agent_name`."""

    ENVOY = "envoy"
    GRPC_CORE = "grpc-core"
    """C-core: Python, C++, Ruby, PHP, Objective-C."""
    GRPC_JS = "grpc-js"
    GRPC = "grpc"
    """Any other gRPC client (Go, Java): it gets what all of them honour."""


class Audience(NamedTuple):
    """All that the bytes of a resource depend on beside its type and name. Streams with equal audiences share bytes."""

    kind: ClientKind
    zone: str
    """The zone that the client says it is in; empty if it says none."""
    service: str = ""
    """The service, in lower case, whose Envoy it says it is; empty if it says none. Not proven: see `mesh_tls.py`."""
    caller: Caller | None = None
    """The user at the other end, if the kernel names one: it came over a unix socket."""


class ResourceKey(NamedTuple):
    type: ResourceType
    name: str
    """As it was asked for: the client finds what it waits for by these very letters."""


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    name: str
    version: str
    """A digest of the bytes: equal content has an equal version, also in another sidecar and after a restart."""
    any: bytes
    """A serialised `google.protobuf.Any`: the type URL and the resource."""


class ResourceSource(Protocol):
    """What the names stand for, by the registry and the policy."""

    @property
    def known(self) -> bool:
        """Whether the registry is known at all. False: answer nothing, so that clients keep what they have."""

    def resource(self, key: ResourceKey, audience: Audience) -> Resource | None:
        """The resource with this name. There is always one while the registry is known: a name that nobody serves has
        an empty assignment. The same object is returned until the resource changes. None: this sidecar knows only a
        part of the registry so far, and none of it is under this name, or the client may not have it; send nothing for
        it until `follow` names it."""

    def why_not(self, key: ResourceKey, audience: Audience) -> str:
        """Why this client may not have this resource, for people; empty if it may."""

    def wildcard(self, type: ResourceType, audience: Audience) -> tuple[str, ...] | None:
        """The names that a client gets that asks for all of a type (Envoy: listeners and clusters). A name stays in it
        when its last instance goes. None: only a part of the names is known so far; send nothing for the wildcard,
        since a client drops what is not in the answer."""

    def forget(self, key: ResourceKey) -> None:
        """No stream is subscribed to this name any more: what is kept for it may go."""

    def follow(self, changed: Callable[[frozenset[ResourceKey]], None]) -> None:
        """Call this with the names whose resources may be otherwise now. A change of the wildcard's names, and of
        `known`, is the empty set: then ask again for whatever was None."""
