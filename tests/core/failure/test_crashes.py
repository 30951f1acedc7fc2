"""The detector in whole clusters, in virtual time: crashes, pauses, cut cables."""

import re
from dataclasses import replace

import pytest

from gossipreg.config import lan, wan
from gossipreg.core.node import Node
from gossipreg.model import NodeId, Rank
from gossipreg.wire.messages import Ask, Claim, Nack
from simulations.network import into
from tests.core.cluster import START, Cluster, Host
from tests.core.speaker import GENERATION, Speaker, a_node


def _others(hosts: list[Host], but: Host) -> list[Host]:
    return [host for host in hosts if host is not but]


@pytest.mark.parametrize("n", [3, 8, 24])
@pytest.mark.parametrize(("refuses", "limit_s"), [(True, 1.6), (False, 3.6)])
def test_a_crash_is_known_to_all_within_its_bound(n: int, refuses: bool, limit_s: float) -> None:
    for seed in range(5):
        _crash_one(seed, n, refuses, limit_s)


def _crash_one(seed: int, n: int, refuses: bool, limit_s: float) -> None:
    cluster = Cluster(seed=seed)
    hosts = cluster.grow(n)
    cluster.run(3 + seed / 5)
    victim = hosts[seed % n]
    cluster.register(victim, "billing", port=1)
    cluster.run(0.5)
    cluster.crash(victim, refuses=refuses)
    others = _others(hosts, victim)
    assert cluster.until(lambda: cluster.all_say(others, victim, "dead"), limit_s)
    assert not any(cluster.found(host, "billing") for host in others)


def test_a_silent_crash_of_half_the_cluster_is_soon_known() -> None:
    """Helpers that were gone as well were taken for a sign that we are slow: it took up to 10 s."""
    cluster = Cluster(seed=6)
    hosts = cluster.form(200)
    cluster.run(2)
    gone = cluster.rng.sample(hosts, 100)
    for host in gone:
        cluster.crash(host, refuses=False)
    assert cluster.until(lambda: all(len(host.node.ring) == 100 for host in hosts if host.up), 5, 0.1)


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
        assert all(len(cluster.changes(host)) == 1 for host in hosts), "nobody ever lost it"


def test_a_paused_member_that_wakes_is_back_within_a_refutation() -> None:
    cluster = Cluster(seed=3)
    hosts = cluster.grow(8)
    cluster.stall(hosts[2])
    assert cluster.until(lambda: cluster.all_say(_others(hosts, hosts[2]), hosts[2], "dead"), 4)
    cluster.resume(hosts[2])
    assert cluster.until(lambda: cluster.in_step(hosts), 0.5)
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in [hosts[2]]), "it accused nobody"


def test_a_suspects_services_stay_until_it_is_declared_dead() -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.grow(5)
    cluster.register(hosts[1], "billing", port=1)
    cluster.run(1)
    cluster.crash(hosts[1], refuses=False)
    others = _others(hosts, hosts[1])
    assert cluster.until(lambda: any(cluster.state_at(host, hosts[1]) == "suspect" for host in others), 2)
    assert all(cluster.found(host, "billing") for host in others)


def test_a_member_with_one_cut_link_is_not_declared_dead() -> None:
    cluster = Cluster(seed=5)
    hosts = cluster.grow(8)
    ring = sorted(hosts, key=lambda host: host.id)
    pair = {ring[0].address, ring[1].address}  # the one probes the other
    cluster.cut = lambda sender, to: {sender.address, to.address} == pair
    cluster.run(30)
    assert all(cluster.all_say(hosts, host, "alive") or _suspected_by_one(cluster, hosts, host) for host in hosts)
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in hosts)


def _suspected_by_one(cluster: Cluster, hosts: list[Host], of: Host) -> bool:
    states = [cluster.state_at(host, of) for host in hosts]
    return states.count("suspect") == 1 and states.count("alive") == len(hosts) - 1


