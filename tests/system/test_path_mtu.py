"""Paths that drop large datagrams silently, with real processes on hosts of their own, some of an older release."""

from collections.abc import Callable, Iterator

import pytest

from scripts.tools.sidecars import COMMAND
from scripts.tools.wait import wait_for
from tests.system import older
from tests.system.hosts import Host, Hosts, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

BOUND_S = 60
TUNNEL_MTU, TUNNEL_BYTES = 1280, 1252
"""What an IPv4 packet of that size carries."""
MANY = 60
OLD = "an older member"
NEW = "a member of this release"


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with Hosts(3, v6=False) as hosts:
        yield hosts


def register(host: Host, name: str, port: int = 80, text: str = "") -> None:
    host.sidecar.call("register", name=name, port=port, id=f"{name}-{port}", meta={"text": text})


def fill(host: Host, name: str) -> None:
    """Many services, and one that is larger than several datagrams."""
    for port in range(1, MANY + 1):
        register(host, name, port)
    register(host, f"{name}-large", text="x" * 4000)


def holds(host: Host, name: str) -> bool:
    many, large = (host.sidecar.call("lookup", name=wanted) for wanted in (name, f"{name}-large"))
    return len(many) == MANY and [one["meta"]["text"] for one in large] == ["x" * 4000]


def sees(host: Host, name: str, count: int) -> bool:
    return len(host.sidecar.call("lookup", name=name)) == count


def troubles(host: Host) -> list[str]:
    return [one["message"] for one in host.sidecar.call("info")["troubles"]]


def told_narrow(host: Host, other: Host) -> Callable[[], bool]:
    whom = f"to {other.name} ({other.v4}:7940)"
    return lambda: any(whom in text and "check the MTU of the path" in text for text in troubles(host))


@pytest.mark.wide
def test_a_member_behind_a_narrow_port_holds_every_name(hosts: Hosts) -> None:
    h1, h2, h3 = hosts.all
    h1.start().wait_ready()
    fill(h1, "many")
    h2.start().wait_ready()
    h3.narrow(TUNNEL_MTU)
    h3.start().wait_ready()
    wait_for(lambda: h3.sidecar.call("info")["synced"], BOUND_S)
    assert holds(h3, "many"), "synced is not said before"
    assert h3.sidecar.states() == {"h1": "alive", "h2": "alive", "h3": "alive"}
    fill(h3, "back")
    wait_for(lambda: holds(h1, "back") and holds(h2, "back"), BOUND_S)
    wait_for(told_narrow(h1, h3), BOUND_S)
    h1.sidecar.wait_logged(" path_mtu ")
    h3.narrow(1500)
    wait_for(lambda: not any("MTU" in text for text in troubles(h1)), BOUND_S)
    h1.sidecar.wait_logged("path_mtu_over")


def test_an_ipv6_path_is_measured_too() -> None:
    with Hosts(2, v4=False) as hosts:
        h1, h2 = hosts.all
        h1.start(v6=True).wait_ready()
        fill(h1, "many")
        h2.narrow(TUNNEL_MTU)
        h2.start(v6=True).wait_ready()
        wait_for(lambda: h2.sidecar.call("info")["synced"] and holds(h2, "many"), BOUND_S)
        whom = f"to h2 ([{h2.v6}]:7940) do not arrive"
        wait_for(lambda: any(whom in text for text in troubles(h1)), BOUND_S)


def test_a_large_registration_does_not_hold_up_small_ones(hosts: Hosts) -> None:
    h1, h2, _ = hosts.all
    h1.start().wait_ready()
    h2.start().wait_ready()
    register(h1, "old")
    wait_for(lambda: sees(h2, "old", 1), BOUND_S)
    h2.drops_over(TUNNEL_MTU)  # the way back carries all
    register(h1, "large", text="x" * 4000)
    h1.sidecar.call("deregister", id="old-80")
    register(h1, "new")
    wait_for(lambda: sees(h2, "old", 0) and sees(h2, "new", 1) and sees(h2, "large", 1), BOUND_S)


def test_a_path_below_1200_bytes_carries_everything_too(hosts: Hosts) -> None:
    h1, h2, _ = hosts.all
    h1.start().wait_ready()
    fill(h1, "many")
    h2.drops_over(1000)
    h2.start().wait_ready()
    wait_for(lambda: h2.sidecar.call("info")["synced"] and holds(h2, "many"), BOUND_S)


def test_an_interface_that_is_narrow_itself_is_found_at_once(hosts: Hosts) -> None:
    h1, h2, _ = hosts.all
    h1.start().wait_ready()
    h2.narrow(900)
    h2.start().wait_ready()
    fill(h2, "many")
    wait_for(lambda: holds(h1, "many"), BOUND_S)
    wait_for(told_narrow(h2, h1), BOUND_S)
    assert "could not be sent" not in " ".join(troubles(h2))
    assert h2.sidecar.call("info")["counters"]["drop.send_too_large"] > 0


@pytest.mark.skipif(bool(older.missing()), reason=older.missing())
@pytest.mark.parametrize(
    ("seed", "joiner", "narrow"),
    [
        *((OLD, NEW, narrow) for narrow in (None, "the seed", "the joiner")),
        *((NEW, OLD, narrow) for narrow in (None, "the joiner")),
        pytest.param(NEW, OLD, "the seed", marks=pytest.mark.wide),  # half a minute, and a newer joiner is as narrow
    ],
)
def test_members_of_the_first_release_work_beside_ours(
    hosts: Hosts, seed: str, joiner: str, narrow: str | None
) -> None:
    h1, h2, _ = hosts.all
    programs = {OLD: older.command(), NEW: tuple(COMMAND)}
    narrowed = {None: None, "the seed": h1, "the joiner": h2}[narrow]
    if narrowed is not None:
        narrowed.narrow(TUNNEL_MTU)
    for host, kind in ((h1, seed), (h2, joiner)):
        host.start(program=programs[kind]).wait_ready()
        fill(host, host.name)
    new, old = (h1, h2) if seed == NEW else (h2, h1)
    wait_for(lambda: holds(old, new.name), BOUND_S)
    wait_for(lambda: old.sidecar.call("info")["synced"], BOUND_S)
    if narrowed is not new:  # an older member never sends less than it is configured to
        wait_for(lambda: holds(new, old.name) and new.sidecar.call("info")["synced"], BOUND_S)
        assert new.sidecar.call("info")["missing"] == 0
        return
    wait_for(lambda: any("answers, but rows requested from it do not arrive" in text for text in troubles(new)), 60)
    info = new.sidecar.call("info")
    assert info["missing"] == 1
    assert [one.removeprefix(f"{old.name} at ") for one in info["missing_from"]] == [f"{old.v4}:7940"]
    assert info["synced"] is (new is h1), "the first member of a cluster had nothing to wait for"
    narrowed.narrow(1500)
    wait_for(lambda: holds(new, old.name) and new.sidecar.call("info")["synced"], BOUND_S)
    wait_for(
        lambda: new.sidecar.call("info")["missing"] == 0 and not any("arrive" in text for text in troubles(new)),
        BOUND_S,
    )
