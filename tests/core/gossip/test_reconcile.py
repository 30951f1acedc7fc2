"""Comparing two tables: what is found, within how many round trips, for how many bytes; and listing one to join."""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.config import Config, lan
from gossipreg.core.effects import Send
from gossipreg.core.gossip.reconcile import salted
from gossipreg.core.table.layout import KIND_MEMBER
from gossipreg.model import Member, Rank, Status
from gossipreg.wire import codec
from gossipreg.wire import messages as m
from gossipreg.wire.messages import Delta
from gossipreg.wire.seal import Opener
from gossipreg.wire.values import encode_member
from simulations import inside
from tests.core.cluster import KEY, START, Cluster, Host
from tests.core.speaker import Speaker, a_node, counted

ROUND_TRIP_S = 2 * 0.0005


class Watched(Cluster):
    """A cluster that counts what its members send each other, by kind of message: some rows are of members who are not
    here, and are told as well."""

    def __init__(self, seed: int = 1, **options: object) -> None:
        super().__init__(seed, **options)  # type: ignore[arg-type]
        self.kinds: Counter[str] = Counter()
        self.kind_bytes: Counter[str] = Counter()

    def _send(self, host: Host, send: Send) -> None:
        super()._send(host, send)
        if all(send.destination != other.address for other in self.hosts):
            return
        for message in codec.decode_untrusted(Opener(KEY).open_untrusted(send.datagram).body)[0]:
            self.kinds[type(message).__name__] += 1
            self.kind_bytes[type(message).__name__] += len(codec.encode(message))


COMPARING = ("Buckets", "Hashes", "Want", "Versions")


def hold(host: Host, rows: list[Delta], now: float) -> None:
    """Rows that the host has for a while, of members who are not here."""
    table = host.node.table
    for row in rows:
        table.merge_delta(row, from_owner=False, synced=False, now=now - 60)
    table.hashes.bucket_changed_at = [-math.inf] * 256
    inside.flush(host.node)


def two_that_differ(in_both: int, only: int, newer: int) -> tuple[Watched, Host, Host]:
    """Each has `only` rows that the other lacks, and `newer` in which it is ahead."""
    cluster = Watched()
    hosts = cluster.grow(2)
    cluster.run(0.3)
    at = 0

    def some(n: int) -> list[Speaker]:
        nonlocal at
        at += n
        return [Speaker(seed) for seed in range(at - n, at)]

    for host in hosts:
        hold(host, [], cluster.now)
    for speaker in some(in_both):
        for host in hosts:
            hold(host, [speaker.row], cluster.now)
    for one, other in (hosts, hosts[::-1]):
        hold(one, [speaker.row for speaker in some(only)], cluster.now)
        for speaker in some(newer):
            hold(other, [speaker.row], cluster.now)
            speaker.content.put(2, 0, b"newer")
            hold(one, [speaker.row], cluster.now)
    return cluster, hosts[0], hosts[1]


def begin(cluster: Cluster, one: Host, other: Host) -> None:
    """A comparison, now."""
    cluster.act(one, inside.compare(one.node, other.id, cluster.now))


def equal(one: Host, other: Host) -> bool:
    return one.node.table.fingerprint == other.node.table.fingerprint


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 30), st.integers(0, 12), st.integers(0, 12))
def test_two_tables_are_equal_after_two_round_trips(in_both: int, only: int, newer: int) -> None:
    cluster, one, other = two_that_differ(in_both, only, newer)
    cluster.kinds.clear()
    begin(cluster, one, other)
    assert cluster.until(lambda: equal(one, other), 3.5 * ROUND_TRIP_S)
    differing = 2 * (only + newer)
    assert cluster.kinds["Delta"] == cluster.kinds["Pull"] == differing
    assert cluster.kinds["Buckets"] == 1


def test_forty_of_two_thousand_rows_are_found_for_few_bytes() -> None:
    cluster, one, other = two_that_differ(1960, 10, 10)
    cluster.kind_bytes.clear()
    begin(cluster, one, other)
    assert cluster.until(lambda: equal(one, other), 0.1)
    comparing = sum(cluster.kind_bytes[kind] for kind in COMPARING)
    assert comparing < 6_500, cluster.kind_bytes


def test_a_salt_separates_hashes_that_another_does_not() -> None:
    a, b = 0x1234_5678_9ABC_DEF0, 0x1234_5678_9ABC_DEF1
    salts = range(1, 2000, 2)
    assert sum(salted(a, salt) == salted(b, salt) for salt in salts) < len(salts) / 2


# -- settling and backoff --------------------------------------------------------------------------------------------


def test_a_bucket_that_just_changed_is_compared_later_once() -> None:
    cluster, one, other = two_that_differ(20, 0, 0)
    fresh = Speaker(5000)
    one.node.table.merge_delta(fresh.row, from_owner=False, synced=False, now=cluster.now)
    cluster.kinds.clear()
    begin(cluster, one, other)
    cluster.run(0.05)
    assert not equal(one, other)
    assert cluster.kinds["Versions"] == 0
    assert cluster.until(lambda: equal(one, other), 0.06), "at settle_s"
    assert cluster.kinds["Buckets"] == 2


