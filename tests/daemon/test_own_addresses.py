"""The addresses that a sidecar announces which listens on every address: the choice at the start, and after changes."""

import pytest
import trio

from gossipreg.daemon import own_addresses
from gossipreg.daemon.interfaces import LocalAddress, local_addresses
from gossipreg.daemon.own_addresses import FollowAddresses
from gossipreg.model import Address
from gossipreg.net.addresses import WILDCARDS, Bind

EVERYWHERE = Bind(WILDCARDS, 7940)
BOUND = (Address("0.0.0.0", 7940), Address("::", 7940))


def local(*hosts: str, interface: int = 2) -> tuple[LocalAddress, ...]:
    return tuple(LocalAddress(False, False, interface, host) for host in hosts)


def at(*hosts: str) -> tuple[Address, ...]:
    return tuple(Address(host, 7940) for host in hosts)


class Routes:
    """The machine's routing table: a target's source address."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sources: dict[str, str] = {"127.0.0.1": "127.0.0.1", "::1": "::1"}
        monkeypatch.setattr(own_addresses, "route_source", lambda target: self.sources.get(target.host))

    def default(self, v4: str = "", v6: str = "") -> None:
        self.sources |= {"192.0.2.1": v4} if v4 else {}
        self.sources |= {"2001:db8::1": v6} if v6 else {}


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> Routes:
    return Routes(monkeypatch)


def chosen(*seeds: str, here: tuple[LocalAddress, ...] = ()) -> list[str]:
    found = own_addresses.own_addresses(EVERYWHERE, BOUND, tuple(Address(seed, 1) for seed in seeds), here)
    assert all(address.port == 7940 for address in found)
    return [address.host for address in found]


def test_a_bound_address_is_the_one_told_to_others() -> None:
    bound = at("10.0.0.1")
    bind = Bind(("10.0.0.1",), 0)
    assert own_addresses.own_addresses(bind, bound, at("127.0.0.1"), local("10.9.0.1")) == bound


def test_the_route_to_a_seed_goes_before_the_default_route(routes: Routes) -> None:
    routes.default("10.0.0.1")
    assert chosen() == ["10.0.0.1"]
    routes.sources |= {"10.9.0.5": "10.9.0.1", "fd00::5": "fd00::1"}
    assert chosen("10.9.0.5") == ["10.9.0.1"]
    assert chosen("fd00::5") == ["fd00::1", "10.0.0.1"], "the seed's family comes first"


def test_without_a_route_an_interface_that_is_up_has_the_address(routes: Routes) -> None:
    assert chosen(here=local("10.77.0.1")) == ["10.77.0.1"]
    assert chosen(here=local("10.77.0.1", "fd77::1")) == ["10.77.0.1", "fd77::1"]
    assert chosen(here=(*local("10.77.0.1"), *local("172.17.0.1", interface=3))) == ["10.77.0.1"]
    routes.default("10.0.0.1")
    assert chosen(here=local("10.77.0.1")) == ["10.0.0.1"]


def test_a_host_with_ipv6_alone_tells_that(routes: Routes) -> None:
    assert chosen(here=local("fd77::1")) == ["fd77::1"]
    routes.default(v6="fe80::1")
    assert chosen(here=local("fd77::1")) == ["fd77::1"], "link-local means nothing to others"


def test_both_families_are_of_one_interface(routes: Routes) -> None:
    """The address of a bridge for containers need not be reachable from where the other one is."""
    routes.default("10.0.0.1")
    bridge = local("172.17.0.1", "fd17::1", interface=3)
    assert chosen(here=(*local("10.0.0.1"), *bridge)) == ["10.0.0.1"]
    assert chosen(here=(*local("10.0.0.1", "fd00::1"), *bridge)) == ["10.0.0.1", "fd00::1"]


def test_loopback_is_told_only_where_all_members_are_on_it() -> None:
    assert chosen() == [], "whoever comes may come from elsewhere"
    assert chosen("127.0.0.1") == ["127.0.0.1"]
    assert chosen("::1") == ["::1"]
    assert chosen("127.0.0.1", "10.0.0.9") == []
    assert chosen("127.0.0.1", here=local("10.0.0.1")) == ["10.0.0.1"], "others may come from elsewhere"


class Following:
    """A sidecar's addresses, with what came of them."""

    def __init__(self, *announced: str, here: tuple[LocalAddress, ...], fixed: bool = False, seeds: str = "") -> None:
        self.announced = at(*announced)
        self.here = here
        self.moves = 0
        self.known: list[bool] = []
        self.followed = FollowAddresses(
            EVERYWHERE, BOUND, fixed=fixed, seeds=at(seeds) if seeds else (), announced=lambda: self.announced,
            announce=self._announce, moved=self._moved, known=self.known.append, read=lambda: self.here,
        )  # fmt: skip

    def _announce(self, addresses: tuple[Address, ...]) -> None:
        self.announced = addresses
        self.followed.changed()

    def _moved(self) -> None:
        self.moves += 1

    def look(self, *here: LocalAddress) -> list[str]:
        self.here = here
        self.followed._look()
        return [address.host for address in self.announced]


