"""Crashes in whole clusters, in virtual time: how soon all members know, even of many at once and despite loss."""

import pytest

from tests.core.cluster import Cluster, all_but


@pytest.mark.parametrize("n", [3, 8, 24])
@pytest.mark.parametrize(("refuses", "limit_s"), [(True, 1.6), (False, 3.6)])
def test_a_crash_is_known_to_all_within_its_bound(n: int, refuses: bool, limit_s: float) -> None:
    for seed in range(5 if n < 24 else 2):
        _crash_one(seed, n, refuses, limit_s)


def _crash_one(seed: int, n: int, refuses: bool, limit_s: float) -> None:
    cluster = Cluster(seed=seed)
    hosts = cluster.grow(n)
    cluster.run(3 + seed / 5)
    victim = hosts[seed % n]
    cluster.register(victim, "billing", port=1)
    cluster.run(0.5)
    cluster.crash(victim, refuses=refuses)
    others = all_but(hosts, victim)
    assert cluster.until(lambda: cluster.all_say(others, victim, "dead"), limit_s)
    assert not any(cluster.found(host, "billing") for host in others)


@pytest.mark.parametrize("n", [48, pytest.param(200, marks=pytest.mark.wide)])
def test_a_silent_crash_of_half_the_cluster_is_soon_known(n: int) -> None:
    """Missing nacks of helpers that had crashed too worsened local health, and it took up to 10 s."""
    cluster = Cluster(seed=6)
    hosts = cluster.form(n)
    cluster.run(2)
    for host in cluster.rng.sample(hosts, n // 2):
        cluster.crash(host, refuses=False)
    assert cluster.until(lambda: all(len(host.node.ring) == n // 2 for host in hosts if host.up), 5, 0.1)


def test_two_that_die_at_once_are_both_found_out() -> None:
    cluster = Cluster(seed=10)
    hosts = cluster.grow(8)
    ring = sorted(hosts, key=lambda host: host.id)
    for victim in ring[2:4]:  # they are ring neighbours: one of them probes the other
        cluster.crash(victim, refuses=False)
    others = [host for host in hosts if host not in ring[2:4]]
    assert cluster.until(lambda: all(cluster.all_say(others, victim, "dead") for victim in ring[2:4]), 4)


def test_another_member_at_an_address_proves_the_former_gone() -> None:
    cluster = Cluster(seed=5)
    hosts = cluster.grow(4)
    cluster.register(hosts[2], "billing", port=1)
    cluster.run(1)
    cluster.crash(hosts[2], refuses=False)
    cluster.join(seed=hosts[0], address=hosts[2].address)  # without a data directory: another identity
    others = [host for host in hosts if host is not hosts[2]]
    assert cluster.until(lambda: not any(cluster.found(host, "billing") for host in others), 1.5), (
        "no need for the floor"
    )
    assert all(cluster.state_at(host, hosts[2]) == "dead" for host in others)


def test_a_probe_lost_long_ago_does_not_delay_a_refused_port() -> None:
    """A lost probe is kept for a late ack, and a refused port was taken for that probe's: 1.3 s instead of 0.41."""
    for seed in range(4):
        _lose_probes_and_crash(seed)


def _lose_probes_and_crash(seed: int) -> None:
    cluster = Cluster(seed=seed)
    hosts = sorted(cluster.form(8), key=lambda host: host.id)
    gone = hosts[3]
    cluster.cut = lambda _from, to: to is gone
    cluster.run(1.2)
    cluster.cut = lambda _from, _to: False
    cluster.run(10 + seed / 4)
    others = all_but(hosts, gone)
    assert cluster.all_say(others, gone, "alive")
    cluster.crash(gone)
    cluster.register(hosts[2], "billing", port=1)
    assert cluster.until(lambda: cluster.all_say(others, gone, "dead"), 0.5)


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("loss", [pytest.param(0.2, marks=pytest.mark.wide), 0.3])
def test_a_crash_among_few_is_soon_known_where_all_lose_much(n: int, loss: float) -> None:
    """The others took the loss for a fault of their own and declared nobody dead for a minute: a member at fault sent
    no nack, so only the successes of helpers were received."""
    for seed in range(5, 10):
        cluster = Cluster(seed=seed)
        gone, *rest = cluster.form(n)
        cluster.run(3)
        cluster.network.loss = loss
        cluster.run(60)
        cluster.crash(gone, refuses=False)
        cluster.run(6)
        assert cluster.all_say(rest, gone, "dead")


@pytest.mark.parametrize(
    ("n", "refuses", "gone", "limit_s"),
    [
        (48, True, 24, 3),
        (48, False, 24, 12),
        pytest.param(200, True, 100, 3, marks=pytest.mark.wide),
        pytest.param(200, True, 180, 5, marks=pytest.mark.wide),
        pytest.param(200, False, 100, 12, marks=pytest.mark.wide),
    ],
)
def test_survivors_of_a_mass_crash_soon_agree(n: int, refuses: bool, gone: int, limit_s: float) -> None:
    """A rack or a zone fails. Missing nacks of crashed helpers worsened local health: 20 s, now 4 to 11."""
    cluster = Cluster(seed=16)
    for host in cluster.rng.sample(cluster.form(n), gone):
        cluster.crash(host, refuses=refuses)
    assert cluster.until(cluster.converged, limit_s, 0.05)
