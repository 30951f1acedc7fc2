"""Pulls: paced, repeated, then asked of others, then given up; nothing that is never answered holds anybody up."""

from dataclasses import replace

import pytest

from gossipreg.config import Config, lan
from gossipreg.core.effects import Effect, Event
from gossipreg.core.node import Node
from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.model import NodeId, Rank
from gossipreg.wire import messages as m
from gossipreg.wire.messages import Claim, Delta, Pull
from simulations import inside
from tests.core.cluster import START
from tests.core.speaker import GENERATION, Speaker, a_node, counted

LATER = GENERATION + 1000
SPEAKER_1 = Speaker(1).address


def versions_of(speakers: list[Speaker]) -> m.Versions:
    return m.Versions(tuple((one.id, one.generation, one.content.counter) for one in speakers), None)


def run(node: Node, until: float, listeners: list[Speaker]) -> list[tuple[float, Speaker, Pull]]:
    """Let time pass; the listeners are there (they answer probes), and what is pulled from them is noted."""
    pulls = []
    while (due := node.next_deadline()) <= until:
        now = max(due, node.inspect().now)
        effects = node.advance(now)
        for one in listeners:
            for message in one.received(effects):
                if isinstance(message, Pull):
                    pulls.append((now, one, message))
                elif isinstance(message, m.Probe):
                    one.send_to(node, now, m.Ack(message.number, node.table.fingerprint))
    return pulls


def pulls_in(speaker: Speaker, effects: list[Effect]) -> list[Pull]:
    return [message for message in speaker.received(effects) if isinstance(message, Pull)]


@pytest.mark.parametrize(
    ("config", "at_once"), [(lan, 64), (Config(pulls_at_once=5), 5), (Config(pull_bytes_at_once=16_384), 11)]
)
def test_never_more_are_on_their_way_than_allowed_and_all_come(config: Config, at_once: int) -> None:
    node, source = a_node(config), Speaker(1)
    source.handshake(node, START)
    rows = {one.id: one for one in (Speaker(seed) for seed in range(100, 300))}
    told = list(rows.values())
    waiting = []
    for at in range(0, 200, 40):
        waiting += pulls_in(source, source.send_to(node, START, versions_of(told[at : at + 40])))
    most = 0
    while waiting:
        most = max(most, len(waiting))
        pull = waiting.pop(0)
        waiting += pulls_in(source, source.send_to(node, START, rows[pull.id].row))
    assert most == at_once
    assert all(id in node.table.rows for id in rows)
    assert node.inspect().pulls == ()
    assert node.inspect().pulls_waiting == 0


def test_a_pull_says_how_far_we_are() -> None:
    node, source, other = a_node(), Speaker(1), Speaker(2)
    for one in (source, other):
        one.handshake(node, START)
    told = source.send_to(node, START, m.Announce(other.id, other.generation, 50))
    assert pulls_in(source, told) == [Pull(other.id, other.generation, other.content.counter)]


def test_a_lost_pull_is_repeated_then_sent_to_others_then_ended() -> None:
    node, source, other = a_node(), Speaker(1), Speaker(2)
    for one in (source, other):
        one.handshake(node, START)
    lost = Speaker(9)
    first = pulls_in(source, source.send_to(node, START, versions_of([lost])))
    again = run(node, START + 5, [source, other])
    assert [pull.id for pull in first] == [lost.id]
    assert [one for _, one, pull in again if pull.id == lost.id] == [source, other, source]
    assert counted(node, "pulls_failed") == 1
    assert node.inspect().pulls == ()


def test_a_delta_without_its_base_is_pulled_even_of_unknown_rows() -> None:
    node, source, unknown = a_node(), Speaker(1), Speaker(9)
    source.handshake(node, START)
    unknown.content.put(2, 0, b"news")
    base = unknown.content.counter - 1
    told = source.send_to(node, START, unknown.content.cut(unknown.id, base, 1300))
    assert pulls_in(source, told) == [Pull(unknown.id, 0, 0)]
    source.send_to(node, START, unknown.row)
    assert unknown.id in node.table.rows
    assert node.inspect().pulls == ()


def test_the_same_page_again_and_again_does_not_keep_us_asking() -> None:
    node, source, other = a_node(), Speaker(1), Speaker(2)
    for one in (source, other):
        one.handshake(node, START)
    source.send_to(node, START, m.Announce(other.id, other.generation, 50))
    page = other.row
    assert [pulls_in(source, source.send_to(node, START, page)) for _ in range(50)] == [[]] * 50
    run(node, START + 5, [source, other])
    assert node.inspect().pulls == ()


