"""What Envoy gets: one listener, its routes by Host, and a cluster with endpoints for each service.

A request with the host NAME, NAME.service or NAME.service.consul, with any port behind it and in any case, goes to the
service NAME. A service whose own name is one of these wins over what it would mean for another. A name that no host can
have is a cluster without a host. Endpoints come with their weights and zones, and Envoy balances by itself; it never
sends to an endpoint that it holds for unhealthy (panic threshold 0), since what it has are passing instances.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as manager_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf import wrappers_pb2

from gossipreg.gateway.xds.model import ClientKind
from gossipreg.gateway.xds.resources.clusters import as_the_caller_speaks, cluster_of
from gossipreg.gateway.xds.resources.endpoints import Endpoint, for_envoy
from gossipreg.gateway.xds.resources.grpc_resources import assignment_of, router_filter
from gossipreg.gateway.xds.resources.policy import Balancing, ServicePolicy, XdsPolicy
from gossipreg.gateway.xds.resources.proto_values import by_ads, duration, packed
from gossipreg.gateway.xds.resources.routes import routes_of, tag_cluster

ENVOY_LISTENER = "gossipreg"
"""The name of the listener, of its routes and of its statistics."""
_MANAGER = "envoy.filters.network.http_connection_manager"
_HOST_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_ZONE_AWARE = (Balancing.ROUND_ROBIN, Balancing.LEAST_REQUEST, Balancing.RANDOM)


def envoy_listener(policy: XdsPolicy, port: int | None = None, *, shared: bool = True) -> bytes:
    """At `port`, else where the policy says. Not `shared`: Envoy refuses it where another one listens already, and does
    not take a part of its calls."""
    manager = manager_pb2.HttpConnectionManager(
        stat_prefix=ENVOY_LISTENER, rds=manager_pb2.Rds(config_source=by_ads(), route_config_name=ENVOY_LISTENER),
        http_filters=[router_filter()],
        stream_idle_timeout=duration(0),  # its own default ends a stream that is silent for 5 minutes
    )  # fmt: skip
    manager.upgrade_configs.add(upgrade_type="websocket")
    address = address_pb2.SocketAddress(address=policy.listen_host, port_value=port or policy.listen_port)
    network = listener_components_pb2.Filter(name=_MANAGER, typed_config=packed(manager))
    chain = listener_components_pb2.FilterChain(filters=[network])
    listener = listener_pb2.Listener(
        name=ENVOY_LISTENER, address=address_pb2.Address(socket_address=address), filter_chains=[chain]
    )
    if not shared:
        listener.enable_reuse_port.CopyFrom(wrappers_pb2.BoolValue(value=False))
    return _bytes(listener)


class EnvoyRoutes:
    """The routes of the listener under one policy. A change of one service makes its routes alone again: with 2,000
    services all of them take 40 ms, in which the sidecar does nothing else."""

    def __init__(self, policy: XdsPolicy) -> None:
        self._policy = policy
        self._made: dict[str, tuple[tuple[str, ...], bytes]] = {}
        """By service: its hosts, and the field of its virtual host as it stands in the message."""

    def made(self, hosts: Mapping[str, tuple[str, ...]]) -> bytes:
        """The bytes of the RouteConfiguration. `hosts`: of each service, see `hosts_of`."""
        head = route_pb2.RouteConfiguration(name=ENVOY_LISTENER, ignore_port_in_host_matching=True)
        self._made = {service: self._virtual_host(service, domains) for service, domains in hosts.items()}
        return b"".join((_bytes(head), *(field for _, field in self._made.values())))  # fields may be in any order

    def _virtual_host(self, service: str, domains: tuple[str, ...]) -> tuple[tuple[str, ...], bytes]:
        made = self._made.get(service)
        if made is not None and made[0] == domains:
            return made
        routes = routes_of(service, self._policy.of(service), ClientKind.ENVOY, whole=True)
        host = route_components_pb2.VirtualHost(name=service, domains=domains, routes=routes)
        return domains, _bytes(route_pb2.RouteConfiguration(virtual_hosts=[host]))


def hosts_of(services: Iterable[str], suffixes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The hosts of each service that has any, in the order of the names. `services` are folded names. No host is there
    twice: Envoy would refuse all routes."""
    own = {service for service in services if service and _HOST_LETTERS.issuperset(service)}
    taken = set(own)
    found: dict[str, tuple[str, ...]] = {}
    for service in sorted(own):
        more = [host for suffix in sorted(suffixes) if (host := service + suffix) not in taken]
        taken.update(more)
        found[service] = (service, *more)
    return found


def service_clusters(service: str, policy: ServicePolicy) -> tuple[str, ...]:
    """The clusters that the routes of a service name. `service` is folded."""
    mirrored = () if policy.mirror is None else (policy.mirror.to,)
    return (service, *(tag_cluster(tag, service) for tag in policy.tags), *mirrored)


def envoy_cluster(name: str, policy: ServicePolicy, add_tls: Callable[[Any], None] = lambda _: None) -> bytes:
    """`add_tls` is for what mutual TLS adds to the Cluster."""
    cluster = cluster_of(name, policy, ClientKind.ENVOY, policy.lb)
    common = cluster.common_lb_config
    common.healthy_panic_threshold.CopyFrom(percent_pb2.Percent(value=0))
    if policy.lb in _ZONE_AWARE:
        # With its default of 6, Envoy ignores the zones of a smaller service.
        common.zone_aware_lb_config.min_cluster_size.CopyFrom(wrappers_pb2.UInt64Value(value=1))
    as_the_caller_speaks(cluster)
    add_tls(cluster)
    if "." in name:  # Envoy's figures for Prometheus take what comes behind a dot for the beginning of the metric
        cluster.alt_stat_name = name.replace(".", "_")
    return _bytes(cluster)


def envoy_endpoints(name: str, found: Iterable[Endpoint]) -> bytes:
    return assignment_of(name, for_envoy(found))


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
