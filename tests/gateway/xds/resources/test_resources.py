"""The resources follow the registry and the policy, and tell of a change whom it concerns."""

from collections.abc import Iterable
from typing import Any

import pytest

from gossipreg.core.knowledge import Knowledge
from gossipreg.gateway.xds.model import LOCAL_CLUSTER, Audience, Resource, ResourceKey, ResourceType
from gossipreg.gateway.xds.resources import shown_names
from gossipreg.gateway.xds.resources import xds_resources as resources
from gossipreg.gateway.xds.resources.endpoints import Endpoint, Endpoints, endpoints_of
from gossipreg.gateway.xds.resources.envoy_resources import ENVOY_LISTENER
from gossipreg.gateway.xds.resources.names_asked import Reading
from gossipreg.model import CatalogInstance, Health
from tests.gateway.xds.known_registry import ENVOY, JS, PY, KnownRegistry, instance, policy_of
from tests.gateway.xds.read_back import manager_of, message_of

CLUSTER, ENDPOINTS = ResourceType.CLUSTER, ResourceType.ENDPOINTS
LISTENER, ROUTE = ResourceType.LISTENER, ResourceType.ROUTE
ALL = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
ANY_ENVOY = Audience(ENVOY, "")


def ask_all(registry: KnownRegistry, *names: str) -> dict[tuple[ResourceType, str], Resource]:
    return {(type, name): registry.ask(type, name) for name in names for type in ALL}


def test_a_change_is_told_to_the_names_that_it_concerns() -> None:
    registry = KnownRegistry([instance(), instance("api", id="a")])
    before = ask_all(registry, "web", "WEB:80", "v1.web.service", "api")
    keys = registry.put(instance(address="10.0.0.9", id="new"))
    assert {key.name for key in keys} == {"web", "WEB:80", "v1.web.service"}
    assert {key.type for key in keys} == {ENDPOINTS}
    after = ask_all(registry, "web", "WEB:80", "v1.web.service", "api")
    changed = {key for key in before if before[key] is not after[key]}
    assert changed == {(ENDPOINTS, "web"), (ENDPOINTS, "WEB:80")}


def test_the_same_object_stays_until_its_bytes_change() -> None:
    registry = KnownRegistry([instance()])
    one = registry.ask(ENDPOINTS)
    assert registry.put(instance(health=Health.CRITICAL, address="10.0.0.2")) == {ResourceKey(ENDPOINTS, "web")}
    assert registry.ask(ENDPOINTS) is one
    registry.put(instance(address="10.0.0.2"))
    two = registry.ask(ENDPOINTS)
    assert two is not one
    assert two.version != one.version
    assert registry.ask(ENDPOINTS) is two


def test_a_service_with_a_longer_name_takes_over_and_gives_back() -> None:
    registry = KnownRegistry([instance(tags=("v1",), address="10.0.0.1")], "[service.web]\nretries = { attempts = 1 }")
    tagged = ask_all(registry, "v1.web")
    assert registry.endpoints("v1.web") == ["10.0.0.1:80"]
    longer = instance("v1.web", "10.0.0.2", id="longer")
    assert registry.put(longer) == {ResourceKey(type, "v1.web") for type in ALL}
    assert registry.endpoints("v1.web") == ["10.0.0.2:80"]
    assert registry.ask(LISTENER, "v1.web").version != tagged[LISTENER, "v1.web"].version
    registry.take(longer)
    assert {key: one.version for key, one in ask_all(registry, "v1.web").items()} == {
        key: one.version for key, one in tagged.items()
    }


def test_a_name_keeps_its_policy_while_nobody_serves_it() -> None:
    registry = KnownRegistry([instance()], "[service.web]\nsplit = { v1 = 1, v2 = 1 }")
    before = registry.ask(LISTENER, "web.service.consul")
    registry.take(instance())
    assert registry.ask(LISTENER, "web.service.consul") is before


def test_clients_of_one_zone_share_and_unknown_zones_are_none() -> None:
    registry = KnownRegistry([instance(zone="a"), instance(address="10.0.0.2", zone="b")])
    own = registry.ask(ENDPOINTS, zone="a")
    assert registry.ask(ENDPOINTS, zone="a") is own
    assert registry.ask(ENDPOINTS, zone="b").version != own.version
    assert registry.ask(ENDPOINTS, zone="x") is registry.ask(ENDPOINTS, zone="") is registry.ask(ENDPOINTS, zone="y")
    assert registry.ask(CLUSTER, zone="a") is registry.ask(CLUSTER, zone="b")


