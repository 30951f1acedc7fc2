"""Versions that a member tells of what it holds: who is behind hears of it, and what changed just now is left out."""

from gossipreg.config import lan
from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.wire.messages import Buckets, Hashes, Versions
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node


def test_member_that_is_behind_is_told_our_version() -> None:
    node, peer, other = a_node(), Speaker(1), Speaker(2)
    peer.handshake(node, START)
    older = other.content.counter
    other.content.put(KIND_SERVICE, 0, b"newer")
    other.handshake(node, START)
    told = peer.received(peer.send_to(node, START, Versions(((other.id, other.generation, older),), None)))
    assert told == [Versions(((other.id, other.generation, other.content.counter),), None)]
    assert peer.received(peer.send_to(node, START, told[0])) == [], "nobody is behind"


def test_row_that_changed_just_now_is_in_no_comparison() -> None:
    node, peer = a_node(), Speaker(1)
    peer.handshake(node, START)
    bits, differs = 4, bytes([1]) * 4 * 16

    def buckets(salt: int, now: float) -> set[int]:
        [hashes] = [
            one for one in peer.received(peer.send_to(node, now, Buckets(salt, bits, differs))) if type(one) is Hashes
        ]
        return {bucket for bucket, *_ in hashes.buckets}

    rows = {node.id[0] >> 4, peer.id[0] >> 4}
    assert buckets(1, START) == set(range(16)) - rows
    assert buckets(3, START + lan.settle_s + 0.1) == set(range(16))
