"""Events that were handed to a subscription which has not begun with them, and will not: no attempt of anybody."""

import pytest

from gossipreg.errors import NotFound
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult
from tests.events.receiver import JOURNAL, ONE, OTHER, TWO, Receiver, with_subscription

NO_ROOM, NO_SUBSCRIBER = DeliveryResult.NO_ROOM, DeliveryResult.NO_SUBSCRIBER


def give_back(receiver: Receiver, handed: HandleEvent) -> bool:
    known = receiver.receiving.give_back(handed.number, handed.subscription, handed.event, receiver.now)
    receiver.flush()
    return known


def test_another_subscription_here_gets_what_was_given_back() -> None:
    receiver, first = with_subscription(window=1)
    receiver.deliver(7)
    second = receiver.receiving.subscribe("billing", ["order.*"])
    receiver.receiving.unsubscribe(first, receiver.now, hung_up=False)
    assert give_back(receiver, receiver.handed[0])
    before, again = receiver.handed
    assert (again.subscription, again.index, again.attempt, again.event) == (second, 7, 1, before.event)
    assert receiver.outcomes() == []
    assert receiver.receiving.statistics()["subscriptions"] == 1
    assert receiver.done(again)


def test_with_nobody_else_the_leader_gives_it_to_another_member() -> None:
    receiver, number = with_subscription()
    receiver.deliver(7, attempt=2)
    receiver.receiving.unsubscribe(number, receiver.now, hung_up=False)
    assert give_back(receiver, receiver.handed[0])
    (outcome,) = receiver.outcomes(ONE)
    assert (outcome.index, outcome.attempt, outcome.result) == (7, 2, NO_SUBSCRIBER)
    assert receiver.receiving.statistics()["handlings"] == receiver.receiving.statistics()["subscriptions"] == 0
    assert receiver.receiving.next_deadline() == float("inf")


def test_where_others_are_full_the_leader_hears_of_room() -> None:
    receiver, number = with_subscription()
    receiver.deliver(7)
    other = receiver.receiving.subscribe("billing", ["order.*"], window=1)
    receiver.receiving.suspend(number, receiver.now)
    receiver.deliver(8)
    receiver.receiving.unsubscribe(number, receiver.now, hung_up=False)
    assert give_back(receiver, receiver.handed[0])
    assert receiver.results(ONE) == [NO_ROOM]
    assert receiver.opened() == []
    handed = receiver.handed[1]
    assert (handed.subscription, handed.index) == (other, 8)
    receiver.done(handed)
    assert receiver.opened() == [ONE]


def test_a_subscription_that_goes_on_may_get_it_again() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(7)
    assert give_back(receiver, receiver.handed[0])
    assert receiver.results(ONE) == [NO_SUBSCRIBER]
    assert receiver.opened() == [ONE], "there is room"


def test_what_waits_for_the_key_begins_in_its_place() -> None:
    receiver, _ = with_subscription()
    receiver.deliver(7, key="k")
    receiver.deliver(3, node=TWO, journal=OTHER, key="k")
    assert give_back(receiver, receiver.handed[0])
    assert [(one.journal, one.index) for one in receiver.handed] == [(JOURNAL, 7), (OTHER, 3)]


def test_it_keeps_its_key_where_another_subscription_has_room() -> None:
    receiver, first = with_subscription()
    receiver.deliver(7, key="k")
    receiver.deliver(3, node=TWO, journal=OTHER, key="k")
    second = receiver.receiving.subscribe("billing", ["order.*"])
    receiver.receiving.unsubscribe(first, receiver.now, hung_up=False)
    assert give_back(receiver, receiver.handed[0])
    assert [(one.subscription, one.index) for one in receiver.handed] == [(first, 7), (second, 7)]
    receiver.done(receiver.handed[1])
    assert [(one.subscription, one.index) for one in receiver.handed][2:] == [(second, 3)]


def test_only_its_holder_gives_an_event_back_and_once() -> None:
    receiver, number = with_subscription()
    other = receiver.receiving.subscribe("stock", ["order.*"])
    receiver.deliver(7)
    handed = receiver.handed[0]
    for wrong, subscription in ((handed.number, other), (handed.number + 1, number)):
        with pytest.raises(NotFound):
            receiver.receiving.give_back(wrong, subscription, handed.event, receiver.now)
    receiver.run_until(receiver.now + 31)
    assert not give_back(receiver, handed), "its time was over"
    assert receiver.results(ONE) == [DeliveryResult.FAILED]
