"""Listed rows that a joiner must hold before it is synced."""

from gossipreg.core.effects import Effect
from gossipreg.core.node import Node
from gossipreg.model import NodeId, Rank
from gossipreg.wire.messages import Ack, Claim, List, Probe, Versions
from tests.core.cluster import START
from tests.core.speaker import GENERATION, Speaker, a_node

NOBODY = NodeId(b"n" * 16)


def joiner(seed: Speaker) -> Node:
    node = a_node(synced=False)
    node.seek((seed.address,), START)
    seed.handshake(node, START)
    return node


def test_list_of_another_member_does_not_replace_the_first() -> None:
    """The first member is alive and lists a row that it does not give; the second does not know that row."""
    first, second = Speaker(1), Speaker(2)
    node = joiner(first)
    first.send_to(node, START, Versions(((NOBODY, GENERATION, 9),), b""))
    second.handshake(node, START)
    lists = 0
    while (now := node.next_deadline()) <= START + 60:
        effects: list[Effect] = node.advance(now)
        first.send_to(node, now, Probe(1, node.fingerprint))
        for message in second.received(effects):
            if isinstance(message, Probe):
                second.send_to(node, now, Ack(message.number, node.fingerprint))
            elif isinstance(message, List):
                lists += 1
                second.send_to(node, now, Versions(((second.id, second.generation, second.content.counter),), b""))
    assert lists
    assert not node.synced
    assert list(node.missing) == [NOBODY]


def test_death_of_an_older_start_leaves_the_newer_one_missing() -> None:
    seed, older = Speaker(1), Speaker(2)
    node = joiner(seed)
    seed.send_to(node, START, older.row, Claim(older.id, GENERATION, 0, Rank.DEAD, seed.id))
    seed.send_to(node, START, Versions(((older.id, GENERATION + 1, 2),), b""))
    assert not node.synced
    newer = Speaker(2, generation=GENERATION + 1)
    newer.content.put(1, 0, b"something")
    seed.send_to(node, START, newer.row)
    assert node.synced


def test_member_that_listed_nothing_does_not_replace_the_list() -> None:
    """The seed is requested to list its table and gives no list. Another member lists a row that it does not give. Then
    the seed has started again, and lists the little that it knows."""
    seed, other = Speaker(1), Speaker(2)
    node = joiner(seed)
    other.handshake(node, START)
    pages = {seed.id: 0, other.id: 0}
    while (now := node.next_deadline()) <= START + 60:
        effects: list[Effect] = node.advance(now)
        for speaker, rows in (other, ((NOBODY, GENERATION, 9),)), (seed, ((seed.id, GENERATION, 1),)):
            for message in speaker.received(effects):
                if isinstance(message, Probe):
                    speaker.send_to(node, now, Ack(message.number, node.fingerprint))
                elif isinstance(message, List) and (speaker is other or pages[other.id]):
                    pages[speaker.id] += 1
                    speaker.send_to(node, now, Versions(rows, b""))
    assert pages[other.id]
    assert not node.synced
    assert list(node.missing.items()) == [(NOBODY, other.id)]
