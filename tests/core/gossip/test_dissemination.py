"""How updates spread in whole clusters, in virtual time: fan-out, retransmission, comparing."""

from dataclasses import replace

import pytest

from gossipreg.config import lan
from gossipreg.model import Health, NodeId, Rank, RegisteredService
from gossipreg.wire.messages import Claim
from simulations import inside
from tests.core.cluster import Cluster, Host
from tests.core.speaker import counted


def _all_find(cluster: Cluster, hosts: list[Host], name: str) -> bool:
    return all(cluster.found(host, name) for host in hosts)


def test_a_registration_is_found_everywhere_in_a_few_round_trips() -> None:
    cluster = Cluster(seed=1)
    hosts = cluster.grow(16)
    cluster.register(hosts[3], "billing", port=8080)
    assert cluster.found(hosts[3], "billing") == {f"{hosts[3].address.host}:8080"}
    assert cluster.until(lambda: _all_find(cluster, hosts, "billing"), 0.05)


def test_a_deregistered_service_stays_gone_everywhere() -> None:
    cluster = Cluster(seed=2)
    hosts = cluster.grow(8)
    cluster.register(hosts[0], "billing", port=1)
    cluster.run(1)
    cluster.act(hosts[0], hosts[0].node.deregister("billing-1", cluster.now))
    assert cluster.until(lambda: not any(cluster.found(host, "billing") for host in hosts), 0.05)
    cluster.run(30)
    assert not any(cluster.found(host, "billing") for host in hosts)
    assert cluster.converged(hosts)


def test_a_row_far_larger_than_a_datagram_reaches_everyone() -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.grow(5)
    for number in range(300):
        cluster.register(hosts[0], "many", port=1000 + number)
    assert cluster.until(lambda: all(len(cluster.found(host, "many")) == 300 for host in hosts), 5)
    joiner = cluster.join(seed=hosts[1])
    assert cluster.until(lambda: len(cluster.found(joiner, "many")) == 300, 5)
    assert cluster.until(lambda: cluster.converged([*hosts, joiner]), 5)


def test_a_value_in_parts_reaches_all_through_small_datagrams() -> None:
    cluster = Cluster(seed=5, config=replace(lan, datagram_bytes=576))
    hosts = cluster.grow(4)
    meta = tuple((f"key-{number:03}", "x" * 60) for number in range(40))
    cluster.act(
        hosts[2],
        hosts[2].node.register(RegisteredService("big", "big", "h", 1, (), meta), Health.PASSING, cluster.now)[1],
    )
    assert cluster.until(lambda: _all_find(cluster, hosts, "big"), 2)
    assert hosts[0].node.catalog.lookup("big")[0].service.meta == meta


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_a_lossy_network_costs_a_second_not_half_a_minute(loss: float) -> None:
    cluster = Cluster(seed=6)
    hosts = cluster.grow(12)
    cluster.network.loss, cluster.network.duplication, cluster.network.high_s = loss, 0.02, 0.0022
    for number in range(20):
        host = hosts[number % 12]
        cluster.register(host, f"service-{number}", port=80)
        name = f"service-{number}"
        assert cluster.until(lambda name=name: _all_find(cluster, hosts, name), 4), (name, "was not told")  # type: ignore[misc]
    cluster.network.loss = 0
    assert cluster.until(lambda: cluster.converged(hosts), 5)


def test_an_update_is_retransmitted_before_a_probe_times_out() -> None:
    cluster = Cluster(seed=6)
    hosts = cluster.grow(2)
    cluster.run(3)
    cluster.network.loss = 1.0
    cluster.register(hosts[0], "billing", port=1)
    cluster.network.loss = 0.0
    assert cluster.until(lambda: _all_find(cluster, hosts, "billing"), lan.rtt_floor_s / 2)


def test_an_update_missed_three_times_is_sent_a_fourth_time() -> None:
    """Of 1,000 members that lost a fifth of everything the last had it after 2.7 s."""
    cluster = Cluster(seed=6)
    hosts = cluster.grow(2)
    cluster.run(3)
    cluster.cut = lambda sender, _to: sender is hosts[0]
    told = counted(hosts[0].node, "sent.Delta")
    compared = counted(hosts[0].node, "sent.Buckets")
    cluster.register(hosts[0], "billing", port=1)
    assert cluster.until(lambda: counted(hosts[0].node, "sent.Delta") == told + 3, 0.2)
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: _all_find(cluster, hosts, "billing"), 0.3)
    assert counted(hosts[0].node, "sent.Buckets") == compared


