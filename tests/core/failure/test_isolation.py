"""A member that receives nothing from any member, or is one of only two."""

from dataclasses import replace

from gossipreg.config import lan, wan
from gossipreg.model import NodeId
from simulations.network import into
from tests.core.cluster import Cluster


def test_of_two_members_one_hides_a_refused_port_for_itself_only() -> None:
    cluster = Cluster(seed=6)
    hosts = cluster.grow(2)
    cluster.register(hosts[1], "billing", port=1)
    cluster.run(1)
    cluster.crash(hosts[1])
    assert cluster.until(lambda: not cluster.found(hosts[0], "billing"), 1.6)
    assert cluster.state_at(hosts[0], hosts[1]) == "dead"
    assert "verdicts" not in hosts[0].node.statistics(cluster.now)


def test_a_hidden_member_is_dead_since_it_was_hidden() -> None:
    """Not since it was seen first: the table itself still says that it is alive."""
    cluster = Cluster(seed=6)
    watcher, other = cluster.grow(2)
    cluster.run(600)
    cluster.crash(other)
    assert cluster.until(lambda: cluster.state_at(watcher, other) == "dead", 3)
    cluster.run(10)
    assert watcher.node.table.rows[other.id].hidden
    shown = watcher.node.member(other.id, watcher.local(cluster.now))
    assert shown is not None
    assert 9 < shown.since_s < 14


def test_an_isolated_member_claims_nothing_and_answers_stale() -> None:
    config = replace(lan, alone_s=20.0)
    cluster = Cluster(seed=7, config=config)
    hosts = cluster.grow(6)
    cluster.register(hosts[1], "billing", port=1)
    cluster.run(1)
    cluster.cut = lambda sender, to: hosts[0] in (sender, to)
    assert cluster.until(lambda: hosts[0].node.alone, 5)
    assert [one.stale for one in hosts[0].node.catalog.lookup("billing")] == [True]
    cluster.run(10)
    assert cluster.found(hosts[0], "billing")
    assert cluster.until(lambda: not cluster.found(hosts[0], "billing"), 15), "a dead member is not served for ever"
    assert "verdicts" not in hosts[0].node.statistics(cluster.now)
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: cluster.converged(hosts), 15)
    assert not hosts[0].node.alone
    assert [one.stale for one in hosts[0].node.catalog.lookup("billing")] == [False]


def test_a_member_hidden_for_a_refused_port_is_back_at_restart() -> None:
    """Found by swarm: the suspicion of its former process ended only in the next round."""
    cluster = Cluster(seed=1)
    watcher = cluster.join()
    other = cluster.join(watcher, id=NodeId(b"o" * 16))
    cluster.register(other, "billing")
    cluster.run(3)
    cluster.crash(other)
    assert cluster.until(lambda: not cluster.found(watcher, "billing"), 3)
    cluster.run(5)
    assert watcher.node.table.rows[other.id].hidden
    cluster.start(other, (watcher,))
    assert cluster.until(
        lambda: watcher.node.table.rows[other.id].content_version == other.node.table.own.content_version, 3, 0.0005
    )
    assert cluster.found(watcher, "billing")


def test_the_end_of_isolation_probes_all_suspects_at_once() -> None:
    """The silence had worsened its local health, so the next round was 50 s away, and then it asked twelve helpers
    about each suspect."""
    cluster = Cluster(seed=3, config=wan)
    deaf, *others = cluster.form(12)
    cluster.run(30)
    cluster.network.rules["deaf"] = into(frozenset({deaf.number}))
    cluster.run(60)
    assert deaf.node.inspect().suspicions
    del cluster.network.rules["deaf"]
    cluster.run(wan.period_s)
    assert not deaf.node.inspect().suspicions
    assert all(cluster.state_at(deaf, other) == "alive" for other in others)
