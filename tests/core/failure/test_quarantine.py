"""Quarantined rows: a member that slept for days, or whose clock is wrong, brings no dead member back."""

from dataclasses import replace

from gossipreg.config import lan
from gossipreg.core.node import Node
from gossipreg.core.table.layout import KIND_MEMBER
from gossipreg.generation import generation_of
from gossipreg.model import Member, Rank
from gossipreg.wire import messages as m
from gossipreg.wire import values
from tests.core.cluster import START, Cluster
from tests.core.speaker import GENERATION, Speaker, a_node, counted

SHORT = replace(lan, dead_row_s=20.0, dead_row_brief_s=20.0)
OLD = GENERATION - generation_of(2 * 86_400_000, 0)
FUTURE = GENERATION + generation_of(3_600_000, 0)


def run(node: Node, until: float, live: list[Speaker]) -> list[tuple[float, Speaker]]:
    """Let time pass, in which the living peers ack probes. Return when each was probed."""
    probed = []
    while (due := node.next_deadline()) <= until:
        now = max(due, node.inspect().now)
        effects = node.advance(now)
        for one in live:
            for message in one.received(effects):
                if isinstance(message, m.Probe):
                    probed.append((now, one))
                    one.send_to(node, now, m.Ack(message.number, node.table.fingerprint))
                elif isinstance(message, m.Hello) and message.nonce:
                    one.send_to(node, now, one.hello(echo=message.nonce))
    return probed


def test_a_member_back_after_a_long_sleep_resurrects_nobody() -> None:
    cluster = Cluster(seed=1, config=SHORT)
    hosts = cluster.grow(6)
    sleeper, gone = hosts[1], hosts[2]
    cluster.register(gone, "billing", port=1)
    cluster.run(1)
    cluster.stall(sleeper)
    cluster.run(5)
    cluster.crash(gone)
    others = [host for host in hosts if host not in (sleeper, gone)]
    cluster.run(60)
    assert all(cluster.state_at(host, gone) is None for host in others), "forgotten"
    assert cluster.found(sleeper, "billing")
    changes = [len(cluster.changes(host)) for host in others]
    sleeper.clear()
    cluster.resume(sleeper)
    for _ in range(300):
        cluster.run(0.1)
        assert not any(cluster.found(host, "billing") for host in others)
        assert all(cluster.state_at(host, gone) in (None, "dead") for host in others)
    assert [len(cluster.changes(host)) for host in others] == changes, "no watcher was woken"
    assert not cluster.found(sleeper, "billing")
    assert cluster.until(lambda: cluster.converged([*others, sleeper]), 5)


def test_a_quarantined_row_is_not_answered_relayed_or_hashed() -> None:
    node, teller = a_node(), Speaker(1)
    teller.handshake(node, START)
    before = node.table.fingerprint
    told_of = [Speaker(2, generation=OLD), Speaker(3, generation=FUTURE)]
    for told in told_of:
        teller.send_to(node, START, told.row)
        assert node.member(told.id, START) is None
        assert teller.received(teller.send_to(node, START, m.Pull(told.id, 0, 0))) == []
    assert node.table.fingerprint == before
    assert counted(node, "unproven") == 2
    relayed = [
        told.id for told in teller.received(node.advance(START + 0.01)) if isinstance(told, m.Delta | m.Announce)
    ]
    assert not {told.id for told in told_of} & {*relayed}


def test_an_ack_admits_a_quarantined_row_and_misses_kill_it() -> None:
    node, teller = a_node(), Speaker(1)
    teller.handshake(node, START)
    living, gone = Speaker(2, generation=FUTURE), Speaker(3, generation=OLD)
    for one in (living, gone):
        teller.send_to(node, START, one.row)
    probed = run(node, START + 1.5, [teller, living])
    assert living in [one for _, one in probed]
    info = node.member(living.id, START + 1)
    assert info is not None
    assert info.state == "alive"
    run(node, START + 4, [teller, living])
    assert node.inspect().quarantine == ()
    assert node.member(gone.id, START + 4) is None
    told = teller.received(teller.send_to(node, START + 4, m.Versions(((gone.id, OLD, gone.content.counter),), None)))
    assert told == [m.Claim(gone.id, OLD, 0, Rank.DEAD, node.id)]
    assert teller.received(teller.send_to(node, START + 5, gone.row)) == told


