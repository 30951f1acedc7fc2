"""Datagrams that a runtime has read together: `take` for each, then the effects of all."""

from gossipreg.core.effects import Send
from gossipreg.wire.messages import Ack, Hello, Probe
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node, bytes_to


def test_taking_and_finishing_is_receiving() -> None:
    one, other, peer = a_node(), a_node(), Speaker(1)
    hello = peer.sealed(peer.hello(nonce=5))
    effects = one.receive(hello, peer.address, START)
    other.take(hello, peer.address, START)
    assert other.finish(START) == effects
    assert [type(message) for message in peer.received(effects)] == [Hello]
    assert other.finish(START) == []


def test_pings_that_are_taken_together_are_acked_in_one_datagram() -> None:
    node, peer = a_node(), Speaker(1)
    peer.handshake(node, START)
    node.advance(START + 0.5)
    for number in range(3):
        node.take(peer.sealed(Probe(number, 0)), peer.address, START + 0.6)
    effects = node.finish(START + 0.6)
    assert len([one for one in effects if isinstance(one, Send)]) == 1
    acks = [one for one in peer.received(effects) if isinstance(one, Ack)]
    assert [ack.number for ack in acks] == [0, 1, 2]


def test_advancing_answers_what_was_taken() -> None:
    node, peer = a_node(), Speaker(1)
    peer.handshake(node, START)
    node.take(peer.sealed(Probe(7, 0)), peer.address, START + 0.6)
    assert any(isinstance(one, Ack) for one in peer.received(node.advance(START + 0.6)))


def test_each_datagram_of_a_stranger_adds_to_what_it_may_get() -> None:
    node, stranger = a_node(), Speaker(1)
    sent = [stranger.sealed(stranger.hello(nonce=5 + number)) for number in range(8)]
    for datagram in sent:
        node.take(datagram, stranger.address, START)
    effects = node.finish(START)
    assert [hello.echo for hello in stranger.received(effects) if isinstance(hello, Hello)] == list(range(5, 13))
    assert bytes_to(effects, stranger.address) <= 3 * sum(map(len, sent))
