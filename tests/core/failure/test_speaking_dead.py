"""Members that are dead here and still send datagrams: they can refute it only once they receive the claim."""

from gossipreg.config import lan
from gossipreg.model import Rank
from gossipreg.wire.messages import Claim, Message, Probe
from tests.core.cluster import START
from tests.core.speaker import GENERATION, Speaker, a_node


def claims(messages: list[Message]) -> list[Message]:
    return [message for message in messages if isinstance(message, Claim)]


def test_dead_member_that_speaks_is_told_once_a_period() -> None:
    node, accuser, dead = a_node(), Speaker(1), Speaker(2)
    accuser.handshake(node, START)
    dead.handshake(node, START)
    death = Claim(dead.id, GENERATION, 0, Rank.DEAD, accuser.id)
    accuser.send_to(node, START, death)
    probe = Probe(1, 0)
    assert claims(dead.received(dead.send_to(node, START, probe))) == [death]
    assert claims(dead.received(dead.send_to(node, START + 0.9 * lan.period_s, probe))) == []
    assert claims(dead.received(dead.send_to(node, START + lan.period_s, probe))) == [death]
