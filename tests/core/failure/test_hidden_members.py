"""Hidden members: out of our own answers alone, for more than one reason at a time."""

from dataclasses import replace

from gossipreg.config import lan
from gossipreg.model import ChangeKind
from tests.core.cluster import Cluster


def test_refused_port_hides_a_member_after_isolation_ends() -> None:
    cluster = Cluster(seed=3, config=replace(lan, alone_small_s=5.0))
    watcher, crashed, silent = cluster.grow(3)
    cluster.register(crashed, "web")
    cluster.run(1)
    cluster.crash(crashed)
    cluster.cut = lambda sender, to: silent in (sender, to)
    assert cluster.until(lambda: not cluster.found(watcher, "web"), 3), "its port is refused"
    assert cluster.until(lambda: "alone_over" in cluster.events(watcher), 20), (
        "the isolation hides all other members too"
    )
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: "member_dead" in cluster.events(watcher), 10), "now the other member confirms it"
    assert not watcher.node.alone
    assert [change.kind for change in cluster.changes(watcher)] == [ChangeKind.ADDED, ChangeKind.REMOVED]