def test_of_two_members_one_hides_a_refused_port_for_itself_only() -> None:
    cluster = Cluster(seed=6)
    hosts = cluster.grow(2)
    cluster.register(hosts[1], "billing", port=1)
    cluster.run(1)
    cluster.crash(hosts[1])
    assert cluster.until(lambda: not cluster.found(hosts[0], "billing"), 1.6)
    assert cluster.state_at(hosts[0], hosts[1]) == "dead"
    assert "verdicts" not in hosts[0].node.statistics(cluster.now)


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
    assert cluster.until(lambda: not cluster.found(hosts[0], "billing"), 15), "a ghost for good"
    assert "verdicts" not in hosts[0].node.statistics(cluster.now)
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: cluster.in_step(hosts), 15)
    assert not hosts[0].node.alone
    assert [one.stale for one in hosts[0].node.catalog.lookup("billing")] == [False]


def test_a_member_hidden_for_a_refused_port_is_back_at_restart() -> None:
    """Found by swarm: the suspicion of the process before it was only looked at in its next round."""
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
    assert cluster.until(lambda: watcher.node.table.rows[other.id].told == other.node.table.own.told, 3, 0.0005)
    assert cluster.found(watcher, "billing")


def test_a_refused_port_alone_kills_nobody_that_answers() -> None:
    cluster = Cluster(seed=8)
    hosts = cluster.grow(5)
    for _ in range(50):  # forged ICMP, at every member, about one that is well
        for host in _others(hosts, hosts[0]):
            cluster.act(host, host.node.refused(hosts[0].address, cluster.now))
        cluster.run(0.2)
    assert cluster.all_say(hosts, hosts[0], "alive")
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in hosts)


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
    assert cluster.until(lambda: cluster.in_step(hosts), 5)


def test_two_that_die_at_once_are_both_found_out() -> None:
    cluster = Cluster(seed=10)
    hosts = cluster.grow(8)
    ring = sorted(hosts, key=lambda host: host.id)
    for victim in ring[2:4]:  # next to each other: the one would have watched the other
        cluster.crash(victim, refuses=False)
    others = [host for host in hosts if host not in ring[2:4]]
    assert cluster.until(lambda: all(cluster.all_say(others, victim, "dead") for victim in ring[2:4]), 4)


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
    assert cluster.until(lambda: cluster.in_step(hosts), 5)


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
            assert not any(host.node._suspicions.suspects(other.id) for other in hosts)
            timers = host.node._context.timers
            assert len(timers) <= 3, list(timers._due)


def test_a_prober_that_slept_reads_its_queue_before_it_judges() -> None:
    """What lies in the socket when it wakes, a nack first and the suspect's own ack behind it, is taken in by a clock
    that ran while nobody looked: the floor seemed to be over."""
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


def test_of_two_members_the_one_left_keeps_the_others_hold() -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.grow(2)
    cluster.register(hosts[1], "billing", port=1)
    cluster.run(1)
    cluster.act(hosts[1], hosts[1].node.leave(cluster.now, hold_s=20))
    cluster.run(18)
    assert cluster.found(hosts[0], "billing")
    assert cluster.until(lambda: not cluster.found(hosts[0], "billing"), 6)


def test_another_member_at_an_address_proves_the_former_gone() -> None:
    cluster = Cluster(seed=5)
    hosts = cluster.grow(4)
    cluster.register(hosts[2], "billing", port=1)
    cluster.run(1)
    cluster.crash(hosts[2], refuses=False)
    cluster.join(seed=hosts[0], address=hosts[2].address)  # without a data directory: another identity
    others = [host for host in hosts if host is not hosts[2]]
    assert cluster.until(lambda: not any(cluster.found(host, "billing") for host in others), 1.5), (
        "no need for the floor"
    )
    assert all(cluster.state_at(host, hosts[2]) == "dead" for host in others)


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
    [verdict, *_] = [reason for reason in told if reason.startswith("silent for ")]
    assert re.fullmatch(r"silent for \d\.\d s, as seen by (this sidecar|n\d)(, (this sidecar|n\d))+", verdict)


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
    other.greets(watcher.node, cluster.now)
    other.says(watcher.node, cluster.now, Claim(victim.id, liveness.generation, 0, Rank.DEAD, other.id))
    info = watcher.node.member(victim.id, cluster.now)
    assert info is not None
    assert (info.state, info.reason) == (
        "dead", "reported by speaker-3; no ack from it; there is no other member to ask",
    )  # fmt: skip