def test_no_retransmission_before_a_far_receipt_can_come() -> None:
    cluster = Cluster(seed=6)
    cluster.network.low_s, cluster.network.high_s = 0.06, 0.07
    hosts = cluster.grow(2)
    cluster.run(30)
    before = counted(hosts[0].node, "rumours_repeated")
    cluster.register(hosts[0], "billing", port=1)
    cluster.run(3)
    assert counted(hosts[0].node, "rumours_repeated") == before


def test_a_stream_of_updates_is_not_retransmitted_too_early() -> None:
    """All that was told to a neighbour was told again when the first of it was due: 24 of 200 tellings."""
    cluster = Cluster(seed=6)
    cluster.network.low_s, cluster.network.high_s = 0.02, 0.021
    hosts = cluster.grow(3)
    cluster.run(30)
    before = counted(hosts[0].node, "rumours_repeated")
    for port in range(1, 101):
        cluster.register(hosts[0], "billing", port=port)
        cluster.run(0.01)
    assert counted(hosts[0].node, "rumours_repeated") == before


def test_halves_of_a_partition_are_soon_equal_once_it_heals() -> None:
    cluster = Cluster(seed=7)
    hosts = cluster.grow(12)
    left = {host.address for host in hosts[:6]}
    cluster.cut = lambda sender, to: (sender.address in left) != (to.address in left)
    cluster.run(20)
    assert [len(cluster.alive_at(host)) for host in hosts] == [6] * 12
    cluster.register(hosts[0], "written-left", port=1)
    cluster.register(hosts[11], "written-right", port=2)
    cluster.run(20)
    assert not cluster.found(hosts[11], "written-left")
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: cluster.converged(hosts), 15)
    assert _all_find(cluster, hosts, "written-left")
    assert _all_find(cluster, hosts, "written-right")


def test_an_update_missed_by_everyone_else_is_found_by_comparing() -> None:
    cluster = Cluster(seed=8)
    hosts = cluster.grow(6)
    cluster.cut = lambda sender, _to: sender is hosts[0]
    cluster.register(hosts[0], "unheard", port=1)
    cluster.run(0.1)  # less than a probe's bound: nobody suspects anyone
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: _all_find(cluster, hosts, "unheard"), 3)


def test_comparing_equal_tables_costs_nothing_beyond_the_ping() -> None:
    cluster = Cluster(seed=9)
    hosts = cluster.grow(10)
    cluster.run(5)
    kinds_before = [dict(host.node.statistics(cluster.now)) for host in hosts]
    bytes_before, before = cluster.traffic()[1], cluster.now
    cluster.run(60)
    for host, old in zip(hosts, kinds_before, strict=True):
        new = host.node.statistics(cluster.now)
        changed = {kind for kind in new if kind.startswith("sent.") and new[kind] != old.get(kind)}
        assert changed <= {"sent.Probe", "sent.Ack", "sent.datagrams", "sent.bytes"}
    assert (cluster.traffic()[1] - bytes_before) / (cluster.now - before) / 10 <= 200, "idle bytes a second a node"


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> tuple[int, int, list[str]]:
        cluster = Cluster(seed=18)
        hosts = cluster.grow(8)
        cluster.network.loss = 0.1
        cluster.register(hosts[1], "a", port=1)
        cluster.run(10)
        return *cluster.traffic(), [str(host.node.statistics(cluster.now)) for host in hosts]

    assert run() == run()


def test_watchers_see_each_change_once_and_no_refutation() -> None:
    cluster = Cluster(seed=19)
    hosts = cluster.grow(6)
    cluster.register(hosts[0], "billing", port=1)
    cluster.run(2)
    assert [change.instance.service.name for change in cluster.changes(hosts[3])] == ["billing"]
    own = hosts[0].node
    liveness = own.table.own.liveness
    dead = Claim(own.id, *liveness[:2], Rank.DEAD, NodeId(bytes(16)))
    cluster.act(hosts[1], [*inside.send(hosts[1].node, hosts[0].address, [dead], cluster.now)])
    cluster.run(2)
    assert own.statistics(cluster.now)["refutations"] == 1
    assert len(cluster.changes(hosts[3])) == 1
    assert cluster.converged(hosts)
