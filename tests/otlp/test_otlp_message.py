"""What is written by hand is read by OpenTelemetry's own modules as it was meant."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gossipreg.otlp.otlp_message import request_message, span_message
from gossipreg.trace_context import TraceContext
from gossipreg.tracing import FinishedSpan, SpanKind
from tests.otlp.collector import value_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)
ATTRIBUTES = st.dictionaries(TEXTS, TEXTS | WHOLE | st.booleans() | st.floats(allow_nan=False), max_size=5)
HEX = st.binary(min_size=16, max_size=16)
CONTEXTS = st.builds(
    lambda trace, span, flags, state: TraceContext(trace.hex(), span[:8].hex(), flags, state),
    HEX, HEX, st.integers(0, 3), TEXTS,
)  # fmt: skip
TIMES = st.integers(0, 2**63 - 1)
SPANS = st.builds(
    FinishedSpan, TEXTS, st.sampled_from(SpanKind), CONTEXTS, st.sampled_from(["", "00f067aa0ba902b7"]),
    st.tuples(CONTEXTS), TIMES, TIMES, ATTRIBUTES, st.booleans(),
)  # fmt: skip


def attributes_of(message: Any) -> dict[str, Any]:
    return {one.key: value_of(one.value) for one in message.attributes}


@given(st.lists(SPANS, max_size=3), ATTRIBUTES)
def test_spans_are_read_as_they_were_written(spans: list[FinishedSpan], resource: dict[str, Any]) -> None:
    body = request_message(resource, ("gossipreg", "1.2"), [span_message(span) for span in spans])
    [read] = ExportTraceServiceRequest.FromString(body).resource_spans
    [scope] = read.scope_spans
    assert attributes_of(read.resource) == resource
    assert (scope.scope.name, scope.scope.version) == ("gossipreg", "1.2")
    assert len(scope.spans) == len(spans)
    for seen, span in zip(scope.spans, spans, strict=True):
        assert (seen.name, seen.kind) == (span.name, span.kind)
        assert (seen.trace_id.hex(), seen.span_id.hex()) == (span.context.trace_id, span.context.span_id)
        assert (seen.trace_state, seen.flags) == (span.context.state, span.context.flags)
        assert seen.parent_span_id.hex() == span.parent_id
        assert (seen.start_time_unix_nano, seen.end_time_unix_nano) == (span.began_ns, span.ended_ns)
        assert attributes_of(seen) == span.attributes
        assert [link.span_id.hex() for link in seen.links] == [link.span_id for link in span.links]
        assert seen.status.code == (2 if span.failed else 0)
        assert not seen.status.message, "texts of failures may hold what nobody should see"


def test_a_boolean_is_no_number_and_a_zero_is_written() -> None:
    context = TraceContext("1" * 32, "2" * 16)
    span = FinishedSpan("a", SpanKind.CLIENT, context, "", (), 1, 2, {"b": False, "n": 0, "f": 0.0, "t": ""}, False)
    [read] = ExportTraceServiceRequest.FromString(request_message({}, ("g", ""), [span_message(span)])).resource_spans
    [seen] = read.scope_spans[0].spans
    kinds = {one.key: one.value.WhichOneof("value") for one in seen.attributes}
    assert kinds == {"b": "bool_value", "n": "int_value", "f": "double_value", "t": "string_value"}


def test_an_attribute_beyond_64_bits_is_cut_to_them() -> None:
    context = TraceContext("1" * 32, "2" * 16)
    span = FinishedSpan("a", SpanKind.CLIENT, context, "", (), 1, 2, {"n": 2**80, "half": "\ud800"}, False)
    body = request_message({}, ("g", ""), [span_message(span)])
    [seen] = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    assert attributes_of(seen) == {"n": 2**63 - 1, "half": "?"}
