"""Members that speak no common version of the protocol refuse each other, both say why, and nothing else breaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.config import lan
from gossipreg.core.effects import Effect, Event, Send
from gossipreg.core.node import Node
from gossipreg.model import FIRST_PROTOCOL, PROTOCOL, Address, ProtocolRange, Rank
from gossipreg.wire.messages import Ack, Claim, Hello, Mismatch, Nack, PingReq, Probe
from tests.core.cluster import START
from tests.core.speaker import HOME, Speaker, a_node, bytes_to, counted, sizes_of_parts
from tests.wire.valid_messages import ranges

OLD, BOTH, NEW = ProtocolRange(1, 1), ProtocolRange(1, 2), ProtocolRange(2, 3)
SEED = Address("10.3.0.1", 7940)


def of_kind(effects: list[Effect], kind: str) -> list[dict[str, object]]:
    return [dict(effect.fields) for effect in effects if isinstance(effect, Event) and effect.kind == kind]


def exchange(one: Node, other: Node, begin: list[Effect]) -> list[list[Effect]]:
    """Carry the datagrams of `one` to `other` and back until nobody answers. What each input led to."""
    found, to_other = [begin], True
    while datagrams := [effect.datagram for effect in found[-1] if isinstance(effect, Send)]:
        receiver, source = (other, HOME) if to_other else (one, SEED)
        found.append([effect for datagram in datagrams for effect in receiver.receive(datagram, source, START)])
        to_other = not to_other
        assert len(found) < 10, "they answer each other for ever"
    return found


# -- ranges ----------------------------------------------------------------------------------------------------------


@given(ranges, ranges)
def test_ranges_meet_if_a_version_is_in_both(one: ProtocolRange, other: ProtocolRange) -> None:
    common = range(max(one.oldest, other.oldest), min(one.newest, other.newest) + 1)
    assert one.meets(other) == other.meets(one) == (len(common) > 0)


@given(ranges, st.integers(1, 65_535))
def test_a_range_meets_exactly_the_versions_within_it(one: ProtocolRange, version: int) -> None:
    assert one.meets(ProtocolRange(version, version)) == (one.oldest <= version <= one.newest)


def test_this_release_speaks_with_the_first_release() -> None:
    assert PROTOCOL.meets(FIRST_PROTOCOL)


# -- the handshake ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), [(OLD, NEW), (NEW, OLD)])
def test_both_sides_report_ranges_that_do_not_meet(ours: ProtocolRange, theirs: ProtocolRange) -> None:
    caller, called = a_node(seed=1, synced=False, protocol=ours), a_node(seed=2, protocol=theirs)
    inputs = exchange(caller, called, caller.seek((SEED,), START))
    told = [of_kind(effects, "incompatible_version") for effects in inputs]
    here, there = ("here", "there") if ours == OLD else ("there", "here")
    assert told == [
        [],
        [],
        [{"address": str(SEED), "theirs": str(theirs), "ours": str(ours), "older": here}],
        [{"address": str(HOME), "theirs": str(ours), "ours": str(theirs), "older": there}],
    ]
    for node in (caller, called):
        assert node.inspect().sessions == 0
        assert len(node.members(START)) == 1


def test_ranges_that_meet_bind_both_sides() -> None:
    caller, called = a_node(seed=1, synced=False, protocol=BOTH), a_node(seed=2, protocol=NEW)
    exchange(caller, called, caller.seek((SEED,), START))
    assert (caller.inspect().sessions, called.inspect().sessions) == (1, 1)
    assert called.member(caller.id, START) is not None


def test_a_hello_without_a_range_counts_as_the_first_release() -> None:
    for protocol, bound in ((OLD, 1), (BOTH, 1), (NEW, 0)):
        node, first_release = a_node(protocol=protocol), Speaker()
        asked = first_release.received(first_release.send_to(node, START, first_release.hello(nonce=5)))[0]
        number = asked.nonce if isinstance(asked, Hello | Mismatch) else 0
        first_release.send_to(node, START, first_release.hello(echo=number), first_release.row)
        assert node.inspect().sessions == bound


def test_an_unproven_hello_is_counted_and_not_reported() -> None:
    """Anyone can write a sender's address; a line of the log needs the echo of a number that was sent there."""
    node, stranger = a_node(), Speaker(protocol=NEW)
    sizes = sizes_of_parts(node)
    datagram = stranger.sealed(stranger.hello(nonce=5))
    effects = node.receive(datagram, stranger.address, START)
    [answer] = stranger.received(effects)
    assert isinstance(answer, Mismatch)
    assert (answer.cluster, answer.echo, answer.protocol) == (lan.cluster, 5, PROTOCOL)
    assert bytes_to(effects, stranger.address) <= 3 * len(datagram)
    assert of_kind(effects, "incompatible_version") == []
    assert counted(node, "drop.incompatible_version") == 1
    assert sizes_of_parts(node) == sizes


