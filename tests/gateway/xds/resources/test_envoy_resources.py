"""What Envoy gets, read back with the protos."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.gateway.xds.model import Audience, ClientKind, ResourceType
from gossipreg.gateway.xds.resources import envoy_resources
from gossipreg.gateway.xds.resources.envoy_resources import ENVOY_LISTENER, hosts_of
from gossipreg.gateway.xds.resources.names_asked import suffixes_of
from gossipreg.gateway.xds.resources.policy import ServicePolicy
from gossipreg.gateway.xds.resources.routes import routes_of
from tests.gateway.xds.known_registry import ENVOY, GO, JS, PY, KnownRegistry, instance, policy_of
from tests.gateway.xds.read_back import manager_of, message_of, refused
from tests.gateway.xds.resources.test_grpc_resources import EVERYTHING

CLUSTER, ENDPOINTS = ResourceType.CLUSTER, ResourceType.ENDPOINTS
LISTENER, ROUTE = ResourceType.LISTENER, ResourceType.ROUTE
ANY_ENVOY = Audience(ENVOY, "")


def hosts(registry: KnownRegistry) -> dict[str, list[str]]:
    configuration = message_of(registry.ask(ROUTE, ENVOY_LISTENER, ENVOY))
    assert configuration.ignore_port_in_host_matching
    return {host.name: list(host.domains) for host in configuration.virtual_hosts}


def test_the_listener_stands_where_the_policy_says() -> None:
    for policy, place in (("", ("127.0.0.1", 10_000)), ('[listen]\naddress = "::1"\nport = 81', ("::1", 81))):
        resource = KnownRegistry(policy=policy).ask(LISTENER, ENVOY_LISTENER, ENVOY)
        address = message_of(resource).address.socket_address
        assert (address.address, address.port_value) == place
        assert manager_of(message_of(resource), ENVOY).rds.route_config_name == ENVOY_LISTENER
        manager = manager_of(message_of(resource), ENVOY)
        assert manager.HasField("stream_idle_timeout")
        assert manager.stream_idle_timeout.ToMilliseconds() == 0
        assert refused(resource, ENVOY) == []


def test_each_service_is_routed_by_host() -> None:
    registry = KnownRegistry([instance("Web"), instance("a.b", id="x")])
    assert hosts(registry) == {
        "a.b": ["a.b", "a.b.service", "a.b.service.consul"],
        "web": ["web", "web.service", "web.service.consul"],
    }


def test_a_service_whose_name_another_would_have_wins() -> None:
    registry = KnownRegistry([instance(), instance("web.service", id="x")])
    assert hosts(registry)["web"] == ["web", "web.service.consul"]
    assert refused(registry.ask(ROUTE, ENVOY_LISTENER, ENVOY), ENVOY) == []


def test_a_name_that_no_host_can_have_is_a_cluster_without_routes() -> None:
    registry = KnownRegistry([instance("*"), instance("a:1", id="x"), instance("ä", id="y")])
    assert hosts(registry) == {}
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("a:1", "ä")


@given(
    st.sets(st.text("ab.*:", max_size=4) | st.sampled_from(["a.service", "a.service.consul", "service"]), max_size=8),
    st.sampled_from([None, "service", "b"]),
)
@example({"a", "a.service"}, "service")
def test_no_two_services_have_the_same_host(services: set[str], domain: str | None) -> None:
    found = hosts_of(services, suffixes_of(domain))
    taken = [host for domains in found.values() for host in domains]
    assert len(set(taken)) == len(taken)
    assert all(service in domains for service, domains in found.items())


def test_the_clusters_are_the_services_and_what_their_routes_name() -> None:
    registry = KnownRegistry([instance("Web"), instance("api", id="x")], EVERYTHING)
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("api", "web", "v2.web", "v1.web", "shadow")
    assert registry.source.wildcard(LISTENER, ANY_ENVOY) == (ENVOY_LISTENER,)
    assert registry.source.wildcard(ENDPOINTS, ANY_ENVOY) == ()
    for kind in (PY, JS, GO):
        assert registry.source.wildcard(CLUSTER, Audience(kind, "")) == ()


def test_a_name_that_was_there_stays_and_is_empty() -> None:
    registry = KnownRegistry([instance()])
    assert registry.endpoints("web", ENVOY) == ["10.0.0.1:80"]
    registry.take(instance())
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("web",)
    assert registry.endpoints("web", ENVOY) == []
    assert hosts(registry) == {"web": ["web", "web.service", "web.service.consul"]}


def test_a_dot_in_a_name_does_not_cut_envoys_figures() -> None:
    """Envoy 1.40 names the figures of a cluster `v2.web` `envoy_cluster_web_...`, of a cluster called `v2`."""
    registry = KnownRegistry([instance("web", tags=("v2",))])
    names = {name: message_of(registry.ask(CLUSTER, name, ENVOY)).alt_stat_name for name in ("web", "v2.web")}
    assert names == {"web": "", "v2.web": "v2_web"}


def test_a_cluster_has_all_that_the_policy_sets() -> None:
    cluster = message_of(KnownRegistry([instance()], EVERYTHING).ask(CLUSTER, "web", ENVOY))
    (limits,) = cluster.circuit_breakers.thresholds
    assert [limits.max_connections.value, limits.max_pending_requests.value] == [1, 2]
    assert [limits.max_requests.value, limits.max_retries.value] == [3, 4]
    assert cluster.outlier_detection.consecutive_5xx.value == 5
    assert cluster.lb_policy == cluster.MAGLEV
    assert cluster.common_lb_config.HasField("healthy_panic_threshold")
    assert cluster.common_lb_config.healthy_panic_threshold.value == 0


@pytest.mark.parametrize("lb", ["round_robin", "least_request", "random", "ring_hash", "maglev"])
def test_zones_are_balanced_where_envoy_can(lb: str) -> None:
    cluster = message_of(KnownRegistry([instance()], f'[default]\nlb = "{lb}"').ask(CLUSTER, "web", ENVOY))
    aware = cluster.common_lb_config.zone_aware_lb_config.min_cluster_size.value
    assert aware == (0 if lb in ("ring_hash", "maglev") else 1)


def test_routes_have_all_that_the_policy_sets_and_no_hidden_limit() -> None:
    registry = KnownRegistry([instance(), instance("api", id="x")], EVERYTHING)
    api, web = message_of(registry.ask(ROUTE, ENVOY_LISTENER, ENVOY)).virtual_hosts
    assert api.routes[0].route.HasField("timeout")
    assert api.routes[0].route.timeout.ToMilliseconds() == 0
    safe = "connect-failure,refused-stream,reset-before-request"
    assert api.routes[0].route.retry_policy.retry_on == safe  # what reached no server
    for route in web.routes:
        assert route.match.prefix == "/"
        assert route.route.timeout.ToMilliseconds() == 3000
        assert (route.route.retry_policy.retry_on, route.route.retry_policy.num_retries.value) == ("unavailable,5xx", 3)
        assert route.route.retry_policy.per_try_timeout.ToMilliseconds() == 1000
        assert [one.name for one in route.route.retry_policy.retry_host_predicate] == [
            "envoy.retry_host_predicates.previous_hosts"
        ]
        (mirror,) = route.route.request_mirror_policies
        assert (mirror.cluster, mirror.runtime_fraction.default_value.numerator) == ("shadow", 25_000)


def test_endpoints_have_their_zones_and_weights() -> None:
    found = [instance(zone="a", weight=2), instance(address="10.0.0.2", zone="b", weight=3)]
    for zone in ("", "a"):
        assignment = message_of(KnownRegistry(found).ask(ENDPOINTS, "web", ENVOY, zone))
        assert [
            (one.locality.zone, one.priority, one.lb_endpoints[0].load_balancing_weight.value)
            for one in assignment.endpoints
        ] == [("a", 0, 2), ("b", 0, 3)]


def test_a_new_service_makes_its_own_routes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = KnownRegistry([instance(f"s{number}", id=f"{number}") for number in range(50)])
    before = registry.ask(ROUTE, ENVOY_LISTENER, ENVOY)
    made: list[str] = []

    def noted(name: str, policy: ServicePolicy, kind: ClientKind, *, whole: bool) -> list[object]:
        made.append(name)
        return routes_of(name, policy, kind, whole=whole)

    monkeypatch.setattr(envoy_resources, "routes_of", noted)
    registry.put(instance("new", id="new"))
    after = registry.ask(ROUTE, ENVOY_LISTENER, ENVOY)
    assert made == ["new"]
    assert after.version != before.version
    assert len(hosts(registry)) == 51
    registry.put(instance("s7.service", id="longer"))  # it takes a host from s7
    registry.ask(ROUTE, ENVOY_LISTENER, ENVOY)
    assert made == ["new", "s7", "s7.service"]
    registry.source.take_policy(policy_of("[default]\ntimeout = 1"))
    assert refused(registry.ask(ROUTE, ENVOY_LISTENER, ENVOY), ENVOY) == []
    assert len(made) == 3 + 52
