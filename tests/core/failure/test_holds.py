"""A member that announced its restart: the other members keep its services for as long as it announced."""

import re

from tests.core.cluster import Cluster


def test_of_two_members_the_one_left_keeps_the_others_hold() -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.grow(2)
    cluster.register(hosts[1], "billing", port=1)
    cluster.run(1)
    cluster.act(hosts[1], hosts[1].node.leave(cluster.now, hold_s=20))
    cluster.run(18)
    assert cluster.found(hosts[0], "billing")
    assert cluster.until(lambda: not cluster.found(hosts[0], "billing"), 6)


def test_a_hold_is_in_the_reason_during_and_after_it() -> None:
    cluster = Cluster(seed=11)
    hosts = cluster.grow(3)
    cluster.run(60)
    cluster.leave(hosts[2], hold_s=20.0)
    assert cluster.until(lambda: hosts[2].departed, 5)
    cluster.crash(hosts[2])
    cluster.run(5)
    info = hosts[0].node.member(hosts[2].id, cluster.now)
    assert info is not None
    assert info.state == "alive"
    assert info.since_s < 10
    assert re.fullmatch(r"restarting, to be back within 1\d s", info.reason)
    assert cluster.until(lambda: cluster.state_at(hosts[0], hosts[2]) == "dead", 30)
    reasons = [info.reason for host in hosts[:2] if (info := host.node.member(hosts[2].id, cluster.now))]
    assert any(reason.startswith("it did not come back within the 20 s that it had announced; ") for reason in reasons)


def test_helpers_report_a_restart_that_the_asker_missed() -> None:
    for seed in range(6):
        cluster = Cluster(seed=seed)
        hosts = cluster.grow(8)
        gone = hosts[3]
        watcher = next(host for host in hosts if next(host.node.ring.successors()) == gone.id)
        cluster.cut = lambda _sender, receiver, watcher=watcher: receiver is watcher  # type: ignore[misc]
        cluster.leave(gone, hold_s=20)
        assert cluster.until(lambda gone=gone: not gone.up, 3)  # type: ignore[misc]
        cluster.cut = lambda _from, _to: False
        cluster.run(8)
        assert not any(cluster.state_at(host, gone) == "dead" for host in hosts if host is not gone)
        cluster.start(gone, [hosts[0]])
        assert cluster.until(lambda hosts=hosts, cluster=cluster: cluster.converged(hosts), 5)  # type: ignore[misc]
