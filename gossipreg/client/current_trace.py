"""The trace of what this program does now, for what follows from it: that of OpenTelemetry's current span.

OpenTelemetry is never imported here: where the program has not loaded it, there is no span.
"""

import sys
from collections.abc import Container

from gossipreg.trace_context import TRACE_PARENT, trace_context_untrusted


def current_trace() -> dict[str, str]:
    """`traceparent` and `tracestate` of the current span; nothing if there is none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    try:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 0xFF:02x}"
        state = context.trace_state.to_header()
    except Exception:  # another program's code: a request goes on without a trace
        return {}
    found = trace_context_untrusted(parent, state)
    return {} if found is None else dict(found.headers())


def trace_headers(given: Container[str]) -> dict[str, str]:
    """The headers of a request that hand on what this program does: of the current span, else of the event that is
    handled now. None if the request, whose headers are `given`, has a trace already."""
    if TRACE_PARENT in given:
        return {}
    if found := current_trace():
        return found
    inheriting = sys.modules.get("gossipreg.client.events.inheriting")  # not loaded: no event is handled
    handled: dict[str, str] = {} if inheriting is None else inheriting.trace_of_handling()
    return handled
