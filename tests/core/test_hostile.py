"""Any datagram from anyone: nothing escapes, what only an owner may write stays, memory and work are bounded.

Strangers have no key. The insider has it and says anything valid, bound to an id of its own or to none. What it can do
today is invent members, speak for others' lives, and write in others' names where it tells a newer version; not more.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.config import Config, lan
from gossipreg.core.effects import Effect, Send
from gossipreg.core.node import Node
from gossipreg.core.table import table as replica_module
from gossipreg.errors import BadDatagram
from gossipreg.model import Address, BootId, Health, Liveness, NodeId, Rank, Service, Version
from gossipreg.wire import codec
from gossipreg.wire import messages as m
from gossipreg.wire.messages import Claim, Delta, Message
from tests.core.cluster import START
from tests.core.session.test_handshake import parts_that_hold
from tests.core.speaker import GENERATION, Speaker, a_node, counted
from tests.wire.valid_messages import messages

Content = list[tuple[int, tuple[int, bytes | None]]]


def a_cluster(config: Config = lan) -> tuple[Node, list[Speaker], Speaker]:
    """A victim with a service, three members, and the insider: bound, and with a row of its own."""
    node = a_node(config)
    node.register(Service("billing-1", "billing", "h", 1), Health.PASSING, START)
    members = [Speaker(seed) for seed in (1, 2, 3)]
    insider = Speaker(4)
    for one in (*members, insider):
        one.greets(node, START)
    return node, members, insider


def entries(node: Node, id: NodeId) -> Content:
    row = node._context.table.rows.get(id)
    return [] if row is None or row.content is None else sorted(row.content.entries.items())


def versions(node: Node) -> dict[NodeId, tuple[Version, Liveness]]:
    return {id: (row.told, row.liveness) for id, row in node._context.table.rows.items()}


def not_lower(before: dict[NodeId, tuple[Version, Liveness]], after: dict[NodeId, tuple[Version, Liveness]]) -> bool:
    return all(after[id][0] >= told and after[id][1] >= liveness for id, (told, liveness) in before.items())


# -- without the key -------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([0xA0, 0xA1, 0xA2, None]))
def test_random_bytes_change_nothing_and_are_counted(datagram: bytes, form: int | None) -> None:
    node = NODE
    before, drops = state_of(node), all_drops(node)
    node.receive(datagram if form is None else bytes([form]) + datagram, Address("10.3.3.3", 3), START)
    assert state_of(node) == before
    assert all_drops(node) == drops + 1


def all_drops(node: Node) -> int:
    return sum(int(n) for name, n in node.statistics(START).items() if name in DROPS_OF_STRANGERS)


DROPS_OF_STRANGERS = {
    f"drop.{reason}"
    for reason in ("short", "unknown_format", "clear_refused", "unknown_key", "bad_tag", "notice", "own", "replay")
}


def state_of(node: Node) -> tuple[object, ...]:
    table = node._context.table
    return (
        table.fingerprint, versions(node), entries(node, node.id), len(node._context.peers),
        [(id, peer.source) for id in table.rows if (peer := node._context.peers.of_id(id)) is not None],
        {name: len(part) for name, part in parts_that_hold(node).items()},
    )  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 7), st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["set", "cut", "grow"]))
def test_mutated_datagrams_without_the_key_change_nothing(which: int, at: int, value: int, edit: str) -> None:
    node = NODE
    datagram = bytearray(REAL[which % len(REAL)])
    at %= len(datagram)
    if edit == "set":
        datagram[at] ^= value or 1
    elif edit == "cut":
        del datagram[at:]
    else:
        datagram[at:at] = bytes([value])
    if bytes(datagram) in REAL:
        return
    before = state_of(node)
    node.receive(bytes(datagram), Speaker(1).address, START)
    assert state_of(node) == before


NODE, _MEMBERS, _INSIDER = a_cluster()
REAL = [
    _MEMBERS[0].sealed(message)
    for message in (
        m.Probe(0, 1, 2), Claim(_MEMBERS[1].id, GENERATION, 0, Rank.DEAD, _MEMBERS[0].id), _INSIDER.row,
        m.Pull(NODE.id, 0, 0), m.Hello("default", _MEMBERS[0].id, GENERATION, 4, 0),
    )
]  # fmt: skip
"""Not received by the node: only their mutations are."""


def test_replays_change_nothing_and_get_no_answer() -> None:
    node, members, _ = a_cluster()
    seen = [
        members[0].sealed(message)
        for message in (members[0].row, Claim(members[1].id, GENERATION, 0, Rank.DEAD, members[0].id), m.Probe(0, 1, 2))
    ]
    for datagram in seen:
        node.receive(datagram, members[0].address, START)
    node.advance(START + 0.005)
    before = state_of(node)
    for datagram in [*reversed(seen), *seen]:
        assert node.receive(datagram, members[0].address, START + 0.006) == []
    assert state_of(node) == before
    assert counted(node, "drop.replay") == 6


# -- with the key ----------------------------------------------------------------------------------------------------

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


@settings(max_examples=20, deadline=None)
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
        assert node._context.table.own.active
    assert {one.service.id for one in node.catalog.lookup("billing")} >= {"billing-1"}
    assert not any(id == unbound.id for id in versions(node))


@settings(max_examples=40, deadline=None)
@given(st.lists(about_somebody(), min_size=1, max_size=4), st.data())
def test_an_insiders_broken_messages_are_dropped_with_a_reason(several: list[Message], data: st.DataObject) -> None:
    node, insider = NODE, _INSIDER
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


# -- claims at the end of what can be said ---------------------------------------------------------------------------


def test_a_new_generation_outlives_the_highest_incarnation() -> None:
    node, members, insider = a_cluster()
    told = insider.says(node, START, Claim(node.id, GENERATION, m.MAX_INCARNATION, Rank.DEAD, insider.id))
    own = node._context.table.own
    assert own.liveness > (GENERATION, m.MAX_INCARNATION, Rank.DEAD)
    assert counted(node, "table.incarnation_exhausted") == 1
    answer = insider.heard(told)
    assert Claim(node.id, *own.liveness, by=node.id) in answer
    row = [page for page in everything_told(node, START + 1, members) if isinstance(page, Delta)]
    assert {page.generation for page in row if page.id == node.id} == {own.liveness.generation}
    assert node.catalog.lookup("billing")[0].version.generation == own.liveness.generation


def everything_told(node: Node, now: float, to: list[Speaker]) -> list[Message]:
    effects = node.advance(now)
    return [message for one in to for message in one.heard(effects)]


def test_a_claim_of_our_last_possible_generation_is_dropped() -> None:
    node, _, insider = a_cluster()
    for message in (
        Claim(node.id, m.MAX_VERSION, 0, Rank.DEAD, insider.id),
        m.Announce(node.id, m.MAX_VERSION, 5),
        replace(insider.row, id=node.id, generation=m.MAX_VERSION),
        m.Hello("default", node.id, m.MAX_VERSION, 0, 0),  # of a stranger who has proven nothing: not even looked at
    ):
        effects = Speaker(6).says(node, START, message) if isinstance(message, m.Hello) else insider.says(
            node, START, message
        )  # fmt: skip
        assert not any(isinstance(effect, Send) and effect.destination not in (insider.address,) for effect in effects)
    assert node._context.generation == GENERATION
    assert counted(node, "drop.generation_exhausted") == 3


@pytest.mark.parametrize("ahead_ms", [400 * 86_400_000, (m.MAX_VERSION >> 16) - (GENERATION >> 16)])
def test_a_generation_far_ahead_silences_no_live_member(ahead_ms: int) -> None:
    node, members, insider = a_cluster()
    victim, future = members[0], GENERATION + (ahead_ms << 16)
    for message in (
        Claim(victim.id, future, 0, Rank.DEAD, insider.id),
        replace(insider.row, id=victim.id, generation=future),
        m.Announce(victim.id, future, 5),
    ):
        insider.says(node, START, message)
    assert counted(node, "drop.generation_ahead") == 3
    info = node.member(victim.id, START)
    assert info is not None
    assert (info.state, info.version.generation) == ("alive", GENERATION)
    victim.content.put(2, 9, b"new")
    victim.says(node, START + 1, victim.row)
    assert entries(node, victim.id) == sorted(victim.content.entries.items())


def test_a_generation_far_ahead_is_accepted_from_its_owner() -> None:
    """Our clock may be the wrong one. The owner is asked at once, and comparing brings the rest."""
    node, members, insider = a_cluster()
    future = GENERATION + (500 * 86_400_000 << 16)
    again = Speaker(1, id=members[0].id, generation=future, boot_id=BootId(b"restart."))
    told = again.row
    asked = again.heard(insider.says(node, START, told))
    hello = next(message for message in asked if isinstance(message, m.Hello))
    assert entries(node, again.id) == sorted(members[0].content.entries.items())
    again.says(node, START, again.hello(echo=hello.number))
    insider.says(node, START, told)
    assert entries(node, again.id) == sorted(again.content.entries.items())


def test_a_member_that_left_does_not_refute_its_death() -> None:
    node, _, insider = a_cluster()
    node.leave(START)
    claim = Claim(node.id, GENERATION, 0, Rank.DEAD, insider.id)
    answers = insider.heard(insider.says(node, START, claim))
    assert [message for message in answers if isinstance(message, Claim)] == [], "it would be answered, for ever"
    assert [message.id for message in answers if isinstance(message, Delta)] == [node.id]


# -- rows that vanish within one datagram ----------------------------------------------------------------------------


def test_messages_about_a_row_just_evicted_do_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node, members, insider = a_cluster()
    monkeypatch.setattr(replica_module, "MAX_ROWS", len(node._context.table.rows))
    victim, newcomer = members[0], Speaker(20)
    insider.says(
        node, START + 0.1,
        Claim(victim.id, GENERATION, 0, Rank.DEAD, insider.id), newcomer.row,
        m.List(b""), m.Nack(1, True), m.Ask(1, victim.id), m.Pull(victim.id, 0, 0),
        m.Buckets(1, 4, bytes(range(1, 65))), Claim(victim.id, GENERATION, 0, Rank.DEAD, insider.id),
    )  # fmt: skip
    assert victim.id not in node._context.table.rows
    assert newcomer.id in node._context.table.rows


# -- memory ----------------------------------------------------------------------------------------------------------


KEPT_FOR_A_REASON = {
    "Pulls._given_up": "announced and never given: 1,024 for 150 s",
    "Reconnect._members": "64 that are called on",
    "PeerSessions._guests": "1,024 that greeted us",
    "PeerSessions._by_id": "with those",
    "PeerSessions._by_boot": "with those",
    "PeerSessions._calls": "1,024 calls of ours",
    "AntiEntropy._lists_served": "of one period, thrown away with the next list",
}


def keep_company(node: Node, now: float, until: float, live: list[Speaker]) -> float:
    """Let time pass; these answer: they are there, and nobody else is."""
    while (due := node.next_deadline()) <= until:
        now = max(now, due)
        answer_all(node, now, node.advance(now), live)
    return until


def answer_all(node: Node, now: float, effects: list[Effect], live: list[Speaker]) -> None:
    for one in live:
        for message in one.heard(effects):
            if isinstance(message, m.Probe):
                one.says(node, now, m.Ack(0, message.number, message.fingerprint))
            elif isinstance(message, m.Ask):
                one.says(node, now, m.Nack(message.number, False))


def test_forgotten_invented_members_leave_no_memory() -> None:
    config = replace(lan, dead_row_s=10.0, dead_row_brief_s=10.0, future_s=0.0)
    node, members, insider = a_cluster(config)
    live = [*members, insider]
    baseline = {name: len(part) for name, part in parts_that_hold(node).items()}
    invented = [Speaker(seed, generation=GENERATION + seed) for seed in range(100, 140)]
    now = START + 1
    for at, one in enumerate(invented):
        if at % 4 == 0:
            one.greets(node, now)
        elif at % 4 == 1:
            one.greets(node, now, with_row=False)
        else:
            insider.says(node, now, replace(one.row, generation=GENERATION + (at << 30)))
        insider.says(node, now, m.Announce(one.id, GENERATION + 1, 50), m.Ask(at, one.id), m.Probe(0, at, at))
        one.says(node, now, m.List(b""), m.Probe(0, 1, 1), m.Buckets(at + 1, 4, bytes(range(1, 65))))
        now += 0.01
    now = keep_company(node, now, now + 1, live)
    for one in invented:  # the dead go on talking
        insider.says(node, now, Claim(one.id, m.MAX_VERSION >> 2, 0, Rank.DEAD, insider.id))
        insider.says(node, now, Claim(one.id, one.generation, 9, Rank.DEAD, insider.id))
        one.says(node, now, m.Probe(0, 1, 1))
    now = keep_company(node, now, now + 45, live)
    assert {info.id for info in node.members(now)} <= {node.id, *(one.id for one in live)}
    ids = {one.id for one in invented}
    for name, part in parts_that_hold(node).items():
        if name in KEPT_FOR_A_REASON:
            continue
        assert not ids & set(part), name
        assert len(part) <= baseline[name] + 20, name
    assert len(node._context.peers) <= len(live) + 10, "guests without a row: at most 1,024"


# -- work ------------------------------------------------------------------------------------------------------------

ROWS = 3000


def a_full_table() -> tuple[Node, Speaker, list[NodeId]]:
    node, _, insider = a_cluster()
    ids = []
    for number in range(ROWS):
        one = Speaker(1000 + number)
        node._context.table.merge_delta(one.row, from_owner=False, in_step=False, now=START)
        ids.append(one.id)
    node._end()
    return node, insider, ids


def fill(of: Callable[[int], Message]) -> list[Message]:
    """As many as fit the largest body."""
    several: list[Message] = []
    size = at = 0
    while size + len(codec.encode(of(at))) <= m.MAX_BODY_BYTES:
        several.append(of(at))
        size += len(codec.encode(of(at)))
        at += 1
    return several


def test_no_datagram_takes_long_or_causes_endless_answers() -> None:
    node, insider, ids = a_full_table()
    now = START + 1
    node.advance(now)
    node._prober.probe(insider.id)
    number = next(message.number for message in insider.heard(node._end()) if isinstance(message, m.Probe))
    begun = insider.heard(insider.says(node, now, m.Ack(0, number, 12345)))
    asked = next(message for message in begun if isinstance(message, m.Buckets))
    anything = bytes(range(1, 65))
    cases: dict[str, list[Message]] = {
        "probes": fill(lambda at: m.Probe(0, at, at)),
        "greetings": fill(lambda at: insider.hello(number=at + 1)),
        "asks": fill(lambda at: m.Ask(at, ids[at % ROWS])),
        "pulls": fill(lambda at: m.Pull(ids[at % ROWS], 0, 0)),
        "claims": fill(lambda at: Claim(ids[at % ROWS], GENERATION, 0, Rank.DEAD, insider.id)),
        "announces": fill(lambda at: m.Announce(NodeId(at.to_bytes(16, "big")), GENERATION, 9)),
        "lists": fill(lambda at: m.List(ids[at % ROWS])),
        "buckets": fill(lambda at: m.Buckets(at, 4, anything)),
        "fine buckets": [m.Buckets(3, 8, bytes([at % 255 + 1 for at in range(1024)]))],
        "hashes": [
            m.Hashes(asked.salt, asked.bits, tuple((at % (1 << asked.bits), 0, 2**32 - 1, b"") for at in range(500)))
        ],
        "versions": [m.Versions(tuple((NodeId(at.to_bytes(16, "big")), GENERATION, 1) for at in range(300)))],
        "wants": fill(lambda at: m.Want(3 + at % 2, bytes(60))),
        "receipts": fill(lambda at: m.Receipt(tuple(range(at + 1, at + 100)))),
        "entries": [
            Delta(insider.id, GENERATION, 1, 700, 700, 0, 0, tuple((at << 13 | 1, at, b"") for at in range(2, 700)))
        ],
    }
    took: dict[str, float] = {}
    for name, several in cases.items():
        now += 2.0
        datagram = insider.sealed(*several)
        node.advance(now)
        gc.disable()  # a full collection takes half a second in a process full of tests
        began = time.thread_time()
        effects = node.receive(datagram, insider.address, now)
        took[name] = time.thread_time() - began
        gc.enable()
        sent = sum(len(effect.datagram) for effect in effects if isinstance(effect, Send))
        assert sent <= 60 * len(datagram), name
    assert max(took.values()) < 0.5, took
