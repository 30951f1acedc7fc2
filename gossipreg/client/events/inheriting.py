"""The event that is handled right now, so that an event that its handler publishes can name it as its cause.

Each thread and each task has its own. Also programs that handle an event without a handler say so, by `with event:`.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

from gossipreg.client.checks import check_text
from gossipreg.client.current_trace import current_trace
from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import CAUSATION, CORRELATION
from gossipreg.trace_context import TRACE_PARENT, TRACE_STATE, trace_context_untrusted


class CausingEvent(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def extensions(self) -> Mapping[str, str]: ...

    @property
    def traceparent(self) -> str:
        """Of what its handler does; "" if no trace is known."""

    @property
    def tracestate(self) -> str: ...


HANDLED: ContextVar[CausingEvent | None] = ContextVar("gossipreg_handled_event", default=None)


def with_inherited(extensions: Mapping[str, str] | None) -> dict[str, str]:
    """These extensions, and those that come from OpenTelemetry's current span, and from the event that is handled now
    (as `CloudEvent.caused_by`). Raises BadParams for extensions that are no texts."""
    given = {} if extensions is None else _checked(extensions)
    cause = HANDLED.get()
    trace = {} if TRACE_PARENT in given else _trace(cause)
    if cause is None:
        return {**trace, **given}
    correlation = cause.extensions.get(CORRELATION, cause.id)
    return {**trace, CORRELATION: correlation, CAUSATION: cause.id, **given}


def _trace(cause: CausingEvent | None) -> dict[str, str]:
    """Of the current span, else of the handling."""
    if (found := current_trace()) or cause is None:
        return found
    of_handling = {TRACE_PARENT: cause.traceparent, TRACE_STATE: cause.tracestate if cause.traceparent else ""}
    return {name: value for name, value in of_handling.items() if value}


def trace_of_handling() -> dict[str, str]:
    """`traceparent` and `tracestate` of the event that is handled now, if they have their form."""
    cause = HANDLED.get()
    found = None if cause is None else trace_context_untrusted(cause.traceparent, cause.tracestate)
    return {} if found is None else dict(found.headers())


def inherited_trace() -> dict[str, str]:
    """`traceparent` and `tracestate` of what follows from what the program does now; empty if there is none: strangers
    write events, and what has not its form goes no further."""
    trace = _trace(HANDLED.get())
    found = trace_context_untrusted(trace.get(TRACE_PARENT), trace.get(TRACE_STATE))
    return {} if found is None else dict(found.headers())


def given_trace(traceparent: str | None, tracestate: str | None) -> dict[str, str]:
    """The trace that a program names, or else the inherited one. Raises BadParams for what is no text."""
    check_text("traceparent", traceparent, "a traceparent")
    check_text("tracestate", tracestate, "what goes with the traceparent")
    if not traceparent:
        return inherited_trace()
    return {TRACE_PARENT: traceparent, **({TRACE_STATE: tracestate} if tracestate else {})}


def _checked(extensions: Mapping[str, str]) -> dict[str, str]:
    try:
        found = dict(extensions)
    except (TypeError, ValueError):
        raise BadParams(f"extensions {extensions!r} is no map: give texts by name") from None
    if not all(isinstance(one, str) for item in found.items() for one in item):
        raise BadParams(f"extensions {extensions!r} has something that is no text: give texts by name")
    return found
