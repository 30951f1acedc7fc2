"""Suspicions: their reasons, how they end, and members that are never declared dead."""

import re

import pytest

from gossipreg.config import lan
from gossipreg.core.node import Node
from gossipreg.generation import generation_of
from gossipreg.model import Rank
from gossipreg.wire.messages import Claim, Nack, PingReq
from simulations import inside
from tests.core.cluster import START, Cluster, Host, all_but
from tests.core.speaker import GENERATION, Speaker, a_node


def test_a_suspects_services_stay_until_it_is_declared_dead() -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.grow(5)
    cluster.register(hosts[1], "billing", port=1)
    cluster.run(1)
    cluster.crash(hosts[1], refuses=False)
    others = all_but(hosts, hosts[1])
    assert cluster.until(lambda: any(cluster.state_at(host, hosts[1]) == "suspect" for host in others), 2)
    assert all(cluster.found(host, "billing") for host in others)


def test_a_member_with_one_cut_link_is_not_declared_dead() -> None:
    cluster = Cluster(seed=5)
    hosts = cluster.grow(8)
    ring = sorted(hosts, key=lambda host: host.id)
    pair = {ring[0].address, ring[1].address}  # one of them probes the other
    cluster.cut = lambda sender, to: {sender.address, to.address} == pair
    cluster.run(30)
    assert all(cluster.all_say(hosts, host, "alive") or _suspected_by_one(cluster, hosts, host) for host in hosts)
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in hosts)


def _suspected_by_one(cluster: Cluster, hosts: list[Host], of: Host) -> bool:
    states = [cluster.state_at(host, of) for host in hosts]
    return states.count("suspect") == 1 and states.count("alive") == len(hosts) - 1


def test_a_refused_port_alone_kills_nobody_that_answers() -> None:
    cluster = Cluster(seed=8)
    hosts = cluster.grow(5)
    for _ in range(50):  # forged ICMP at every member, about a healthy one
        for host in all_but(hosts, hosts[0]):
            cluster.act(host, host.node.refused(hosts[0].address, cluster.now))
        cluster.run(0.2)
    assert cluster.all_say(hosts, hosts[0], "alive")
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in hosts)


def test_at_30_percent_loss_a_death_lasts_only_until_refuted() -> None:
    cluster = Cluster(seed=11)
    hosts = cluster.grow(12)
    cluster.network.loss = 0.3
    worst_s = since = 0.0
    for _ in range(300):
        cluster.run(0.1)
        dead = any(cluster.state_at(host, of) == "dead" for host in hosts for of in hosts)
        since = (since or cluster.now) if dead else 0.0
        worst_s = max(worst_s, cluster.now - since if dead else 0.0)
    assert worst_s < 3.0
    cluster.network.loss = 0
    assert cluster.until(lambda: cluster.converged(hosts), 5)


def test_when_a_suspicion_ends_no_timer_or_probe_is_left() -> None:
    cluster = Cluster(seed=14)
    hosts = cluster.grow(4)
    cluster.stall(hosts[1])
    cluster.run(1.2)
    cluster.resume(hosts[1])
    cluster.run(1.5)
    cluster.crash(hosts[2])
    cluster.run(5)
    for host in hosts:
        if host.up:
            assert not any(host.node.inspect().suspects(other.id) for other in hosts)
            timers = host.node.inspect().timers
            assert len(timers) <= 3, timers


def test_a_suspicion_gives_its_reasons() -> None:
    cluster = Cluster(seed=9)
    hosts = cluster.grow(4)
    cluster.crash(hosts[2], refuses=False)
    watcher: list[Host] = []

    def suspected() -> bool:
        watcher[:] = [host for host in hosts if host.up and cluster.state_at(host, hosts[2]) == "suspect"]
        return bool(watcher)

    assert cluster.until(suspected, 3)
    info = watcher[0].node.member(hosts[2].id, cluster.now)
    assert info is not None
    assert info.reason == "no ack from it; 2 helpers asked, no answer yet"
    cluster.run(1.2)
    info = watcher[0].node.member(hosts[2].id, cluster.now)
    assert info is not None
    assert info.reason == "no ack from it; 2 of 2 helpers could not reach it either"
    assert cluster.until(lambda: cluster.state_at(watcher[0], hosts[2]) == "dead", 5)
    cluster.run(1)
    told = [info.reason for host in hosts if host.up and (info := host.node.member(hosts[2].id, cluster.now))]
    assert any(reason.startswith("reported by n") for reason in told)
    [declared, *_] = [reason for reason in told if reason.startswith("silent for ")]
    assert re.fullmatch(r"silent for \d\.\d s, as seen by (this sidecar|n\d)(, (this sidecar|n\d))+", declared)


