"""The rules for where a member gossips, what others are told, and clear text."""

import pytest

from gossipreg.daemon.addresses import DEFAULT_PORT, advertise_rule, bind_rule, refuse_clear_text, route_source
from gossipreg.errors import BadConfig, CannotStart
from gossipreg.model import Address
from gossipreg.net.addresses import LOOPBACKS, WILDCARDS, Bind


def test_the_default_bind_is_everywhere_with_a_key_else_loopback() -> None:
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
    assert route_source(Address("127.0.0.1", 9)) == "127.0.0.1"


@pytest.mark.parametrize(("hosts", "seeds"), [(WILDCARDS, ()), (("10.0.0.1",), ()), (LOOPBACKS, ("10.0.0.1:7940",))])
def test_clear_text_off_loopback_is_refused_naming_keygen(hosts: tuple[str, ...], seeds: tuple[str, ...]) -> None:
    with pytest.raises(CannotStart, match=r"gossipreg keygen.*--key-file.*--insecure"):
        refuse_clear_text(Bind(hosts, 0), seeds)


def test_clear_text_on_loopback_is_allowed() -> None:
    refuse_clear_text(Bind(LOOPBACKS, 0), ())
