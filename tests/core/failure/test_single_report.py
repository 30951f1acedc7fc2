"""The report of one member alone declares no other member dead."""

from gossipreg.model import Rank
from gossipreg.wire.messages import Ack, Claim, PingReq, Probe
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node, counted


def test_one_report_declares_nobody_dead_while_helpers_are_silent() -> None:
    node, suspect, *helpers = a_node(), *(Speaker(seed) for seed in range(1, 5))
    for one in (suspect, *helpers):
        one.handshake(node, START)
    asked, claims = 0, []
    while (now := node.next_deadline()) <= START + 60:
        effects = node.advance(now)
        for one in helpers:
            for message in one.received(effects):
                if isinstance(message, Probe):
                    one.send_to(node, now, Ack(message.number, node.fingerprint))
                asked += isinstance(message, PingReq) and message.target == suspect.id
                claims += [message] if isinstance(message, Claim) and message.rank is Rank.DEAD else []
    assert asked > 3, "it was suspected, and helpers were asked"
    assert claims == []
    assert suspect.id in node.ring
    assert counted(node, "verdicts") == 0
