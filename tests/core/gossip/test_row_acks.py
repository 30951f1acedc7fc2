"""Waiting until every living member holds our row: `Node.await_acks` and the effect RowAcked."""

import pytest

from gossipreg.core.effects import Effect, RowAcked
from gossipreg.model import NOTHING, Health, RegisteredService
from simulations.observer import Observer
from tests.core.cluster import START, Cluster, Host
from tests.core.speaker import Speaker, a_node
from tests.seeds import seeds


class _Acked(Observer):
    def __init__(self) -> None:
        self.versions: list[object] = []

    def on_effect(self, host: Host, effect: Effect) -> None:  # noqa: ARG002  # the observer's signature
        if type(effect) is RowAcked:
            self.versions.append(effect.version)


def _cluster(members: int, seed: int = 1) -> tuple[Cluster, list[Host], _Acked]:
    cluster, acked = Cluster(seed=seed), _Acked()
    cluster.watch(acked)
    hosts = cluster.grow(members)
    cluster.register(hosts[0], "web")
    cluster.run(2)
    return cluster, hosts, acked


def _drain(cluster: Cluster, host: Host) -> None:
    cluster.act(host, host.node.drain(True, cluster.now))
    cluster.act(host, host.node.await_acks(host.node.version, cluster.now))


def _holders(hosts: list[Host], of: Host) -> list[Health]:
    return [one.health for host in hosts for one in host.node.catalog.lookup("web", all=True) if one.node == of.id]


@pytest.mark.parametrize("members", [2, 3, 40])
def test_acks_come_once_every_member_holds_the_row(members: int) -> None:
    cluster, hosts, acked = _cluster(members)
    _drain(cluster, hosts[0])
    assert cluster.until(lambda: bool(acked.versions), 0.2)
    assert acked.versions == [hosts[0].node.version]
    assert _holders(hosts, hosts[0]) == [Health.MAINTENANCE] * members
    assert hosts[0].node.acks_missing() == []


def test_a_lone_member_has_all_acks_at_once() -> None:
    cluster, hosts, acked = _cluster(1)
    _drain(cluster, hosts[0])
    assert acked.versions == [hosts[0].node.version]


@pytest.mark.parametrize("seed", seeds(range(1, 6)))
def test_acks_never_come_before_the_last_member_holds_the_row(seed: int) -> None:
    cluster, hosts, acked = _cluster(12, seed)
    cluster.network.rules["loss"] = lambda _from, _to: 0.3
    _drain(cluster, hosts[0])
    while not acked.versions:
        cluster.run(0.005)
        assert cluster.now < 3600
    alive = hosts[0].node.ring
    assert all(
        one.health is Health.MAINTENANCE
        for host in hosts if host.id in alive
        for one in host.node.catalog.lookup("web", all=True) if one.node == hosts[0].id
    )  # fmt: skip


def test_a_member_that_hears_nothing_keeps_acks_missing() -> None:
    cluster, hosts, acked = _cluster(5)
    deaf = hosts[3]
    cluster.cut = lambda _from, to: to is deaf
    _drain(cluster, hosts[0])
    cluster.run(0.5)
    assert acked.versions == []
    assert hosts[0].node.acks_missing() == [deaf.id]


def test_a_member_that_dies_is_waited_for_no_longer() -> None:
    cluster, hosts, acked = _cluster(5)
    cluster.crash(hosts[3], refuses=False)
    _drain(cluster, hosts[0])
    assert cluster.until(lambda: bool(acked.versions), 10)
    assert hosts[3].id not in hosts[0].node.ring


def test_a_member_that_joins_meanwhile_must_ack_too() -> None:
    cluster, hosts, acked = _cluster(4)
    deaf = hosts[3]
    cluster.cut = lambda _from, to: to is deaf
    _drain(cluster, hosts[0])
    cluster.run(0.3)
    joiner = cluster.join(hosts[1])
    assert cluster.until(lambda: joiner.id in hosts[0].node.ring, 1)
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: bool(acked.versions), 10)
    assert [one.health for one in joiner.node.catalog.lookup("web", all=True)] == [Health.MAINTENANCE]


def test_a_later_change_while_waiting_raises_the_goal() -> None:
    cluster, hosts, acked = _cluster(5)
    cluster.cut = lambda _from, _to: True
    _drain(cluster, hosts[0])
    first = hosts[0].node.version
    cluster.run(0.1)
    cluster.cut = lambda _from, _to: False
    cluster.act(hosts[0], hosts[0].node.drain(False, cluster.now))
    cluster.act(hosts[0], hosts[0].node.await_acks(hosts[0].node.version, cluster.now))
    assert cluster.until(lambda: bool(acked.versions), 10)
    assert acked.versions == [hosts[0].node.version]
    assert hosts[0].node.version > first
    assert _holders(hosts, hosts[0]) == [Health.PASSING] * 5


def test_nobody_is_asked_any_more_once_waiting_ends() -> None:
    cluster, hosts, acked = _cluster(5)
    cluster.cut = lambda _from, to: to is hosts[3]
    _drain(cluster, hosts[0])
    cluster.run(0.2)
    hosts[0].node.stop_awaiting_acks()
    assert hosts[0].node.acks_missing() == []
    cluster.cut = lambda _from, _to: False
    cluster.run(5)
    assert acked.versions == []


def test_older_version_of_our_row_is_no_ack() -> None:
    node, speaker = a_node(), Speaker(1)
    speaker.handshake(node, START)
    older = node.table.page(node.id, NOTHING, 1300)
    assert older is not None
    node.register(RegisteredService("web", "web", "10.1.0.1", 80), Health.PASSING, START)
    node.await_acks(node.version, START)
    speaker.send_to(node, START, older)
    assert node.acks_missing() == [speaker.id]
    newer = node.table.page(node.id, NOTHING, 1300)
    assert newer is not None
    speaker.send_to(node, START, newer)
    assert node.acks_missing() == []
