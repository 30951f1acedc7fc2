"""What a gRPC client gets for `xds:///NAME`: a listener with its routes in it, clusters, and endpoints.

Every name has all of them, also where nobody serves it: the endpoints are empty then. So a call fails at once in place
of after 15 s (C-core) or never (grpc-js), and one that waits for the service is sent when it comes. A listener or
cluster that was sent is never taken away again, since grpc-js does not recover from that.
"""

from collections.abc import Iterable
from typing import Any

from envoy.config.core.v3 import address_pb2, base_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from gossipreg.gateway.xds.model import ClientKind
from gossipreg.gateway.xds.resources.clusters import cluster_of
from gossipreg.gateway.xds.resources.endpoints import Endpoint, Locality, by_weight_classes, by_zones
from gossipreg.gateway.xds.resources.policy import GRPC_BALANCING, Balancing, ServicePolicy
from gossipreg.gateway.xds.resources.proto_values import PLAIN, PLAIN_MATCH, number, packed
from gossipreg.gateway.xds.resources.routes import routes_of


def grpc_listener(name: str, target: str, policy: ServicePolicy, kind: ClientKind, *, whole: bool) -> bytes:
    """`name` as it was asked for, `target` the name of clusters; `whole` as for `routes_of`."""
    manager = http_connection_manager_pb2.HttpConnectionManager(
        route_config=_route_configuration(target, target, policy, kind, whole=whole),
        http_filters=[router_filter()],  # C-core demands it
    )
    listener = listener_pb2.Listener(name=name, api_listener=api_listener_pb2.ApiListener(api_listener=packed(manager)))
    return _bytes(listener)


def grpc_routes(name: str, target: str, policy: ServicePolicy, kind: ClientKind, *, whole: bool) -> bytes:
    return _bytes(_route_configuration(name, target, policy, kind, whole=whole))


def grpc_cluster(name: str, policy: ServicePolicy, kind: ClientKind) -> bytes:
    return _bytes(cluster_of(name, policy, kind, grpc_balancing(policy)))


def grpc_balancing(policy: ServicePolicy) -> Balancing:
    """What gRPC clients get: they refuse a cluster with another way than these."""
    return policy.lb if policy.lb in GRPC_BALANCING else Balancing.ROUND_ROBIN


def grpc_endpoints(name: str, found: Iterable[Endpoint], policy: ServicePolicy, own_zone: str) -> bytes:
    hashed = grpc_balancing(policy) is Balancing.RING_HASH
    return assignment_of(name, (by_zones if hashed else by_weight_classes)(found, own_zone))


def assignment_of(name: str, localities: Iterable[Locality]) -> bytes:
    """The bytes of a ClusterLoadAssignment."""
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for one in localities:
        group = assignment.endpoints.add(priority=one.priority)
        group.locality.CopyFrom(base_pb2.Locality(zone=one.zone, sub_zone=one.sub_zone))
        if one.weight:
            group.load_balancing_weight.CopyFrom(number(one.weight))
        group.lb_endpoints.extend(_endpoint(endpoint, one.weighted) for endpoint in one.endpoints)
    return _bytes(assignment)


def router_filter() -> Any:
    return http_connection_manager_pb2.HttpFilter(
        name="envoy.filters.http.router", typed_config=packed(router_pb2.Router())
    )


def _endpoint(endpoint: Endpoint, weighted: bool) -> Any:
    socket = address_pb2.SocketAddress(address=endpoint.host, port_value=endpoint.port)
    found = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=address_pb2.Address(socket_address=socket))
    )
    if weighted:
        found.load_balancing_weight.CopyFrom(number(endpoint.weight))
    if endpoint.plain:
        found.metadata.filter_metadata[PLAIN_MATCH].update({PLAIN: True})
    return found


def _route_configuration(name: str, target: str, policy: ServicePolicy, kind: ClientKind, *, whole: bool) -> Any:
    routes = routes_of(target, policy, kind, whole=whole)
    host = route_components_pb2.VirtualHost(name=name, domains=["*"], routes=routes)
    return route_pb2.RouteConfiguration(name=name, virtual_hosts=[host])


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
