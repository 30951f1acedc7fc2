"""How large a datagram arrives at whom: searched for, confirmed, given up where large ones are lost, raised again."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.config import Config, lan
from gossipreg.core.session.outbox import BASE_BYTES, FLOOR_BYTES
from gossipreg.model import Health, RegisteredService
from simulations import inside
from simulations.host import Host
from simulations.network import hole_around
from tests.core.cluster import Cluster
from tests.examples import examples
from tests.seeds import seeds

TUNING = lan.session
FAR_BELOW, BELOW_BASE, TUNNEL = 600, 1000, 1252
"""A path of MTU 1,280 carries 1,252 bytes of UDP payload over IPv4."""


def behind_a_hole(cluster: Cluster, host: Host, most_bytes: int, way: str = "both") -> None:
    cluster.network.holes["hole"] = hole_around(frozenset((host.number,)), most_bytes, way)


def register(cluster: Cluster, host: Host, name: str, size: int = 0, port: int = 80) -> None:
    service = RegisteredService(f"{name}-{port}", name, host.address.host, port, meta=(("text", "x" * size),))
    cluster.act(host, host.node.register(service, Health.PASSING, cluster.now)[1])


def two(cluster: Cluster) -> tuple[Host, Host]:
    a = cluster.join()
    b = cluster.join(a)
    assert cluster.until(lambda: cluster.converged([a, b]), 3)
    return a, b


def sees(cluster: Cluster, host: Host, name: str, count: int = 1) -> Callable[[], bool]:
    return lambda: len(cluster.found(host, name)) == count


def talk_large(cluster: Cluster, host: Host, times: int = 12, apart_s: float = 0.5) -> None:
    """Say something of a few datagrams, again and again."""
    for number in range(times):
        register(cluster, host, "talk", 3000, 1 + number % 2)
        cluster.deregister_id(host, f"talk-{1 + (number + 1) % 2}")
        cluster.run(apart_s)


def size_to(host: Host, other: Host) -> int:
    return host.node.inspect().datagram_bytes(other.id)


@pytest.mark.parametrize("most_bytes", [FAR_BELOW, BELOW_BASE, TUNNEL])
@pytest.mark.parametrize("way", ["both", "into", "out_of"])
def test_a_joiner_behind_a_hole_gets_everything(most_bytes: int, way: str) -> None:
    cluster = Cluster(seed=3)
    a = cluster.join()
    for port in range(1, 61):
        register(cluster, a, "small", 0, port)
    register(cluster, a, "large", 6000)
    b = cluster.add()
    behind_a_hole(cluster, b, most_bytes, way)
    cluster.start(b, [a])
    register(cluster, b, "back", 6000)
    assert cluster.until(lambda: b.node.synced, 10)
    assert sees(cluster, b, "small", 60)()
    assert sees(cluster, b, "large")()
    assert cluster.until(sees(cluster, a, "back"), 10)
    assert cluster.until(lambda: cluster.converged([a, b]), 10)


def test_a_narrow_path_is_reported_with_its_peer_and_its_size() -> None:
    cluster = Cluster(seed=4)
    a, b = two(cluster)
    behind_a_hole(cluster, b, TUNNEL, "into")
    talk_large(cluster, a)
    [path] = a.node.narrow_paths
    assert path.peer == b.id
    assert path.passes_bytes <= TUNNEL < path.lost_bytes <= path.passes_bytes + TUNING.size_step_bytes
    assert size_to(a, b) == path.passes_bytes
    [event] = [event for event in cluster.all_events(a) if event.kind == "path_mtu"]
    assert dict(event.fields) == {
        "name": b.name, "address": str(b.address), "bytes": path.passes_bytes, "lost_bytes": path.lost_bytes,
    }  # fmt: skip
    assert b.node.narrow_paths == [], "the way back carries all"


def test_small_changes_pass_a_large_one_when_a_hole_opens() -> None:
    cluster = Cluster(seed=5)
    a, b = two(cluster)
    talk_large(cluster, a)
    assert size_to(a, b) == 1400
    register(cluster, a, "old")
    assert cluster.until(sees(cluster, b, "old"), 1)
    behind_a_hole(cluster, b, TUNNEL)
    register(cluster, a, "large", 6000)
    cluster.run(0.1)
    register(cluster, a, "new")
    cluster.deregister_id(a, "old-80")
    took = cluster.now
    assert cluster.until(lambda: sees(cluster, b, "new")() and sees(cluster, b, "old", 0)(), 5)
    assert cluster.now - took < 2
    assert cluster.until(sees(cluster, b, "large"), 5)


def test_a_hole_below_the_base_size_is_found() -> None:
    cluster = Cluster(seed=6)
    a, b = two(cluster)
    behind_a_hole(cluster, b, 700)
    talk_large(cluster, a, 16)
    [path] = a.node.narrow_paths
    assert FLOOR_BYTES <= path.passes_bytes <= 700 < path.lost_bytes


def test_a_mended_path_is_raised_and_the_trouble_is_over() -> None:
    cluster = Cluster(seed=7)
    a, b = two(cluster)
    behind_a_hole(cluster, b, TUNNEL)
    talk_large(cluster, a)
    assert a.node.narrow_paths
    cluster.network.holes.clear()
    assert cluster.until(lambda: not a.node.narrow_paths, TUNING.size_raise_s + 5)
    [over] = [event for event in cluster.all_events(a) if event.kind == "path_mtu_over"]
    assert dict(over.fields)["reason"] == "mended"
    assert size_to(a, b) == 1400


def test_a_path_that_stays_narrow_is_reported_once() -> None:
    cluster = Cluster(seed=8)
    a, b = two(cluster)
    behind_a_hole(cluster, b, TUNNEL)
    talk_large(cluster, a)
    before = a.node.sent[1]
    cluster.run(10 * TUNING.size_raise_s)
    assert cluster.events(a).count("path_mtu") == 1
    assert (a.node.sent[1] - before) / (10 * TUNING.size_raise_s) < 160 + 1500 / TUNING.size_raise_s


def test_members_that_say_nothing_large_are_not_measured() -> None:
    cluster = Cluster(seed=9)
    hosts = cluster.grow(8)
    for number in range(20):
        register(cluster, hosts[number % 8], "small", 100, 1 + number)
        cluster.run(0.5)
    assert all("size_probes" not in host.node.statistics(cluster.now) for host in hosts)


@pytest.mark.parametrize("seed", seeds(range(4)))
def test_random_loss_is_not_taken_for_a_narrow_path(seed: int) -> None:
    cluster = Cluster(seed=seed)
    a, b = two(cluster)
    cluster.network.loss = 0.1
    talk_large(cluster, a, 60)
    assert "path_mtu" not in cluster.events(a) + cluster.events(b)


def test_a_member_that_is_silent_is_not_measured_for_ever() -> None:
    cluster = Cluster(seed=10, config=replace(lan, floor_silent_s=600.0))
    a, b = two(cluster)
    talk_large(cluster, a, 2)
    cluster.run(TUNING.size_confirm_s)
    before = int(a.node.statistics(cluster.now)["size_probes"])
    cluster.stall(b)
    register(cluster, a, "large", 900)  # one datagram carries it
    cluster.run(30)
    probes = int(a.node.statistics(cluster.now)["size_probes"])
    assert probes == before + TUNING.size_silent_rounds, "the size in use was to be confirmed"
    cluster.run(30)
    assert a.node.statistics(cluster.now)["size_probes"] == probes
    assert a.node.narrow_paths == [], "silence says nothing of sizes"


def test_an_icmp_message_alone_changes_no_size() -> None:
    cluster = Cluster(seed=11)
    a, b = two(cluster)
    talk_large(cluster, a)
    assert size_to(a, b) == 1400
    cluster.run(5)
    cluster.act(a, a.node.too_large(b.address, cluster.now))
    assert size_to(a, b) == BASE_BYTES, "until it is confirmed"
    cluster.run(0.1)
    assert size_to(a, b) == 1400
    assert "path_mtu" not in cluster.events(a)


def test_the_path_of_a_dead_member_is_forgotten() -> None:
    cluster = Cluster(seed=12)
    a, b = two(cluster)
    c = cluster.join(a)
    cluster.run(2)
    behind_a_hole(cluster, b, TUNNEL)
    talk_large(cluster, a)
    assert b.id in a.node.inspect().measured_paths
    cluster.crash(b)
    assert cluster.until(lambda: cluster.all_say([a, c], b, "dead"), 10)
    assert b.id not in a.node.inspect().measured_paths
    assert a.node.narrow_paths == []
    [over] = [event for event in cluster.all_events(a) if event.kind == "path_mtu_over"]
    assert dict(over.fields)["reason"] == "gone", "its path was not mended"


def test_an_ack_that_comes_late_ends_the_trouble() -> None:
    cluster = Cluster(seed=13)
    a, b = two(cluster)
    behind_a_hole(cluster, b, TUNNEL)
    talk_large(cluster, a)
    [narrow] = a.node.narrow_paths
    cluster.network.holes.clear()
    assert inside.late_ack(a.node, b.id, narrow.lost_bytes)
    cluster.act(a, a.node.advance(cluster.now))
    cluster.run(1)
    assert a.node.narrow_paths == []
    assert size_to(a, b) == 1400


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(FLOOR_BYTES, 8900), st.sampled_from([1400, 8900]), st.integers(0, 1000))
def test_the_search_ends_within_a_step_below_the_paths_size(carries: int, most: int, seed: int) -> None:
    cluster = Cluster(seed=seed, config=Config(datagram_bytes=most))
    a, b = two(cluster)
    behind_a_hole(cluster, b, carries, "into")
    talk_large(cluster, a, 40)
    found = size_to(a, b)
    assert found <= carries
    assert found >= min(most, carries - TUNING.size_step_bytes) or found == FLOOR_BYTES
    assert bool(a.node.narrow_paths) == (found < most)
