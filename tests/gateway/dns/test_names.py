"""The meaning of names."""

import ipaddress

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadConfig
from gossipreg.gateway.dns.names import (
    Asked,
    Kind,
    instance_target,
    make_zone,
    make_zones,
    read_name,
    reverse_address,
    spelled_address,
)
from gossipreg.gateway.readings import IN_BYTES, readings

ZONES = make_zones("Services.Example.org")


def labels(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode().split(b"."))


def read(text: str) -> Asked | None:
    return read_name(labels(text), ZONES)


@pytest.mark.parametrize(
    ("text", "kind", "parts", "place"),
    [
        ("consul", Kind.APEX, "", ""),
        ("ns.consul", Kind.NAME_SERVER, "", ""),
        ("web.service.consul", Kind.SERVICE, "web", ""),
        ("v1.web.service.consul", Kind.SERVICE, "v1.web", ""),
        ("web.service.dc1.consul", Kind.SERVICE, "web", "dc1"),
        ("web.service.eu.west.consul", Kind.SERVICE, "web", "eu.west"),
        ("service.service.consul", Kind.SERVICE, "service", ""),
        ("service.consul", Kind.SERVICE, "", ""),
        ("web-1.example.com.node.consul", Kind.NODE, "web-1.example.com", ""),
        ("service.node.consul", Kind.NODE, "service", ""),
        ("0a000001.addr.dc1.consul", Kind.ADDRESS, "0a000001", "dc1"),
        ("dc1.consul", Kind.OTHER, "dc1", ""),
        ("1.0.0.127.in-addr.arpa", Kind.REVERSE, "1.0.0.127", ""),
        ("web.service.services.example.org", Kind.SERVICE, "web", ""),
    ],
)
def test_a_name_is_read_from_the_right(text: str, kind: Kind, parts: str, place: str) -> None:
    asked = read(text)
    assert asked is not None
    assert (asked.kind, b".".join(asked.parts).decode(), asked.place.decode()) == (kind, parts, place)


@pytest.mark.parametrize("text", ["example.org", "consul.example.org", "org", "xconsul", "arpa"])
def test_names_of_others_are_not_ours(text: str) -> None:
    assert read(text) is None


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=10))
def test_any_labels_can_be_read(parts: list[bytes]) -> None:
    for zone in ((b"consul",), (b"in-addr", b"arpa"), (b"ip6", b"arpa"), (b"addr", b"consul")):
        asked = read_name((*(part.lower() for part in parts), *zone), ZONES)
        assert asked is not None
        list(readings(asked.parts, IN_BYTES))
        spelled_address(asked.parts)
        if asked.kind is Kind.REVERSE:
            reverse_address(asked.parts, asked.zone)


def test_the_longest_name_is_tried_first_and_the_rest_is_the_tag() -> None:
    assert list(readings(labels("a.b.web"), IN_BYTES)) == [(b"a.b.web", None), (b"b.web", b"a"), (b"web", b"a.b")]


def test_a_name_after_rfc_2782_has_one_reading() -> None:
    assert list(readings(labels("_web._tcp"), IN_BYTES)) == [(b"web", None)]
    assert list(readings(labels("_web._v1"), IN_BYTES)) == [(b"web", b"v1")]
    assert list(readings(labels("_api.v1._tcp"), IN_BYTES)) == [(b"api.v1", None)]
    assert list(readings(labels("_tcp"), IN_BYTES)) == [(b"_tcp", None)]


@given(st.ip_addresses(), st.binary(min_size=6, max_size=6))
def test_an_instances_target_spells_its_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, instance: bytes
) -> None:
    target, _ = dns.name.from_wire(instance_target(instance, address.packed, ZONES[1]), 0)
    asked = read_name(tuple(label.lower() for label in target.labels[:-1]), ZONES)
    assert asked is not None
    assert asked.kind is Kind.ADDRESS
    assert spelled_address(asked.parts) == address.packed
    assert spelled_address(asked.parts[1:]) == address.packed


@given(st.ip_addresses())
def test_a_reverse_name_is_read_as_the_library_writes_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    asked = read_name(labels(address.reverse_pointer), ZONES)
    assert asked is not None
    assert reverse_address(asked.parts, asked.zone) == address.packed


@pytest.mark.parametrize("text", ["", ".", "a..b", "-a.org", "a" * 64, "a b", "münchen.example", "a." * 65, "x\n"])
def test_the_fault_of_a_wrong_domain_name_is_named(text: str) -> None:
    with pytest.raises(BadConfig, match="--dns-domain"):
        make_zone(text)


@pytest.mark.parametrize("text", ["consul", "CONSUL.", "x.consul", "10.in-addr.arpa"])
def test_a_domain_that_is_answered_already_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="already"):
        make_zones(text)