def test_a_row_of_many_pages_is_pulled_without_a_pause() -> None:
    node, source, large = a_node(), Speaker(1), Speaker(9)
    source.handshake(node, START)
    for slot in range(200):
        large.content.put(1, slot, b"x" * 100)
    pulls = pulls_in(source, source.send_to(node, START, versions_of([large])))
    pages = 0
    while pulls:
        [pull] = pulls
        pages += 1
        pulls = pulls_in(source, source.send_to(node, START, large.content.cut(large.id, pull.counter, 1300)))
    assert pages > 15
    row = node.table.rows[large.id]
    assert row.content is not None
    assert row.content.whole


def listing_joiner(seed: Speaker, forged: int, real: list[Speaker]) -> tuple[Node, list[Effect]]:
    """A joiner to which the seed has listed members, of whom it gives the real ones only."""
    node = a_node(synced=False)
    node.seek((seed.address,), START)
    seed.handshake(node, START)
    nobody = [(NodeId(bytes([n]) * 16), GENERATION, 9) for n in range(forged)]
    listed = [(one.id, one.generation, one.content.counter) for one in real]
    return node, seed.send_to(node, START, m.Versions((*nobody, *listed), b""))


def give(
    node: Node, seed: Speaker, real: list[Speaker], effects: list[Effect], end: float, again: m.Versions | None = None
) -> float:
    """The seed acks probes, gives the real rows, and answers a new List with `again`, until the end or synced."""
    by_id = {one.id: one for one in real}
    now = START
    while not node.synced and now < end:
        more: list[Effect] = []
        for message in seed.received(effects):
            if isinstance(message, Pull) and message.id in by_id:
                more += seed.send_to(node, now, by_id[message.id].row)
            elif isinstance(message, m.Probe):
                more += seed.send_to(node, now, m.Ack(message.number, 1))
            elif isinstance(message, m.List) and again is not None:
                more += seed.send_to(node, now, again)
        now = max(now, node.next_deadline()) if not more else now
        effects = more or node.advance(now)
    return now


def test_listed_rows_that_nobody_gives_keep_a_joiner_unsynced() -> None:
    seed, real = Speaker(1), [Speaker(number) for number in range(50, 60)]
    node, effects = listing_joiner(seed, 80, real)
    again = m.Versions(tuple((NodeId(bytes([n]) * 16), GENERATION, 9) for n in range(80)), b"")
    give(node, seed, real, effects, START + 60, again)
    assert not node.synced
    assert all(one.id in node.table.rows for one in real)
    assert len(node.missing) == 80
    assert node.missing_from() == [f"speaker-1 at {SPEAKER_1}"]
    assert node.why_not_synced(START) == f"80 rows that speaker-1 at {SPEAKER_1} listed have not arrived yet"


def test_rows_that_the_first_member_lists_no_more_are_not_missed() -> None:
    seed, real = Speaker(1), [Speaker(number) for number in range(50, 60)]
    node, effects = listing_joiner(seed, 80, real)
    now = give(node, seed, real, effects, START + 60, m.Versions(((seed.id, seed.generation, 1),), b""))
    assert node.synced
    assert now < START + 10
    assert all(one.id in node.table.rows for one in real)
    assert counted(node, "pulls_failed") == 80


def test_a_listed_row_reported_dead_is_missing_until_a_new_list() -> None:
    seed = Speaker(1)
    node, effects = listing_joiner(seed, 2, [])
    assert len(pulls_in(seed, effects)) == 2
    for n in range(2):
        seed.send_to(node, START, Claim(NodeId(bytes([n]) * 16), GENERATION, 0, Rank.DEAD, seed.id))
    assert node.inspect().pulls == ()
    assert not node.synced, "it may have refuted that"
    now = give(node, seed, [], [], START + 60, m.Versions(((seed.id, seed.generation, 1),), b""))
    assert node.synced
    assert now < START + 3


def test_a_listed_row_that_came_is_not_missing_when_it_is_dead() -> None:
    seed, other = Speaker(1), Speaker(2)
    node = a_node(synced=False)
    node.seek((seed.address,), START)
    seed.handshake(node, START)
    behind = (other.id, other.generation, other.content.counter + 5)
    effects = seed.send_to(node, START, m.Versions((behind,), b""))
    assert len(pulls_in(seed, effects)) == 1
    seed.send_to(node, START, other.row)
    assert not node.synced
    seed.send_to(node, START, Claim(other.id, other.generation, 0, Rank.DEAD, seed.id))
    assert node.synced


