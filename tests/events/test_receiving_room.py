"""Windows at the sidecar of a subscriber: who is refused, and who is told that there is room."""

import pytest

from gossipreg.events import handlings
from gossipreg.events.messages import DeliveryResult
from tests.events.receiver import ONE, OTHER, START, THREE, TWO, an_event, with_subscription

ACKED, FAILED, DIED = DeliveryResult.ACKED, DeliveryResult.FAILED, DeliveryResult.DIED
NO_ROOM, NO_SUBSCRIBER = DeliveryResult.NO_ROOM, DeliveryResult.NO_SUBSCRIBER


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_leader_is_told_its_window_at_its_first_delivery() -> None:
    receiver, _ = with_subscription(window=10)
    receiver.deliver(1)
    assert receiver.windows(ONE) == [("billing", 10)]
    receiver.deliver(2)
    assert receiver.windows(ONE) == [("billing", 10)], "once is enough"
    receiver.deliver(3, node=TWO, journal=OTHER)
    assert receiver.windows(TWO) == [("billing", 5)], "two leaders share it"
    receiver.done(receiver.handed[0])
    assert receiver.windows(ONE) == [("billing", 10), ("billing", 5)]
    receiver.run_until(START + 11)
    receiver.deliver(4)
    assert receiver.windows(ONE)[-1] == ("billing", 10), "the other one has been silent for 10 s"


def test_a_new_leader_is_told_the_window_anew() -> None:
    receiver, _ = with_subscription(window=10)
    receiver.deliver(1)
    receiver.deliver(2, round=2)
    assert receiver.windows(ONE) == [("billing", 10)] * 2
    receiver.receiving.closed(ONE, receiver.now)
    receiver.deliver(3, round=2)
    assert receiver.windows(ONE) == [("billing", 10)] * 3, "it may not have come"


def test_case_20_a_full_window_refuses_and_opens_again() -> None:
    receiver, _ = with_subscription(window=2)
    receiver.deliver(1, 2, 3)
    assert receiver.results() == [NO_ROOM]
    assert len(receiver.handed) == 2
    assert receiver.opened() == []
    receiver.done(receiver.handed[0])
    assert receiver.opened() == [ONE]
    receiver.deliver(3)
    assert len(receiver.handed) == 3


def test_the_leader_that_was_refused_first_is_told_first() -> None:
    receiver, _ = with_subscription(window=1)
    receiver.deliver(1)
    for node in (TWO, THREE, ONE):
        receiver.deliver(9, node=node, journal=OTHER, round=1)
    receiver.done(receiver.handed[0])
    assert receiver.opened() == [TWO]


def test_room_that_is_not_used_is_offered_to_the_next() -> None:
    """The first one needs it no longer, and nothing else would ever wake the others."""
    receiver, _ = with_subscription(window=1)
    receiver.deliver(1)
    for node in (TWO, THREE):
        receiver.deliver(9, node=node, journal=OTHER)
    receiver.done(receiver.handed[0])
    receiver.run_until(START + 1)
    assert receiver.opened() == [TWO, THREE]
    assert receiver.receiving.next_deadline() == float("inf")


def test_a_leader_whose_stream_broke_is_told_again_that_there_is_room() -> None:
    receiver, _ = with_subscription(window=1)
    receiver.deliver(1)
    receiver.deliver(2, node=TWO, journal=OTHER)
    receiver.done(receiver.handed[0])
    receiver.receiving.closed(TWO, receiver.now)
    receiver.flush()
    receiver.run_until(START + 2)
    assert receiver.opened() == [TWO, TWO]
    receiver.deliver(2, node=TWO, journal=OTHER)
    receiver.receiving.closed(TWO, receiver.now)
    receiver.run_until(START + 4)
    assert receiver.opened() == [TWO, TWO], "it has been heard since"


def test_a_leader_that_is_gone_is_told_when_it_runs_again() -> None:
    receiver, _ = with_subscription(window=1)
    receiver.deliver(1)
    receiver.deliver(2, node=TWO, journal=OTHER)
    receiver.members.stopped.add(TWO)
    receiver.done(receiver.handed[0])
    receiver.run_until(START + 60)
    assert receiver.opened() == []
    receiver.members.stopped.clear()
    receiver.receiving.members_changed()
    receiver.flush()
    assert receiver.opened() == [TWO]


def test_room_for_another_type_wakes_nobody() -> None:
    """Otherwise a leader would send the same event again and again."""
    receiver, _ = with_subscription(window=1)
    receiver.deliver(1, type="order.created")
    receiver.deliver(2, node=TWO, journal=OTHER, type="order.created")
    receiver.receiving.subscribe("billing", ["refund"])
    receiver.flush()
    receiver.run_until(START + 10)
    assert receiver.opened() == []
    receiver.done(receiver.handed[0])
    assert receiver.opened() == [TWO]


def test_bytes_in_hand_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlings, "MAX_HANDLED_BYTES", 2 * len(an_event()))
    receiver, _ = with_subscription()
    receiver.receiving.subscribe("stock", ["order.*"])
    receiver.deliver(1, 2, 3)
    assert receiver.results() == [NO_ROOM]
    receiver.deliver(1, 2, group="stock", node=TWO)
    assert [(one.group, one.index) for one in receiver.handed] == [("billing", 1), ("billing", 2), ("stock", 1)]
    receiver.done(receiver.handed[2])
    assert receiver.opened() == [TWO], "this group has nothing in hand now"
    receiver.done(receiver.handed[0])
    assert set(receiver.opened()) == {ONE, TWO}