def test_what_is_kept_for_a_zone_goes_with_its_last_endpoint() -> None:
    registry = KnownRegistry([instance()])
    for number in range(50):
        registry.put(instance(address="10.0.1.1", id="moving", zone=f"zone-{number}"))
        for kind in (PY, JS):
            registry.ask(ENDPOINTS, kind=kind, zone=f"zone-{number}")
    asked = registry.source._asked["web"]
    assert len(asked._made) <= 2 * 2
    assert asked._fresh <= asked._made.keys()


def test_what_nobody_is_subscribed_to_is_forgotten() -> None:
    registry = KnownRegistry([instance()])
    for number in range(100):
        for type in ALL:
            registry.ask(type, f"a.b{number}.web:{number}", zone="a")
            registry.source.forget(ResourceKey(type, f"a.b{number}.web:{number}"))
    registry.source.forget(ResourceKey(CLUSTER, "never asked"))
    assert registry.source._asked == {}
    assert registry.source._concerned == {}


def test_a_name_is_forgotten_type_by_type() -> None:
    registry = KnownRegistry([instance()])
    ask_all(registry, "web")
    registry.source.forget(ResourceKey(ENDPOINTS, "web"))
    assert registry.put(instance(address="10.0.0.2", id="two")) == frozenset()
    assert registry.endpoints() == ["10.0.0.1:80", "10.0.0.2:80"]


def test_a_new_service_tells_envoy_of_clusters_and_routes() -> None:
    registry = KnownRegistry([instance()])
    registry.ask(ROUTE, ENVOY_LISTENER, ENVOY)
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("web",)
    registry.put(instance("api", id="a"))
    assert registry.told == [frozenset({ResourceKey(ROUTE, ENVOY_LISTENER)}), frozenset()]
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("api", "web")
    registry.put(instance("api", "10.0.0.2", id="b"))
    assert registry.told == []
    registry.take(instance("api", id="a"))
    registry.take(instance("api", "10.0.0.2", id="b"))
    assert registry.told == []


def test_a_service_that_comes_back_is_no_new_name() -> None:
    registry = KnownRegistry([instance()])
    registry.take(instance())
    registry.put(instance())
    assert registry.told == []
    registry.put(instance("api", id="a"))
    assert registry.source._names.shown() == registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("api", "web")


def test_only_so_many_names_that_are_gone_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_names, "GONE_MAX", 3)
    registry = KnownRegistry()
    for number in range(5):
        registry.put(instance(f"s{number}", id=f"{number}"))
        registry.take(instance(f"s{number}", id=f"{number}"))
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("s2", "s3", "s4")


def test_a_registry_that_is_not_known_is_silent() -> None:
    registry = KnownRegistry([instance()])
    assert registry.source.known
    before = ask_all(registry, "web")
    registry.know(Knowledge.NOT_SYNCED)
    assert not registry.source.known
    assert registry.know(Knowledge.SYNCED) == {ResourceKey(type, name) for type, name in before}
    assert registry.told[-1] == frozenset()


def test_an_unknown_name_has_no_endpoints_until_all_is_known() -> None:
    registry = KnownRegistry([instance()])
    registry.know(Knowledge.LAST_KNOWN)
    assert registry.source.known
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) is None
    assert registry.source.wildcard(LISTENER, ANY_ENVOY) == (ENVOY_LISTENER,)
    assert registry.endpoints() == ["10.0.0.1:80"]
    unknown = ResourceKey(ENDPOINTS, "api")
    assert registry.source.resource(unknown, Audience(PY, "")) is None
    assert registry.source.resource(unknown, Audience(PY, "a")) is None
    assert registry.ask(LISTENER, "api").name == "api"
    registry.know(Knowledge.SYNCED)
    assert registry.told == [frozenset()]
    assert registry.endpoints("api") == []


def test_while_isolated_what_was_known_last_is_answered() -> None:
    registry = KnownRegistry([instance()])
    registry.know(Knowledge.ISOLATED)
    assert registry.source.known
    assert registry.endpoints() == ["10.0.0.1:80"]
    assert registry.endpoints("api") == []


def test_a_new_policy_changes_what_it_is_about_and_nothing_else() -> None:
    registry = KnownRegistry([instance(), instance("api", id="a")])
    before = ask_all(registry, "web", "api")
    registry.told.clear()
    registry.source.take_policy(policy_of("[service.web]\nsplit = { v1 = 1, v2 = 3 }"))
    assert registry.told == [frozenset(ResourceKey(type, name) for type, name in before), frozenset()]
    after = ask_all(registry, "web", "api")
    assert {key for key in before if before[key] is not after[key]} == {(LISTENER, "web"), (ROUTE, "web")}
    (route,) = manager_of(message_of(after[LISTENER, "web"])).route_config.virtual_hosts[0].routes
    assert [one.name for one in route.route.weighted_clusters.clusters] == ["v1.web", "v2.web"]
    assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("api", "web", "v1.web", "v2.web")


