"""Leaving: when a farewell is over, and what it says."""

from gossipreg.config import lan
from tests.core.cluster import Cluster


def test_farewell_waits_for_the_acks_of_all_neighbours() -> None:
    """One of them hears nothing. After the retransmission the ack of any other one is enough."""
    cluster = Cluster(seed=12)
    hosts = sorted(cluster.form(8), key=lambda host: host.id)
    cluster.run(3)
    cluster.cut = lambda _sender, to: to is hosts[3]
    cluster.leave(hosts[2])
    assert not cluster.until(lambda: hosts[2].departed, 0.9 * lan.rtt_floor_s)
    assert cluster.until(lambda: hosts[2].departed, 0.6 * lan.rtt_floor_s)


def test_member_in_maintenance_does_not_hold_its_place() -> None:
    cluster = Cluster(seed=13)
    leaving, other = cluster.grow(2)
    cluster.act(leaving, leaving.node.drain(True, cluster.now))
    cluster.act(leaving, leaving.node.leave(cluster.now, hold_s=10))
    assert cluster.until(lambda: cluster.state_at(other, leaving) == "left", 1)
