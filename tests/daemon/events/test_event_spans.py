"""The spans of events: what each says, and that none is left behind."""

from random import Random

import pytest

from gossipreg.daemon.events.event_spans import EventSpans, request_headers
from gossipreg.errors import Busy
from gossipreg.events.cloud_event import CloudEvent, encode_event, make_event
from gossipreg.events.effects import HandleEvent, PublishSettled
from gossipreg.events.messages import DeliveryResult
from gossipreg.journal.model import JournalId
from gossipreg.trace_context import TraceContext
from gossipreg.tracing import NO_TRACER, FinishedSpan, Sampler, SpanKind, Tracer

TRACE, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{PARENT_ID}-01"
JOURNAL = JournalId(b"j" * 16)


def recorded(share: float = 1.0) -> tuple[EventSpans, list[FinishedSpan]]:
    seen: list[FinishedSpan] = []
    return EventSpans(Tracer(Sampler(share), Random(7), seen.append)), seen


def an_event(**extensions: str) -> CloudEvent:
    return make_event("7", "/shop", "order.created", b"secret", subject="secret", extensions=extensions)


def handed(number: int = 3, subscription: int = 1, **extensions: str) -> HandleEvent:
    return HandleEvent(subscription, number, "mail", JOURNAL, 5, 2, encode_event(an_event(**extensions)))


def settled() -> PublishSettled:
    return PublishSettled(1, "", "", JOURNAL, 5, 3, True, False, 1)


def test_a_publish_says_what_and_where_and_no_data() -> None:
    spans, seen = recorded()
    event, span = spans.publish(an_event())
    with span:
        spans.published(span, settled())
    [done] = seen
    assert event.extensions == {"traceparent": done.context.parent}
    assert (done.name, done.kind, done.failed) == ("send order.created", SpanKind.PRODUCER, False)
    assert done.attributes == {
        "messaging.system": "gossipreg", "messaging.operation.name": "publish", "messaging.operation.type": "send",
        "messaging.destination.name": "order.created", "messaging.message.id": "7", "messaging.message.body.size": 6,
        "cloudevents.event_id": "7", "cloudevents.event_source": "/shop", "cloudevents.event_type": "order.created",
        "gossipreg.event.copies": 3, "gossipreg.event.journal": JOURNAL.hex(), "gossipreg.event.index": 5,
        "gossipreg.event.duplicate": False,
    }  # fmt: skip


def test_the_names_of_attributes_are_those_of_the_conventions() -> None:
    attributes = pytest.importorskip("opentelemetry.semconv._incubating.attributes.messaging_attributes")
    clouds = pytest.importorskip("opentelemetry.semconv._incubating.attributes.cloudevents_attributes")
    known = {value for module in (attributes, clouds) for value in vars(module).values() if isinstance(value, str)}
    spans, seen = recorded()
    spans.publish(an_event())[1].end()
    spans.handed(handed())
    spans.done(3, DeliveryResult.ACKED)
    named = {name for span in seen for name in span.attributes if not name.startswith("gossipreg.")}
    assert named - known == set()


def test_a_publish_that_failed_says_its_code() -> None:
    spans, seen = recorded()
    with pytest.raises(Busy), spans.publish(an_event())[1]:
        raise Busy("secret")
    assert seen[0].attributes["error.type"] == "busy"
    assert "secret" not in str(seen)


def test_an_event_with_a_trace_keeps_it() -> None:
    spans, seen = recorded()
    event, span = spans.publish(an_event(traceparent=PARENT, tracestate="a=1"))
    span.end()
    assert event == an_event(traceparent=PARENT, tracestate="a=1")
    assert (seen[0].context.trace_id, seen[0].parent_id) == (TRACE, PARENT_ID)


def test_a_broken_traceparent_is_replaced() -> None:
    spans, _ = recorded()
    event, span = spans.publish(an_event(traceparent="mine", tracestate="a=1", own="1"))
    assert span.context is not None
    assert event.extensions == {"traceparent": span.context.parent, "own": "1"}


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (DeliveryResult.ACKED, None), (DeliveryResult.REJECTED, "rejected"), (DeliveryResult.FAILED, "failed"),
        (DeliveryResult.UNREACHABLE, "unreachable"),
    ],
)  # fmt: skip
def test_a_handling_ends_by_its_outcome(result: DeliveryResult, error: str | None) -> None:
    spans, seen = recorded()
    spans.handed(handed(traceparent=PARENT))
    assert spans.context(3) is not None
    spans.done(3, result)
    spans.done(3, DeliveryResult.FAILED)
    [done] = seen
    assert (done.kind, done.parent_id, [link.span_id for link in done.links]) == (
        SpanKind.CONSUMER, PARENT_ID, [PARENT_ID]
    )  # fmt: skip
    assert done.attributes.get("error.type") == error
    assert done.attributes["messaging.consumer.group.name"] == "mail"
    assert done.attributes["gossipreg.event.attempt"] == 2
    assert len(spans) == 0


def test_no_handling_is_left_behind() -> None:
    spans, seen = recorded()
    for number in range(1, 5):
        spans.handed(handed(number, subscription=number % 2))
    spans.dropped(1)
    spans.given_back(2)
    spans.hung_up(1)
    spans.hung_up(0)
    assert [done.attributes["error.type"] for done in seen] == ["timeout", "hung_up", "hung_up"]
    assert len(spans) == 0


def test_a_broadcast_has_no_outcome_and_no_span() -> None:
    spans, seen = recorded()
    spans.handed(handed(0))
    assert (len(spans), seen) == (0, [])


def test_time_of_a_handler_begins_when_it_has_the_event() -> None:
    spans, seen = recorded()
    spans.handed(handed())
    spans.handed(handed(4))
    spans.waited(4)
    spans.done(3, DeliveryResult.ACKED)
    spans.done(4, DeliveryResult.ACKED)
    assert seen[1].began_ns > seen[0].began_ns
    spans.waited(9)


def test_without_an_exporter_nothing_is_read_or_kept() -> None:
    spans = EventSpans(NO_TRACER)
    spans.handed(HandleEvent(1, 3, "mail", JOURNAL, 5, 2, b"no event"))
    event, span = spans.publish(an_event())
    assert (event, span.context, len(spans)) == (an_event(), None, 0)


def test_a_request_has_the_trace_of_the_handling_and_the_baggage() -> None:
    event = an_event(traceparent=PARENT, tracestate="a=1", baggage="user=7")
    handling = TraceContext("1" * 32, "2" * 16, 1)
    assert request_headers(event, handling) == (("traceparent", handling.parent), ("baggage", "user=7"))
    assert request_headers(event, None) == (("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "user=7"))
    assert request_headers(an_event(baggage="caf\u00e9"), None) == ()
