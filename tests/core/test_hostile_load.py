"""An insider's datagrams cost bounded memory and work."""

import gc
import time
from collections.abc import Callable
from dataclasses import replace

from gossipreg.config import lan
from gossipreg.core.effects import Effect, Send
from gossipreg.core.node import Node
from gossipreg.model import NodeId, Rank
from gossipreg.wire import codec
from gossipreg.wire import messages as m
from gossipreg.wire.messages import Claim, Delta, Message
from simulations import inside
from tests.core.cluster import START
from tests.core.hostile import a_cluster
from tests.core.speaker import GENERATION, Speaker, parts_that_hold, sizes_of_parts

KEPT_FOR_A_REASON = {
    "Pulls._given_up": "announced and never given: 1,024 for 150 s",
    "Reconnect._dead": "64 that are greeted",
    "PeerSessions._guests": "1,024 that greeted us",
    "PeerSessions.by_id": "with those",
    "PeerSessions._by_boot": "with those",
    "PeerSessions._greetings": "1,024 greetings of ours",
    "Joining._served": "of one period, thrown away with the next list",
}


def keep_company(node: Node, now: float, until: float, live: list[Speaker]) -> float:
    """Let time pass; these answer: they are there, and nobody else is."""
    while (due := node.next_deadline()) <= until:
        now = max(now, due)
        answer_all(node, now, node.advance(now), live)
    return until


def answer_all(node: Node, now: float, effects: list[Effect], live: list[Speaker]) -> None:
    for one in live:
        for message in one.received(effects):
            if isinstance(message, m.Probe):
                one.send_to(node, now, m.Ack(message.number, message.fingerprint))
            elif isinstance(message, m.PingReq):
                one.send_to(node, now, m.Nack(message.number, False))


def test_forgotten_invented_members_leave_no_memory() -> None:
    config = replace(lan, dead_row_s=10.0, dead_row_brief_s=10.0, future_s=0.0)
    node, members, insider = a_cluster(config)
    live = [*members, insider]
    baseline = sizes_of_parts(node)
    invented = [Speaker(seed, generation=GENERATION + seed) for seed in range(100, 140)]
    now = START + 1
    for at, one in enumerate(invented):
        if at % 4 == 0:
            one.handshake(node, now)
        elif at % 4 == 1:
            one.handshake(node, now, with_row=False)
        else:
            insider.send_to(node, now, replace(one.row, generation=GENERATION + (at << 30)))
        insider.send_to(node, now, m.Announce(one.id, GENERATION + 1, 50), m.PingReq(at, one.id), m.Probe(at, at))
        one.send_to(node, now, m.List(b""), m.Probe(1, 1), m.Buckets(at + 1, 4, bytes(range(1, 65))))
        now += 0.01
    now = keep_company(node, now, now + 1, live)
    for one in invented:  # the dead go on talking
        insider.send_to(node, now, Claim(one.id, m.MAX_VERSION >> 2, 0, Rank.DEAD, insider.id))
        insider.send_to(node, now, Claim(one.id, one.generation, 9, Rank.DEAD, insider.id))
        one.send_to(node, now, m.Probe(1, 1))
    now = keep_company(node, now, now + 45, live)
    assert {info.id for info in node.members(now)} <= {node.id, *(one.id for one in live)}
    ids = {one.id for one in invented}
    for name, part in parts_that_hold(node).items():
        if name in KEPT_FOR_A_REASON:
            continue
        assert not ids & set(part), name
        assert len(part) <= baseline[name] + 20, name
    assert node.inspect().sessions <= len(live) + 10, "guests without a row: at most 1,024"


ROWS = 3000


def a_full_table() -> tuple[Node, Speaker, list[NodeId]]:
    node, _, insider = a_cluster()
    ids = []
    for number in range(ROWS):
        one = Speaker(1000 + number)
        node.table.merge_delta(one.row, from_owner=False, synced=False, now=START)
        ids.append(one.id)
    inside.flush(node)
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
    pinged = insider.received(inside.ping(node, insider.id))
    number = next(message.number for message in pinged if isinstance(message, m.Probe))
    begun = insider.received(insider.send_to(node, now, m.Ack(number, 12345)))
    asked = next(message for message in begun if isinstance(message, m.Buckets))
    anything = bytes(range(1, 65))
    cases: dict[str, list[Message]] = {
        "probes": fill(lambda at: m.Probe(at, at)),
        "greetings": fill(lambda at: insider.hello(nonce=at + 1)),
        "ping_reqs": fill(lambda at: m.PingReq(at, ids[at % ROWS])),
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
