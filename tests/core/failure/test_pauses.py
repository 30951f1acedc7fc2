"""Processes that pause: the paused member keeps its services, and a paused prober suspects nobody."""

from gossipreg.config import lan
from tests.core.cluster import Cluster, all_but


def test_a_pause_of_a_second_and_a_half_removes_no_services() -> None:
    for seed in range(5):
        cluster = Cluster(seed=seed)
        hosts = cluster.grow(8)
        cluster.register(hosts[2], "billing", port=1)
        cluster.run(2 + seed / 5)
        cluster.stall(hosts[2])
        cluster.run(1.5)
        cluster.resume(hosts[2])
        cluster.run(10)
        assert cluster.all_say(hosts, hosts[2], "alive")
        assert all(len(cluster.changes(host)) == 1 for host in hosts), "no member ever lost it"


def test_a_paused_member_that_wakes_is_back_within_a_refutation() -> None:
    cluster = Cluster(seed=3)
    hosts = cluster.grow(8)
    cluster.stall(hosts[2])
    assert cluster.until(lambda: cluster.all_say(all_but(hosts, hosts[2]), hosts[2], "dead"), 4)
    cluster.resume(hosts[2])
    assert cluster.until(lambda: cluster.converged(hosts), 0.5)
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in [hosts[2]]), "it accused nobody"


def test_a_prober_that_slept_suspects_nobody() -> None:
    cluster = Cluster(seed=9)
    hosts = cluster.grow(6)
    for pause_s in (0.3, 1.0, 5.0, 1.0, 0.3):
        cluster.stall(hosts[3])
        hosts[3].clear()
        cluster.run(pause_s)
        cluster.resume(hosts[3])
        cluster.run(3)
    assert "verdicts" not in hosts[3].node.statistics(cluster.now)
    assert cluster.until(lambda: cluster.converged(hosts), 5)


def test_a_prober_that_slept_reads_its_queue_before_it_judges() -> None:
    """When it wakes, a nack and then the suspect's ack wait in the socket. The clock has run on meanwhile, so the floor
    seemed to be over when the nack was read."""
    for seed in range(6):
        cluster = Cluster(seed=seed)
        hosts = cluster.grow(4)
        cluster.run(2 + seed / 6)
        ring = sorted(hosts, key=lambda host: host.id)
        watcher, suspect = ring[0], ring[1]
        cluster.stall(suspect)
        cluster.run(0.8)
        cluster.stall(watcher)
        cluster.run(0.2)
        cluster.resume(suspect)
        cluster.run(2.5)
        cluster.resume(watcher)
        cluster.run(3)
        assert "verdicts" not in watcher.node.statistics(cluster.now)


def test_an_answer_received_while_asleep_is_no_round_trip() -> None:
    cluster = Cluster(seed=3)
    sleeper, other = cluster.grow(2)

    def probes() -> object:
        return sleeper.node.statistics(cluster.now).get("probes", 0)

    for _ in range(10):
        before = probes()
        while probes() == before:
            cluster.run(0.0002)
        cluster.stall(sleeper)
        cluster.run(1.0)
        cluster.resume(sleeper)
        cluster.run(0.5)
    rtt_s = sleeper.node.rtt_s(other.id)
    assert rtt_s is not None
    assert rtt_s < 0.01


def test_a_probe_that_nobody_answered_is_forgotten_in_time() -> None:
    cluster = Cluster(seed=3)
    hosts = cluster.form(6)
    cluster.network.loss = 0.3
    cluster.run(80)
    asked = [probe.sent_at for host in hosts for probe in host.node.inspect().probes]
    assert cluster.now - 61 * lan.period_s < min(asked) < cluster.now - 55 * lan.period_s
