"""Subscriptions of programs at their sidecar: how they come, pause and go, and broadcast."""

import pytest

from gossipreg.errors import BadParams, Busy, NotFound
from gossipreg.events import subscriptions
from gossipreg.events.announced import AnnouncedSubscription, decode_subscription_untrusted
from gossipreg.events.messages import DeliveryResult, WindowOpened
from tests.events.receiver import JOURNAL, ONE, OTHER, TWO, Receiver, with_subscription

ACKED, FAILED, DIED = DeliveryResult.ACKED, DeliveryResult.FAILED, DeliveryResult.DIED
NO_ROOM, NO_SUBSCRIBER = DeliveryResult.NO_ROOM, DeliveryResult.NO_SUBSCRIBER


# -- subscriptions come and go -----------------------------------------------------------------------------------------


def test_nobody_takes_an_event_without_a_subscription() -> None:
    receiver, number = with_subscription()
    receiver.deliver(1, group="stock")
    receiver.deliver(2, type="refund")
    receiver.receiving.suspend(number, receiver.now)
    receiver.deliver(3)
    assert receiver.results() == [NO_SUBSCRIBER] * 3
    receiver.receiving.resume(number)
    receiver.flush()
    assert [sent.message.windows for sent in receiver.messages if isinstance(sent.message, WindowOpened)] == [
        (("billing", 64),)
    ]
    receiver.receiving.subscribe("stock", [">"], window=3)
    receiver.flush()
    assert receiver.messages[-1].message == WindowOpened(journal=JOURNAL, windows=(("stock", 3),))


def test_a_suspended_subscription_keeps_its_announcement_and_its_handlers() -> None:
    receiver, number = with_subscription()
    receiver.deliver(1)
    receiver.announced.clear()
    receiver.receiving.suspend(number, receiver.now)
    receiver.flush()
    assert receiver.announced == []
    assert receiver.done(receiver.handed[0])
    assert receiver.results() == [ACKED]


def test_the_death_of_a_subscriber_is_the_death_of_its_handlers() -> None:
    receiver, number = with_subscription()
    receiver.deliver(1, key="k")
    receiver.deliver(2, node=TWO, journal=OTHER, key="k")
    receiver.receiving.unsubscribe(number, receiver.now, hung_up=True)
    receiver.flush()
    assert receiver.results(ONE) == [DIED]
    assert receiver.results(TWO) == [NO_SUBSCRIBER], "nothing was begun, so it is no attempt"
    assert receiver.receiving.next_deadline() == float("inf")
    with pytest.raises(NotFound):
        receiver.receiving.unsubscribe(number, receiver.now, hung_up=True)


def test_what_waits_for_its_key_goes_to_another_subscription() -> None:
    receiver, first = with_subscription()
    receiver.deliver(1, key="k")
    receiver.deliver(2, node=TWO, journal=OTHER, key="k")
    second = receiver.receiving.subscribe("billing", ["order.*"])
    receiver.receiving.unsubscribe(first, receiver.now, hung_up=True)
    receiver.flush()
    assert receiver.results() == [DIED]
    assert [(one.subscription, one.index) for one in receiver.handed] == [(first, 1), (second, 2)]


def test_a_subscription_that_ends_may_answer_what_it_has() -> None:
    receiver, number = with_subscription()
    receiver.deliver(1, 2)
    receiver.receiving.unsubscribe(number, receiver.now, hung_up=False)
    receiver.flush()
    receiver.deliver(3)
    assert receiver.results() == [NO_SUBSCRIBER]
    assert receiver.done(receiver.handed[0])
    with pytest.raises(NotFound):
        receiver.receiving.unsubscribe(number, receiver.now, hung_up=False)
    receiver.receiving.unsubscribe(number, receiver.now, hung_up=True)
    receiver.flush()
    assert receiver.results() == [NO_SUBSCRIBER, ACKED, DIED]
    assert receiver.receiving.statistics()["subscriptions"] == 0


