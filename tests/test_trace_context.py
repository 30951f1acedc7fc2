"""traceparent and tracestate: read as the standard says, and passed on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.trace_context import (
    TraceContext,
    derived_span_id,
    derived_trace_id,
    trace_context_untrusted,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_header_is_read_and_written_the_same() -> None:
    context = trace_context_untrusted(PARENT, "a=1,b@c=2")
    assert context == TraceContext(TRACE, SPAN, 1, "a=1,b@c=2")
    assert context.sampled
    assert context.headers() == (("traceparent", PARENT), ("tracestate", "a=1,b@c=2"))


@pytest.mark.parametrize(
    "text",
    [
        "", "x", PARENT.upper(), PARENT[:-1], f"{PARENT}-more", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-0g", f"00_{TRACE}_{SPAN}_01", f"00-{TRACE}-{SPAN}",
    ],
)  # fmt: skip
def test_what_is_no_traceparent_is_no_trace(text: str) -> None:
    assert trace_context_untrusted(text, "a=1") is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert trace_context_untrusted(f"cc-{TRACE}-{SPAN}-ff-what-comes") == TraceContext(TRACE, SPAN, 3)


@pytest.mark.parametrize("state", ["A=1", "a", "a=", "a=1=2", "a=b,c", f"a={'x' * 257}", "a=1," * 40, "a=\u00e9"])
def test_a_bad_tracestate_is_left_out_alone(state: str) -> None:
    assert trace_context_untrusted(PARENT, state) == TraceContext(TRACE, SPAN, 1)


def test_empty_members_of_a_tracestate_go() -> None:
    found = trace_context_untrusted(PARENT, " a=1 ,, b=2 ")
    assert found is not None
    assert found.state == "a=1,b=2"


@given(st.text(), st.text())
def test_no_text_harms(parent: str, state: str) -> None:
    found = trace_context_untrusted(parent, state)
    assert found is None or trace_context_untrusted(found.parent, found.state) == found


def test_derived_ids_are_the_same_everywhere() -> None:
    trace = derived_trace_id("j.order-7")
    assert (trace, derived_span_id(trace, "j.order-7")) == ("15bca98e2be5d667eca983fc89b2d873", "0e7631feb04da36d")
    assert derived_span_id(TRACE, "j.order-7") != derived_span_id(TRACE, "j.order-8")
