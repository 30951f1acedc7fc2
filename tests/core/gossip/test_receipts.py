"""When receipts are sent, and with what: with other messages, all together, at once to a member that leaves."""

from gossipreg.config import lan
from gossipreg.core.effects import Effect, Send
from gossipreg.core.node import Node
from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.model import Health, RegisteredService
from gossipreg.wire.messages import Delta, Message, Probe, Receipt
from tests.core.cluster import START, Cluster
from tests.core.speaker import Speaker, a_node, counted, sizes_of_parts

LATER = START + 0.5
"""When all that the handshakes led to has been sent and acked, and before the first probe."""


def _met(*seeds: int) -> tuple[Node, list[Speaker]]:
    """Return a node and its ring neighbours."""
    node, speakers = a_node(), [Speaker(seed) for seed in seeds]
    for speaker in speakers:
        speaker.handshake(node, START)
    while node.next_deadline() < LATER:
        node.advance(node.next_deadline())
    return node, speakers


def _receipts(speaker: Speaker, effects: list[Effect]) -> list[Message]:
    return [one for one in speaker.received_all(effects) if type(one) is Receipt]


def _busy(*seeds: int) -> tuple[Node, list[Speaker]]:
    """Return a node that sent a receipt of its own at LATER, and its ring neighbours."""
    node, peers = _met(*seeds)
    peers[0].send_to(node, LATER, peers[0].row)
    assert len(_receipts(peers[0], node.advance(LATER))) == 1
    return node, peers


def test_receipt_after_a_pause_is_sent_at_once() -> None:
    node, [peer] = _busy(1)
    later = LATER + lan.receipt_gather_s
    peer.send_to(node, later, peer.row)
    assert node.next_deadline() == later
    assert len(_receipts(peer, node.advance(later))) == 1


def test_receipt_goes_in_the_datagram_of_another_message() -> None:
    node, [peer] = _busy(1)
    before = counted(node, "sent.Receipt")
    assert peer.received_all(peer.send_to(node, LATER + 0.001, peer.row)) == []
    assert peer.received_all(node.advance(LATER + 0.001)) == []
    effects = peer.send_to(node, LATER + 0.002, Probe(7, 0))
    assert len([one for one in effects if isinstance(one, Send)]) == 1
    assert len(_receipts(peer, effects)) == 1
    node.advance(LATER + lan.receipt_gather_s)
    assert counted(node, "sent.Receipt") == before + 1, "it is sent only once"


def test_receipts_for_all_members_are_sent_in_one_turn() -> None:
    node, peers = _busy(1, 2)
    for number, peer in enumerate(peers, 1):
        peer.send_to(node, LATER + number * lan.receipt_gather_s / 4, peer.row)
    effects = node.advance(LATER + lan.receipt_gather_s)
    assert [len(_receipts(peer, effects)) for peer in peers] == [1, 1]


def test_sending_the_last_receipt_early_leaves_no_timer() -> None:
    node, [peer] = _busy(1)
    due = node.next_deadline()
    peer.send_to(node, LATER + 0.001, peer.row)
    assert node.next_deadline() == LATER + lan.receipt_gather_s
    peer.send_to(node, LATER + 0.002, Probe(7, 0))
    assert node.next_deadline() == due


def test_updates_that_cross_are_the_receipts_of_each_other() -> None:
    """Of three members both others of the owner send the update to each other. Each sent the other a receipt, too."""
    cluster = Cluster(seed=6)
    owner, *others = hosts = cluster.grow(3)
    cluster.run(3)
    before = [counted(host.node, "sent.Receipt") for host in hosts]
    cluster.register(owner, "billing", port=1)
    cluster.run(0.5)
    assert [counted(host.node, "sent.Receipt") - was for host, was in zip(hosts, before, strict=True)] == [0, 1, 1]
    assert [counted(host.node, "rumours_repeated") for host in others] == [0, 0]


def test_a_lost_update_that_crossed_costs_one_retransmission() -> None:
    """Its sender has no ack then, and the receiver has nothing to retransmit."""
    cluster = Cluster(seed=6)
    owner, one, other = cluster.grow(3)
    cluster.run(3)
    cluster.cut = lambda sender, to: sender is one and to is other
    before = counted(other.node, "rumours_repeated")
    cluster.register(owner, "billing", port=1)
    cluster.run(0.03)
    cluster.cut = lambda _from, _to: False
    cluster.run(0.5)
    assert counted(other.node, "rumours_repeated") == before + 1
    assert counted(other.node, "rumours_unreceipted") == 0


def test_a_leaver_does_not_wait_until_receipts_are_gathered() -> None:
    cluster = Cluster(seed=6)
    leaver = cluster.grow(6)[2]
    cluster.run(3)
    cluster.leave(leaver)
    assert cluster.until(lambda: leaver.departed, lan.receipt_gather_s / 5, 0.0005)


def test_paths_are_looked_at_once_receipts_have_joined_what_is_sent() -> None:
    """A receipt that made a datagram larger than any path carries was noted for the next input, which sent none."""
    node, [peer] = _met(1)
    joined = counted(node, "sent.Receipt")
    for step, size in enumerate(range(430, 450)):
        now = LATER + step * lan.gossip.throttled_s
        before = peer.content.counter
        peer.content.put(KIND_SERVICE, 0, bytes([step % 256]))
        peer.send_to(node, now, peer.content.cut(peer.id, before, 1000))
        service = RegisteredService("web", "web", "10.0.0.1", 80, meta=(("text", "x" * size),))
        node.register(service, Health.PASSING, now)
        node.advance(now)
        assert sizes_of_parts(node)["Channel.large"] == 0, f"{size} bytes"
    assert counted(node, "sent.Receipt") == joined + 20


def test_updates_that_are_gossiped_together_share_datagrams() -> None:
    """Each was sent to a random member of its own."""
    node, speakers = _met(*range(1, 25))
    peer, *owners = speakers
    changed: list[Delta] = []
    for owner in owners[:6]:
        before = owner.content.counter
        owner.content.put(KIND_SERVICE, 0, b"changed")
        changed.append(owner.content.cut(owner.id, before, 1000))
    peer.send_to(node, LATER, *changed)
    sent = [effect for effect in node.advance(LATER) if isinstance(effect, Send)]
    assert counted(node, "sent.Delta") >= 6 * 2
    assert len(sent) <= 2 * lan.fanout_ring + lan.fanout_random + 1, "one more for the row of the random member"
