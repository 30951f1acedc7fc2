"""Members that share a name: who is shown under it, and which dead one was replaced."""

from gossipreg.model import NodeId
from simulations import inside
from tests.core.cluster import START, Cluster, Host
from tests.core.speaker import Speaker, a_node, parts_that_hold


def shown_at(host: Host, *others: Host) -> list[str | None]:
    return [host.node.names.shown(other.id) for other in others]


def named(cluster: Cluster, name: str, *hosts: Host) -> None:
    for host in hosts:
        host.name = name
        cluster.start(host, [] if host is cluster.hosts[0] else [cluster.hosts[0]])
        cluster.run(0.5)


def test_the_larger_id_of_two_living_namesakes_shows_its_id() -> None:
    cluster = Cluster()
    first, *pair = [cluster.add() for _ in range(3)]
    named(cluster, "first", first)
    named(cluster, "web", pair[0])
    named(cluster, "Web", pair[1])
    small, large = sorted(pair, key=lambda host: host.id)
    for host in cluster.hosts:
        longer = f"{large.name}.{large.id.hex()[:8]}"
        assert shown_at(host, small, large) == [small.name, longer]
        assert host.node.names.named("WEB") == small.id
        assert host.node.names.named(longer.upper()) == large.id
        assert host.node.names.named("nobody") is None
    cluster.crash(small)
    assert cluster.until(lambda: cluster.all_say([first], small, "dead"), 5)
    assert shown_at(first, small, large) == [None, large.name], "the living one has the name"


def test_the_dead_member_that_started_last_has_the_name() -> None:
    cluster = Cluster()
    first, *pair = [cluster.add() for _ in range(3)]
    named(cluster, "first", first)
    named(cluster, "web", *pair)
    for host in pair:
        cluster.crash(host)
    assert cluster.until(lambda: all(cluster.all_say([first], host, "dead") for host in pair), 10)
    assert shown_at(first, *pair) == [None, "web"]


def restarted(cluster: Cluster, host: Host) -> NodeId:
    """Kill and start it without its state; the id that it had."""
    old = host.id
    cluster.crash(host)
    cluster.run(0.2)
    host.durable = False
    cluster.start(host, [cluster.hosts[0]])
    return old


def test_a_dead_member_that_came_back_as_another_is_not_shown() -> None:
    cluster = Cluster(seed=6)
    hosts = cluster.grow(4)
    olds = [restarted(cluster, hosts[2]) for _ in range(3) if cluster.until(cluster.converged, 10)]
    assert len(set(olds)) == 3
    assert cluster.until(cluster.converged, 10)
    for host in hosts:
        assert [info.state for info in host.node.members(cluster.now)] == ["alive"] * 4
        assert not any(host.node.member(old, cluster.now) for old in olds)
        dead = [old for old in olds if old in host.node.table.rows]
        assert all(host.node.table.rows[old].dead for old in dead), "in the table it is dead, so nobody brings it back"
        assert all(host.node.names.replaced_by(old) == hosts[2].id for old in dead)
    assert any(old in hosts[1].node.table.rows for old in olds)


def test_a_dead_member_of_another_address_or_name_is_shown() -> None:
    cluster = Cluster(seed=6)
    hosts = cluster.grow(4)
    old = hosts[2].id
    cluster.crash(hosts[2])
    elsewhere = cluster.add()
    elsewhere.name = hosts[2].name
    cluster.start(elsewhere, [hosts[0]])
    assert cluster.until(lambda: cluster.all_say([hosts[1]], hosts[2], "dead"), 5)
    info = hosts[1].node.member(old, cluster.now)
    assert info is not None
    assert info.state == "dead"


def test_a_member_that_takes_another_name_leaves_the_old_one() -> None:
    node = a_node()
    speaker = Speaker(4)
    speaker.handshake(node, START)
    assert node.names.named("speaker-4") == speaker.id
    inside.forget(node, speaker.id)
    assert node.names.named("speaker-4") is None
    assert not parts_that_hold(node)["MemberNames._ids"].keys() - {"victim"}