def test_a_hold_is_in_the_reason_during_and_after_it() -> None:
    cluster = Cluster(seed=11)
    hosts = cluster.grow(3)
    cluster.run(60)
    cluster.leave(hosts[2], hold_s=20.0)
    assert cluster.until(lambda: hosts[2].departed, 5)
    cluster.crash(hosts[2])
    cluster.run(5)
    info = hosts[0].node.member(hosts[2].id, cluster.now)
    assert info is not None
    assert info.state == "alive"
    assert info.since_s < 10
    assert re.fullmatch(r"restarting, to be back within 1\d s", info.reason)
    assert cluster.until(lambda: cluster.state_at(hosts[0], hosts[2]) == "dead", 30)
    reasons = [info.reason for host in hosts[:2] if (info := host.node.member(hosts[2].id, cluster.now))]
    assert any(reason.startswith("it did not come back within the 20 s that it had announced; ") for reason in reasons)


@pytest.mark.parametrize("starts_again", [False, True])
def test_a_suspicion_is_not_held_against_the_next_process(starts_again: bool) -> None:
    node, gone, helper = a_node(), Speaker(1), Speaker(2)
    now = START
    for speaker in (gone, helper):
        speaker.greets(node, now)
    asked = helper.heard(node.refused(gone.address, now))
    while not any(isinstance(message, Ask) for message in asked):
        now = node.next_deadline()
        asked = helper.heard(node.advance(now))
    (ask,) = (message for message in asked if isinstance(message, Ask))
    helper.says(node, now, Nack(ask.number, refused=True))
    assert _state(node, gone, now) == "suspect"
    if starts_again:  # told by another: its own acks are lost for a while
        again = Speaker(1, id=gone.id, address=gone.address, generation=GENERATION + (2000 << 16))
        helper.says(node, now, again.row)
    ripe_at = now + lan.floor_refused_s + 0.05
    while node.next_deadline() <= ripe_at:
        now = node.next_deadline()
        node.advance(now)
    assert (_state(node, gone, now) == "dead") is not starts_again


def _state(node: Node, of: Speaker, now: float) -> str | None:
    info = node.member(of.id, now)
    return None if info is None else info.state


def test_a_recovered_prober_declares_nobody_dead_on_old_reports() -> None:
    """Found by swarm: rounds keep the spacing that they began with, and the next one was to come after the verdict."""
    cluster = Cluster(seed=1)
    watcher, suspect, *_ = hosts = cluster.grow(24)
    context, detector = watcher.node._context, watcher.node._prober
    context.round_trips.sample(suspect.id, context.zone(suspect.id), 5.0)
    detector.unhealthier(8)
    cluster.network.rules["cut"] = lambda sender, receiver: float(suspect.number in (sender.number, receiver.number))
    sent_at = cluster.now - context.bound_s(suspect.id)
    watcher.node._suspicions.missed(suspect.id, sent_at, refused=False)
    cluster.act(watcher, watcher.node.advance(cluster.now))
    cluster.run(1.5)
    cluster.network.rules.clear()
    detector.healthier(8)
    cluster.run(5)
    assert watcher.node._suspicions.suspects(suspect.id), "nobody has asked it to look"
    cluster.run(20)
    assert cluster.all_say(hosts, suspect, "alive")
    assert not any(host.node.statistics(cluster.now).get("verdicts", 0) for host in hosts)


def test_helpers_report_a_restart_that_the_asker_missed() -> None:
    for seed in range(6):
        cluster = Cluster(seed=seed)
        hosts = cluster.grow(8)
        gone = hosts[3]
        watcher = next(host for host in hosts if next(host.node.ring.successors()) == gone.id)
        cluster.cut = lambda _sender, receiver, watcher=watcher: receiver is watcher  # type: ignore[misc]
        cluster.leave(gone, hold_s=20)
        assert cluster.until(lambda gone=gone: not gone.up, 3)  # type: ignore[misc]
        cluster.cut = lambda _from, _to: False
        cluster.run(8)
        assert not any(cluster.state_at(host, gone) == "dead" for host in hosts if host is not gone)
        cluster.start(gone, [hosts[0]])
        assert cluster.until(lambda hosts=hosts, cluster=cluster: cluster.in_step(hosts), 5)  # type: ignore[misc]


