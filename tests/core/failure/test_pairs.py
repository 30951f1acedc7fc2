"""Loss between one pair of members: it is reported with its direction and its end, and nobody is declared dead."""

import pytest

from gossipreg.core.failure.pairs import PAIRS_MAX
from gossipreg.model import NodeId
from simulations import inside
from simulations.baselines.config import swim
from simulations.network import between, into
from tests.core.cluster import Cluster, Host

FOUND_S, OVER_S = 30, 30


def in_a_ring(seed: int, n: int) -> tuple[Cluster, list[Host]]:
    """Members in the order of the ring: each pings the next one."""
    cluster = Cluster(seed=seed)
    hosts = cluster.grow(n)
    return cluster, sorted(hosts, key=lambda host: host.id)


def lose(cluster: Cluster, sender: Host, receiver: Host) -> None:
    cluster.cut = lambda one, other: (one, other) == (sender, receiver)


def heal(cluster: Cluster) -> None:
    cluster.cut = lambda _one, _other: False


def said_at(host: Host) -> list[tuple[bytes, str, str]]:
    return [(pair.id, pair.sign, pair.way) for pair in host.node.lossy_pairs]


def test_a_lossy_pair_is_reported_with_the_helpers_that_reach_it() -> None:
    cluster, (one, other, *helpers) = in_a_ring(3, 5)
    began = cluster.now
    lose(cluster, one, other)
    assert cluster.until(lambda: bool(one.node.lossy_pairs), FOUND_S)
    [pair] = one.node.lossy_pairs
    assert (pair.id, pair.sign) == (other.id, "unanswered")
    assert began <= pair.since <= began + 3
    assert 0 < len(pair.through) <= 3
    assert set(pair.through) <= {host.id for host in helpers}
    cluster.register(other, "web")  # it gossips to its neighbours, so a datagram of it comes here
    assert cluster.until(lambda: said_at(one) == [(other.id, "unanswered", "to")], FOUND_S)
    assert cluster.until(lambda: said_at(other) == [(one.id, "unheard", "from")], FOUND_S)
    assert one.node.statistics(cluster.now)["lossy_pairs"] == 1
    assert all(cluster.alive_at(host) == {each.id for each in cluster.hosts} for host in cluster.hosts)
    heal(cluster)
    assert cluster.until(lambda: said_at(one) == said_at(other) == [], OVER_S)
    assert cluster.events(one).count("pair_lossy_over") == cluster.events(other).count("pair_lossy_over") == 1


def test_lost_acks_are_reported_at_both_ends() -> None:
    cluster, (one, other, *rest) = in_a_ring(3, 5)
    lose(cluster, other, one)
    assert cluster.until(lambda: said_at(one) == [(other.id, "unanswered", "unknown")], FOUND_S)
    assert cluster.until(lambda: said_at(other) == [(one.id, "accused", "to")], FOUND_S)
    assert all(said_at(host) == [] for host in rest)
    heal(cluster)
    assert cluster.until(lambda: said_at(one) == said_at(other) == [], OVER_S)


def test_a_pair_that_is_cut_both_ways_is_reported_at_both_ends() -> None:
    cluster, (one, other, *rest) = in_a_ring(3, 5)
    cluster.cut = lambda a, b: (a is one and b is other) or (a is other and b is one)
    assert cluster.until(lambda: said_at(one) == [(other.id, "unanswered", "unknown")], FOUND_S)
    assert cluster.until(lambda: said_at(other) == [(one.id, "unheard", "from")], FOUND_S)
    cluster.run(60)
    assert said_at(one) != []
    assert all(cluster.alive_at(host) == {each.id for each in cluster.hosts} for host in [one, other, *rest])


def test_a_lossy_pair_is_probed_after_the_ring_leaves_it() -> None:
    cluster, hosts = in_a_ring(3, 5)
    one, other = hosts[0], hosts[1]
    lose(cluster, one, other)
    assert cluster.until(lambda: bool(one.node.lossy_pairs), FOUND_S)
    late = cluster.add(id=_between(one.id, other.id))
    cluster.start(late, [one])
    assert cluster.until(lambda: next(iter(one.node.ring.successors())) == late.id, 10)
    cluster.run(60)
    assert [id for id, *_ in said_at(one)] == [other.id]
    heal(cluster)
    assert cluster.until(lambda: said_at(one) == [], OVER_S)


def _between(low: NodeId, high: NodeId) -> NodeId:
    return NodeId(((int.from_bytes(low, "big") + int.from_bytes(high, "big")) // 2).to_bytes(16, "big"))


def test_a_lossy_pair_is_over_when_the_member_leaves_or_dies() -> None:
    cluster, (one, other, *_) = in_a_ring(3, 5)
    lose(cluster, one, other)
    assert cluster.until(lambda: bool(one.node.lossy_pairs), FOUND_S)
    cluster.crash(other)
    assert cluster.until(lambda: said_at(one) == [], 10)
    assert one.node.inspect().noted_pairs == 0


@pytest.mark.parametrize(
    ("loss", "lasts_s"),
    [(0.0, 100), (0.1, 200), *(pytest.param(loss, 600, marks=pytest.mark.wide) for loss in (0.05, 0.1))],
)
def test_loss_between_all_members_is_no_lossy_pair(loss: float, lasts_s: float) -> None:
    cluster = Cluster(seed=8)
    hosts = cluster.grow(6)
    cluster.network.loss = loss
    cluster.run(lasts_s)
    assert [cluster.events(host).count("pair_lossy") for host in hosts] == [0] * 6


def test_a_partition_and_a_deaf_member_are_no_lossy_pair() -> None:
    cluster = Cluster(seed=8)
    hosts = cluster.grow(8)
    cluster.network.rules["halves"] = between(lambda end: end.number < 4)
    cluster.run(60)
    del cluster.network.rules["halves"]
    assert cluster.until(lambda: cluster.converged(hosts), 60)
    cluster.network.rules["deaf"] = into(frozenset({2}))
    cluster.run(60)
    assert [cluster.events(host).count("pair_lossy") for host in hosts if host.number != 2] == [0] * 7


def test_more_pairs_than_a_few_are_counted_not_kept() -> None:
    cluster = Cluster(seed=8)
    [host, *_] = hosts = cluster.grow(3 + PAIRS_MAX)
    for other in hosts[1:]:
        inside.note_pair(host.node, other.id, hosts[1].id)
    assert host.node.inspect().noted_pairs == PAIRS_MAX
    assert host.node.statistics(cluster.now)["pairs_not_noted"] == 2


def test_gossiped_suspicion_reports_no_lossy_pairs() -> None:
    cluster = Cluster(seed=8, config=swim())
    hosts = cluster.grow(5)
    lose(cluster, hosts[0], hosts[1])
    cluster.run(60)
    assert all(host.node.lossy_pairs == [] for host in hosts)
