"""Our refutations: gossiped whatever the budget of bytes."""

from dataclasses import replace

from gossipreg.config import lan
from gossipreg.model import Rank
from gossipreg.wire.messages import Claim, Probe
from tests.core.cluster import START
from tests.core.speaker import GENERATION, Speaker, a_node


def test_refutation_does_not_wait_for_the_budget() -> None:
    node, accuser, neighbour = a_node(replace(lan, send_bytes_s=10_000)), Speaker(1), Speaker(2)
    accuser.handshake(node, START)
    neighbour.handshake(node, START)
    while (due := node.next_deadline()) <= START + 0.1:
        node.advance(due)
    now = START + 0.1
    for number in range(1000):  # acks are not throttled, and draw on the budget
        accuser.send_to(node, now, Probe(number, 0))
    accuser.send_to(node, now, Claim(node.id, GENERATION, 0, Rank.DEAD, accuser.id))
    told = []
    while (due := node.next_deadline()) <= now + 0.1:
        told += neighbour.received(node.advance(due))
    assert Claim(node.id, GENERATION, 1, Rank.ALIVE, node.id) in told