def test_a_probe_lost_long_ago_does_not_delay_a_refused_port() -> None:
    """It stays known for its late ack, and what was refused was taken for it: 1.3 s instead of 0.41."""
    for seed in range(4):
        _lose_probes_and_crash(seed)


def _lose_probes_and_crash(seed: int) -> None:
    cluster = Cluster(seed=seed)
    hosts = sorted(cluster.form(8), key=lambda host: host.id)
    gone = hosts[3]
    cluster.cut = lambda _from, to: to is gone
    cluster.run(1.2)
    cluster.cut = lambda _from, _to: False
    cluster.run(10 + seed / 4)
    others = _others(hosts, gone)
    assert cluster.all_say(others, gone, "alive")
    cluster.crash(gone)
    cluster.register(hosts[2], "billing", port=1)
    assert cluster.until(lambda: cluster.all_say(others, gone, "dead"), 0.5)


def test_the_end_of_isolation_probes_all_suspects_at_once() -> None:
    """By the health that the silence cost it their next round was 50 s away; then it asked twelve others about each."""
    cluster = Cluster(seed=3, config=wan)
    deaf, *others = cluster.form(12)
    cluster.run(30)
    cluster.network.rules["deaf"] = into(frozenset({deaf.number}))
    cluster.run(60)
    assert deaf.node._suspicions.held()
    del cluster.network.rules["deaf"]
    cluster.run(wan.period_s)
    assert not deaf.node._suspicions.held()
    assert all(cluster.state_at(deaf, other) == "alive" for other in others)


def test_a_probe_that_nobody_answered_is_forgotten_in_time() -> None:
    cluster = Cluster(seed=3)
    hosts = cluster.form(12)
    cluster.network.loss = 0.3
    cluster.run(100)
    asked = [probe.sent_at for host in hosts for probe in host.node._prober._probes.values()]
    assert cluster.now - 61 * lan.period_s < min(asked) < cluster.now - 55 * lan.period_s


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("loss", [0.2, 0.3])
def test_a_crash_among_few_is_soon_known_where_all_lose_much(n: int, loss: float) -> None:
    """Those who were left took the loss for a fault of their own, and said nothing for a minute: who found itself at
    fault gave no nack, so of the helpers' words only those came that had reached somebody."""
    for seed in range(4, 9):
        cluster = Cluster(seed=seed)
        gone, *rest = cluster.form(n)
        cluster.run(3)
        cluster.network.loss = loss
        cluster.run(60)
        cluster.crash(gone, refuses=False)
        cluster.run(6)
        assert cluster.all_say(rest, gone, "dead")


# -- many at once ----------------------------------------------------------------------------------------------------


def test_a_member_refused_everywhere_suspects_few() -> None:
    """As where its own way out is gone: a router close by refuses for all. It went through the whole ring at once."""
    cluster = Cluster(seed=15)
    hosts = cluster.form(300)
    lonely = hosts[7]
    for host in _others(hosts, lonely):
        cluster.crash(host)
    before = lonely.sent()[0]
    cluster.run(20)
    assert lonely.sent()[0] - before < 20 * 400
    assert sum(lonely.node._suspicions.suspects(host.id) for host in hosts) == 32
    assert "verdicts" not in lonely.node.statistics(cluster.now), "it hears nobody"


@pytest.mark.parametrize(("refuses", "gone", "limit_s"), [(True, 100, 3), (True, 180, 5), (False, 100, 12)])
def test_survivors_of_a_mass_crash_soon_agree(refuses: bool, gone: int, limit_s: float) -> None:
    """A rack, or a zone. Helpers that are gone themselves were taken for a sign that we are slow: 20 s, now 4 to 11."""
    cluster = Cluster(seed=16)
    for host in cluster.rng.sample(cluster.form(200), gone):
        cluster.crash(host, refuses=refuses)
    assert cluster.until(cluster.in_step, limit_s, 0.05)
