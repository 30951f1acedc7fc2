"""`python -m scripts.benchmarks.span_cost`: what spans cost a sidecar, in microseconds of CPU time (the best of some
rounds): its event loop, with and without --otlp, and the thread that encodes them.
"""

import sys
import time
from collections.abc import Callable
from random import Random

from gossipreg.daemon.events.event_spans import EventSpans
from gossipreg.events.cloud_event import encode_event, make_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult
from gossipreg.journal.model import JournalId
from gossipreg.otlp.otlp_message import span_message
from gossipreg.tracing import NO_TRACER, Attribute, FinishedSpan, Sampler, SpanKind, Tracer
from scripts.tools.figures import markdown

RUNS, ROUNDS = 5_000, 7
ABOUT: dict[str, Attribute] = {"http.request.method": "GET", "server.address": "10.0.0.7", "server.port": 8080}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT = make_event("7", "/shop", "order.created", b"x" * 100, extensions={"traceparent": PARENT})
HANDED = HandleEvent(1, 1, "mail", JournalId(b"j" * 16), 5, 1, encode_event(EVENT))


def cpu_us(call: Callable[[], object]) -> float:
    """Of one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(RUNS):
            call()
        best = min(best, (time.process_time() - begun) / RUNS)
    return round(best * 1e6, 1)


def loop_rows(tracer: Tracer) -> list[float]:
    """One span; a publish; a handling with its outcome."""
    spans = EventSpans(tracer)

    def handle() -> None:
        spans.handed(HANDED)
        spans.done(HANDED.number, DeliveryResult.ACKED)

    return [
        cpu_us(lambda: tracer.begin("a", SpanKind.CLIENT, None, ABOUT).end()),
        cpu_us(lambda: spans.publish(EVENT)[1].end()),
        cpu_us(handle),
    ]


def main() -> int:
    seen: list[FinishedSpan] = []

    def keep_last(span: FinishedSpan) -> None:
        seen[:] = [span]

    traced, plain = loop_rows(Tracer(Sampler(), Random(1), keep_last)), loop_rows(NO_TRACER)
    encoded = cpu_us(lambda: span_message(seen[0]))
    names = ["one span", "publish of an event", "handling of an event"]
    rows = [
        [name, f"{with_us:g}", f"{without_us:g}"]
        for name, with_us, without_us in zip(names, traced, plain, strict=True)
    ]
    print(markdown(["on the event loop, us of CPU", "with --otlp", "without"], rows))
    print(f"\nIn the thread: {encoded:g} us to encode the span of a handling ({len(span_message(seen[0]))} bytes).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
