"""What a gRPC client gets for a name, read back with the protos."""

import pytest

from gossipreg.gateway.xds.model import ClientKind, ResourceType
from gossipreg.model import Health
from tests.gateway.xds.known_registry import ENVOY, GO, JS, PY, KnownRegistry, instance
from tests.gateway.xds.read_back import manager_of, message_of, refused

CLUSTER, ENDPOINTS = ResourceType.CLUSTER, ResourceType.ENDPOINTS
LISTENER, ROUTE = ResourceType.LISTENER, ResourceType.ROUTE
EVERYTHING = """
[service.web]
timeout = "3s"
retries = { attempts = 3, on = ["unavailable", "5xx"], per_try_timeout = "1s" }
limits = { connections = 1, pending = 2, requests = 3, retries = 4 }
outlier = { consecutive_5xx = 5, failure_percentage = 50, minimum_hosts = 2, interval = "1.5s" }
lb = "maglev"
hash_header = "x-user"
split = { v1 = 90, v2 = 10 }
mirror = { to = "shadow", percent = 2.5 }
[[service.web.route]]
headers = { x-canary = "1", x-user = { prefix = "t-" }, x-any = { present = true } }
tag = "v2"
"""


def routes(registry: KnownRegistry, kind: ClientKind, name: str = "web") -> list[object]:
    configuration = manager_of(message_of(registry.ask(LISTENER, name, kind))).route_config
    return list(configuration.virtual_hosts[0].routes)


@pytest.mark.parametrize("kind", [PY, JS, GO, ENVOY])
@pytest.mark.parametrize(
    "name", ["web", "WEB.service.consul:80", "nobody", "xdstp://a/envoy.config.listener.v3.Listener/w"]
)
@pytest.mark.parametrize("policy", ["", EVERYTHING])
def test_every_name_has_all_resources_and_no_client_refuses_one(kind: ClientKind, name: str, policy: str) -> None:
    registry = KnownRegistry([instance()], policy)
    for type in (CLUSTER, ENDPOINTS, LISTENER, ROUTE):
        found = registry.ask(type, name, kind)
        assert found.name == name
        if (type, kind) != (LISTENER, ENVOY):
            assert refused(found, kind) == []


@pytest.mark.parametrize("kind", [PY, JS, GO])
def test_only_the_assignment_of_a_service_without_instances_changes(kind: ClientKind) -> None:
    """@grpc/grpc-js-xds 1.14.1 never uses a Listener or Cluster again that was left out once; grpcio 1.85.3 sends no
    call that waited for a Listener."""
    registry = KnownRegistry([instance()], EVERYTHING)
    before = {type: registry.ask(type, "web", kind).any for type in (LISTENER, ROUTE, CLUSTER)}
    full = registry.ask(ENDPOINTS, "web", kind).any
    registry.take(instance())
    assert {type: registry.ask(type, "web", kind).any for type in before} == before
    assert list(message_of(registry.ask(ENDPOINTS, "web", kind)).endpoints) == []
    registry.put(instance())
    assert registry.ask(ENDPOINTS, "web", kind).any == full


@pytest.mark.parametrize("kind", [PY, JS, ENVOY])
def test_a_ring_hash_has_the_form_that_every_client_takes(kind: ClientKind) -> None:
    """The newer form with a ring's size is refused by @grpc/grpc-js-xds 1.14.1."""
    found = KnownRegistry([instance()], '[service.web]\nlb = "ring_hash"').ask(CLUSTER, "web", kind)
    cluster = message_of(found)
    assert cluster.lb_policy == cluster.RING_HASH
    assert not cluster.HasField("load_balancing_policy")
    assert refused(found, kind) == []


def test_a_listener_has_its_route_in_it_and_names_the_cluster() -> None:
    for name in ("web", "v1.web", "WEB:80"):
        manager = manager_of(message_of(KnownRegistry([instance()]).ask(LISTENER, name)))
        assert [list(host.domains) for host in manager.route_config.virtual_hosts] == [["*"]]
        assert [(one.match.prefix, one.route.cluster) for one in manager.route_config.virtual_hosts[0].routes] == [
            ("", name)
        ]


def test_a_name_with_an_authority_leads_to_plain_names() -> None:
    name = "xdstp://east/envoy.config.listener.v3.Listener/web"
    listener = message_of(KnownRegistry([instance()]).ask(LISTENER, name))
    assert listener.name == name
    assert manager_of(listener).route_config.virtual_hosts[0].routes[0].route.cluster == "web"


def test_headers_and_shares_lead_to_the_clusters_of_tags() -> None:
    by_header, split = routes(KnownRegistry([instance()], EVERYTHING), PY)
    assert by_header.route.cluster == "v2.web"  # type: ignore[attr-defined]
    conditions = {one.name: one for one in by_header.match.headers}  # type: ignore[attr-defined]
    assert conditions["x-canary"].string_match.exact == "1"
    assert conditions["x-user"].string_match.prefix == "t-"
    assert conditions["x-any"].present_match
    shares = split.route.weighted_clusters.clusters  # type: ignore[attr-defined]
    assert [(one.name, one.weight.value) for one in shares] == [("v1.web", 90), ("v2.web", 10)]


def test_a_name_with_a_tag_is_not_split_again() -> None:
    (only,) = routes(KnownRegistry([instance(tags=("v1",))], EVERYTHING), PY, "v1.web")
    assert only.route.cluster == "v1.web"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "limit", "outlier", "stream_s"), [(PY, 3, 50, 0), (JS, 3, None, 3), (GO, 3, None, 0)])
