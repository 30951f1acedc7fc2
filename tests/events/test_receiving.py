"""Deliveries at the sidecar of a subscriber: who handles them, and what is answered."""

import pytest

from gossipreg.errors import NotFound
from gossipreg.events.codec import encode_event_message
from gossipreg.events.messages import DeliveryOutcomes, DeliveryResult
from gossipreg.events.tuning import EventsTuning
from tests.events.receiver import JOURNAL, ONE, OTHER, START, TWO, Receiver, an_event, with_subscription

ACKED, FAILED, DIED = DeliveryResult.ACKED, DeliveryResult.FAILED, DeliveryResult.DIED
NO_ROOM, NO_SUBSCRIBER = DeliveryResult.NO_ROOM, DeliveryResult.NO_SUBSCRIBER


# -- the way of one event ----------------------------------------------------------------------------------------------


def test_an_event_goes_to_its_subscription_and_its_ack_to_the_leader() -> None:
    receiver, number = with_subscription()
    receiver.deliver(7)
    (handed,) = receiver.handed
    assert (handed.subscription, handed.group, handed.journal, handed.index) == (number, "billing", JOURNAL, 7)
    assert handed.event == an_event()
    assert receiver.outcomes() == []
    assert receiver.done(handed)
    (outcome,) = receiver.outcomes(ONE)
    assert (outcome.group, outcome.index, outcome.attempt, outcome.result) == ("billing", 7, 1, ACKED)


def test_an_outcome_carries_what_the_subscription_wants() -> None:
    receiver, _ = with_subscription(on_dead="hold", max_attempts=3)
    receiver.deliver(7, attempt=2)
    receiver.done(receiver.handed[0], FAILED, "500 from billing-1", 1500)
    (outcome,) = receiver.outcomes()
    assert (outcome.attempt, outcome.result, outcome.text) == (2, FAILED, "500 from billing-1")
    assert (outcome.after_ms, outcome.hold, outcome.max_attempts) == (1500, True, 3)


def test_outcomes_of_one_turn_go_in_one_message() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(1, 2, 3)
    receiver.messages.clear()
    for handed in receiver.handed:
        receiver.receiving.done(handed.number, handed.subscription, ACKED, "", 0, receiver.now)
    receiver.flush()
    assert len(receiver.messages) == 1
    assert receiver.results() == [ACKED] * 3


def test_a_second_ack_is_harmless() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(7)
    assert receiver.done(receiver.handed[0])
    assert not receiver.done(receiver.handed[0])
    assert receiver.results() == [ACKED]


def test_only_the_subscription_that_got_an_event_answers_it() -> None:
    receiver, number = with_subscription()
    other = receiver.receiving.subscribe("stock", ["order.*"])
    receiver.deliver(7)
    handed = receiver.handed[0]
    for wrong_number, subscription in ((handed.number, other), (handed.number + 1, number), (-1, number)):
        with pytest.raises(NotFound):
            receiver.receiving.done(wrong_number, subscription, ACKED, "", 0, receiver.now)
        with pytest.raises(NotFound):
            receiver.receiving.renew(wrong_number, subscription, receiver.now)
    assert receiver.done(handed)


def test_bytes_that_are_no_event_are_rejected() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(7, event=b"\x01")
    assert receiver.handed == []
    (outcome,) = receiver.outcomes()
    assert outcome.result is DeliveryResult.REJECTED
    assert "no event" in outcome.text


def test_many_rejections_fit_messages() -> None:
    receiver, _ = with_subscription(window=1)
    receiver.deliver(*range(5000), event=b"\xd9", group="billing" * 30)
    assert len(receiver.outcomes()) == 5000
    for sent in receiver.messages:
        encode_event_message(sent.message)


def test_the_subscription_with_least_to_do_gets_the_next_event() -> None:
    receiver, first = with_subscription()
    second = receiver.receiving.subscribe("billing", ["order.created"])
    receiver.deliver(*range(10))
    got = [handed.subscription for handed in receiver.handed]
    assert got.count(first) == got.count(second) == 5
    receiver.handed.clear()
    receiver.deliver(20, type="order.paid")
    assert [handed.subscription for handed in receiver.handed] == [first], "the other one does not mean it"


# -- the same delivery twice -------------------------------------------------------------------------------------------


def test_a_second_delivery_of_the_same_joins_the_first() -> None:
    """Case 20 and 10c: its stream broke, or another leader took over, while the handler runs."""
    receiver, _ = with_subscription()
    receiver.deliver(7)
    receiver.deliver(7, node=TWO, round=2, attempt=2)
    assert len(receiver.handed) == 1
    receiver.messages.clear()
    receiver.done(receiver.handed[0])
    (sent,) = receiver.messages
    assert sent.node == TWO
    assert isinstance(sent.message, DeliveryOutcomes)
    assert (sent.message.ballot.round, sent.message.outcomes[0].attempt) == (2, 2)


def test_an_acknowledged_delivery_is_not_handled_again() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(7)
    receiver.done(receiver.handed[0])
    receiver.run_until(START + 200)
    receiver.deliver(7, node=TWO, round=2)
    assert len(receiver.handed) == 1
    assert receiver.results(TWO) == [ACKED]
    receiver.run_until(START + 600)
    receiver.deliver(7, node=TWO, round=2)
    assert len(receiver.handed) == 2, "forgotten: at least once"


def test_a_failed_delivery_is_handled_again() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(7)
    receiver.done(receiver.handed[0], FAILED, "no")
    receiver.deliver(7, attempt=2)
    assert [handed.attempt for handed in receiver.handed] == [1, 2]


