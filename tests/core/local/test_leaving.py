"""Members that leave: the others know at once, and the leaving one waits for nobody in vain."""

from gossipreg.config import lan
from tests.core.cluster import Cluster


def test_a_leaving_member_departs_once_its_leave_is_received() -> None:
    cluster = Cluster(seed=10)
    hosts = cluster.grow(8)
    cluster.register(hosts[4], "billing", port=1)
    cluster.run(1)
    cluster.act(hosts[4], hosts[4].node.leave(cluster.now))
    others = [host for host in hosts if host is not hosts[4]]
    assert cluster.until(lambda: all(cluster.state_at(host, hosts[4]) == "left" for host in others), 0.1)
    assert cluster.until(lambda: hosts[4].departed, 0.1)
    assert not any(cluster.found(host, "billing") for host in others)


def test_the_last_member_departs_at_once() -> None:
    cluster = Cluster(seed=11)
    host = cluster.join()
    cluster.act(host, host.node.leave(cluster.now))
    assert host.departed


def test_leaving_waits_for_no_silent_neighbour() -> None:
    """It waited for the bound, 2 s."""
    cluster = Cluster(seed=12)
    hosts = sorted(cluster.form(8), key=lambda host: host.id)
    cluster.run(3)
    cluster.crash(hosts[3], refuses=False)
    cluster.leave(hosts[2])
    assert cluster.until(lambda: hosts[2].departed, 1.5 * lan.rtt_floor_s)
    others = [host for host in hosts if host.up]
    assert all(cluster.state_at(host, hosts[2]) == "left" for host in others)


def test_leaving_waits_for_no_member_that_left_just_before() -> None:
    """Whoever left last waited for its bound, 2 s: those who would have heard it had stopped."""
    cluster = Cluster(seed=1)
    hosts = cluster.form(8)
    cluster.run(3)
    for host in hosts:
        cluster.leave(host)
        cluster.run(0.0002)
    assert cluster.until(lambda: all(host.departed for host in hosts), 2.1 * lan.rtt_floor_s)


def test_leaving_that_nobody_receives_ends_after_its_timeout() -> None:
    cluster = Cluster(seed=12)
    hosts = cluster.grow(3)
    cluster.cut = lambda sender, _to: sender is hosts[0]
    cluster.act(hosts[0], hosts[0].node.leave(cluster.now))
    assert not cluster.until(lambda: hosts[0].departed, 0.3)
    assert cluster.until(lambda: hosts[0].departed, lan.leave_s + 0.1)


def test_a_held_member_keeps_its_services_until_the_hold_ends() -> None:
    cluster = Cluster(seed=13)
    hosts = cluster.grow(5)
    cluster.register(hosts[2], "billing", port=1)
    cluster.run(1)
    cluster.act(hosts[2], hosts[2].node.leave(cluster.now, hold_s=10))
    others = [host for host in hosts if host is not hosts[2]]
    assert cluster.until(lambda: hosts[2].departed, 1)
    cluster.run(8)
    assert all(cluster.found(host, "billing") for host in others)
    assert cluster.until(lambda: not any(cluster.found(host, "billing") for host in others), 6)


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
