"""Verdicts that are refuted by somebody whom we do not reach: a network that is parted, but not for all."""

from simulations.network import bridged
from simulations.opinions import Opinions
from tests.core.cluster import Cluster, Host


def _bridged(n: int, far: frozenset[int], settled_s: float = 30) -> tuple[Cluster, list[Host], Opinions]:
    """Of `n` members those `far` ones and the others reach each other by member 0 alone, and have for a while."""
    cluster = Cluster(seed=3)
    hosts = cluster.form(n)
    opinions = Opinions(cluster)
    cluster.watch(opinions)
    cluster.network.rules["cut"] = bridged(0, far)
    cluster.run(settled_s)
    return cluster, hosts, opinions


def _all_say(cluster: Cluster, hosts: list[Host], of: Host, state: str) -> bool:
    return all(cluster.state_at(host, of) == state for host in hosts if host is not of)


def test_where_one_member_reaches_both_sides_the_others_soon_cease_to_change_their_minds() -> None:
    cluster, hosts, opinions = _bridged(24, frozenset(range(12, 24)))
    before = len(opinions.changes)
    cluster.run(60)
    assert len(opinions.changes) - before < 12 * len(hosts), (
        "of 12 others each less than once a minute; it was 35 times"
    )


def test_a_crash_on_one_side_is_soon_known_on_both() -> None:
    cluster, hosts, _ = _bridged(24, frozenset(range(12, 24)))
    for gone in (hosts[5], hosts[17]):
        cluster.crash(gone, refuses=False)
        rest = [host for host in hosts if host.up]
        assert cluster.until(lambda rest=rest, gone=gone: _all_say(cluster, rest, gone, "dead"), 6)  # type: ignore[misc]


def test_the_crash_of_one_that_only_one_other_reached_is_known_once_all_were_asked() -> None:
    cluster, hosts, opinions = _bridged(24, frozenset([23]))
    gone = hosts[23]
    before = len(opinions.changes)
    cluster.run(30)
    assert len(opinions.changes) - before < 3 * len(hosts)
    assert cluster.until(lambda: _all_say(cluster, hosts, gone, "alive") or _only_suspected(cluster, hosts, gone), 5)
    cluster.crash(gone, refuses=False)
    rest = [host for host in hosts if host.up]
    assert cluster.until(lambda: _all_say(cluster, rest, gone, "dead"), 2 + len(hosts) / 3 + 4)


def _only_suspected(cluster: Cluster, hosts: list[Host], of: Host) -> bool:
    return all(cluster.state_at(host, of) in ("alive", "suspect") for host in hosts if host is not of)


def test_who_was_paused_twice_and_is_reached_again_is_given_no_further_time() -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.form(12)
    gone = hosts[7]
    rest = [host for host in hosts if host is not gone]
    for _ in range(3):
        cluster.stall(gone)
        assert cluster.until(lambda: _all_say(cluster, rest, gone, "dead"), 3.6)
        cluster.resume(gone)
        assert cluster.until(lambda: _all_say(cluster, rest, gone, "alive"), 1)
        cluster.run(3)
    cluster.crash(gone, refuses=False)
    assert cluster.until(lambda: _all_say(cluster, rest, gone, "dead"), 3.6)


def test_a_suspect_that_another_reaches_is_looked_at_again_in_the_next_period() -> None:
    """A probe that was still under way began the next suspicion at once: five a second."""
    cluster = Cluster(seed=5)
    hosts = cluster.form(12)
    suspect = hosts[7]
    watcher = next(host for host in hosts if next(host.node.ring.successors()) == suspect.id)
    cluster.cut = lambda one, other: {one.number, other.number} == {watcher.number, suspect.number}
    cluster.run(20)
    assert 15 <= watcher.node._commons.counts["suspicions"] <= 25
    assert _all_say(cluster, [host for host in hosts if host is not watcher], suspect, "alive")
