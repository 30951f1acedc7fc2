"""Lists of members that are not synced themselves: they know few rows, so a joiner is not synced through them."""

from gossipreg.config import lan
from gossipreg.core.effects import Effect
from gossipreg.core.node import Node
from gossipreg.model import NodeId
from gossipreg.wire.messages import VERSIONS, Ack, List, Probe, Pull, Versions
from tests.core.cluster import START, Cluster
from tests.core.speaker import GENERATION, Speaker, a_node

NOBODY = NodeId(b"n" * 16)
NOBODYS = (NOBODY, GENERATION, 9)
SOON_S = 2.0
"""Until the lists of members that are not synced count, with some room: all waits between them, and round trips."""


def own(speaker: Speaker) -> tuple[NodeId, int, int]:
    return speaker.id, speaker.generation, speaker.content.counter


def answer(node: Node, speakers: dict[Speaker, Versions], until: float) -> list[tuple[float, Speaker]]:
    """Let these members answer probes, and each request for a list with this page; stop once the node is synced.
    Return when each one gave its page."""
    given: list[tuple[float, Speaker]] = []
    while not node.synced and (now := node.next_deadline()) <= until:
        batch: list[Effect] = node.advance(now)
        while batch:
            led_to: list[Effect] = []
            for speaker, page in speakers.items():
                for message in speaker.received(batch):
                    if isinstance(message, Probe):
                        led_to += speaker.send_to(node, now, Ack(message.number, node.fingerprint))
                    elif isinstance(message, List):
                        given.append((now - START, speaker))
                        led_to += speaker.send_to(node, now, page)
                    elif isinstance(message, Pull) and message.id == speaker.id:
                        led_to += speaker.send_to(node, now, speaker.row)
            batch = led_to
    return given


def joiner(seed: Speaker) -> Node:
    node = a_node(synced=False)
    node.seek((seed.address,), START)
    seed.handshake(node, START)
    return node


def test_unsynced_member_does_not_replace_the_list_of_a_dead_one() -> None:
    """The first member lists a row and dies before it gives that row. Then a member that has just started itself lists
    its table without that row, and later a synced member lists it with that row."""
    first, young, synced = Speaker(1), Speaker(2), Speaker(3)
    node = joiner(first)
    first.send_to(node, START, Versions((NOBODYS,), b""))
    answer(node, {}, START + 10)
    young.handshake(node, START + 10)
    pages = {young: Versions((own(young),), b"", synced=False)}
    assert {speaker for _, speaker in answer(node, pages, START + 14)} == {young}
    assert not node.synced
    synced.handshake(node, START + 14)
    pages[synced] = Versions((NOBODYS,), b"")
    assert synced in [speaker for _, speaker in answer(node, pages, START + 120)]
    assert not node.synced
    assert list(node.missing) == [NOBODY]


def test_unsynced_first_gives_way_to_a_synced_member() -> None:
    """Both list a row that they do not give. The one that is not synced then does not know that row any more."""
    young, synced = Speaker(1), Speaker(2)
    node = joiner(young)
    synced.handshake(node, START)
    young.send_to(node, START, Versions((own(young), own(synced), NOBODYS), b"", synced=False))
    pages = {young: Versions((own(young),), b"", synced=False), synced: Versions((own(synced), NOBODYS), b"")}
    assert {speaker for _, speaker in answer(node, pages, START + 120)} == {synced}
    assert not node.synced
    assert list(node.missing.items()) == [(NOBODY, synced.id)]


def test_list_of_an_unsynced_seed_is_followed_by_another() -> None:
    young, synced, third = Speaker(1), Speaker(2), Speaker(3)
    node = joiner(young)
    synced.handshake(node, START)
    young.send_to(node, START, Versions((own(young), own(synced)), b"", synced=False))
    assert not node.synced
    given = answer(
        node, {synced: Versions((own(young), own(synced), own(third)), b""), third: Versions((), b"")}, START + 1
    )
    assert [(round(at, 6), speaker) for at, speaker in given] == [(lan.gossip.list_unsynced_first_s, synced)]
    assert list(node.missing) == [third.id]
    third.send_to(node, START + 1, third.hello())
    synced.send_to(node, START + 1, third.row)
    assert node.synced


