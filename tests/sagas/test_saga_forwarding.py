"""Calls on their way to the leader: to which journal they go, and to which they never go."""

from math import inf

from msgpack import packb, unpackb

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_effects import OpenSagaJournal, SagaCallAnswered, SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_forwarding import UNLED_S, CallDeadline, CallsAgain, ForwardedCall, SagaForwarding, Unled
from gossipreg.sagas.saga_messages import SagaCall
from gossipreg.timers import Timers

NODE = NodeId(b"n" * 16)
NOBODY: dict[JournalId, NodeId] = {}
FIRST, SECOND = JournalId(b"1" * 16), JournalId(b"2" * 16)


def soon_led(journal: JournalId) -> Unled:
    return Unled("unavailable", f"nobody leads {journal!r} now", soon=True)


def never_led(journal: JournalId) -> Unled:
    return Unled("not_synced", f"nobody knows {journal!r}")


def show_call() -> ForwardedCall:
    return ForwardedCall("show", b"\x80", FIRST, 10.0)


def told(effects: list[SagaEffect]) -> list[tuple[int, str, str]]:
    """(ticket, code, text) of the calls that came to nothing."""
    return [(one.ticket, one.code, unpackb(one.result)["text"]) for one in effects if isinstance(one, SagaCallAnswered)]


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
    forwarding = SagaForwarding(Timers(), leaders.get, soon_led)
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
    forwarding = SagaForwarding(Timers(), leaders.get, soon_led)
    forwarding.opened(FIRST, 0.0)
    assert forwarding.call(1, run_call(), 0.0) == []
    assert forwarding.on_again(0.1) == [OpenSagaJournal()]
    leaders[SECOND] = NODE
    assert sent([*forwarding.opened(SECOND, 0.2)]) == [SECOND]


def test_call_for_which_no_leader_comes_is_answered_soon() -> None:
    timers = Timers()
    forwarding = SagaForwarding(timers, NOBODY.get, never_led)
    assert forwarding.call(1, show_call(), 5.0) == []
    answered: list[SagaEffect] = []
    while not answered:
        now = timers.next_due()
        assert CallsAgain() in [name for name, _ in timers.pop_due(now)], "the wait for the next look is too long"
        answered = forwarding.on_again(now)
    assert told(answered) == [(1, "not_synced", f"nobody knows {FIRST!r}")]
    assert UNLED_S <= now - 5.0 < 2 * UNLED_S
    assert (len(forwarding), timers.next_due()) == (0, inf)


def test_call_whose_leader_is_to_come_waits_and_says_why_none_came() -> None:
    timers = Timers()
    forwarding = SagaForwarding(timers, NOBODY.get, soon_led)
    forwarding.call(1, show_call(), 0.0)
    assert forwarding.on_again(9.0) == []
    assert CallDeadline(1) in timers
    assert told(forwarding.on_deadline(1)) == [
        (1, "unavailable", f"no answer to show within 10 s: nobody leads {FIRST!r} now")
    ]


def test_journal_that_was_led_before_is_waited_for() -> None:
    """Nobody claims it while one leader gives way to the next."""
    leaders = {FIRST: NODE}
    forwarding = SagaForwarding(Timers(), leaders.get, never_led)
    assert sent([*forwarding.call(1, show_call(), 0.0)]) == [FIRST]
    forwarding.abandon(1)
    del leaders[FIRST]
    assert forwarding.call(2, show_call(), 1.0) == []
    assert forwarding.on_again(9.0) == []
    leaders[FIRST] = NODE
    assert sent([*forwarding.on_again(9.5)]) == [FIRST]


def test_call_that_finds_its_leader_in_time_is_sent() -> None:
    leaders: dict[JournalId, NodeId] = {}
    forwarding = SagaForwarding(Timers(), leaders.get, never_led)
    forwarding.call(1, show_call(), 0.0)
    assert forwarding.on_again(UNLED_S - 0.01) == []
    leaders[FIRST] = NODE
    assert sent([*forwarding.on_again(UNLED_S)]) == [FIRST]