def test_an_address_that_is_gone_gives_way_to_the_one_that_came() -> None:
    one = Following("10.0.0.1", here=local("10.0.0.1"))
    assert one.look(*local("10.0.0.1")) == ["10.0.0.1"]
    for _ in range(2):
        assert one.look(*local("10.0.0.33")) == ["10.0.0.33"]
        assert one.look(*local("10.0.0.1")) == ["10.0.0.1"]
    assert one.look(*local("fd00::1")) == ["fd00::1"], "of the other family, too"


def test_an_address_stays_while_an_interface_has_it(routes: Routes) -> None:
    routes.default("10.8.0.1")  # a tunnel has come up, and all goes through it
    one = Following("10.0.0.1", here=local("10.0.0.1"))
    assert one.look(*local("10.0.0.1"), *local("10.8.0.1", interface=7)) == ["10.0.0.1"]


def test_a_family_that_comes_back_has_its_place_again() -> None:
    """Services have the first address: it is of the same family before and after."""
    one = Following("10.0.0.1", "fd00::1", here=local("10.0.0.1", "fd00::1"))
    assert one.look(*local("fd00::1")) == ["fd00::1"]
    assert one.look(*local("10.0.0.33", "fd00::1")) == ["10.0.0.33", "fd00::1"]


def test_the_last_address_stays_while_there_is_none() -> None:
    one = Following("10.0.0.1", here=local("10.0.0.1"))
    assert one.look() == ["10.0.0.1"]
    assert one.look(*local("10.0.0.1")) == ["10.0.0.1"]


def test_an_address_that_others_saw_behind_a_nat_stays(routes: Routes) -> None:
    one = Following("192.168.0.5", here=local("192.168.0.5"))
    one.announced = at("203.0.113.7")  # as the core found
    assert one.look(*local("192.168.0.5")) == ["203.0.113.7"]
    assert one.look(*local("192.168.0.6")) == ["203.0.113.7"]
    routes.sources["10.9.9.9"] = "192.168.0.6"
    one.followed.seeds_found(at("10.9.9.9"))
    assert [address.host for address in one.announced] == ["203.0.113.7"]


def test_an_interface_that_comes_later_is_picked_up() -> None:
    one = Following(here=())
    assert one.look() == []
    assert one.look(*local("10.0.0.1")) == ["10.0.0.1"]
    assert one.look(*local("10.0.0.1", "fd00::1")) == ["10.0.0.1", "fd00::1"]
    assert one.look(*local("fd00::1")) == ["fd00::1"]


def test_loopback_gives_way_to_an_interface_that_comes_later() -> None:
    one = Following("127.0.0.1", here=(), seeds="127.0.0.1")
    assert one.look() == ["127.0.0.1"]
    assert one.look(*local("10.0.0.1")) == ["10.0.0.1"]


def test_the_route_to_a_seed_found_later_shows_a_better_address(routes: Routes) -> None:
    one = Following("10.0.0.1", here=(*local("10.0.0.1"), *local("10.9.0.1", interface=3)))
    routes.sources["10.9.0.5"] = "10.9.0.1"
    one.followed.seeds_found(at("10.9.0.5"))
    assert [address.host for address in one.announced] == ["10.9.0.1"]


def test_an_address_that_the_user_named_is_not_followed() -> None:
    one = Following("10.0.0.1", here=local("10.0.0.1"), fixed=True)
    assert one.look(*local("10.0.0.33")) == ["10.0.0.1"]


async def test_services_follow_the_first_host_if_there_is_one() -> None:
    one = Following(here=())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.followed._follow_announced)
        await trio.testing.wait_all_tasks_blocked()
        assert (one.known, one.moves) == ([False], 0)
        for here, moves in (("10.0.0.1", 1), ("10.0.0.2", 2)):
            one.look(*local(here))
            await trio.testing.wait_all_tasks_blocked()
            assert (one.known[-1], one.moves) == (True, moves)
        one.look(*local("10.0.0.2", "fd00::1"))
        await trio.testing.wait_all_tasks_blocked()
        assert one.moves == 2, "the first one is as it was"
        nursery.cancel_scope.cancel()


async def test_services_follow_an_address_changed_before_the_start() -> None:
    one = Following("10.0.0.1", here=local("10.0.0.1"))
    one.look(*local("10.0.0.33"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.followed._follow_announced)
        await trio.testing.wait_all_tasks_blocked()
        assert one.moves == 1
        nursery.cancel_scope.cancel()


def test_the_kernel_lists_no_loopback_and_no_link_local_address() -> None:
    for one in local_addresses():
        assert not one.host.startswith(("127.", "169.254.", "fe80"))
        assert one.host != "::1"
