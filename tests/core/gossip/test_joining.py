"""Listed rows that a joiner must hold before it is synced."""

from gossipreg.core.effects import Effect
from gossipreg.core.node import Node
from gossipreg.model import BootId, NodeId, Rank
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


def test_restarted_first_member_does_not_replace_its_own_list() -> None:
    """The first member lists a row that it does not give. It starts again while it is listed once more, and then knows
    little. Another member lists that row too."""
    before, other = Speaker(1), Speaker(2)
    node = joiner(before)
    before.send_to(node, START, Versions(((NOBODY, GENERATION, 9),), b""))
    other.handshake(node, START)
    first = Speaker(1, generation=GENERATION + 1, boot_id=BootId(b"restarts"))
    lists = 0
    while (now := node.next_deadline()) <= START + 60:
        effects: list[Effect] = node.advance(now)
        for speaker, id in (other, NOBODY), (first, first.id):
            for message in speaker.received(effects):
                if isinstance(message, Probe) and (lists or speaker is other):
                    speaker.send_to(node, now, Ack(message.number, node.fingerprint))
                elif isinstance(message, List):
                    if not lists:
                        first.handshake(node, now)
                    lists += 1
                    speaker.send_to(node, now, Versions(((id, GENERATION, 1),), b""))
    assert lists > 1
    assert not node.synced
    assert list(node.missing) == [NOBODY]


def test_restarted_first_member_ends_the_wait_if_it_is_alone() -> None:
    """It has listed a row that nobody has any more: the wait for it must end, though no other member can say so."""
    before = Speaker(1)
    node = joiner(before)
    before.send_to(node, START, Versions(((NOBODY, GENERATION, 9),), b""))
    first = Speaker(1, generation=GENERATION + 1, boot_id=BootId(b"restarts"))
    first.handshake(node, START)
    while not node.synced and (now := node.next_deadline()) <= START + 30:
        for message in first.received(node.advance(now)):
            if isinstance(message, Probe):
                first.send_to(node, now, Ack(message.number, node.fingerprint))
            elif isinstance(message, List):
                first.send_to(node, now, Versions(((first.id, first.generation, 1),), b""))
    assert node.synced
