"""The routes of a service: by header to a tag, the rest split by tags, each as its kind of client understands it.

The clusters of a split, and those that headers lead to, are TAG.NAME: names as clients may ask for them, too.
"""

from collections.abc import Iterator
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.type.matcher.v3 import string_pb2
from envoy.type.v3 import percent_pb2

from gossipreg.gateway.xds.model import ClientKind
from gossipreg.gateway.xds.resources.policy import (
    GRPC_RETRY_ON,
    NOT_SENT,
    HeaderCondition,
    Matching,
    MirrorPolicy,
    RetryPolicy,
    ServicePolicy,
    honours,
)
from gossipreg.gateway.xds.resources.proto_values import duration, number, packed

OTHER_HOST_TRIES = 5
"""How often Envoy chooses again when it has chosen an endpoint that has just failed the same call. Then it takes it."""
GRPC_ATTEMPTS_MAX = 4
"""More tries than a gRPC client makes after the first. C-core takes a larger number for an error in its log, with each
response, and makes as many."""
_OF_WHAT_WAS_NOT_SENT = RetryPolicy(on=NOT_SENT)
"""What Envoy gets where nothing is set: a call to an endpoint that has just ended is sent to another one. gRPC clients
do so by themselves."""
_OTHER_HOSTS = "envoy.retry_host_predicates.previous_hosts"
_MILLION = percent_pb2.FractionalPercent.DenominatorType.MILLION


def tag_cluster(tag: str, name: str) -> str:
    """The cluster of the instances of `name` that have this tag."""
    return f"{tag}.{name}"


def routes_of(name: str, policy: ServicePolicy, kind: ClientKind, *, whole: bool) -> list[Any]:
    """The routes of calls to `name`, first to last. `whole`: it stands for a service, not for the instances with a tag;
    only then there is something to split."""
    return [_route(condition, action, policy, kind) for condition, action in _ways(name, policy, whole)]


def _ways(
    name: str, policy: ServicePolicy, whole: bool
) -> Iterator[tuple[tuple[HeaderCondition, ...], dict[str, Any]]]:
    """Conditions, and where calls go that meet them."""
    if whole:
        for route in policy.routes:
            yield route.headers, {"cluster": tag_cluster(route.tag, name)}
    if not whole or not policy.split:
        yield (), {"cluster": name}
    elif len(policy.split) == 1:
        yield (), {"cluster": tag_cluster(policy.split[0][0], name)}
    else:
        shares = [
            route_pb2.WeightedCluster.ClusterWeight(name=tag_cluster(tag, name), weight=number(share))
            for tag, share in policy.split
        ]
        yield (), {"weighted_clusters": route_pb2.WeightedCluster(clusters=shares)}


def _route(
    conditions: tuple[HeaderCondition, ...], way: dict[str, Any], policy: ServicePolicy, kind: ClientKind
) -> Any:
    action = route_pb2.RouteAction(**way)
    if kind is ClientKind.ENVOY:  # its own default ends a stream after 15 s
        action.timeout.CopyFrom(duration(policy.timeout_s or 0.0))
    elif policy.timeout_s is not None and honours(kind, "timeout"):
        action.max_stream_duration.max_stream_duration.CopyFrom(duration(policy.timeout_s))
    wanted = policy.retries or (_OF_WHAT_WAS_NOT_SENT if kind is ClientKind.ENVOY else None)
    if wanted is not None and (retries := _retries(wanted, kind)) is not None:
        action.retry_policy.CopyFrom(retries)
    if policy.hash_header:
        by_header = route_pb2.RouteAction.HashPolicy.Header(header_name=policy.hash_header)
        action.hash_policy.add(header=by_header)
    if policy.mirror is not None and honours(kind, "mirror"):
        action.request_mirror_policies.append(_mirror(policy.mirror))
    prefix = "/" if kind is ClientKind.ENVOY else ""
    match = route_pb2.RouteMatch(prefix=prefix, headers=[_matcher(one) for one in conditions])
    return route_pb2.Route(match=match, route=action)


def _matcher(condition: HeaderCondition) -> Any:
    if condition.how is Matching.PRESENT:
        return route_pb2.HeaderMatcher(name=condition.header, present_match=True)
    text = string_pb2.StringMatcher(**{condition.how: condition.text})
    return route_pb2.HeaderMatcher(name=condition.header, string_match=text)


def _retries(retries: RetryPolicy, kind: ClientKind) -> Any:
    """None if this kind of client knows none of the faults."""
    words = [word for word in retries.on if kind is ClientKind.ENVOY or word in GRPC_RETRY_ON]
    if not words:
        return None
    attempts = retries.attempts if kind is ClientKind.ENVOY else min(retries.attempts, GRPC_ATTEMPTS_MAX)
    policy = route_pb2.RetryPolicy(retry_on=",".join(words), num_retries=number(attempts))
    if retries.per_try_timeout_s is not None and honours(kind, "retries.per_try_timeout"):
        policy.per_try_timeout.CopyFrom(duration(retries.per_try_timeout_s))
    if kind is ClientKind.ENVOY:  # gRPC clients choose another endpoint by themselves
        policy.retry_host_predicate.add(name=_OTHER_HOSTS, typed_config=packed(PreviousHostsPredicate()))
        policy.host_selection_retry_max_attempts = OTHER_HOST_TRIES
    return policy


def _mirror(mirror: MirrorPolicy) -> Any:
    share = percent_pb2.FractionalPercent(numerator=round(mirror.percent * 10_000), denominator=_MILLION)
    fraction = base_pb2.RuntimeFractionalPercent(default_value=share)
    return route_pb2.RouteAction.RequestMirrorPolicy(cluster=mirror.to, runtime_fraction=fraction)
