"""Which endpoints a name has, and how they are grouped."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.xds.resources.endpoints import (
    WEIGHTS_MAX,
    Endpoint,
    Locality,
    by_weight_classes,
    by_zones,
    endpoints_of,
    for_envoy,
    packed_literal,
)
from gossipreg.gateway.xds.resources.names_asked import Reading
from gossipreg.model import CatalogInstance
from gossipreg.wire.values import MAX_WEIGHT
from tests.gateway.xds.known_registry import instance

WEB = Reading("web")
HOSTS = ["10.0.0.1", "10.0.0.2", "::1", "0:0::1", "::ffff:10.0.0.1", "host", "fe80::1%lo"]
instances = st.lists(
    st.builds(
        instance, address=st.sampled_from(HOSTS),
        port=st.integers(0, 3), weight=st.sampled_from([0, 1, 2, MAX_WEIGHT]), zone=st.sampled_from(["", "a", "b"]),
        tags=st.sampled_from([(), ("v1",), ("V1", "v2")]), node=st.integers(1, 4),
    ),
    max_size=12,
)  # fmt: skip
GROUPINGS = {
    "weights": lambda found: by_weight_classes(found, "a"),
    "hash": lambda found: by_zones(found, "a"),
    "envoy": for_envoy,
}


def shares(localities: list[Locality]) -> dict[tuple[str, int], float]:
    """The share of each endpoint within its priority, as gRPC clients with round robin choose."""
    found = {}
    for one in localities:
        total = sum(other.weight for other in localities if other.priority == one.priority)
        for endpoint in one.endpoints:
            found[endpoint.host, endpoint.port] = one.weight / total / len(one.endpoints)
    return found


@given(instances, st.randoms(use_true_random=False))
def test_the_order_of_the_instances_does_not_matter(found: list[CatalogInstance], rng: random.Random) -> None:
    shuffled = rng.sample(found, len(found))
    assert endpoints_of(found, WEB).found == endpoints_of(shuffled, WEB).found
    left_out = {one.service.address for one in endpoints_of(found, WEB).unusable}
    assert left_out == {one.service.address for one in endpoints_of(shuffled, WEB).unusable}


@given(instances, st.sampled_from([*GROUPINGS]))
def test_each_address_is_in_one_locality_and_none_is_lost(found: list[CatalogInstance], grouping: str) -> None:
    endpoints = endpoints_of(found, WEB).found
    localities = GROUPINGS[grouping](endpoints)
    grouped = [one[:3] for group in localities for one in group.endpoints]
    assert sorted(grouped) == sorted(one[:3] for one in endpoints)
    assert len({one[:2] for one in grouped}) == len(grouped)
    assert {group.priority for group in localities} == set(range(len({group.priority for group in localities})))


def test_equal_addresses_are_one_endpoint_with_the_larger_weight() -> None:
    twice = [instance(node=1, weight=2), instance(node=2, weight=5), instance(address="::ffff:10.0.0.1", node=3)]
    assert [(one.host, one.weight) for one in endpoints_of(twice, WEB).found] == [("10.0.0.1", 5)]


def test_an_instance_of_weight_0_gets_calls_only_if_all_have_it() -> None:
    none, some = instance(weight=0), instance(address="10.0.0.2", weight=3)
    assert [one.host for one in endpoints_of([none, some], WEB).found] == ["10.0.0.2"]
    assert [(one.host, one.weight) for one in endpoints_of([none], WEB).found] == [("10.0.0.1", 1)]


def test_an_instance_that_no_client_could_connect_to_is_left_out() -> None:
    found = endpoints_of([instance(port=0), instance(address="web.example.org"), instance(address="fe80::1%eth0")], WEB)
    assert found.found == ()
    assert [one.service.address for one in found.unusable] == ["10.0.0.1", "web.example.org", "fe80::1%eth0"]


def test_tag_and_port_choose_among_the_instances() -> None:
    both = [instance(tags=("V1",)), instance(address="10.0.0.2", port=81, tags=("v2",))]
    assert [one.port for one in endpoints_of(both, Reading("web", "v1")).found] == [80]
    assert [one.port for one in endpoints_of(both, Reading("web", None, 81)).found] == [81]
    assert endpoints_of(both, Reading("web", "v1", 81)).found == ()


def test_each_instance_gets_calls_by_its_weight() -> None:
    weights = {"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 6}
    found = endpoints_of([instance(address=host, weight=weight) for host, weight in weights.items()], WEB).found
    assert shares(by_weight_classes(found, "")) == pytest.approx({(h, 80): w / 8 for h, w in weights.items()})


def test_the_own_zone_goes_first_and_without_one_all_are_alike() -> None:
    found = endpoints_of([instance(zone="a"), instance(address="10.0.0.2", zone="b")], WEB).found
    for group in (by_weight_classes, by_zones):
        assert [(one.zone, one.priority) for one in group(found, "b")] == [("b", 0), ("a", 1)]
        assert [one.priority for one in group(found, "")] == [0, 0]
        assert [one.priority for one in group(found, "elsewhere")] == [0, 0]
    assert [(one.zone, one.priority) for one in for_envoy(found)] == [("a", 0), ("b", 0)]


def test_the_weights_of_many_instances_fit_into_32_bits() -> None:
    many = [Endpoint(number.to_bytes(4, "big"), 80, "", MAX_WEIGHT - number % 2) for number in range(1, 70_000)]
    light = Endpoint(b"\xff" * 4, 80, "", 1)
    assert sum(one.weight for one in many) > 2**32
    assert sum(one.weight for one in by_weight_classes([*many, light], "")) <= WEIGHTS_MAX + 3
    for group in (by_zones, lambda found, _: for_envoy(found)):
        weights = [one.weight for locality in group([*many, light], "") for one in locality.endpoints]
        assert min(weights) == 1
        assert sum(weights) < 2**32


@pytest.mark.parametrize("host", ["host", "10.0.0", "fe80::1%eth0", "", "1\0", "010.0.0.1"])
def test_what_is_no_plain_address_is_none(host: str) -> None:
    assert packed_literal(host) is None