def test_a_reported_death_adds_our_own_observation() -> None:
    cluster = Cluster(seed=10)
    hosts = cluster.grow(2)
    watcher, victim = hosts
    cluster.crash(victim, refuses=False)
    assert cluster.until(lambda: cluster.state_at(watcher, victim) == "suspect", 3)
    info = watcher.node.member(victim.id, cluster.now)
    assert info is not None
    assert info.reason == "no ack from it; there is no other member to ask"
    liveness = watcher.node.table.rows[victim.id].liveness
    other = Speaker(3)
    other.handshake(watcher.node, cluster.now)
    other.send_to(watcher.node, cluster.now, Claim(victim.id, liveness.generation, 0, Rank.DEAD, other.id))
    info = watcher.node.member(victim.id, cluster.now)
    assert info is not None
    assert (info.state, info.reason) == (
        "dead", "reported by speaker-3; no ack from it; there is no other member to ask",
    )  # fmt: skip


@pytest.mark.parametrize("starts_again", [False, True])
def test_a_suspicion_is_not_held_against_the_next_process(starts_again: bool) -> None:
    node, gone, helper = a_node(), Speaker(1), Speaker(2)
    now = START
    for speaker in (gone, helper):
        speaker.handshake(node, now)
    asked = helper.received(node.refused(gone.address, now))
    while not any(isinstance(message, PingReq) for message in asked):
        now = node.next_deadline()
        asked = helper.received(node.advance(now))
    (ask,) = (message for message in asked if isinstance(message, PingReq))
    helper.send_to(node, now, Nack(ask.number, refused=True))
    assert _state(node, gone, now) == "suspect"
    if starts_again:  # another member gossips it: its own acks are lost for a while
        again = Speaker(1, id=gone.id, address=gone.address, generation=GENERATION + generation_of(2000, 0))
        helper.send_to(node, now, again.row)
    ripe_at = now + lan.floor_refused_s + 0.05
    while node.next_deadline() <= ripe_at:
        now = node.next_deadline()
        node.advance(now)
    assert (_state(node, gone, now) == "dead") is not starts_again


def _state(node: Node, of: Speaker, now: float) -> str | None:
    info = node.member(of.id, now)
    return None if info is None else info.state


def test_a_recovered_prober_declares_nobody_dead_on_old_reports() -> None:
    """Found by swarm: rounds keep their spacing, so the next one was due only after the declaration of death."""
    cluster = Cluster(seed=5)
    watcher, suspect, *_ = hosts = cluster.grow(24)
    inside.take_round_trip(watcher.node, suspect.id, 5.0)
    inside.lower_local_health(watcher.node, 8)
    cluster.network.rules["cut"] = lambda sender, receiver: float(suspect.number in (sender.number, receiver.number))
    cluster.act(watcher, inside.suspect(watcher.node, suspect.id, cluster.now))
    cluster.run(1.5)
    cluster.network.rules.clear()
    inside.lower_local_health(watcher.node, -8)
    cluster.run(5)
    assert watcher.node.inspect().suspects(suspect.id), "no probe or helper has cleared it"
    cluster.run(20)
    assert cluster.all_say(hosts, suspect, "alive")
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in hosts)


def test_a_member_refused_everywhere_suspects_few() -> None:
    """As if its uplink is gone, and a router close by refuses every port. It suspected its whole ring at once."""
    cluster = Cluster(seed=15)
    hosts = cluster.form(100)
    lonely = hosts[7]
    for host in all_but(hosts, lonely):
        cluster.crash(host)
    before = lonely.sent()[0]
    cluster.run(20)
    assert lonely.sent()[0] - before < 20 * 400
    assert sum(lonely.node.inspect().suspects(host.id) for host in hosts) == 32
    assert "verdicts" not in lonely.node.statistics(cluster.now), "it receives nothing"
