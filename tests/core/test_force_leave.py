"""Declaring a dead member left: for everybody, once, and never a living one."""

import pytest

from gossipreg.errors import NotFound, Refused
from gossipreg.model import NodeId
from tests.core.cluster import Cluster, Host


def force_leave(cluster: Cluster, at: Host, of: NodeId) -> None:
    cluster.act(at, at.node.force_leave(of, cluster.now))


def grown(n: int = 5) -> tuple[Cluster, list[Host]]:
    cluster = Cluster(seed=11)
    return cluster, cluster.grow(n)


def test_a_dead_member_is_left_for_all_once_one_declares_it() -> None:
    cluster, hosts = grown()
    dead = hosts[3]
    cluster.crash(dead)
    others = [host for host in hosts if host is not dead]
    assert cluster.until(lambda: cluster.all_say(others, dead, "dead"), 5)
    force_leave(cluster, hosts[1], dead.id)
    assert cluster.until(lambda: cluster.all_say(others, dead, "left"), 1)
    info = hosts[4].node.member(dead.id, cluster.now)
    assert info is not None
    assert info.reason == "declared left by an operator (force-leave)"
    assert all(host.node.inspect().greeted == {} for host in others), "nobody calls it any more"
    cluster.run(30)
    assert cluster.all_say(others, dead, "left")
    with pytest.raises(Refused, match="has left already"):
        force_leave(cluster, hosts[2], dead.id)


def test_a_suspected_member_is_left_at_once() -> None:
    cluster, hosts = grown()
    cluster.crash(hosts[3], refuses=False)
    assert cluster.until(lambda: any(cluster.state_at(host, hosts[3]) == "suspect" for host in hosts), 3)
    at = next(host for host in hosts if cluster.state_at(host, hosts[3]) == "suspect")
    force_leave(cluster, at, hosts[3].id)
    assert cluster.until(lambda: cluster.all_say([*hosts[:3], hosts[4]], hosts[3], "left"), 1)


def test_a_living_member_oneself_and_a_stranger_are_refused() -> None:
    cluster, hosts = grown(3)
    with pytest.raises(Refused, match="is alive here: end it with `gossipreg leave` on its host"):
        force_leave(cluster, hosts[0], hosts[1].id)
    with pytest.raises(Refused, match="is this sidecar itself"):
        force_leave(cluster, hosts[0], hosts[0].id)
    with pytest.raises(NotFound, match="no such member"):
        force_leave(cluster, hosts[0], NodeId(b"nobody nobody no"))
    cluster.run(2)
    assert all(cluster.all_say(hosts, host, "alive") for host in hosts)


def test_a_member_that_was_only_cut_off_comes_back_after_it() -> None:
    cluster, hosts = grown()
    lone = hosts[2]
    others = [host for host in hosts if host is not lone]
    cluster.cut = lambda sender, receiver: lone in (sender, receiver)
    assert cluster.until(lambda: cluster.all_say(others, lone, "dead"), 10)
    force_leave(cluster, hosts[0], lone.id)
    assert cluster.until(lambda: cluster.all_say(others, lone, "left"), 1)
    cluster.cut = lambda _sender, _receiver: False
    assert cluster.until(lambda: cluster.all_say(others, lone, "alive") and cluster.converged(hosts), 60)


def test_a_restarted_member_is_alive_again_after_force_leave() -> None:
    cluster, hosts = grown()
    cluster.crash(hosts[2])
    others = [host for host in hosts if host is not hosts[2]]
    assert cluster.until(lambda: cluster.all_say(others, hosts[2], "dead"), 10)
    force_leave(cluster, hosts[0], hosts[2].id)
    cluster.run(1)
    cluster.start(hosts[2], [hosts[0]])
    assert cluster.until(lambda: cluster.all_say(hosts, hosts[2], "alive"), 10)


def test_one_that_missed_it_does_not_bring_it_back() -> None:
    """It was cut off meanwhile and knows the member as dead, or alive: it hears that it left."""
    cluster, hosts = grown(6)
    dead, away = hosts[3], hosts[5]
    others = [host for host in hosts if host not in (dead, away)]
    cluster.cut = lambda sender, receiver: away in (sender, receiver)
    cluster.crash(dead)
    assert cluster.until(lambda: cluster.all_say(others, dead, "dead"), 20)
    force_leave(cluster, hosts[0], dead.id)
    cluster.run(2)
    cluster.cut = lambda _sender, _receiver: False
    assert cluster.until(lambda: cluster.converged([*others, away]), 60)
    assert cluster.all_say(others, dead, "left")
    assert cluster.state_at(away, dead) in ("left", "dead"), "in no case alive"


def replaced(cluster: Cluster, hosts: list[Host]) -> NodeId:
    """Kill the third host and start it with an empty data directory; the id that it had."""
    old, host = hosts[2].id, hosts[2]
    cluster.crash(host)
    cluster.run(0.2)
    host.durable = False
    cluster.start(host, [hosts[0]])
    assert cluster.until(cluster.converged, 10)
    assert cluster.until(lambda: hosts[0].node.names.replaced_by(old) == host.id, 5)
    return old


def test_replaced_dead_member_is_left_while_its_namesake_lives() -> None:
    cluster, hosts = grown()
    old = replaced(cluster, hosts)
    assert hosts[0].node.member(old, cluster.now) is None, "no list shows it"
    force_leave(cluster, hosts[0], old)
    assert cluster.until(
        lambda: all(host.node.table.rows[old].declared_left for host in (hosts[0], hosts[1], hosts[4])), 2
    )
    assert cluster.all_say(hosts, hosts[2], "alive")
    assert hosts[0].node.replaced_members(cluster.now) == []


def test_replaced_member_is_named_apart_from_the_living_one() -> None:
    cluster, hosts = grown()
    old = replaced(cluster, hosts)
    node = hosts[0].node
    assert node.name_of_gone(old) == f"{hosts[2].name}.{old.hex()[:8]}"
    assert node.name_of_gone(hosts[2].id) == hosts[2].name