def test_case_10_a_fenced_leader_is_answered_old_ballot() -> None:
    """c: the old leader does not know that there is a new one, and delivers."""
    receiver, _ = with_subscription()
    receiver.deliver(7, node=TWO, round=2)
    receiver.deliver(7, 8, node=ONE, round=1)
    assert receiver.results(ONE) == [DeliveryResult.OLD_BALLOT] * 2
    assert len(receiver.handed) == 1
    receiver.deliver(8, node=ONE, round=1, journal=OTHER)
    assert len(receiver.handed) == 2, "ballots are those of one journal"


def test_case_10_one_handler_runs_for_each_key_of_a_group() -> None:
    """a: two publishers with one key dispatch independently."""
    receiver, _ = with_subscription()
    receiver.deliver(7, key="order-1")
    receiver.deliver(3, node=TWO, journal=OTHER, key="order-1")
    receiver.deliver(4, node=TWO, journal=OTHER, key="order-2")
    receiver.receiving.subscribe("stock", ["order.*"])
    receiver.deliver(7, key="order-1", group="stock")
    assert [(one.group, one.index) for one in receiver.handed] == [("billing", 7), ("billing", 4), ("stock", 7)]
    receiver.handed.clear()
    first = receiver.receiving
    assert first.done(1, 1, FAILED, "no", 0, receiver.now)
    receiver.flush()
    assert [(one.group, one.index) for one in receiver.handed] == [("billing", 3)]


def test_case_10_a_handler_of_a_leader_that_died_goes_on() -> None:
    """b and c: the acknowledgement goes to whoever leads the journal now; a failure is of no use there. Both go to the
    one that delivered as well, which may only seem to have died."""
    receiver, _ = with_subscription()
    receiver.deliver(7, 8)
    receiver.members.stopped.add(ONE)
    receiver.receiving.closed(ONE, receiver.now)
    receiver.receiving.members_changed()
    receiver.flush()
    assert receiver.dropped == []
    receiver.members.leaders[JOURNAL] = TWO
    receiver.messages.clear()
    receiver.done(receiver.handed[0])
    receiver.done(receiver.handed[1], FAILED, "no")
    assert receiver.results(TWO) == [ACKED]
    assert receiver.results(ONE) == [ACKED, FAILED]


def test_a_leader_that_only_seems_gone_gets_its_answers() -> None:
    """Found by the laboratory (events, seed 4005): after a partition the deliveries came before the word that their
    leader lives. Their failures were kept back, and the leader waited for them for ever."""
    receiver, _ = with_subscription()
    receiver.members.stopped.add(ONE)
    receiver.deliver(7, 8)
    receiver.done(receiver.handed[0])
    receiver.done(receiver.handed[1], FAILED, "no")
    assert receiver.results(ONE) == [ACKED, FAILED]


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_handler_that_does_not_answer_has_failed() -> None:
    receiver, number = with_subscription()
    receiver.deliver(7)
    assert receiver.receiving.next_deadline() == START + 30
    receiver.run_until(START + 30)
    assert [(one.subscription, one.number) for one in receiver.dropped] == [(number, receiver.handed[0].number)]
    (outcome,) = receiver.outcomes()
    assert (outcome.result, outcome.text) == (FAILED, "no answer within 30 s")
    assert receiver.receiving.next_deadline() == float("inf")


def test_an_ack_that_comes_too_late_still_counts() -> None:
    """Whoever leads takes an acknowledgement of any attempt."""
    receiver, _ = with_subscription()
    receiver.deliver(7)
    receiver.run_until(START + 31)
    assert not receiver.done(receiver.handed[0], FAILED, "no"), "it had failed already"
    assert receiver.done(receiver.handed[0])
    assert not receiver.done(receiver.handed[0])
    assert receiver.results() == [FAILED, ACKED]


def test_a_handler_that_renews_runs_up_to_its_bound() -> None:
    receiver = Receiver(EventsTuning(max_handling_s=100.0))
    number = receiver.receiving.subscribe("billing", ["order.*"], ack_timeout_s=30.0)
    receiver.deliver(7)
    handed = receiver.handed[0]
    for at in (25, 50, 75):
        receiver.run_until(START + at)
        assert receiver.receiving.renew(handed.number, number, receiver.now)
    assert receiver.outcomes() == []
    receiver.run_until(START + 99)
    assert receiver.receiving.renew(handed.number, number, receiver.now)
    receiver.run_until(START + 100)
    assert [outcome.text for outcome in receiver.outcomes()] == ["no answer within 100 s"]
    assert not receiver.receiving.renew(handed.number, number, receiver.now)


def test_what_waits_for_room_at_its_client_has_no_deadline_yet() -> None:
    receiver, number = with_subscription()
    receiver.deliver(7)
    handed = receiver.handed[0]
    assert receiver.receiving.delay(handed.number, number)
    receiver.run_until(START + 4000)
    assert receiver.outcomes() == []
    assert receiver.receiving.hand_over(handed.number, number, receiver.now)
    receiver.run_until(START + 4029)
    assert receiver.outcomes() == []
    receiver.run_until(START + 4030)
    assert [outcome.text for outcome in receiver.outcomes()] == ["no answer within 30 s"]
    assert not receiver.receiving.hand_over(handed.number, number, receiver.now)


def test_what_waits_for_its_key_has_no_deadline_yet() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(7, key="k")
    receiver.deliver(3, node=TWO, journal=OTHER, key="k")
    receiver.run_until(START + 29)
    receiver.done(receiver.handed[0])
    receiver.run_until(START + 58)
    assert receiver.results() == [ACKED]
    receiver.run_until(START + 59)
    assert receiver.results() == [ACKED, FAILED]