def test_unsynced_page_in_the_middle_of_a_list_is_noticed() -> None:
    first, young = Speaker(1), Speaker(2)
    low, high = sorted((first, young), key=lambda one: one.id)
    node = joiner(first)
    first.send_to(node, START, Versions((own(low),), low.id), low.row)
    young.handshake(node, START)
    given = answer(node, {young: Versions((own(high),), b"", synced=False)}, START + 1.005)
    assert given == [(lan.gossip.list_again_s, young)]
    assert not node.synced


def test_page_without_the_field_is_that_of_a_synced_member() -> None:
    """A release before the field sends it so."""
    older = Speaker(1)
    node = joiner(older)
    page = b"\x91\xc4\x00" + b"\x93\xc4\x10" + older.id + b"\x01\x01"
    node.receive(older.sealed_body(bytes((VERSIONS, len(page))) + page), older.address, START)
    assert node.synced


def test_unsynced_member_counts_if_nobody_is_synced() -> None:
    young = Speaker(1)
    node = joiner(young)
    young.send_to(node, START, Versions((own(young),), b"", synced=False))
    given = answer(node, {young: Versions((own(young),), b"", synced=False)}, START + 60)
    assert node.synced
    assert [round(at, 2) for at, _ in given] == [0.01, 0.03, 0.07, 0.15, 0.31, 0.63, 1.27]


def test_unsynced_members_that_fall_silent_count_after_a_while() -> None:
    young = Speaker(1)
    node = joiner(young)
    young.send_to(node, START, Versions((own(young),), b"", synced=False))
    while not node.synced and (now := node.next_deadline()) <= START + 60:
        node.advance(now)
    assert node.synced
    assert 5 <= now - START <= 6 + lan.gossip.list_again_s


def test_a_member_says_in_its_list_whether_it_is_synced() -> None:
    other = Speaker(1)
    for synced in (True, False):
        node = a_node(synced=synced)
        other.handshake(node, START)
        pages = [one for one in other.received(other.send_to(node, START, List(b""))) if isinstance(one, Versions)]
        assert [page.synced for page in pages] == [synced]


def test_members_that_start_together_are_soon_synced() -> None:
    """No member of these is synced, and each has the next one as its seed."""
    cluster = Cluster(seed=5)
    hosts = [cluster.add() for _ in range(12)]
    for number, host in enumerate(hosts):
        cluster.start(host, [hosts[number - 1]])
    assert cluster.until(lambda: all(host.node.synced for host in hosts), SOON_S)
    assert cluster.until(lambda: cluster.converged(hosts), SOON_S)


def test_joiner_whose_first_seed_dies_waits_for_a_synced_one() -> None:
    """Its first seed dies at once. The second has just started and reaches nobody else; the third answers late."""
    for number in range(4):
        cluster = Cluster(seed=60 + number)
        first, third, *others = cluster.grow(8)
        cluster.run(1)
        second, late = cluster.add(), cluster.add()
        apart = {(second.number, host.number) for host in (first, third, *others)} | {(third.number, late.number)}
        cluster.network.rules["apart"] = lambda sender, receiver, apart=apart: float(  # type: ignore[misc]
            bool(apart & {(sender.number, receiver.number), (receiver.number, sender.number)})
        )
        cluster.start(second, [first])
        cluster.run(1)
        cluster.start(late, [first, second, third])
        cluster.run(0.0001)
        cluster.crash(first)
        cluster.run(0.1)
        assert not late.node.synced
        apart.discard((third.number, late.number))
        assert cluster.until(lambda late=late: late.node.synced, SOON_S)  # type: ignore[misc]
        assert cluster.alive_at(late) >= {host.id for host in others}
