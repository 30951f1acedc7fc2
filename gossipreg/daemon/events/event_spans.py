"""The spans of events: each publish here, and each handling of an event by a program here.

Owns: their names and attributes (OpenTelemetry's semantic conventions for messaging), and the handlings that have not
ended. Never knows: how an event is published or delivered. No span has data of an event, or a text of a failure.

An event without `traceparent` gets that of its publish. One that has it keeps it: by CloudEvents' extension for tracing
it names where the event began, and publish and handlings are all its children.
"""

from dataclasses import replace
from types import MappingProxyType

from gossipreg.events.cloud_event import TRACE_PARENT, CloudEvent, decode_event
from gossipreg.events.effects import HandleEvent, PublishSettled
from gossipreg.events.messages import DeliveryResult
from gossipreg.trace_context import BAGGAGE, TRACE_STATE, TraceContext, trace_context_untrusted
from gossipreg.tracing import Span, SpanKind, Tracer

SYSTEM = "gossipreg"


class EventSpans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._handled: dict[int, tuple[int, Span]] = {}
        """By number of the handling: its subscription, and its span. Windows bound their number."""

    def __len__(self) -> int:
        return len(self._handled)

    # -- publish -----------------------------------------------------------------------------------------------------

    def publish(self, event: CloudEvent) -> tuple[CloudEvent, Span]:
        """The event as it is to be published, and the span of that."""
        if not self._tracer.on:
            return event, Span(None)
        parent = context_of(event)
        span = self._tracer.begin(f"send {event.topic}", SpanKind.PRODUCER, parent, {
            "messaging.system": SYSTEM, "messaging.operation.name": "publish", "messaging.operation.type": "send",
            **_about(event),
        })  # fmt: skip
        if parent is not None or span.context is None:
            return event, span
        return replace(event, extensions=_with_parent(event, span.context)), span

    def published(self, span: Span, settled: PublishSettled) -> PublishSettled:
        """Note what came of it, and return that."""
        span.note({
            "gossipreg.event.copies": settled.copies, "gossipreg.event.journal": settled.journal.hex(),
            "gossipreg.event.index": settled.index, "gossipreg.event.duplicate": settled.duplicate,
        })  # fmt: skip
        return settled

    # -- handling ----------------------------------------------------------------------------------------------------

    def handed(self, handed: HandleEvent) -> None:
        """A subscriber here gets this event."""
        if not self._tracer.on or not handed.number:
            return
        event = decode_event(handed.event)
        parent = context_of(event)
        span = self._tracer.begin(f"process {event.topic}", SpanKind.CONSUMER, parent, {
            "messaging.system": SYSTEM, "messaging.operation.name": "process", "messaging.operation.type": "process",
            "messaging.consumer.group.name": handed.group, "gossipreg.event.attempt": handed.attempt,
            "gossipreg.event.journal": handed.journal.hex(), "gossipreg.event.index": handed.index, **_about(event),
        }, links=() if parent is None else (parent,))  # fmt: skip
        self._handled[handed.number] = handed.subscription, span

    def waited(self, number: int) -> None:
        """The handler has it only now."""
        if (found := self._handled.get(number)) is not None:
            found[1].begin_anew()

    def context(self, number: int) -> TraceContext | None:
        """Of what is done to handle this; None: no span is known, so it is that of the event."""
        found = self._handled.get(number)
        return None if found is None else found[1].context

    def done(self, number: int, result: DeliveryResult) -> None:
        self._end(number, "" if result is DeliveryResult.ACKED else result.name.lower())

    def given_back(self, number: int) -> None:
        """Its handler has not begun: there is nothing to tell."""
        self._handled.pop(number, None)

    def dropped(self, number: int) -> None:
        """Its time was over."""
        self._end(number, "timeout")

    def hung_up(self, subscription: int) -> None:
        """The program of this subscription is gone."""
        for number in [number for number, (of, _) in self._handled.items() if of == subscription]:
            self._end(number, "hung_up")

    def _end(self, number: int, error: str) -> None:
        found = self._handled.pop(number, None)
        if found is not None:
            found[1].end(error)


def context_of(event: CloudEvent) -> TraceContext | None:
    return trace_context_untrusted(event.extensions.get(TRACE_PARENT), event.extensions.get(TRACE_STATE))


def request_headers(event: CloudEvent, handling: TraceContext | None) -> tuple[tuple[str, str], ...]:
    """The headers of a request that has this event handled: of the handling's span, else of the event's trace."""
    context = handling or context_of(event)
    baggage = event.extensions.get(BAGGAGE, "")
    passed = ((BAGGAGE, baggage),) if baggage.isascii() and baggage.isprintable() and baggage.strip() else ()
    return (*(() if context is None else context.headers()), *passed)


def _with_parent(event: CloudEvent, context: TraceContext) -> MappingProxyType[str, str]:
    extensions = {name: value for name, value in event.extensions.items() if name != TRACE_STATE}
    return MappingProxyType(dict(sorted({**extensions, **dict(context.headers())}.items())))


def _about(event: CloudEvent) -> dict[str, str | int]:
    return {
        "messaging.destination.name": event.topic, "messaging.message.id": event.id,
        "messaging.message.body.size": len(event.data or b""), "cloudevents.event_id": event.id,
        "cloudevents.event_source": event.source, "cloudevents.event_type": event.type,
    }  # fmt: skip