def test_under_constant_churn_comparing_keeps_its_pace() -> None:
    """Something is always unsettled: a second look begins no third, so the probes alone set the pace."""
    cluster = Watched(seed=4)
    hosts = cluster.grow(3)
    cluster.kinds.clear()
    for step in range(400):
        cluster.register(hosts[step % 3], "churning", port=1 + step)
        cluster.run(0.025)
    assert cluster.kinds["Buckets"] <= 2 * 3 * 2 * 10, "two looks a period for each pair, over 10 s"


def test_fruitless_comparisons_back_off_until_a_table_changes() -> None:
    node, speaker = a_node(), Speaker()
    speaker.handshake(node, START)
    begun: list[float] = []
    ours = set()
    now = START
    while now < START + 100:
        now = max(now, node.next_deadline())
        effects = node.advance(now)
        theirs = 1 if now < START + 60 else 2
        for message in speaker.received(effects):
            if isinstance(message, m.Probe):
                effects = speaker.send_to(node, now, m.Ack(message.number, theirs))
                for answer in speaker.received(effects):
                    if isinstance(answer, m.Buckets):
                        begun.append(now - START)
                        speaker.send_to(node, now, m.Hashes(answer.salt, answer.bits, ()))
        ours.add(node.table.fingerprint)
    assert len(ours) == 1
    gaps = [after - before for before, after in pairwise(begun) if after < 60]
    assert gaps == sorted(gaps), "longer and longer"
    assert len([at for at in begun if at < 60]) <= 7
    assert any(60 <= at < 61.5 for at in begun), "their table is another now"


def test_comparisons_that_nobody_answers_do_not_back_off() -> None:
    """A lost datagram costs a period, not a minute."""
    node, speaker = a_node(), Speaker()
    speaker.handshake(node, START)
    begun = 0
    now = START
    while now < START + 20:
        now = max(now, node.next_deadline())
        for message in speaker.received(node.advance(now)):
            if isinstance(message, m.Probe):
                answers = speaker.received(speaker.send_to(node, now, m.Ack(message.number, 1)))
                begun += sum(isinstance(answer, m.Buckets) for answer in answers)
    assert begun >= 18


# -- what is asked of us ---------------------------------------------------------------------------------------------


def test_buckets_are_answered_within_bounds_and_not_twice() -> None:
    node, speaker = a_node(), Speaker()
    speaker.handshake(node, START)
    for seed in range(100, 400):
        node.table.merge_delta(Speaker(seed).row, from_owner=False, synced=False, now=START - 60)
    node.table.hashes.bucket_changed_at = [-math.inf] * 256
    for bits in range(m.MAX_BITS + 1):
        asked = m.Buckets(bits + 1, bits, bytes([1]) * (4 << bits))
        several = [asked, asked, replace(asked, salt=99)] if bits < 10 else [asked]
        answers = speaker.received(speaker.send_to(node, START + 1 + bits, *several))
        hashes = [answer for answer in answers if isinstance(answer, m.Hashes)]
        assert {answer.salt for answer in hashes} == ({bits + 1} if 4 <= bits <= 8 else set())
    assert counted(node, "drop.buckets_size") == 3 * 5 + 2
    assert counted(node, "drop.buckets_too_often") == 2 * 5


def test_unsolicited_hashes_and_wants_are_ignored() -> None:
    node, speaker, other = a_node(), Speaker(1), Speaker(2)
    for one in (speaker, other):
        one.handshake(node, START)
    assert speaker.received(speaker.send_to(node, START, m.Hashes(5, 4, ((0, 0, 2**32 - 1, b""),)))) == []
    assert counted(node, "hashes_unasked") == 1
    answers = speaker.received(speaker.send_to(node, START + 1, m.Buckets(7, 4, bytes([1]) * 64)))
    found = b"".join(hashes for answer in answers if isinstance(answer, m.Hashes) for _, _, _, hashes in answer.buckets)
    assert len(found) >= 6
    assert other.received(other.send_to(node, START + 1, m.Want(7, found))) == [], "it was not its comparison"
    told = speaker.received(speaker.send_to(node, START + 1, m.Want(7, found)))
    assert [type(message) for message in told] == [m.Versions]


# -- joining ---------------------------------------------------------------------------------------------------------


def test_a_joiner_goes_on_with_another_member_where_it_was() -> None:
    cluster = Watched(seed=6, config=Config(datagram_bytes=576))  # twelve versions a page
    hosts = cluster.grow(24)
    cluster.run(1)
    joiner = cluster.join(seed=hosts[0])
    places: list[bytes] = []

    def half_way() -> bool:
        listing = joiner.node.inspect().listing
        places.append(b"" if listing is None else listing.after)
        return places[-1] != b"" and len(joiner.node.ring) > 8

    assert cluster.until(half_way, 1, step_s=0.0001)
    left = sum(host.id > places[-1] for host in hosts)
    before = cluster.kinds["List"]
    cluster.crash(hosts[0], refuses=False)
    assert cluster.until(lambda: joiner.node.synced, 2)
    assert len(joiner.node.table.rows) == 25
    assert cluster.kinds["List"] - before <= math.ceil(left / 12) + 3, "not from the start again"


