"""Members that join: in one step, before their seed, with each other as seeds, with a wrong key."""

import pytest

from gossipreg.model import Address
from tests.core.cluster import KEY, Cluster


def test_a_joiner_soon_has_the_table_and_is_known_to_all() -> None:
    cluster = Cluster(seed=3)
    hosts = cluster.grow(16)
    for number, host in enumerate(hosts):
        cluster.register(host, f"service-{number}", port=80)
    cluster.run(1)
    joiner = cluster.join(seed=hosts[5])
    everyone = {host.id for host in cluster.hosts}
    assert cluster.until(lambda: joiner.node.synced and cluster.alive_at(joiner) == everyone, 0.03)
    assert all(cluster.found(joiner, f"service-{number}") for number in range(16))
    assert cluster.until(lambda: all(cluster.alive_at(host) == everyone for host in hosts), 0.1)


def test_a_restart_leaves_no_ghost() -> None:
    cluster = Cluster(seed=14)
    hosts = cluster.grow(5)
    cluster.register(hosts[2], "billing", port=1)
    cluster.run(1)
    cluster.crash(hosts[2])
    again = cluster.join(seed=hosts[0], id=hosts[2].id, address=hosts[2].address)
    live = [host for host in hosts if host is not hosts[2]] + [again]
    assert cluster.until(lambda: cluster.converged(live), 2)
    assert all(len(host.node.members(cluster.now)) == 5 for host in live)
    assert not any(cluster.found(host, "billing") for host in live), "its new start registered nothing"


def test_members_started_before_their_seed_find_it_when_it_comes() -> None:
    cluster = Cluster(seed=16)
    seed_address = Address("10.0.99.1", 7940)
    early = [cluster.join(seed=seed_address) for _ in range(3)]
    cluster.run(20)
    assert not any(host.node.synced for host in early)
    late = cluster.join(address=seed_address)
    assert cluster.until(lambda: cluster.converged([*early, late]), 8)


def test_mutual_seeds_that_start_together_form_one_cluster() -> None:
    cluster = Cluster(seed=17)
    addresses = [Address(f"10.0.98.{number}", 7940) for number in (1, 2, 3)]
    hosts = [cluster.join(seed=addresses[(n + 1) % 3], address=addresses[n]) for n in range(3)]
    assert cluster.until(lambda: cluster.converged(hosts), 3)


@pytest.mark.parametrize(("sealed", "said"), [(True, "not_our_key"), (False, "key_needed")])
def test_a_wrong_or_missing_key_is_an_event_of_the_joiner(sealed: bool, said: str) -> None:
    cluster = Cluster(seed=21, keyring=None if sealed else KEY)
    first = cluster.join()
    cluster.keyring = KEY if sealed else None
    joiner = cluster.join(seed=first)
    cluster.run(5)
    assert said in cluster.events(joiner)
    assert not joiner.node.synced


def test_silent_seeds_are_an_event() -> None:
    cluster = Cluster(seed=22)
    lonely = cluster.join(seed=Address("10.0.99.1", 7940))
    cluster.run(10)
    assert "seed_silent" in cluster.events(lonely)
