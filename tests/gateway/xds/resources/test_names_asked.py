"""What a name that an xDS client asks for may stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.xds.resources.names_asked import (
    ASKED_MAX,
    LABELS_MAX,
    Reading,
    plain_name,
    readings_of,
    suffixes_of,
)
from gossipreg.model import MAX_NAME_BYTES

PLAIN = suffixes_of(None)


@pytest.mark.parametrize(
    ("asked", "first_dotted"),
    [
        ("web", [Reading("web")]),
        ("WEB", [Reading("web")]),
        ("v1.web", [Reading("v1.web"), Reading("web", "v1")]),
        ("V1.Web", [Reading("v1.web"), Reading("web", "v1")]),
        ("a.b.web", [Reading("a.b.web"), Reading("b.web", "a"), Reading("web", "a.b")]),
        ("web:8080", [Reading("web:8080"), Reading("web", None, 8080)]),
        ("_web._tcp", [Reading("_web._tcp"), Reading("web")]),
        ("_web._v1", [Reading("_web._v1"), Reading("web", "v1")]),
        ("v1.web:80", [Reading("v1.web:80"), Reading("v1.web", None, 80), Reading("web", "v1", 80)]),
        ("xdstp://auth/envoy.config.listener.v3.Listener/Web", [Reading("web")]),
        ("xdstp://a/envoy.config.listener.v3.Listener/web?x=1", [Reading("web")]),
    ],
)
def test_all_readings_come_with_the_longest_name_first(asked: str, first_dotted: list[Reading]) -> None:
    assert list(readings_of(asked, PLAIN)) == first_dotted


@pytest.mark.parametrize("suffix", [".service", ".service.consul", ".SERVICE.Consul", ".service.Example.org", "."])
def test_a_name_as_dns_has_it_stands_for_the_same_service(suffix: str) -> None:
    found = readings_of(f"v1.web{suffix}", suffixes_of("example.org"))
    services = [one for one in found if one.service == "web"]
    assert services == [Reading("web", "v1")]
    assert found.index(Reading("v1.web")) < found.index(Reading("web", "v1"))


def test_a_port_stands_behind_the_whole_name() -> None:
    assert Reading("web", None, 8080) in readings_of("web.service.consul:8080", PLAIN)


def test_a_name_longer_than_any_service_has_no_reading() -> None:
    assert readings_of("a." * ASKED_MAX, PLAIN) == ()
    assert readings_of("x" * (MAX_NAME_BYTES + 1), PLAIN) == ()
    assert readings_of("", PLAIN) == readings_of(".", PLAIN)[:0] == ()


def test_a_name_of_many_labels_is_that_of_a_service_alone() -> None:
    """Each dot is one more reading: 32,768 such names would take 2 GB."""
    service = ".".join("a" * (LABELS_MAX + 1))
    assert readings_of(service, PLAIN) == (Reading(service),)
    assert readings_of(f"{service}.service.consul:80", PLAIN) == (
        *(Reading(f"{service}.service.consul:80"), Reading(service, None, 80)),
        Reading(f"{service}.service.consul", None, 80),
    )
    assert len(readings_of(".".join("a" * LABELS_MAX), PLAIN)) == LABELS_MAX


def test_only_the_name_of_a_listener_has_an_authority() -> None:
    assert plain_name("xdstp://auth/envoy.config.listener.v3.Listener/a/b") == "a/b"
    assert plain_name("web") == "web"


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(asked: str) -> None:
    for reading in readings_of(asked, suffixes_of("example.org")):
        assert reading.service
        assert reading.port is None or 0 <= reading.port <= 99_999
