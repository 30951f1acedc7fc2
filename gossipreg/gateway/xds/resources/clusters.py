"""A Cluster with what an operator sets for it, as each kind of client has it: circuit breakers, outlier detection."""

from typing import Any

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2, outlier_detection_pb2
from envoy.config.core.v3 import protocol_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as options_pb2

from gossipreg.gateway.xds.model import ClientKind
from gossipreg.gateway.xds.resources.policy import Balancing, ClusterLimits, OutlierPolicy, ServicePolicy, honours
from gossipreg.gateway.xds.resources.proto_values import by_ads, duration, number, packed

UNLIMITED = 2**32 - 1
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
LB_POLICIES = {
    Balancing.ROUND_ROBIN: cluster_pb2.Cluster.LbPolicy.ROUND_ROBIN,
    Balancing.LEAST_REQUEST: cluster_pb2.Cluster.LbPolicy.LEAST_REQUEST,
    Balancing.RING_HASH: cluster_pb2.Cluster.LbPolicy.RING_HASH,
    Balancing.RANDOM: cluster_pb2.Cluster.LbPolicy.RANDOM,
    Balancing.MAGLEV: cluster_pb2.Cluster.LbPolicy.MAGLEV,
}


def cluster_of(name: str, policy: ServicePolicy, kind: ClientKind, lb: Balancing) -> Any:
    """A cluster whose endpoints come by ADS under its own name."""
    cluster = cluster_pb2.Cluster(
        name=name, type=cluster_pb2.Cluster.DiscoveryType.EDS, lb_policy=LB_POLICIES[lb],
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=by_ads()),
    )  # fmt: skip
    cluster.circuit_breakers.thresholds.append(_breakers(policy.limits or ClusterLimits(), kind))
    if policy.outlier is not None and (outlier := _outlier(policy.outlier, kind)) is not None:
        cluster.outlier_detection.CopyFrom(outlier)
    return cluster


def without_limits(cluster: Any) -> None:
    """Let Envoy have no limits for this Cluster."""
    cluster.circuit_breakers.thresholds.append(_breakers(ClusterLimits(), ClientKind.ENVOY))


def as_the_caller_speaks(cluster: Any) -> None:
    """Let Envoy pass on a caller that speaks HTTP/2, as gRPC does, in HTTP/2, and one that speaks HTTP/1.1 in
    HTTP/1.1."""
    as_caller = options_pb2.HttpProtocolOptions.UseDownstreamHttpConfig(
        http_protocol_options=protocol_pb2.Http1ProtocolOptions(),
        http2_protocol_options=protocol_pb2.Http2ProtocolOptions(),
    )
    options = options_pb2.HttpProtocolOptions(use_downstream_protocol_config=as_caller)
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(packed(options))


def _breakers(limits: ClusterLimits, kind: ClientKind) -> Any:
    """What is not set is set to no limit. Else each client has limits of its own: 1,024 calls at once, and for Envoy 3
    retries at once, so that of many calls that fail together few are sent again."""
    fields = {
        "max_connections": ("limits.connections", limits.connections),
        "max_pending_requests": ("limits.pending", limits.pending),
        "max_requests": ("limits.requests", limits.requests),
        "max_retries": ("limits.retries", limits.retries),
    }
    given = {
        field: number(UNLIMITED if value is None else value)
        for field, (setting, value) in fields.items()
        if honours(kind, setting)
    }
    return circuit_breaker_pb2.CircuitBreakers.Thresholds(**given)


def _outlier(outlier: OutlierPolicy, kind: ClientKind) -> Any:
    """None if this kind of client honours none of it. What is not set is switched off: a message without a word of it
    switches several ways of detection on."""
    by_5xx = outlier.consecutive_5xx if honours(kind, "outlier.consecutive_5xx") else None
    by_percentage = outlier.failure_percentage if honours(kind, "outlier.failure_percentage") else None
    if by_5xx is None and by_percentage is None:
        return None
    detection = outlier_detection_pb2.OutlierDetection(
        enforcing_consecutive_5xx=number(0 if by_5xx is None else 100), enforcing_success_rate=number(0),
        enforcing_failure_percentage=number(0 if by_percentage is None else 100),
    )  # fmt: skip
    for field, value in (
        ("consecutive_5xx", by_5xx),
        ("failure_percentage_threshold", by_percentage),
        ("failure_percentage_minimum_hosts", outlier.minimum_hosts),
        ("failure_percentage_request_volume", outlier.request_volume),
        ("max_ejection_percent", outlier.max_ejection_percent),
    ):
        if value is not None:
            getattr(detection, field).CopyFrom(number(value))
    for field, seconds in (("interval", outlier.interval_s), ("base_ejection_time", outlier.ejection_time_s)):
        if seconds is not None:
            getattr(detection, field).CopyFrom(duration(seconds))
    return detection