def test_a_refuted_quarantined_member_is_probed_again() -> None:
    """Found by swarm: it refuted its death, but its row stayed quarantined, because no member probed it again."""
    node, teller = a_node(), Speaker(1)
    teller.handshake(node, START)
    cut_off = Speaker(3, generation=FUTURE)
    teller.send_to(node, START, cut_off.row)
    run(node, START + 4, [teller])
    assert node.table.rows[cut_off.id].dead
    refuted = m.Claim(cut_off.id, FUTURE, 1, Rank.ALIVE, cut_off.id)
    teller.send_to(node, START + 5, refuted)
    assert node.member(cut_off.id, START + 5) is None, "a claim from another member does not admit it"
    run(node, START + 7, [teller, cut_off])
    info = node.member(cut_off.id, START + 7)
    assert info is not None
    assert info.state == "alive"


def test_an_isolated_member_declares_no_quarantined_one_dead() -> None:
    node, teller = a_node(), Speaker(1)
    teller.handshake(node, START)
    gone = Speaker(3, generation=OLD)
    teller.send_to(node, START, gone.row)
    run(node, START + 60, [])
    assert not node.table.rows[gone.id].dead


def test_a_row_from_its_owner_is_never_quarantined() -> None:
    node = a_node()
    for seed, generation in ((2, OLD), (3, FUTURE)):
        one = Speaker(seed, generation=generation)
        one.handshake(node, START)
        assert node.member(one.id, START) is not None
    assert counted(node, "unproven") == 0


def test_a_joiner_quarantines_nothing() -> None:
    node, teller = a_node(synced=False), Speaker(1)
    teller.handshake(node, START)
    old = Speaker(2, generation=OLD)
    teller.send_to(node, START, old.row)
    assert node.member(old.id, START) is not None


def test_proving_is_paced_and_reaches_everyone() -> None:
    node, teller = a_node(), Speaker(1)
    teller.handshake(node, START)
    sleepers = [Speaker(seed, generation=OLD) for seed in range(100, 150)]
    for one in sleepers:
        teller.send_to(node, START, one.row)
    probed = run(node, START + 10, [teller, *sleepers])
    by_round: dict[float, int] = {}
    for now, one in probed:
        if one in sleepers and now < START + 4:
            by_round[now] = by_round.get(now, 0) + 1
    assert max(by_round.values()) <= 16 + 2
    assert all(node.member(one.id, START + 10) is not None for one in sleepers)
    assert node.inspect().quarantine == ()


def test_a_row_whose_address_is_on_a_later_page_is_waited_for() -> None:
    node, teller = a_node(), Speaker(1)
    teller.handshake(node, START)
    old = Speaker(2, generation=OLD)
    for slot in range(30):
        old.content.put(1, slot, b"x" * 100)
    old.content.put(
        KIND_MEMBER, 0, values.encode_member(Member("late", old.boot_id, (old.address,), durable=True))
    )  # now the last one of the row
    effects = teller.send_to(node, START, old.row)
    pulls = 0
    while wanted := [message for message in teller.received(effects) if isinstance(message, m.Pull)]:
        pulls += len(wanted)
        effects = node.advance(START)
        effects += teller.send_to(node, START, old.content.cut(old.id, wanted[0].counter, 1300))
        assert pulls < 10, "it pulls the same page for ever"
    run(node, START + 2, [teller, old])
    assert node.member(old.id, START + 2) is not None
