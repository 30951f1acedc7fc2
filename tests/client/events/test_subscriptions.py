"""`registry.subscribe`: what a handler says, and when, against a sidecar whose deliveries a test sets."""

import logging
import threading
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest

from gossipreg import Event, Reject, Retry
from gossipreg.client.registry import Registry
from gossipreg.errors import BadParams, Busy, Refused
from scripts.tools.wait import wait_for
from tests.client.events.event_sidecar import BOUND_S, EventSidecar


def take(queue: "SimpleQueue[Any]") -> Any:
    return queue.get(timeout=BOUND_S)


def test_subscribe_sends_what_it_was_given(events: EventSidecar, registry: Registry) -> None:
    with registry.subscribe(
        ["order.*", "user.>"], "stock", print, window=5, on_dead="hold", max_attempts=3, ack_timeout=9
    ):
        assert events.params("subscribe") == [{
            "pattern": ["order.*", "user.>"], "group": "stock", "window": 5, "on_dead": "hold", "max_attempts": 3,
            "ack_timeout": 9,
        }]  # fmt: skip


def test_a_handler_that_returns_acknowledges(events: EventSidecar, registry: Registry) -> None:
    handled: SimpleQueue[Event] = SimpleQueue()
    with registry.subscribe("order.*", "stock", handled.put):
        number = events.deliver(
            "e7", index=9, attempt=2, subject="s", extensions={"partitionkey": "k", "correlationid": "c", "a": "b"}
        )
        event = take(handled)
        assert events.settled(1) == [("ack", number)]
    assert (event.id, event.source, event.type, event.subject) == ("e7", "shop", "order.created", "s")
    assert (event.data, event.raw, event.datacontenttype) == ({"n": 7}, b'{"n": 7}', "application/json")
    assert (event.group, event.attempt, event.journal, event.index) == ("stock", 2, "aa", 9)
    assert (event.key, event.correlationid, event.causationid) == ("k", "c", "")
    assert event.extensions["a"] == "b"
    assert event.time == "2026-05-31T12:00:00Z"


class Speechless(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("after", ["5", float("nan"), float("inf"), 1e9, True])
def test_a_wrong_after_is_an_error_of_the_handler(events: EventSidecar, registry: Registry, after: Any) -> None:
    def handler(event: Event) -> None:
        if event.id == "e1":
            raise Retry(after)
        event.retry(after)

    with registry.subscribe("order.*", "stock", handler):
        events.deliver("e1")
        events.deliver("e2", index=2)
        assert all("BadParams: after" in params["reason"] for params in events.wait_for("retry", 2))


def raises(error: BaseException) -> Any:
    def handler(_event: Event) -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "method", "params"),
    [
        (Reject("no such customer"), "reject", {"reason": "no such customer"}),
        (Reject(), "reject", {"reason": "rejected"}),
        (Retry(5.0, reason="busy"), "retry", {"after": 5.0, "reason": "busy"}),
        (Retry(), "retry", {"reason": "the handler asked for another attempt"}),
        (ValueError("oops"), "retry", {"reason": "ValueError: oops"}),
        (SystemExit(3), "retry", {"reason": "SystemExit: 3"}),
        (Reject("\ud800" * 9), "reject", {"reason": "?" * 9}),
        (ValueError("x" * 1000), "retry", {"reason": "ValueError: " + "x" * 500}),
        (Speechless(), "retry", {"reason": "Speechless: an error without a text"}),
        (Retry(-1.0, reason="now"), "retry", {"after": 0.0, "reason": "now"}),
    ],
)
def test_what_a_handler_raises_decides(
    events: EventSidecar, registry: Registry, error: BaseException, method: str, params: dict[str, Any]
) -> None:
    with registry.subscribe("order.*", "stock", raises(error)):
        number = events.deliver("e1")
        assert events.wait_for(method) == [{"delivery": number, **params}]
        other = events.deliver("e2", index=2)
        assert events.settled(2)[1] == (method, other), "its thread goes on"


def test_an_error_of_a_handler_is_logged_and_a_reject_is_not(
    events: EventSidecar, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), registry.subscribe("order.*", "stock", raises(Reject("no"))):
        events.deliver("e1")
        events.settled(1)
    assert caplog.records == []
    with registry.subscribe("order.*", "stock", raises(ValueError("oops"))):
        events.deliver("e2")
        events.settled(2)
    assert "order.* (group stock) failed at <Event order.created e2 of shop, attempt 1>" in caplog.text
    assert "ValueError: oops" in caplog.text
    assert "it comes again, or is a dead letter" in caplog.text


