"""Spans: who is whose parent, what is recorded, and what is handed on where nothing is."""

from random import Random

import pytest

from gossipreg.errors import Busy
from gossipreg.trace_context import TraceContext
from gossipreg.tracing import NO_TRACER, FinishedSpan, Sampler, SpanKind, Tracer

WANTED = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "a=1")
UNWANTED = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 0, "a=1")


def tracer(sampler: Sampler | None = None) -> tuple[Tracer, list[FinishedSpan]]:
    seen: list[FinishedSpan] = []
    return Tracer(sampler or Sampler(), Random(7), seen.append), seen


def test_a_child_has_the_trace_and_state_of_its_parent() -> None:
    one, seen = tracer()
    with one.begin("a", SpanKind.CLIENT, WANTED, {"b": 1}) as span:
        span.note({"c": 2})
    [done] = seen
    assert (done.context.trace_id, done.parent_id, done.context.state) == (WANTED.trace_id, WANTED.span_id, "a=1")
    assert done.context.span_id != WANTED.span_id
    assert span.headers() == (("traceparent", done.context.parent), ("tracestate", "a=1"))
    assert (done.attributes, done.failed) == ({"b": 1, "c": 2}, False)
    assert done.ended_ns >= done.began_ns > 10**18


def test_without_a_parent_a_trace_begins() -> None:
    one, seen = tracer()
    for _ in range(2):
        one.begin("a", SpanKind.INTERNAL, None).end()
    assert [done.parent_id for done in seen] == ["", ""]
    assert seen[0].context.trace_id != seen[1].context.trace_id
    assert seen[0].context.sampled


def test_the_flag_of_the_parent_decides() -> None:
    for share in (0.0, 1.0):
        one, seen = tracer(Sampler(share))
        one.begin("a", SpanKind.INTERNAL, WANTED).end()
        one.begin("b", SpanKind.INTERNAL, UNWANTED).end()
        assert [done.name for done in seen] == ["a"]


def test_what_is_not_recorded_hands_its_parent_on() -> None:
    one, _ = tracer()
    assert one.begin("a", SpanKind.INTERNAL, UNWANTED).context == UNWANTED
    assert NO_TRACER.begin("a", SpanKind.INTERNAL, WANTED).context == WANTED
    assert NO_TRACER.begin("a", SpanKind.INTERNAL, None).headers() == ()


def test_a_trace_that_is_not_sampled_says_so_to_others() -> None:
    one, seen = tracer(Sampler(0.0))
    span = one.begin("a", SpanKind.INTERNAL, None)
    span.end()
    assert span.context is not None
    assert not span.context.sampled
    assert (span.headers()[0][1][-3:], seen) == ("-00", [])


def test_a_sampler_for_all_ignores_the_parent() -> None:
    one, seen = tracer(Sampler(1.0, parent_based=False))
    one.begin("a", SpanKind.INTERNAL, UNWANTED).end()
    assert [done.context.sampled for done in seen] == [True]
    one, seen = tracer(Sampler(0.0, parent_based=False))
    span = one.begin("a", SpanKind.INTERNAL, WANTED)
    span.end()
    assert seen == []
    assert span.context is not None
    assert not span.context.sampled


def test_a_share_of_the_traces_is_recorded() -> None:
    one, seen = tracer(Sampler(0.25))
    for _ in range(4000):
        one.begin("a", SpanKind.INTERNAL, None).end()
    assert 880 < len(seen) < 1120


def test_all_decide_alike_about_a_trace() -> None:
    from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

    theirs, ours, rng = TraceIdRatioBased(0.3), Sampler(0.3), Random(3)
    for _ in range(500):
        trace = rng.getrandbits(128)
        sampled = theirs.should_sample(None, trace, "a").decision is Decision.RECORD_AND_SAMPLE
        assert ours.samples(f"{trace:032x}", None) == sampled


def test_an_exception_ends_a_span_by_its_code_alone() -> None:
    one, seen = tracer()
    for error in (Busy("the secret of order 7"), ValueError("secret")):
        with pytest.raises(type(error)), one.begin("a", SpanKind.INTERNAL, None):
            raise error
    assert [(done.failed, done.attributes) for done in seen] == [
        (True, {"error.type": "busy"}), (True, {"error.type": "ValueError"})
    ]  # fmt: skip


def test_a_second_end_changes_nothing() -> None:
    one, seen = tracer()
    span = one.begin("a", SpanKind.INTERNAL, None)
    span.end("first")
    span.end()
    span.note({"late": 1})
    assert [done.attributes for done in seen] == [{"error.type": "first"}]