@pytest.mark.parametrize("error", [0, 1])
def test_a_mismatch_about_versions_needs_a_number_of_ours(error: int) -> None:
    node, seed = a_node(synced=False), Speaker(protocol=NEW)
    [hello] = seed.received(node.seek((seed.address,), START))
    assert isinstance(hello, Hello)
    effects = seed.send_to(node, START, Mismatch(lan.cluster, hello.nonce + error, NEW))
    assert len(of_kind(effects, "incompatible_version")) == 1 - error
    assert counted(node, "drop.mismatch_unasked") == error


def test_a_number_sent_to_one_address_reports_no_other() -> None:
    node, stranger = a_node(), Speaker(protocol=NEW)
    [answer] = stranger.received(stranger.send_to(node, START, stranger.hello(nonce=5)))
    assert isinstance(answer, Mismatch)
    proof = Mismatch(lan.cluster, answer.nonce, NEW)
    assert of_kind(stranger.send_to(node, START, proof, at=SEED), "incompatible_version") == []
    assert len(of_kind(stranger.send_to(node, START, proof), "incompatible_version")) == 1


def test_a_mismatch_about_ranges_that_meet_says_nothing() -> None:
    node, seed = a_node(synced=False), Speaker()
    [hello] = seed.received(node.seek((seed.address,), START))
    assert isinstance(hello, Hello)
    assert seed.send_to(node, START, Mismatch(lan.cluster, hello.nonce, BOTH, 7)) == []


# -- rows that others gossip -----------------------------------------------------------------------------------------


def gossiped() -> tuple[Node, Speaker, Speaker, list[Effect]]:
    """A node, a member that speaks with everybody, and one that it alone speaks with, whose row it gossips."""
    node = a_node()
    between, newer = Speaker(1, protocol=BOTH), Speaker(2, protocol=NEW, services=1)
    between.handshake(node, START)
    return node, between, newer, between.send_to(node, START, newer.row)


def test_a_gossiped_row_of_another_version_is_kept_unanswered() -> None:
    node, between, newer, effects = gossiped()
    assert of_kind(effects, "incompatible_version") == [
        {
            "id": newer.id.hex(), "name": "speaker-2", "address": str(newer.address), "theirs": "2 to 3", "ours": "1",
            "older": "here",
        }
    ]  # fmt: skip
    assert newer.id in node.table.rows
    assert node.catalog.lookup("service-0") == ()
    info = node.member(newer.id, START)
    assert info is not None
    assert "speaks no version of the protocol" in info.reason
    with_row, without = node.table.fingerprint, a_node()
    between.handshake(without, START)
    assert with_row != without.table.fingerprint, "the row counts, so that tables stay equal"


def test_a_member_of_another_version_is_neither_probed_nor_judged() -> None:
    node, between, newer, _ = gossiped()
    now = START
    while now < START + 30:
        now = max(now, node.next_deadline())
        effects = node.advance(now)
        assert bytes_to(effects, newer.address) == 0
        for message in between.received(effects):
            assert not isinstance(message, PingReq | Claim), message
            if isinstance(message, Probe):
                between.send_to(node, now, Ack(message.number, message.fingerprint))
    assert not node.table.rows[newer.id].dead


def test_a_helper_answers_for_another_version_with_a_nack() -> None:
    node, between, newer, _ = gossiped()
    assert between.received(between.send_to(node, START, PingReq(9, newer.id))) == [Nack(9)]


def test_the_process_of_another_version_is_not_bound_by_its_row() -> None:
    node, _, newer, _ = gossiped()
    before = node.inspect().sessions
    answers = newer.received(newer.send_to(node, START, Probe(1, 2)))
    assert [type(answer) for answer in answers] == [Hello]
    assert counted(node, "drop.unbound") == 1
    assert node.inspect().sessions == before


def test_the_death_of_another_version_ends_its_trouble() -> None:
    node, between, newer, _ = gossiped()
    effects = between.send_to(node, START, Claim(newer.id, newer.generation, 0, Rank.DEAD, between.id))
    assert of_kind(effects, "incompatible_version_over") == [{"id": newer.id.hex()}]
    assert node.table.rows[newer.id].dead


def test_an_upgraded_member_is_answered_again() -> None:
    node, between, newer, _ = gossiped()
    again = Speaker(3, id=newer.id, generation=newer.generation + 1, protocol=BOTH, services=1)
    effects = between.send_to(node, START + 1, again.row)
    assert of_kind(effects, "incompatible_version_over") == [{"id": newer.id.hex()}]
    assert [instance.node for instance in node.catalog.lookup("service-0")] == [newer.id]