def test_each_kind_of_client_gets_only_what_it_honours(
    kind: ClientKind, limit: int, outlier: int | None, stream_s: int
) -> None:
    registry = KnownRegistry([instance()], EVERYTHING)
    cluster = message_of(registry.ask(CLUSTER, "web", kind))
    thresholds = cluster.circuit_breakers.thresholds
    assert [one.max_requests.value for one in thresholds] == [limit]
    assert not any(one.HasField("max_connections") for one in thresholds)
    assert cluster.HasField("outlier_detection") == (outlier is not None)
    if outlier is not None:
        assert cluster.outlier_detection.failure_percentage_threshold.value == outlier
        assert cluster.outlier_detection.enforcing_failure_percentage.value == 100
        assert cluster.outlier_detection.HasField("enforcing_success_rate")
        assert cluster.outlier_detection.enforcing_success_rate.value == 0
        assert cluster.outlier_detection.max_ejection_percent.value == 50
        assert cluster.outlier_detection.interval.ToMilliseconds() == 1500
    for route in routes(registry, kind):
        action = route.route  # type: ignore[attr-defined]
        assert action.max_stream_duration.max_stream_duration.seconds == stream_s
        assert (action.retry_policy.retry_on, action.retry_policy.num_retries.value) == ("unavailable", 3)
        assert not action.retry_policy.HasField("per_try_timeout")
        assert list(action.retry_policy.retry_host_predicate) == []
        assert list(action.request_mirror_policies) == []
        assert [one.header.header_name for one in action.hash_policy] == ["x-user"]


@pytest.mark.parametrize("kind", [PY, JS, GO, ENVOY])
def test_no_client_has_a_hidden_limit(kind: ClientKind) -> None:
    cluster = message_of(KnownRegistry([instance()]).ask(CLUSTER, "web", kind))
    (limits,) = cluster.circuit_breakers.thresholds
    fields = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    found = {field: getattr(limits, field).value for field in fields if limits.HasField(field)}
    assert found == dict.fromkeys(fields if kind is ENVOY else ["max_requests"], 2**32 - 1)


def test_what_is_ignored_is_said_once_for_each_kind_of_client() -> None:
    registry = KnownRegistry([instance()], EVERYTHING)
    for _ in range(2):
        for kind in (JS, ENVOY):
            registry.ask(CLUSTER, "web", kind)
            registry.ask(LISTENER, "web", kind)
    assert len(registry.notes) == 1
    assert registry.notes[0].startswith("xds: clients of grpc-js do not use retries on other faults, ")
    assert registry.notes[0].endswith("lb = maglev, mirror of [service.web] in the policy")


@pytest.mark.parametrize(("given", "ms"), [("999.6ms", 1000), ("1.9999s", 2000), ("1.4ms", 1), ("10.0006s", 10_001)])
def test_a_time_is_rounded_to_one_that_clients_take(given: str, ms: int) -> None:
    registry = KnownRegistry([instance()], f'[default]\ntimeout = "{given}"')
    for kind in (JS, ENVOY):
        (host,) = message_of(registry.ask(ROUTE, "web", kind)).virtual_hosts
        action = host.routes[0].route
        time = action.timeout if kind is ENVOY else action.max_stream_duration.max_stream_duration
        assert (time.seconds, time.nanos) == (ms // 1000, ms % 1000 * 1_000_000)


def test_retries_without_a_code_of_grpc_are_not_sent() -> None:
    registry = KnownRegistry([instance()], '[service.web]\nretries = { on = ["5xx"] }')
    (route,) = routes(registry, JS)
    assert not route.route.HasField("retry_policy")  # type: ignore[attr-defined]


@pytest.mark.parametrize("zone", ["", "a", "b", "elsewhere"])
def test_a_ring_hash_gets_weights_of_endpoints_in_one_locality_a_zone(zone: str) -> None:
    policy = '[service.web]\nlb = "ring_hash"'
    found = [instance(weight=1), instance(address="10.0.0.2", weight=9), instance(address="10.0.0.3", zone="b")]
    registry = KnownRegistry(found, policy)
    assignment = message_of(registry.ask(ENDPOINTS, "web", PY, zone))
    by_zone = {
        one.locality.zone: [end.load_balancing_weight.value for end in one.lb_endpoints] for one in assignment.endpoints
    }
    assert by_zone == {"": [1, 9], "b": [1]}
    assert refused(registry.ask(ENDPOINTS, "web", PY, zone), PY) == []


def test_only_passing_instances_are_endpoints() -> None:
    healths = {f"10.0.0.{health}": health for health in Health}
    registry = KnownRegistry(
        [instance(address=host.replace("10.0.0.", "10.0.1."), health=health) for host, health in healths.items()]
    )
    assert registry.endpoints() == ["10.0.1.0:80"]


@pytest.mark.parametrize("kind", [PY, JS, GO])
def test_no_more_retries_are_sent_than_a_grpc_client_makes(kind: ClientKind) -> None:
    registry = KnownRegistry([instance()], "[service.web]\nretries = { attempts = 100 }")
    [host] = manager_of(message_of(registry.ask(LISTENER, kind=kind))).route_config.virtual_hosts
    assert host.routes[0].route.retry_policy.num_retries.value == 4
