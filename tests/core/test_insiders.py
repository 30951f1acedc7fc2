"""Datagrams of an insider who has the key: what only an owner may write stays."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.core.effects import Send
from gossipreg.core.node import Node
from gossipreg.core.table import table as replica_module
from gossipreg.errors import BadDatagram
from gossipreg.generation import MAX_GENERATION, generation_of, started_ms
from gossipreg.model import BootId, Liveness, NodeId, Rank, Version
from gossipreg.wire import codec
from gossipreg.wire import messages as m
from gossipreg.wire.messages import Claim, Delta, Message
from tests.core.cluster import START
from tests.core.hostile import INSIDER, NODE, a_cluster, entries, state_of, versions
from tests.core.speaker import GENERATION, Speaker, counted
from tests.examples import examples
from tests.wire.valid_messages import messages


def not_lower(before: dict[NodeId, tuple[Version, Liveness]], after: dict[NodeId, tuple[Version, Liveness]]) -> bool:
    return all(after[id][0] >= told and after[id][1] >= liveness for id, (told, liveness) in before.items())


KNOWN = [NODE.id, *(Speaker(seed).id for seed in (1, 2, 3, 4))]


near = st.sampled_from([0, 1, GENERATION - 1, GENERATION, GENERATION + 1, GENERATION + (1 << 40), m.MAX_VERSION])


@st.composite
def about_somebody(draw: st.DrawFn) -> Message:
    """Any valid message, mostly about those who are there, and often of about their generation."""
    message: Any = draw(messages)
    names = {field.name for field in fields(message)}
    for name in names & {"id", "target", "by"}:
        if draw(st.integers(0, 3)):
            message = replace(message, **{name: draw(st.sampled_from(KNOWN))})
    if "generation" in names and draw(st.booleans()):
        message = replace(message, generation=draw(near))
    if "cluster" in names and draw(st.booleans()):
        message = replace(message, cluster="default")
    if isinstance(message, Delta) and draw(st.booleans()):
        message = replace(message, base=0)
    if isinstance(message, Claim) and draw(st.booleans()):
        message = replace(message, incarnation=draw(st.sampled_from([0, 1, m.MAX_INCARNATION])))
    found: Message = message
    return found


@settings(max_examples=examples(20), deadline=None)
@given(
    st.lists(st.tuples(st.lists(about_somebody(), min_size=1, max_size=3), st.booleans(), st.floats(0, 2)), max_size=10)
)
def test_an_insider_changes_others_rows_only_by_the_rules(
    said: list[tuple[list[Message], bool, float]],
) -> None:
    node, members, insider = a_cluster()
    unbound = Speaker(5)
    own = entries(node, node.id)
    written = {one.id: entries(node, one.id) for one in members}
    now = START
    for several, bound, later_s in said:
        before = versions(node)
        node.receive((insider if bound else unbound).sealed(*several), insider.address, now)
        if bound:
            for message in several:
                if isinstance(message, Delta):
                    written.pop(message.id, None)
        now += later_s
        while node.next_deadline() <= now:
            node.advance(node.next_deadline())
        assert not_lower(before, {**before, **versions(node)})
        assert [entry for entry in entries(node, node.id) if entry not in own] == [], "its own row is its own"
        assert len(entries(node, node.id)) == len(own)
        for id, theirs in written.items():
            assert entries(node, id) in (theirs, [])
        assert node.table.own.active
    assert {one.service.id for one in node.catalog.lookup("billing")} >= {"billing-1"}
    assert not any(id == unbound.id for id in versions(node))


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(about_somebody(), min_size=1, max_size=4), st.data())
def test_an_insiders_broken_messages_are_dropped_with_a_reason(several: list[Message], data: st.DataObject) -> None:
    node, insider = NODE, INSIDER
    body = bytearray(b"".join(map(codec.encode, several)))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        codec.decode_untrusted(bytes(body))
    except BadDatagram as error:
        reason = error.reason
    else:
        return
    before, drops = state_of(node), counted(node, f"drop.{reason}")
    node.receive(insider.sealed_body(bytes(body)), insider.address, START)
    assert state_of(node) == before
    assert counted(node, f"drop.{reason}") == drops + 1


def test_a_new_generation_outlives_the_highest_incarnation() -> None:
    node, members, insider = a_cluster()
    told = insider.send_to(node, START, Claim(node.id, GENERATION, m.MAX_INCARNATION, Rank.DEAD, insider.id))
    own = node.table.own
    assert own.liveness > (GENERATION, m.MAX_INCARNATION, Rank.DEAD)
    assert counted(node, "table.incarnation_exhausted") == 1
    answer = insider.received(told)
    assert Claim(node.id, *own.liveness, by=node.id) in answer
    row = [page for page in everything_told(node, START + 1, members) if isinstance(page, Delta)]
    assert {page.generation for page in row if page.id == node.id} == {own.liveness.generation}
    assert node.catalog.lookup("billing")[0].version.generation == own.liveness.generation


def everything_told(node: Node, now: float, to: list[Speaker]) -> list[Message]:
    effects = node.advance(now)
    return [message for one in to for message in one.received(effects)]


def test_a_claim_of_our_last_possible_generation_is_dropped() -> None:
    node, _, insider = a_cluster()
    for message in (
        Claim(node.id, m.MAX_VERSION, 0, Rank.DEAD, insider.id),
        m.Announce(node.id, m.MAX_VERSION, 5),
        replace(insider.row, id=node.id, generation=m.MAX_VERSION),
        m.Hello("default", node.id, m.MAX_VERSION, 0, 0),  # of a stranger who has proven nothing: not even looked at
    ):
        effects = Speaker(6).send_to(node, START, message) if isinstance(message, m.Hello) else insider.send_to(
            node, START, message
        )  # fmt: skip
        assert not any(isinstance(effect, Send) and effect.destination not in (insider.address,) for effect in effects)
    assert node.inspect().generation == GENERATION
    assert counted(node, "drop.generation_exhausted") == 3


@pytest.mark.parametrize("ahead_ms", [400 * 86_400_000, started_ms(MAX_GENERATION) - started_ms(GENERATION)])
def test_a_generation_far_ahead_silences_no_live_member(ahead_ms: int) -> None:
    node, members, insider = a_cluster()
    victim, future = members[0], GENERATION + generation_of(ahead_ms, 0)
    for message in (
        Claim(victim.id, future, 0, Rank.DEAD, insider.id),
        replace(insider.row, id=victim.id, generation=future),
        m.Announce(victim.id, future, 5),
    ):
        insider.send_to(node, START, message)
    assert counted(node, "drop.generation_ahead") == 3
    info = node.member(victim.id, START)
    assert info is not None
    assert (info.state, info.version.generation) == ("alive", GENERATION)
    victim.content.put(2, 9, b"new")
    victim.send_to(node, START + 1, victim.row)
    assert entries(node, victim.id) == sorted(victim.content.entries.items())


def test_a_generation_far_ahead_is_accepted_from_its_owner() -> None:
    """Our clock may be the wrong one. The owner is asked at once, and comparing brings the rest."""
    node, members, insider = a_cluster()
    future = GENERATION + generation_of(500 * 86_400_000, 0)
    again = Speaker(1, id=members[0].id, generation=future, boot_id=BootId(b"restart."))
    told = again.row
    asked = again.received(insider.send_to(node, START, told))
    hello = next(message for message in asked if isinstance(message, m.Hello))
    assert entries(node, again.id) == sorted(members[0].content.entries.items())
    again.send_to(node, START, again.hello(echo=hello.nonce))
    insider.send_to(node, START, told)
    assert entries(node, again.id) == sorted(again.content.entries.items())


def test_a_member_that_left_does_not_refute_its_death() -> None:
    node, _, insider = a_cluster()
    node.leave(START)
    claim = Claim(node.id, GENERATION, 0, Rank.DEAD, insider.id)
    answers = insider.received(insider.send_to(node, START, claim))
    assert [message for message in answers if isinstance(message, Claim)] == [], "it would be answered, for ever"
    assert [message.id for message in answers if isinstance(message, Delta)] == [node.id]


def test_messages_about_a_row_just_evicted_do_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node, members, insider = a_cluster()
    monkeypatch.setattr(replica_module, "MAX_ROWS", len(node.table.rows))
    victim, newcomer = members[0], Speaker(20)
    insider.send_to(
        node, START + 0.1,
        Claim(victim.id, GENERATION, 0, Rank.DEAD, insider.id), newcomer.row,
        m.List(b""), m.Nack(1, True), m.PingReq(1, victim.id), m.Pull(victim.id, 0, 0),
        m.Buckets(1, 4, bytes(range(1, 65))), Claim(victim.id, GENERATION, 0, Rank.DEAD, insider.id),
    )  # fmt: skip
    assert victim.id not in node.table.rows
    assert newcomer.id in node.table.rows
