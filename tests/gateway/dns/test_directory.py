"""The registry by the names that DNS knows: kept up to date at small cost."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.dns.directory import LISTING_SHARE, Directory, Listing, folded, packed_address
from tests.gateway.dns.registry import Registry

NAMES = ["web", "Web", "WEB.a", "a", "x.y.a", "y.a"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 2)), max_size=30))
def test_the_changes_add_up_to_the_services_of_the_catalog(steps: list[tuple[str, int]]) -> None:
    registry, there = Registry(), dict[str, str]()
    for name, number in steps:
        id = f"{name}-{number}"
        if id in there:
            registry.take(there.pop(id))
        else:
            there[id] = registry.put(name, id=id)
        kept, made = registry.directory.services, Directory(registry.node).services
        assert kept._inner == made._inner
        assert {key: entry.instances for key, entry in kept._entries.items()} == {
            key: entry.instances for key, entry in made._entries.items()
        }
        assert {key: entry.instances for key, entry in kept._entries.items()} == Counter(
            folded(id.rpartition("-")[0]) for id in there
        )


def test_a_list_is_made_anew_after_changes_within_its_time_share() -> None:
    now, made, version = 0.0, 0, 0

    def make() -> int:
        nonlocal now, made
        now += 0.1  # a slow one
        made += 1
        return version

    listing = Listing(make, lambda: version, lambda: now)
    for _ in range(10_000):
        now += 0.01
        listing.get()
    assert made == 1
    start = now
    for _ in range(10_000):
        now += 0.01
        version += 1
        listing.get()
    assert 0.5 * LISTING_SHARE < 0.1 * (made - 1) / (now - start) < 1.1 * LISTING_SHARE
    now += 10
    assert listing.get() == version


def test_the_list_of_members_is_made_anew_only_after_a_change_of_members() -> None:
    registry = Registry()
    registry.member(4)
    before = registry.directory.members()
    registry.put("web")
    registry.now += 3600
    assert registry.directory.members() is before
    registry.member(5)
    assert b"speaker-5" in registry.directory.members().by_name


def test_addresses_are_packed_and_host_names_are_none() -> None:
    assert packed_address("10.0.0.1") == b"\x0a\0\0\1"
    assert packed_address("fe80::1%eth0") == b"\xfe\x80" + b"\0" * 13 + b"\1"
    for host in ("host", "10.0.0", "10.0.0.256", "a:b", "", "1\0"):
        assert packed_address(host) is None
