"""Properties of the resources, whatever the registry and the policy hold."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.gateway.xds.model import Audience, ResourceKey, ResourceType
from gossipreg.gateway.xds.resources.envoy_resources import ENVOY_LISTENER
from gossipreg.model import CatalogInstance, Health
from tests.examples import examples
from tests.gateway.xds.known_registry import ENVOY, GO, JS, PY, KnownRegistry, instance
from tests.gateway.xds.read_back import message_of, refused

NAMES = ["web", "WEB", "v1.web", "a.b", "b", "a.b:80", "b.service"]
ASKED = [*NAMES, "v1.Web.service.consul", "web:80", "v2.a.b", "_web._tcp", "nobody", "b.service.consul"]
TYPES = [ResourceType.CLUSTER, ResourceType.ENDPOINTS, ResourceType.LISTENER, ResourceType.ROUTE]
AUDIENCES = [Audience(kind, zone) for kind in (PY, JS, GO, ENVOY) for zone in ("", "a", "c")]
KEYS = [ResourceKey(type, name) for type in TYPES for name in ASKED]
ENVOYS_OWN = [ResourceKey(type, ENVOY_LISTENER) for type in (ResourceType.LISTENER, ResourceType.ROUTE)]

instances = st.builds(
    instance, st.sampled_from(NAMES), st.sampled_from(["10.0.0.1", "10.0.0.2", "::1", "0::1", "host"]),
    st.sampled_from([0, 80, 81]), id=st.sampled_from("abcdef"), tags=st.sampled_from([(), ("v1",), ("V2", "a")]),
    weight=st.sampled_from([0, 1, 5]), zone=st.sampled_from(["", "a", "b"]), node=st.integers(1, 2),
    health=st.sampled_from([Health.PASSING, Health.PASSING, Health.MAINTENANCE]),
)  # fmt: skip
registries = st.lists(instances, max_size=10, unique_by=lambda one: (one.node, one.service.id))


def _for_a_service(lines: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(["web", "a.b", "b"]).map(lambda name: "\n".join([f'[service."{name}"]', *lines]))


policies = st.lists(
    st.sampled_from([
        "timeout = 3", "retries = { attempts = 2 }", 'retries = { on = ["5xx"] }', "limits = { requests = 1 }",
        "limits = { pending = 1 }", "outlier = { consecutive_5xx = 3 }", "outlier = { failure_percentage = 3 }",
        'lb = "ring_hash"', 'lb = "maglev"', 'lb = "ring_hash"\nhash_header = "x"',
        'lb = "maglev"\nhash_header = "x"', "split = { v1 = 9, V2 = 1 }", "split = { v1 = 1 }",
        'mirror = { to = "b" }', 'route = [{ headers = { x = "1" }, tag = "a" }]',
    ]),
    max_size=6, unique_by=lambda line: line.partition(" ")[0],
).flatmap(_for_a_service)  # fmt: skip


def everything(registry: KnownRegistry) -> dict[tuple[ResourceKey, Audience], bytes]:
    """All resources that a client can ask for."""
    keys = [*((key, audience) for key in KEYS for audience in AUDIENCES), *((key, AUDIENCES[-1]) for key in ENVOYS_OWN)]
    found = {}
    for key, audience in keys:
        resource = registry.source.resource(key, audience)
        assert resource is not None
        found[key, audience] = resource.any
    return found


@settings(max_examples=examples(50))
@given(registries, policies)
def test_no_client_refuses_a_resource(found: list[CatalogInstance], policy: str) -> None:
    registry = KnownRegistry(found, policy)
    for key, audience in everything(registry):
        resource = registry.source.resource(key, audience)
        assert resource is not None
        if audience.kind is not ENVOY or key.type is not ResourceType.LISTENER or key in ENVOYS_OWN:
            assert refused(resource, audience.kind) == []


@settings(max_examples=examples(50))
@given(registries, policies, st.randoms(use_true_random=False))
def test_equal_registries_in_any_order_have_equal_bytes(
    found: list[CatalogInstance], policy: str, rng: random.Random
) -> None:
    one, other = KnownRegistry(found, policy), KnownRegistry(rng.sample(found, len(found)), policy)
    assert everything(one) == everything(other)
    wanted = Audience(ENVOY, "")
    assert one.source.wildcard(ResourceType.CLUSTER, wanted) == other.source.wildcard(ResourceType.CLUSTER, wanted)


@settings(max_examples=examples(50))
@given(registries, policies, st.lists(instances | st.integers(0, 30), max_size=8))
def test_change_by_change_is_as_made_anew_and_all_is_told(
    found: list[CatalogInstance], policy: str, steps: list[CatalogInstance | int]
) -> None:
    registry = KnownRegistry(found, policy)
    before = everything(registry)
    for step in steps:
        if isinstance(step, CatalogInstance):
            told = registry.put(step)
        elif registry.held:
            told = registry.take(list(registry.held.values())[step % len(registry.held)])
        else:
            continue
        after = everything(registry)
        assert {key for key, audience in before if before[key, audience] != after[key, audience]} <= told
        anew = KnownRegistry(registry.held.values(), policy)
        gone = {*registry.source._names.shown()} - {*anew.source._names.shown()}
        if not gone:
            assert after == everything(anew)
        before = after


@given(registries, policies)
def test_every_cluster_of_a_route_is_one_that_envoy_gets(found: list[CatalogInstance], policy: str) -> None:
    registry = KnownRegistry(found, policy)
    clusters = registry.source.wildcard(ResourceType.CLUSTER, Audience(ENVOY, ""))
    assert clusters is not None
    assert len({*clusters}) == len(clusters)
    for host in message_of(registry.ask(ResourceType.ROUTE, ENVOY_LISTENER, ENVOY)).virtual_hosts:
        for route in host.routes:
            action = route.route
            named = [one.name for one in action.weighted_clusters.clusters] or [action.cluster]
            assert {*named, *(one.cluster for one in action.request_mirror_policies)} <= {*clusters}
