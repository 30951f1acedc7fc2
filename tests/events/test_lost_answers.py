"""An answer that was lost with its stream: the leader learns that the stream broke, though its end stays open."""

from gossipreg.events.codec import decode_event_message_untrusted, encode_event_message
from gossipreg.events.lost_answers import ARRIVED_S
from gossipreg.events.messages import DeliveryOutcomes
from tests.events.receiver import ONE, OWN, START, TWO, Receiver, with_subscription


def told_broken(receiver: Receiver) -> list[bytes]:
    """The members that got a message without outcomes and windows."""
    sent = [(one.node, one.message) for one in receiver.messages if isinstance(one.message, DeliveryOutcomes)]
    return [node for node, message in sent if not message.outcomes and not message.windows]


def answered(*, after_s: float = 0.0) -> Receiver:
    """One delivery was answered, and its stream broke so long afterwards."""
    receiver, _ = with_subscription(window=4)
    receiver.deliver(1)
    receiver.done(receiver.handed[0])
    receiver.now += after_s
    receiver.clear()
    return receiver


def broke(receiver: Receiver) -> None:
    receiver.receiving.closed(ONE, receiver.now)
    receiver.flush()


def test_a_leader_is_told_that_the_stream_of_an_answer_broke() -> None:
    receiver = answered()
    broke(receiver)
    assert told_broken(receiver) == []
    receiver.run_until(START + 1.5)
    assert told_broken(receiver) == [ONE]
    receiver.run_until(START + 3600)
    assert told_broken(receiver) == [ONE], "the stream stays open now"


def test_a_leader_is_told_until_a_stream_stays_open() -> None:
    """Each wait is longer, up to half a minute; a firewall may stay for an hour."""
    receiver = answered()
    broke(receiver)
    for _ in range(60):
        before = len(told_broken(receiver))
        receiver.run_until(receiver.receiving.next_deadline())
        assert len(told_broken(receiver)) == before + 1
        broke(receiver)
    assert receiver.receiving.next_deadline() - receiver.now <= 30.0
    assert receiver.now - START > 1000.0


def test_an_answer_that_has_arrived_needs_nothing() -> None:
    receiver = answered(after_s=ARRIVED_S + 0.1)
    broke(receiver)
    assert receiver.receiving.next_deadline() == float("inf")


def test_a_leader_that_does_not_run_is_not_told() -> None:
    receiver = answered()
    broke(receiver)
    receiver.members.stopped.add(ONE)
    receiver.run_until(START + 60)
    assert told_broken(receiver) == []


def test_the_stream_to_another_member_is_of_no_matter() -> None:
    receiver = answered()
    receiver.receiving.closed(TWO, receiver.now)
    receiver.flush()
    assert receiver.receiving.next_deadline() == float("inf")


def test_a_leader_here_has_no_stream() -> None:
    receiver, _ = with_subscription(window=4)
    receiver.deliver(1, node=OWN)
    receiver.done(receiver.handed[0])
    receiver.receiving.closed(OWN, receiver.now)
    receiver.flush()
    assert receiver.receiving.next_deadline() == float("inf")


def test_a_message_that_says_nothing_crosses_the_wire() -> None:
    receiver = answered()
    broke(receiver)
    receiver.run_until(START + 1.5)
    (sent,) = receiver.messages
    assert decode_event_message_untrusted(encode_event_message(sent.message)) == sent.message