def test_log_of_a_failure_after_the_ack_does_not_say_that_it_comes_again(
    events: EventSidecar, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(event: Event) -> None:
        event.ack()
        raise ValueError("too late")

    with caplog.at_level(logging.WARNING), registry.subscribe("order.*", "stock", handler):
        number = events.deliver("e1")
        assert events.settled(1) == [("ack", number)]
        wait_for(lambda: "too late" in caplog.text)
    assert "it had settled the event before" in caplog.text
    assert "comes again" not in caplog.text


def test_the_first_word_of_a_handler_counts(events: EventSidecar, registry: Registry) -> None:
    def handler(event: Event) -> None:
        event.ack()
        event.reject("late")
        raise ValueError("later")

    with registry.subscribe("order.*", "stock", handler):
        events.deliver("e1")
        events.settled(1)
    assert [method for method, _ in events.settled(1)] == ["ack"]


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("application/json", b"[1]", [1]),
        ("application/vnd.a+json; charset=utf-8", b"1", 1),
        ("", b'"a"', "a"),
        ("text/plain", "ä".encode(), "ä"),
        ("text/csv; charset=latin-1", b"\xe4", "ä"),
        ("application/octet-stream", b"\xff", b"\xff"),
        ("image/png", None, None),
        ("", None, None),
    ],
)
def test_data_is_decoded_by_its_content_type(
    events: EventSidecar, registry: Registry, kind: str, data: bytes | None, value: Any
) -> None:
    with registry.events("order.*", "stock") as found:
        events.deliver("e1", datacontenttype=kind, data=data)
        event = next(found)
        assert event.data == value
        assert event.raw == (data or b"")


@pytest.mark.parametrize(
    ("kind", "data"), [("application/json", b"{"), ("text/plain", b"\xff"), ("text/a; charset=no", b"a")]
)
def test_data_that_is_not_what_it_says_rejects(
    events: EventSidecar, registry: Registry, kind: str, data: bytes
) -> None:
    with registry.subscribe("order.*", "stock", lambda event: event.data):
        events.deliver("e1", datacontenttype=kind, data=data)
        [params] = events.wait_for("reject")
        assert kind in params["reason"]


def test_acknowledgements_go_out_together(events: EventSidecar, registry: Registry) -> None:
    gate = threading.Barrier(65)
    with registry.subscribe("order.*", "stock", lambda _: gate.wait(BOUND_S), threads=64):
        numbers = [events.deliver(f"e{index}", index=index) for index in range(64)]
        gate.wait(BOUND_S)
        assert sorted(number for _, number in events.settled(64)) == numbers
    assert len(events.params("ack")) < 32
    assert max(len(params["delivery"]) for params in events.params("ack")) <= 64


def test_no_more_handlers_run_at_once_than_threads(events: EventSidecar, registry: Registry) -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def handler(_event: Event) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.002)
        with lock:
            running[0] -= 1

    with registry.subscribe("order.*", "stock", handler, threads=3):
        for index in range(40):
            events.deliver(f"e{index}", index=index)
        events.settled(40)
    assert most[0] == 3


def test_a_handler_that_runs_is_renewed(events: EventSidecar, registry: Registry) -> None:
    over = threading.Event()
    with registry.subscribe("order.*", "stock", lambda _: over.wait(BOUND_S), ack_timeout=0.1, threads=1):
        first, second = events.deliver("e1"), events.deliver("e2", index=2)
        events.wait_for("renew", 3)
        over.set()
        events.settled(2)
    assert any(sorted(params["delivery"]) == [first, second] for params in events.params("renew")), "the queue too"


def test_a_dropped_delivery_that_nobody_began_is_not_handled(events: EventSidecar, registry: Registry) -> None:
    over, handled = threading.Event(), SimpleQueue[str]()

    def handler(event: Event) -> None:
        handled.put(event.id)
        over.wait(BOUND_S)

    with registry.subscribe("order.*", "stock", handler, threads=1) as subscription:
        first = events.deliver("e1")
        assert take(handled) == "e1"
        second = events.deliver("e2", index=2)
        events.dropped(second)
        events.dropped(first)
        third = events.deliver("e3", index=3)
        wait_for(lambda: subscription.stats()["events"] == 3, what="what came before the third event was read")
        over.set()
        assert events.settled(1) == [("ack", third)], "what was dropped is not acknowledged"
    assert take(handled) == "e3"


def test_inherited_extensions_name_the_cause(events: EventSidecar, registry: Registry) -> None:
    def handler(_event: Event) -> None:
        registry.publish("a.b", extensions={"own": "1"})
        registry.publish("a.b", extensions={"correlationid": "mine", "causationid": "too"})

    with registry.subscribe("order.*", "stock", handler):
        events.deliver("e1", extensions={"traceparent": "00-1", "other": "x"})
        first, second = events.wait_for("publish", 2)
    assert first["extensions"] == {"traceparent": "00-1", "correlationid": "e1", "causationid": "e1", "own": "1"}
    assert second["extensions"] == {"traceparent": "00-1", "correlationid": "mine", "causationid": "too"}
    registry.publish("a.b")
    assert "extensions" not in events.params("publish")[2], "not outside of a handler"


def test_the_root_of_a_correlation_is_handed_on(events: EventSidecar, registry: Registry) -> None:
    with registry.subscribe("order.*", "stock", lambda _: registry.publish("a.b")):
        events.deliver("e2", extensions={"correlationid": "e1", "causationid": "e1"})
        [params] = events.wait_for("publish")
    assert params["extensions"] == {"correlationid": "e1", "causationid": "e2"}


