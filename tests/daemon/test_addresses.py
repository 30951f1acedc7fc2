"""The rules for binding, for what others are told, and for clear text."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon import addresses
from gossipreg.daemon.addresses import (
    DEFAULT_PORT,
    LOOPBACKS,
    WILDCARDS,
    Bind,
    advertise_rule,
    bind_rule,
    is_literal,
    is_loopback,
    refuse_clear_text,
    split_host_port,
)
from gossipreg.errors import BadConfig, CannotStart
from gossipreg.model import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("h:1", "h", 1), ("h", "h", None), (":1", "", 1), ("*:1", "*", 1), ("[::1]:1", "::1", 1),
        ("[::1]", "::1", None),
        ("::1", "::1", None), ("0.0.0.0:0", "0.0.0.0", 0),
    ],
)  # fmt: skip
def test_a_host_and_a_port_are_split(text: str, host: str, port: int | None) -> None:
    assert split_host_port(text, what="--bind") == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "h:",
        "h:x",
        "h:65536",
        "h:1:2",
        "[h]:1",
        "[::1",
        "[::1]x",
        "8500",
        "7940:1",
        "a b:1",
        "a\x00b:1",
        "a/b:1",
        "[fe80::1%lo]:9",
        "fe80::1%lo",
    ],
)
def test_a_host_or_port_that_is_none_is_named(text: str) -> None:
    with pytest.raises(BadConfig, match="--bind") as raised:
        split_host_port(text, what="--bind")
    assert repr(text) in str(raised.value)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_read_as_it_is_written(ip: IPv4Address | IPv6Address, port: int) -> None:
    address = Address(str(ip), port)
    assert split_host_port(str(address), what="x") == address
    assert is_literal(address.host)


@given(st.text())
def test_no_text_makes_the_literal_test_raise(text: str) -> None:
    assert is_literal(text) in (True, False)


@given(st.ip_addresses())
def test_loopback_is_what_ipaddress_says(ip: IPv4Address | IPv6Address) -> None:
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    assert is_loopback(str(ip)) == (mapped or ip).is_loopback


def test_without_bind_a_sidecar_with_a_key_listens_everywhere_and_one_without_on_loopback() -> None:
    assert bind_rule(None, everywhere=True) == Bind(WILDCARDS, DEFAULT_PORT)
    assert bind_rule(None, everywhere=False) == Bind(LOOPBACKS, DEFAULT_PORT)


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:0", Bind(("127.0.0.1",), 0)),
        ("10.0.0.1", Bind(("10.0.0.1",), DEFAULT_PORT)),
        (":9", Bind(WILDCARDS, 9)),
        ("*:9", Bind(WILDCARDS, 9)),
        ("0.0.0.0:9", Bind(("0.0.0.0",), 9)),
    ],
)
def test_bind_says_where_to_listen(text: str, bind: Bind) -> None:
    assert bind_rule(text, everywhere=False) == bind


def test_advertise_takes_the_bound_port_where_it_names_none() -> None:
    assert advertise_rule("10.0.0.1", 5) == Address("10.0.0.1", 5)
    assert advertise_rule("10.0.0.1:6", 5) == Address("10.0.0.1", 6)
    assert advertise_rule("[fd00::1]", 5) == Address("fd00::1", 5)


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "[::]:1", ":1", "10.0.0.1:0", "224.0.0.1:1", "255.255.255.255", "240.0.0.1", "[ff02::1]:1"]
)
def test_what_others_cannot_reach_is_not_advertised(text: str) -> None:
    with pytest.raises(BadConfig, match="--advertise"):
        advertise_rule(text, 5)


def test_the_route_to_loopback_is_loopback() -> None:
    assert addresses.route_source(Address("127.0.0.1", 9)) == "127.0.0.1"


@pytest.mark.parametrize(("hosts", "seeds"), [(WILDCARDS, ()), (("10.0.0.1",), ()), (LOOPBACKS, ("10.0.0.1:7940",))])
def test_clear_text_off_loopback_is_refused_with_the_way_to_a_key(
    hosts: tuple[str, ...], seeds: tuple[str, ...]
) -> None:
    with pytest.raises(CannotStart, match=r"gossipreg keygen.*--key-file.*--insecure"):
        refuse_clear_text(Bind(hosts, 0), seeds)


def test_clear_text_on_loopback_is_allowed() -> None:
    refuse_clear_text(Bind(LOOPBACKS, 0), ())
