"""The protobufs of mutual TLS: secrets, what a cluster and a listener do with them, and the inbound side of an Envoy.

TLS 1.3 alone, since both ends are Envoys. Sessions are not resumed: a resumed one would not look at the certificate
again, nor at the CAs that are trusted now.
"""

from datetime import timedelta
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as manager_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2
from envoy.type.matcher.v3 import string_pb2
from google.protobuf import wrappers_pb2

from gossipreg.gateway.xds.model import MESH_CA
from gossipreg.gateway.xds.resources.clusters import as_the_caller_speaks, without_limits
from gossipreg.gateway.xds.resources.grpc_resources import router_filter
from gossipreg.gateway.xds.resources.mesh_ca import Leaf
from gossipreg.gateway.xds.resources.mesh_inbound import Inbound
from gossipreg.gateway.xds.resources.proto_values import PLAIN, by_ads, duration, packed

HANDSHAKE_S = 10
"""Within this time a caller must have shown its certificate."""
TLS = "envoy.transport_sockets.tls"
RAW = "envoy.transport_sockets.raw_buffer"
MANAGER = "envoy.filters.network.http_connection_manager"
V3 = common_pb2.TlsParameters.TlsProtocol.TLSv1_3


def certificate_secret(name: str, leaf: Leaf) -> bytes:
    return _bytes(secret_pb2.Secret(
        name=name,
        tls_certificate=common_pb2.TlsCertificate(
            certificate_chain=base_pb2.DataSource(inline_bytes=leaf.certificate),
            private_key=base_pb2.DataSource(inline_bytes=leaf.key),
        ),
    ))  # fmt: skip


def ca_secret(certificates: bytes) -> bytes:
    trusted = common_pb2.CertificateValidationContext(trusted_ca=base_pb2.DataSource(inline_bytes=certificates))
    return _bytes(secret_pb2.Secret(name=MESH_CA, validation_context=trusted))


def add_upstream_tls(cluster: Any, own_id: str, target_id: str, *, plain_too: bool) -> None:
    """Let a Cluster call endpoints as `own_id`, and only those that are `target_id`; with `plain_too` those that are
    marked so without TLS."""
    context = tls_pb2.UpstreamTlsContext(
        common_tls_context=_common(own_id, string_pb2.StringMatcher(exact=target_id)),
        max_session_keys=wrappers_pb2.UInt32Value(value=0),
    )
    cluster.transport_socket.CopyFrom(base_pb2.TransportSocket(name=TLS, typed_config=packed(context)))
    if plain_too:
        match = cluster.transport_socket_matches.add(name="plain")
        match.match.update({PLAIN: True})
        match.transport_socket.CopyFrom(
            base_pb2.TransportSocket(name=RAW, typed_config=packed(raw_buffer_pb2.RawBuffer()))
        )


def inbound_listener(inbound: Inbound, own_id: str, callers_prefix: str, life: timedelta) -> bytes:
    """The listener at which an Envoy takes calls for the instance behind it, from callers whose SPIFFE id begins so. It
    tells the instance the caller's id in `x-forwarded-client-cert`, and takes that header from nobody."""
    route = route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix="/"),
        route=route_components_pb2.RouteAction(cluster=inbound.name, timeout=duration(0)),
    )
    host = route_components_pb2.VirtualHost(name=inbound.name, domains=["*"], routes=[route])
    forwarded = manager_pb2.HttpConnectionManager.ForwardClientCertDetails.SANITIZE_SET
    manager = manager_pb2.HttpConnectionManager(
        stat_prefix="gossipreg-inbound",
        route_config=route_pb2.RouteConfiguration(name=inbound.name, virtual_hosts=[host]),
        http_filters=[router_filter()],
        stream_idle_timeout=duration(0),
        common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
            max_connection_duration=duration(life.total_seconds() / 2)
        ),
        http1_safe_max_connection_duration=True,
        forward_client_cert_details=forwarded,
        set_current_client_cert_details=manager_pb2.HttpConnectionManager.SetCurrentClientCertDetails(uri=True),
    )
    manager.upgrade_configs.add(upgrade_type="websocket")
    context = tls_pb2.DownstreamTlsContext(
        common_tls_context=_common(own_id, string_pb2.StringMatcher(prefix=callers_prefix)),
        require_client_certificate=wrappers_pb2.BoolValue(value=True),
        disable_stateless_session_resumption=True,
        disable_stateful_session_resumption=True,
    )
    chain = listener_components_pb2.FilterChain(
        filters=[listener_components_pb2.Filter(name=MANAGER, typed_config=packed(manager))],
        transport_socket=base_pb2.TransportSocket(name=TLS, typed_config=packed(context)),
        transport_socket_connect_timeout=duration(HANDSHAKE_S),
    )
    return _bytes(listener_pb2.Listener(
        name=inbound.name, address=_address(inbound.host, inbound.port), filter_chains=[chain],
        enable_reuse_port=wrappers_pb2.BoolValue(value=False),
    ))  # fmt: skip


def inbound_cluster(inbound: Inbound) -> bytes:
    """The instance behind an inbound listener."""
    found = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=_address(inbound.app_host, inbound.app_port))
    )
    cluster = cluster_pb2.Cluster(
        name=inbound.name, type=cluster_pb2.Cluster.DiscoveryType.STATIC,
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=inbound.name, endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[found])]
        ),
    )  # fmt: skip
    without_limits(cluster)
    as_the_caller_speaks(cluster)
    return _bytes(cluster)


def _common(own_id: str, other: Any) -> Any:
    """Show the certificate of `own_id`, and trust what the CAs of the mesh have signed for a matching SPIFFE id."""
    by_uri = common_pb2.SubjectAltNameMatcher(san_type=common_pb2.SubjectAltNameMatcher.SanType.URI, matcher=other)
    combined = tls_pb2.CommonTlsContext.CombinedCertificateValidationContext(
        default_validation_context=common_pb2.CertificateValidationContext(match_typed_subject_alt_names=[by_uri]),
        validation_context_sds_secret_config=secret_pb2.SdsSecretConfig(name=MESH_CA, sds_config=by_ads()),
    )
    return tls_pb2.CommonTlsContext(
        tls_params=common_pb2.TlsParameters(tls_minimum_protocol_version=V3, tls_maximum_protocol_version=V3),
        tls_certificate_sds_secret_configs=[secret_pb2.SdsSecretConfig(name=own_id, sds_config=by_ads())],
        combined_validation_context=combined,
    )


def _address(host: str, port: int) -> Any:
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port))


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
