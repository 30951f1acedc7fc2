"""SWIM and Lifeguard as they are in their papers, for a fair comparison: what is told, when, and to whom."""

import math

import pytest

from gossipreg.config import Config
from simulations import inside
from simulations.baselines.config import lifeguard, swim
from tests.core.cluster import Cluster, Host

BOTH = pytest.mark.parametrize("config", [swim(), lifeguard()], ids=["swim", "lifeguard"])


def count(cluster: Cluster, host: Host, name: str) -> int:
    return int(host.node.statistics(cluster.now).get(name, 0))


def cut_off(cluster: Cluster, n: int) -> Host:
    """A member that nobody answers any more: the others stand still."""
    hosts = cluster.grow(n)
    cluster.run(1.5)
    for other in hosts[1:]:
        cluster.stall(other)
    return hosts[0]


def test_one_probe_at_a_time_and_local_health_slows_lifeguard() -> None:
    probes = {}
    for name, config in (("swim", swim()), ("lifeguard", lifeguard())):
        cluster = Cluster(seed=2, config=config)
        host = cut_off(cluster, 9)
        before = count(cluster, host, "probes")
        cluster.run(8)
        probes[name] = count(cluster, host, "probes") - before
    assert probes["swim"] in (4, 5), "a probe lasts its period, so the next one begins in the period after"
    assert 2 <= probes["lifeguard"] < probes["swim"]


def test_a_nack_comes_before_local_health_is_lowered() -> None:
    cluster = Cluster(seed=3, config=lifeguard())
    hosts = cluster.grow(8)
    cluster.crash(hosts[2], refuses=False)
    cluster.run(8)
    others = [host for host in hosts if host is not hosts[2]]
    assert sum(count(cluster, host, "probes_missed") for host in others) > 3
    assert all(host.node.statistics(cluster.now)["health_score"] == 0 for host in others)


def test_lifeguard_also_gossips_confirmations_of_a_suspicion() -> None:
    claims = {}
    for name, config in (("swim", swim()), ("lifeguard", lifeguard())):
        cluster = Cluster(seed=4, config=config)
        hosts = cluster.grow(12)
        cluster.run(2)
        before = sum(count(cluster, host, "sent.Claim") for host in hosts)
        cluster.crash(hosts[5], refuses=False)
        cluster.run(8)
        claims[name] = sum(count(cluster, host, "sent.Claim") for host in hosts) - before
    assert 0 < claims["swim"] <= 12 * 10
    assert claims["lifeguard"] > 1.5 * claims["swim"]


@BOTH
def test_a_suspect_learns_of_it_from_others_than_its_accuser(config: Config) -> None:
    cluster = Cluster(seed=5, config=config)
    hosts = cluster.grow(10)
    cluster.run(1)
    accuser = hosts[0]
    suspect = next(host for host in hosts[1:] if host.id not in accuser.node.ring.neighbours(1))
    cluster.act(accuser, inside.fail_indirect_pings(accuser.node, suspect.id, cluster.now))
    assert cluster.until(lambda: count(cluster, suspect, "refutations") == 1, 2)
    assert cluster.until(lambda: all(cluster.state_at(host, suspect) == "alive" for host in hosts), 2)


@BOTH
def test_a_prober_with_blocked_sends_accuses_one_member_later(config: Config) -> None:
    cluster = Cluster(seed=6, config=config)
    host = cut_off(cluster, 8)
    inside.block_prober(host.node, cluster.now, blocked=True)
    cluster.run(20)
    assert count(cluster, host, "suspicions") == 0
    inside.block_prober(host.node, cluster.now, blocked=False)
    cluster.act(host, host.node.advance(cluster.now))
    assert count(cluster, host, "suspicions") == 1


@BOTH
def test_swim_and_lifeguard_refute_and_declare_dead(config: Config) -> None:
    cluster = Cluster(seed=12, config=config)
    hosts = cluster.grow(12)
    cluster.stall(hosts[1])
    assert cluster.until(lambda: cluster.all_say(hosts, hosts[1], "suspect"), 5)
    cluster.resume(hosts[1])
    assert cluster.until(lambda: cluster.all_say(hosts, hosts[1], "alive"), 2), "a gossiped suspicion is refuted"
    assert hosts[1].node.statistics(cluster.now)["refutations"] == 1
    cluster.crash(hosts[2])
    assert not cluster.until(lambda: cluster.all_say(hosts, hosts[2], "dead"), 4)
    assert cluster.until(lambda: cluster.all_say(hosts, hosts[2], "dead"), 40)


def test_confirmations_shorten_the_time_to_refute() -> None:
    cluster = Cluster(seed=13, config=lifeguard())
    node = cluster.grow(12)[0].node
    times = [inside.refute_s(node, confirmations) for confirmations in range(5)]
    least = 5.0 * math.log10(12)
    assert times[0] == pytest.approx(6 * least)
    assert times[3:] == pytest.approx([least, least])
    assert times[0] > times[1] > times[2] > times[3]