def test_ten_that_start_at_once_soon_know_each_other() -> None:
    """What they tell each other before they have met is not understood; one was missing for 1.8 s."""
    cluster = Cluster(seed=1)
    seed, *joiners = hosts = [cluster.add() for _ in range(10)]
    cluster.start(seed)
    cluster.run(1)
    for host in joiners:
        cluster.start(host, [seed])
    assert cluster.until(lambda: all(len(host.node.ring) == 10 for host in hosts), 0.3)


def test_a_busy_member_sends_joiners_on_to_others() -> None:
    cluster = Watched(seed=7)
    hosts = cluster.grow(4)
    cluster.run(2)
    joiners = [cluster.join(seed=hosts[0]) for _ in range(24)]
    assert cluster.until(lambda: all(joiner.node.synced for joiner in joiners), 3)
    assert cluster.kinds["Peers"] > 0
    assert cluster.until(lambda: cluster.converged([*hosts, *joiners]), 8)


def test_a_throttled_member_offers_others_instead_of_a_page() -> None:
    node, speaker, other = a_node(replace(lan, send_bytes_s=10_000)), Speaker(1), Speaker(2)
    for one in (speaker, other):
        one.handshake(node, START)
    told: list[object] = []
    for _ in range(40):
        told += speaker.received(speaker.send_to(node, START + 0.1, m.List(b""), m.Pull(node.id, 0, 0)))
    peers = [message for message in told if isinstance(message, m.Peers)]
    assert peers
    assert peers[0].peers == ((other.id, other.address),)


def test_a_busy_member_answers_a_pull_once_it_has_room() -> None:
    node, speaker = a_node(replace(lan, send_bytes_s=10_000)), Speaker()
    speaker.handshake(node, START)
    pull = m.Pull(node.id, 0, 0)
    answers = [speaker.received(speaker.send_to(node, START + 0.1, pull)) for _ in range(60)]
    assert answers[0], "there was room for the first one"
    assert answers[-1] == []
    assert [type(message) for message in speaker.received(speaker.send_to(node, START + 5, pull))] == [Delta]


def test_versions_of_a_dead_member_are_answered_with_its_claim() -> None:
    node, speaker, dead = a_node(), Speaker(1), Speaker(2)
    for one in (speaker, dead):
        one.handshake(node, START)
    claim = m.Claim(dead.id, dead.generation, 0, Rank.DEAD, speaker.id)
    speaker.send_to(node, START, claim)
    held = m.Versions(((dead.id, dead.generation, dead.content.counter),))
    assert speaker.received(speaker.send_to(node, START + 0.1, held)) == [claim]


def test_versions_of_a_member_that_left_get_its_last_page() -> None:
    node, speaker, gone = a_node(), Speaker(1), Speaker(2)
    for one in (speaker, gone):
        one.handshake(node, START)
    before = gone.content.counter
    gone.content.put(
        KIND_MEMBER, 0, encode_member(Member("gone", gone.boot_id, (gone.address,), status=Status.LEFT, durable=True))
    )
    gone.send_to(node, START, gone.row)
    held = m.Versions(((gone.id, gone.generation, before),))
    (page,) = speaker.received(speaker.send_to(node, START + 0.1, held))
    assert isinstance(page, Delta)
    assert (page.id, page.reached, page.head) == (gone.id, gone.content.counter, gone.content.counter)


def test_a_list_names_living_members_only() -> None:
    node, speaker, dead = a_node(), Speaker(1), Speaker(2)
    for one in (speaker, dead):
        one.handshake(node, START)
    speaker.send_to(node, START, m.Claim(dead.id, dead.generation, 0, Rank.DEAD, speaker.id))
    (page,) = speaker.received(speaker.send_to(node, START + 0.1, m.List(b"")))
    assert isinstance(page, m.Versions)
    assert {id for id, _, _ in page.rows} == {node.id, speaker.id}


def test_a_replaced_member_is_greeted_no_more() -> None:
    """Restarted without a data directory: a new identity at the old address, for ever answering calls on the old."""
    cluster = Watched(seed=8)
    hosts = cluster.grow(4)
    cluster.crash(hosts[2])
    assert cluster.until(lambda: all(cluster.state_at(host, hosts[2]) == "dead" for host in hosts if host.up), 3)
    again = cluster.join(seed=hosts[0], address=hosts[2].address)
    live = [*(host for host in hosts if host.up), again]
    assert cluster.until(lambda: cluster.converged(live), 5)
    cluster.run(10)
    cluster.kinds.clear()
    cluster.run(20)
    assert set(cluster.kinds) == {"Probe", "Ack"}
