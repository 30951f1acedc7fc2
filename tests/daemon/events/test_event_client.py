"""What one connection may say of the events that it was given."""

from typing import Any

import pytest
from msgpack import unpackb

from gossipreg.daemon.events.event_client import GIVEN_BYTES, EventClient
from gossipreg.daemon.events.event_params import AskedSubscription
from gossipreg.daemon.events.event_spans import EventSpans
from gossipreg.daemon.watches import RPC_FORM, RpcForm
from gossipreg.errors import NotFound
from gossipreg.events import tuning
from gossipreg.events.cloud_event import encode_event, make_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult
from gossipreg.journal.model import JournalId
from gossipreg.tracing import NO_TRACER


class Sidecar:
    """The events of a sidecar, and the connection: notes what each is told."""

    tuning = tuning.default
    spans = EventSpans(NO_TRACER)
    form: RpcForm = RPC_FORM

    def __init__(self) -> None:
        self.subscriptions = 0
        self.ended: list[tuple[int, bool]] = []
        self.forgotten = False
        """No subscription that has ended is known any more."""
        self.returned: list[int] = []
        self.outcomes: list[tuple[int, DeliveryResult]] = []
        self.pushed: list[int] = []
        self.delayed: list[int] = []
        """Those whose time does not run."""

    def subscribe(self, subscriber: EventClient, asked: AskedSubscription) -> int:
        del subscriber, asked
        self.subscriptions += 1
        return self.subscriptions

    def unsubscribe(self, number: int, *, hung_up: bool) -> None:
        if hung_up and self.forgotten:
            raise NotFound("its time is over")
        self.ended.append((number, hung_up))

    def done(
        self, subscription: int, number: int, result: DeliveryResult, reason: str = "", after_s: float = 0.0
    ) -> bool:
        del subscription, reason, after_s
        self.outcomes.append((number, result))
        return True

    def give_back(self, handed: HandleEvent) -> bool:
        self.returned.append(handed.number)
        return True

    def renew(self, subscription: int, number: int) -> bool:
        del subscription, number
        return True

    def delay(self, handed: HandleEvent) -> None:
        self.delayed.append(handed.number)

    def hand_over(self, handed: HandleEvent) -> None:
        self.delayed.remove(handed.number)

    def flush(self) -> None:
        pass

    def push(self, *pieces: bytes) -> None:
        self.pushed.append(unpackb(pieces[1])["delivery"])


def subscribed() -> tuple[Sidecar, EventClient]:
    sidecar = Sidecar()
    client = EventClient(sidecar, sidecar)  # type: ignore[arg-type]
    client.subscribe({"pattern": "order.*", "group": "mail"})
    client.take_opening()
    return sidecar, client


def handed(number: int, size: int = 10) -> HandleEvent:
    event = encode_event(make_event(str(number), "/shop", "order.created", b"x" * size))
    return HandleEvent(1, number, "mail", JournalId(b"j" * 16), number, 1, event)


def known(answer: bytes) -> Any:
    return unpackb(answer)["known"]


def test_ack_of_a_delivery_of_others_is_an_error_and_changes_nothing() -> None:
    sidecar, client = subscribed()
    with pytest.raises(NotFound, match="was not given delivery 7"):
        client.ack({"delivery": 7})
    assert sidecar.outcomes == []


def test_second_ack_is_harmless_and_says_so() -> None:
    sidecar, client = subscribed()
    client.handle(handed(1))
    assert known(client.ack({"delivery": 1})) == 1
    assert known(client.ack({"delivery": 1})) == 0
    assert sidecar.outcomes == [(1, DeliveryResult.ACKED)]


def test_list_with_an_unknown_delivery_settles_the_others() -> None:
    sidecar, client = subscribed()
    client.handle(handed(1))
    client.handle(handed(2))
    assert known(client.ack({"delivery": [1, 99, 2]})) == 2
    assert [number for number, _ in sidecar.outcomes] == [1, 2]


def test_client_gets_no_more_bytes_than_it_may_hold() -> None:
    sidecar, client = subscribed()
    size = 150 * 1024
    for number in range(1, 31):
        client.handle(handed(number, size))
    assert len(sidecar.pushed) == GIVEN_BYTES // size + 1
    client.ack({"delivery": 1})
    assert sidecar.pushed[-1] == GIVEN_BYTES // size + 2


def test_time_of_an_event_begins_when_the_client_has_it() -> None:
    """Large events that waited here for a slow handler had ten attempts without it, and were set aside."""
    sidecar, client, waiting = with_some_waiting()
    assert sidecar.delayed == waiting
    client.ack({"delivery": 1})
    assert sidecar.delayed == waiting[1:]
    client.unsubscribe({"subscription": 1})
    assert sidecar.returned == waiting[1:]


def test_given_events_may_be_settled_after_unsubscribe() -> None:
    sidecar, client = subscribed()
    client.handle(handed(1))
    client.unsubscribe({"subscription": 1})
    assert known(client.ack({"delivery": 1})) == 1
    assert sidecar.ended == [(1, False)]


def test_hang_up_after_unsubscribe_lets_go_of_what_was_given() -> None:
    sidecar, client = subscribed()
    client.handle(handed(1))
    client.unsubscribe({"subscription": 1})
    client.end()
    assert sidecar.ended == [(1, False), (1, True)]


def test_hang_up_long_after_unsubscribe_is_no_fault() -> None:
    """The time of what it was given was over meanwhile, so nothing is left of the subscription."""
    sidecar, client = subscribed()
    client.handle(handed(1))
    client.unsubscribe({"subscription": 1})
    sidecar.forgotten = True
    client.end()
    assert sidecar.ended == [(1, False)]


def with_some_waiting() -> tuple[Sidecar, EventClient, list[int]]:
    """The numbers of the events that wait for room at the client."""
    sidecar, client = subscribed()
    for number in range(1, 17):
        client.handle(handed(number, 150 * 1024))
    waiting = list(range(len(sidecar.pushed) + 1, 17))
    assert waiting
    return sidecar, client, waiting


def test_unsubscribe_gives_back_what_the_client_never_got() -> None:
    sidecar, client, waiting = with_some_waiting()
    client.unsubscribe({"subscription": 1})
    assert (sidecar.returned, sidecar.outcomes) == (waiting, [])
    assert sidecar.ended == [(1, False)]


def test_hang_up_gives_back_what_the_client_never_got() -> None:
    """Only what it had may have killed it."""
    sidecar, client, waiting = with_some_waiting()
    client.end()
    assert sidecar.returned == waiting
    assert sidecar.ended == [(1, False), (1, True)]


def test_what_the_client_has_not_begun_it_gives_back_once() -> None:
    sidecar, client = subscribed()
    for number in (1, 2, 3):
        client.handle(handed(number))
    assert known(client.give_back({"delivery": [1, 2, 99]})) == 2
    assert known(client.give_back({"delivery": 1})) == 0
    assert (sidecar.returned, sidecar.outcomes) == ([1, 2], [])
    with pytest.raises(NotFound, match="was not given delivery 7"):
        client.give_back({"delivery": 7})
    client.end()
    assert sidecar.ended == [(1, False), (1, True)], "the third one was in its hands"


def test_what_is_given_back_makes_room_for_the_next() -> None:
    sidecar, client, waiting = with_some_waiting()
    client.give_back({"delivery": 1})
    assert sidecar.pushed[-1] == waiting[0]
