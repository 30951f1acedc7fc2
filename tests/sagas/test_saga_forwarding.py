"""Calls on their way to the leader: to which journal they go, and to which they never go."""

from msgpack import packb

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_effects import OpenSagaJournal, SendSagaMessage
from gossipreg.sagas.saga_forwarding import ForwardedCall, SagaForwarding
from gossipreg.sagas.saga_messages import SagaCall
from gossipreg.timers import Timers

NODE = NodeId(b"n" * 16)
FIRST, SECOND = JournalId(b"1" * 16), JournalId(b"2" * 16)


def run_call() -> ForwardedCall:
    return ForwardedCall("run", packb({"id": "s1"}), None, 10.0)


def sent(effects: list[object]) -> list[JournalId]:
    """The journals to which calls were sent."""
    return [
        effect.message.journal
        for effect in effects
        if isinstance(effect, SendSagaMessage) and isinstance(effect.message, SagaCall)
    ]


def test_a_call_that_may_have_run_goes_to_no_other_journal() -> None:
    leaders = {FIRST: NODE}
    forwarding = SagaForwarding(Timers(), leaders.get)
    forwarding.opened(FIRST, 0.0)
    assert sent([*forwarding.call(1, run_call(), 0.0)]) == [FIRST]
    forwarding.closed(NODE, 1.0)
    del leaders[FIRST]
    assert forwarding.on_again(1.1) == []
    leaders[SECOND] = NODE
    assert forwarding.opened(SECOND, 1.2) == []
    assert sent([*forwarding.call(2, run_call(), 1.3)]) == [SECOND]
    leaders[FIRST] = NODE
    assert sent([*forwarding.try_all(1.4)]) == [FIRST]


def test_a_call_that_was_sent_nowhere_opens_another_journal() -> None:
    leaders: dict[JournalId, NodeId] = {}
    forwarding = SagaForwarding(Timers(), leaders.get)
    forwarding.opened(FIRST, 0.0)
    assert forwarding.call(1, run_call(), 0.0) == []
    assert forwarding.on_again(0.1) == [OpenSagaJournal()]
    leaders[SECOND] = NODE
    assert sent([*forwarding.opened(SECOND, 0.2)]) == [SECOND]