def test_broadcast_is_handled_and_never_settled(events: EventSidecar, registry: Registry) -> None:
    handled: SimpleQueue[Event] = SimpleQueue()
    with registry.subscribe("order.*", handler=handled.put, broadcast=True):
        assert events.params("subscribe")[0]["broadcast"] is True
        for _ in range(3):
            events.deliver("e1", delivery=0)
            take(handled)
    assert events.settled(0) == []


def test_slow_broadcast_handlers_miss_events_beyond_the_window(events: EventSidecar, registry: Registry) -> None:
    over = threading.Event()
    with registry.subscribe("a", handler=lambda _: over.wait(BOUND_S), broadcast=True, window=4) as found:
        for _ in range(10):
            events.deliver("e1", delivery=0)
        number = events.deliver("last")
        over.set()
        events.settled(1)
        assert found.stats()["left_out"] == 6
    assert events.settled(1) == [("ack", number)]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"pattern": 7}, "pattern 7"),
        ({"pattern": []}, "pattern"),
        ({"pattern": [7]}, "pattern"),
        ({"group": None}, "group is None"),
        ({"broadcast": True}, "broadcast is True"),
        ({"past": 1}, "past"),
        ({"group": 7}, "group 7"),
        ({"handler": None}, "handler None"),
        ({"window": "5"}, "window"),
        ({"threads": 0}, "threads is 0"),
        ({"ack_timeout": 0}, "ack_timeout 0"),
        ({"max_attempts": True}, "max_attempts"),
    ],
)
def test_wrong_parameters_are_refused_at_once(
    events: EventSidecar, registry: Registry, arguments: dict[str, Any], fault: str
) -> None:
    with pytest.raises(BadParams, match=fault):
        registry.subscribe(**{"pattern": "a", "group": "g", "handler": print, **arguments})
    assert events.seen == []


def test_an_async_handler_is_refused(registry: Registry) -> None:
    async def handler(_event: Event) -> None: ...

    with pytest.raises(BadParams, match="async"):
        registry.subscribe("a", "g", handler)


@pytest.mark.parametrize("handler", [lambda: None, lambda _event, _more: None, lambda *, event: event, dict.get])
def test_handler_that_does_not_take_an_event_is_refused(handler: Any, events: EventSidecar, registry: Registry) -> None:
    with pytest.raises(BadParams, match="only argument"):
        registry.subscribe("a", "g", handler)
    assert events.seen == []


@pytest.mark.parametrize(
    "handler", [print, lambda _event, _more=1: None, lambda *_: None, partial(print, "e"), [].append]
)
def test_whatever_takes_an_event_is_a_handler(handler: Any, events: EventSidecar, registry: Registry) -> None:
    registry.subscribe("a", "g", handler)
    number = events.deliver("e1")
    assert events.settled(1) == [("ack", number)]


@pytest.mark.parametrize("error", [BadParams("pattern"), Refused("no")])
def test_a_subscription_that_is_refused_for_good_raises(
    events: EventSidecar, registry: Registry, error: Exception
) -> None:
    events.refuses = [error] * 10  # type: ignore[list-item]
    with pytest.raises(type(error), match=str(error)):
        registry.subscribe("a", "g", print)
    with pytest.raises(type(error), match=str(error)):
        registry.events("a", "g")


def test_what_may_pass_does_not_end_a_subscription(
    events: EventSidecar, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    events.refuses = [Busy("no room")]
    with registry.subscribe("a", "g", print):
        events.deliver("e1")
        events.settled(1)
    assert "no room" in caplog.text
    assert "is connected" in caplog.text


def test_without_a_sidecar_a_subscription_waits_for_one(events: EventSidecar, registry: Registry) -> None:
    events.end()
    with registry.subscribe("a", "g", print) as subscription:
        assert "no sidecar answers" in repr(subscription)
        events.start()
        events.deliver("e1")
        events.settled(1)
        assert repr(subscription) == "<Subscription of a (group g): connected>"
    assert repr(subscription) == "<Subscription of a (group g): closed>"


def test_a_refusal_after_an_absent_sidecar_is_raised_by_wait(events: EventSidecar, registry: Registry) -> None:
    events.end()
    subscription = registry.subscribe("a", "g", print)
    events.refuses = [BadParams("the pattern")]
    events.start()
    with pytest.raises(BadParams, match="the pattern"):
        subscription.wait(BOUND_S)


def test_the_decorator_subscribes_and_returns_the_function(events: EventSidecar, registry: Registry) -> None:
    handled: SimpleQueue[Event] = SimpleQueue()

    @registry.on("order.*", group="stock", threads=2)
    def handler(event: Event) -> None:
        handled.put(event)

    events.deliver("e1")
    event = take(handled)
    handler(event)
    assert take(handled) is event


def test_a_program_that_is_no_sidecar_is_left(events: EventSidecar, registry: Registry) -> None:
    with registry.subscribe("a", "g", print):
        events.deliver("e1", extensions=7)
        events.wait_for("subscribe", 2)


def test_wait_returns_whether_it_is_closed(registry: Registry) -> None:
    subscription = registry.subscribe("a", "g", print)
    assert not subscription.wait(0.01)
    subscription.close()
    assert subscription.wait()
