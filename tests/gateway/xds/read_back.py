"""Resources read back with the protos, and the rules by which clients refuse them.

The rules are those that the clients were seen to apply: a client that refuses a resource keeps what it had, so that one
fault would cut it off from all that follows.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from google.protobuf import any_pb2

from gossipreg.gateway.xds.model import ClientKind, Resource, ResourceType

U32 = 2**32
_MESSAGES = {
    ResourceType.CLUSTER: cluster_pb2.Cluster,
    ResourceType.ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
    ResourceType.LISTENER: listener_pb2.Listener,
    ResourceType.ROUTE: route_pb2.RouteConfiguration,
}


def message_of(resource: Resource) -> Any:
    """The message in a resource."""
    wrapped = any_pb2.Any.FromString(resource.any)
    return _MESSAGES[ResourceType(wrapped.type_url)].FromString(wrapped.value)


def assignment(resource: Resource) -> Any:
    found = message_of(resource)
    assert isinstance(found, endpoint_pb2.ClusterLoadAssignment)
    return found


def manager_of(listener: Any, kind: ClientKind = ClientKind.GRPC) -> Any:
    """The HttpConnectionManager of a listener."""
    if kind is ClientKind.ENVOY:
        wrapped = listener.filter_chains[0].filters[0].typed_config
    else:
        wrapped = listener.api_listener.api_listener
    return http_connection_manager_pb2.HttpConnectionManager.FromString(wrapped.value)


def refused(resource: Resource, kind: ClientKind) -> list[str]:
    """Why a client of this kind would refuse the resource; empty if it takes it."""
    message = message_of(resource)
    match message:
        case cluster_pb2.Cluster():
            return list(_cluster_faults(message, kind))
        case endpoint_pb2.ClusterLoadAssignment():
            return list(_assignment_faults(message, resource.name))
        case listener_pb2.Listener():
            manager = manager_of(message, kind)
            faults = [] if message.name == resource.name else ["another name than was asked for"]
            if manager.http_filters[-1].name != "envoy.filters.http.router":
                faults.append("the router is not the last filter")
            return faults if kind is ClientKind.ENVOY else [*faults, *_route_faults(manager.route_config, kind)]
        case _:
            return list(_route_faults(message, kind))


def _assignment_faults(message: Any, name: str) -> Iterator[str]:
    if message.cluster_name != name:
        yield "another name than was asked for"
    addresses = Counter(
        (one.endpoint.address.socket_address.address, one.endpoint.address.socket_address.port_value)
        for group in message.endpoints
        for one in group.lb_endpoints
    )
    yield from (f"{address} is there twice" for address, times in addresses.items() if times > 1)
    yield from (f"port {port}" for _, port in addresses if not 0 < port < 65_536)
    localities = Counter(
        (one.priority, one.locality.region, one.locality.zone, one.locality.sub_zone) for one in message.endpoints
    )
    yield from (f"{locality} is there twice" for locality, times in localities.items() if times > 1)
    if any(one.health_status for group in message.endpoints for one in group.lb_endpoints):
        yield "an endpoint with a state of health: Envoy 1.40.0 takes no change between UNHEALTHY and DRAINING"
    if message.policy.drop_overloads:
        yield "drops, which Envoy 1.40.0 changes only when the hosts change"
    priorities = {one.priority for one in message.endpoints}
    if priorities != set(range(len(priorities))):
        yield f"a gap in the priorities {priorities}"
    for group in message.endpoints:
        if not group.HasField("locality") or not group.lb_endpoints:
            yield "no locality, or one without endpoints"
        if group.HasField("load_balancing_weight") and not group.load_balancing_weight.value:
            yield "a locality of weight 0"
        weights = [
            one.load_balancing_weight.value for one in group.lb_endpoints if one.HasField("load_balancing_weight")
        ]
        if 0 in weights or sum(weights) >= U32:
            yield "an endpoint of weight 0, or too much weight"
    for priority in priorities:
        if sum(one.load_balancing_weight.value for one in message.endpoints if one.priority == priority) >= U32:
            yield "localities of too much weight"


def _cluster_faults(message: Any, kind: ClientKind) -> Iterator[str]:
    if message.type != cluster_pb2.Cluster.EDS or not message.eds_cluster_config.eds_config.HasField("ads"):
        yield "endpoints that do not come by ADS"
    grpc = (cluster_pb2.Cluster.ROUND_ROBIN, cluster_pb2.Cluster.RING_HASH)
    if kind is not ClientKind.ENVOY and message.lb_policy not in grpc:
        yield "a way to balance that gRPC does not have"
    if message.HasField("load_balancing_policy"):
        yield "a policy in the newer form: grpc-js 1.14.1 refuses the sizes of its ring hash"
    if kind is ClientKind.GRPC_JS and message.HasField("outlier_detection"):
        yield "outlier detection for grpc-js"


def _route_faults(message: Any, kind: ClientKind) -> Iterator[str]:
    domains = Counter(domain.lower() for host in message.virtual_hosts for domain in host.domains)
    yield from (f"the domain {domain} is there twice" for domain, times in domains.items() if times > 1)
    names = Counter(host.name for host in message.virtual_hosts)
    yield from (f"the virtual host {name} is there twice" for name, times in names.items() if times > 1)
    for host in message.virtual_hosts:
        if not host.domains or not host.routes:
            yield "a virtual host without domains or routes"
        for route in host.routes:
            yield from _action_faults(route.route, kind)


def _action_faults(action: Any, kind: ClientKind) -> Iterator[str]:
    if action.WhichOneof("cluster_specifier") == "weighted_clusters":
        weights = [one.weight.value for one in action.weighted_clusters.clusters]
        if not 0 < sum(weights) < U32 or 0 in weights:
            yield "shares that sum up to nothing, or to too much"
    elif not action.cluster:
        yield "no cluster"
    if action.HasField("max_stream_duration") and kind in (ClientKind.GRPC_CORE, ClientKind.GRPC):
        yield "a limit of time for C-core"
    if action.HasField("retry_policy") and not action.retry_policy.num_retries.value:
        yield "a retry policy that does not retry"
