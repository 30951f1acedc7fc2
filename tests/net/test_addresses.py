"""Addresses as a user writes them, and what can be said of a literal one."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadConfig
from gossipreg.model import Address
from gossipreg.net.addresses import is_literal, is_loopback, split_host_port


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
