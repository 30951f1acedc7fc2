"""The trace of what this program does now, for what follows from it: that of OpenTelemetry's current span.

OpenTelemetry is never imported here: where the program has not loaded it, there is no span.
"""

import sys

from gossipreg.trace_context import trace_context_untrusted


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