def test_subscriptions_of_a_group_share_their_announcements() -> None:
    receiver, first = with_subscription()
    second = receiver.receiving.subscribe("billing", ["order.*", "refund"])
    receiver.flush()
    said = [(one.slot, one.value and decode_subscription_untrusted(one.value)) for one in receiver.announced]
    assert said == [(0, AnnouncedSubscription("billing", "order.*")), (1, AnnouncedSubscription("billing", "refund"))]
    receiver.announced.clear()
    receiver.receiving.unsubscribe(second, receiver.now, hung_up=False)
    receiver.flush()
    assert [(one.slot, one.value) for one in receiver.announced] == [(1, None)]
    receiver.receiving.unsubscribe(first, receiver.now, hung_up=False)
    receiver.receiving.subscribe("stock", ["a"])
    receiver.flush()
    assert [(one.slot, one.value is None) for one in receiver.announced] == [(1, True), (0, True), (0, False)]


def test_subscriptions_and_their_announcements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_SUBSCRIPTIONS", 3)
    monkeypatch.setattr(subscriptions, "MAX_LOCAL_SUBSCRIPTIONS", 3)
    receiver, _ = with_subscription()
    with pytest.raises(Busy, match="pairs of group and pattern"):
        receiver.receiving.subscribe("billing", ["order.*", "a", "b", "c"])
    receiver.receiving.subscribe("billing", ["order.*", "a", "b"])
    receiver.receiving.subscribe("billing", ["a"])
    with pytest.raises(Busy, match="3 subscriptions"):
        receiver.receiving.subscribe("billing", ["a"])
    receiver.flush()
    assert len(receiver.announced) == 3


@pytest.mark.parametrize(
    ("group", "patterns", "options"),
    [
        ("", ["a"], {}),
        ("billing", [], {}),
        ("billing", ["a.."], {}),
        ("billing", ["a"], {"broadcast": True}),
        ("billing", ["a"], {"window": 0}),
        ("billing", ["a"], {"max_attempts": 0}),
        ("billing", ["a"], {"ack_timeout_s": float("nan")}),
        ("billing", ["a"], {"on_dead": "stop"}),
        ("billing", [f"a.{number}" for number in range(65)], {}),
    ],
)
def test_a_subscription_of_wrong_values_is_refused(
    group: str, patterns: list[str], options: dict[str, object]
) -> None:  # fmt: skip
    receiver = Receiver()
    with pytest.raises(BadParams):
        receiver.receiving.subscribe(group, patterns, **options)  # type: ignore[arg-type]
    assert receiver.flush() == []


# -- broadcast ---------------------------------------------------------------------------------------------------------


def test_every_broadcast_subscription_gets_an_event_while_it_has_room() -> None:
    receiver, _ = with_subscription()
    two = [receiver.receiving.subscribe("", ["order.*"], broadcast=True, window=2) for _ in range(2)]
    receiver.receiving.subscribe("", ["refund"], broadcast=True)
    receiver.deliver(1, 2, 3, group="")
    assert sorted(one.subscription for one in receiver.handed) == sorted(two * 2)
    assert {one.number for one in receiver.handed} == {0}
    assert receiver.messages == []
    assert receiver.receiving.statistics()["deliveries.broadcast_dropped"] == 2
    assert receiver.done(receiver.handed[0])
    receiver.handed.clear()
    receiver.deliver(4, group="")
    assert len(receiver.handed) == 1
    for _ in range(2):
        receiver.done(receiver.handed[0])
    assert not receiver.done(receiver.handed[0]), "it has taken everything"


def test_a_broadcast_of_an_old_leader_or_of_no_event_is_dropped() -> None:
    receiver = Receiver()
    receiver.receiving.subscribe("", [">"], broadcast=True)
    receiver.deliver(1, group="", round=2)
    receiver.deliver(2, group="", round=1)
    receiver.deliver(3, group="", round=2, event=b"x")
    assert [one.index for one in receiver.handed] == [1]
    assert receiver.messages == []