def test_a_new_policy_gives_a_name_that_nobody_serves_its_settings() -> None:
    registry = KnownRegistry([], "[service.other]\ntimeout = 1")
    before = registry.ask(CLUSTER, "v1.web")
    registry.source.take_policy(policy_of("[service.web]\nlimits = { requests = 1 }"))
    assert registry.ask(CLUSTER, "v1.web").version != before.version


def test_what_is_ignored_is_said_again_for_a_new_policy() -> None:
    policy = "[service.web]\nlimits = { pending = 1 }"
    registry = KnownRegistry([instance()], policy)
    for _ in range(2):
        registry.ask(CLUSTER)
        registry.source.take_policy(policy_of(policy))
    registry.ask(CLUSTER)
    assert len(registry.notes) == 3


def test_host_names_are_counted_and_said_once_for_a_service() -> None:
    registry = KnownRegistry([instance(address="one.example.org"), instance(address="10.0.0.2")])
    for address in ("two.example.org", "10.0.0.3"):
        registry.put(instance(address=address, id=address))
        assert registry.endpoints()[0] == "10.0.0.2:80"
    assert registry.counts == {"xds.left_out": 2}
    assert len(registry.notes) == 1
    assert "'one.example.org' is not an IP address: register the service with one" in registry.notes[0]


def test_an_instance_without_a_port_is_counted_and_said() -> None:
    registry = KnownRegistry([instance(port=0)])
    assert registry.endpoints() == registry.endpoints("web:80") == []
    assert registry.counts == {"xds.left_out": 1}
    assert registry.notes == ["xds: web on node-1 is left out, since it has no port: register the service with one"]


@pytest.mark.parametrize("name", ["*", LOCAL_CLUSTER, "Gossipreg-XDS"])
def test_envoy_gets_no_service_whose_name_it_takes_otherwise(name: str) -> None:
    registry = KnownRegistry([instance(), instance(name)])
    for _ in range(2):
        assert registry.source.wildcard(CLUSTER, ANY_ENVOY) == ("web",)
        assert [one.name for one in message_of(registry.ask(ROUTE, ENVOY_LISTENER, ENVOY)).virtual_hosts] == ["web"]
    [said] = registry.notes
    assert f"Envoy does not get the service {name.lower()!r}" in said
    assert "register the service under another name" in said


def test_a_grpc_client_that_asks_for_the_local_cluster_gets_a_service() -> None:
    registry = KnownRegistry()
    members: Any = registry.source._members
    members._found[instance().node] = Endpoint(b"\x0a\0\0\x07", 7940, "", 1)
    assert registry.endpoints(LOCAL_CLUSTER, ENVOY) == ["10.0.0.7:7940"]
    assert registry.endpoints(LOCAL_CLUSTER, PY) == []
    registry.put(instance(LOCAL_CLUSTER))
    assert registry.endpoints(LOCAL_CLUSTER, PY) == ["10.0.0.1:80"]
    assert registry.endpoints(LOCAL_CLUSTER, ENVOY) == ["10.0.0.7:7940"]


def test_a_secret_is_not_a_resource_of_the_registry() -> None:
    assert KnownRegistry().source.resource(ResourceKey(ResourceType.SECRET, "x"), Audience(PY, "")) is None


def test_the_cost_of_a_change_does_not_depend_on_what_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def look(passing: Iterable[CatalogInstance], reading: Reading) -> Endpoints:
        looks.append(reading.service)
        return endpoints_of(passing, reading)

    monkeypatch.setattr(resources, "endpoints_of", look)
    many = [instance(f"s{service}", f"10.0.{service}.{one}") for service in range(200) for one in range(5)]
    registry = KnownRegistry(many)
    names = [f"s{service}" for service in range(200)]
    for name in names:
        for zone in ("", "a"):
            registry.ask(ENDPOINTS, name, zone=zone)
    looks.clear()
    assert registry.put(instance("s7", "10.1.0.0", id="new")) == {ResourceKey(ENDPOINTS, "s7")}
    for name in names:
        for zone in ("", "a", "b"):
            registry.ask(ENDPOINTS, name, zone=zone)
    assert looks == ["s7"]