def test_rows_given_up_twice_are_reported_until_they_come() -> None:
    node, source = a_node(), Speaker(1)
    source.handshake(node, START)
    lost = Speaker(9)
    kinds: list[str] = []
    now = START

    def live(until: float) -> None:
        nonlocal now
        while (due := node.next_deadline()) <= until:
            now = max(due, now)
            effects = node.advance(now)
            kinds.extend(effect.kind for effect in effects if isinstance(effect, Event) and "pull" in effect.kind)
            for message in source.received(effects):
                if isinstance(message, m.Probe):
                    source.send_to(node, now, m.Ack(message.number, node.table.fingerprint))

    for turn in (1, 2):
        source.send_to(node, now, versions_of([lost]))
        live(START + 6 * turn)
        assert kinds == ["pull_failed"] * (turn - 1), "one loss after the other may be chance"
    source.send_to(node, now, lost.row)
    live(now + 2)
    assert kinds == ["pull_failed", "pull_failed_over"]
    assert node.missing == {}


def test_a_pull_given_up_is_missing_until_the_row_comes() -> None:
    node, source = a_node(), Speaker(1)
    source.handshake(node, START)
    lost = Speaker(9)
    source.send_to(node, START, versions_of([lost]))
    run(node, START + 5, [source])
    assert node.missing == {lost.id: source.id}
    assert node.missing_from() == [f"speaker-1 at {SPEAKER_1}"]
    source.send_to(node, START + 5, lost.row)
    assert node.missing == {}


def test_announcing_and_refusing_in_turn_leaves_nothing_behind() -> None:
    node, source = a_node(Config(pulls_at_once=1)), Speaker(1)
    source.handshake(node, START)
    blocker = Speaker(8)
    source.send_to(node, START, versions_of([blocker]))
    for at in range(500):
        one = NodeId(at.to_bytes(16, "big"))
        source.send_to(node, START, m.Announce(one, GENERATION, 9))
        inside.stop_pulling(node, one)
    assert node.inspect().pulls_waiting == 0
    assert node.inspect().pulls == (blocker.id,)


def test_a_pull_of_a_dead_members_row_is_answered_with_a_claim() -> None:
    """Found by swarm: who had a first page of its row kept it as a member, and nobody watched it."""
    node, speaker, other = a_node(), Speaker(1), Speaker(2)
    for one in (speaker, other):
        one.handshake(node, START)
    speaker.send_to(node, START, Claim(other.id, other.generation, 0, Rank.DEAD, speaker.id))
    claim = Claim(other.id, other.generation, 0, Rank.DEAD, speaker.id)
    assert speaker.received(speaker.send_to(node, START, Pull(other.id, other.generation, 1))) == [claim]
    newer = Pull(other.id, other.generation + 1, 0)
    assert speaker.received(speaker.send_to(node, START, newer)) == [], "of a later start it knows nothing"


def test_a_row_without_its_rest_waits_for_its_owner() -> None:
    node, speaker = a_node(), Speaker(1)
    speaker.handshake(node, START)
    gone = Speaker(9)
    for slot in range(60):
        gone.content.put(KIND_SERVICE, slot, b"s" * 100)
    page = gone.content.cut(gone.id, 0, 1000)
    assert page.reached < page.head
    speaker.send_to(node, START, page)
    assert gone.id in node.ring
    run(node, START + 5, [speaker])
    assert counted(node, "pulls_failed") == 1
    assert gone.id not in node.ring
    assert node.member(gone.id, START + 5) is None or node.table.rows[gone.id].dead


def test_a_pull_of_an_unknown_row_is_counted_and_not_answered() -> None:
    node, speaker, other = a_node(), Speaker(1), Speaker(2)
    for one in (speaker, other):
        one.handshake(node, START)
    for pull in (
        Pull(NodeId(b"n" * 16), 0, 0),
        Pull(other.id, m.MAX_VERSION, m.MAX_VERSION),
        Pull(other.id, other.generation, other.content.counter),
    ):
        assert speaker.received(speaker.send_to(node, START, pull)) == []
    assert counted(node, "pulls_of_nothing") == 3
    [page] = speaker.received(speaker.send_to(node, START, Pull(other.id, 0, 0)))
    assert isinstance(page, Delta)
    assert page.entries == other.row.entries


def test_a_newer_goal_replaces_the_older_and_its_source() -> None:
    node, one, two, other = a_node(), Speaker(1), Speaker(2), Speaker(3)
    for speaker in (one, two, other):
        speaker.handshake(node, START)
    one.send_to(node, START, m.Announce(other.id, other.generation, 50))
    assert pulls_in(two, two.send_to(node, START, m.Announce(other.id, other.generation, 60))) == []
    assert [speaker for _, speaker, _ in run(node, START + 0.35, [one, two, other])] == [two]


def test_rows_of_a_newer_start_are_pulled_from_its_beginning() -> None:
    node, source, other = a_node(), Speaker(1), Speaker(2)
    for one in (source, other):
        one.handshake(node, START)
    restarted = replace(other.row, generation=LATER, base=3, reached=9, head=9)
    told = source.send_to(node, START, replace(restarted, entries=()))
    assert pulls_in(source, told) == [Pull(other.id, LATER, 0)]
