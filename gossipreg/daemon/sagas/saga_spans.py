"""The spans of sagas: the beginning of each here, the whole of it, and each attempt of its commands.

Owns: their names and attributes, and which span is the parent of which. Never knows: how a saga goes on. No span has
an input, a result, a path or a text of a failure: paths are rendered of inputs.

    what the program was doing -> begin saga NAME, at the sidecar of the program -> saga NAME -> step STEP, undo STEP

The record of a saga has `traceparent` and `tracestate` of its beginning. The id of the saga's own span follows from
the first and from the saga's name, so every leader finds the same, also after a takeover: attempts of all of them are
in one trace. Whoever leads the journal when the saga ends exports its span.
"""

from typing import Any

from gossipreg.model import fold_name
from gossipreg.sagas.saga_effects import CommandDone, SendCommand, TellSagaOver
from gossipreg.sagas.saga_model import Decision, SagaRef
from gossipreg.trace_context import (
    SAMPLED,
    TRACE_PARENT,
    TRACE_STATE,
    TraceContext,
    derived_span_id,
    derived_trace_id,
    trace_context_untrusted,
)
from gossipreg.tracing import FinishedSpan, Span, SpanKind, Tracer


class SagaSpans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    # -- the beginning -----------------------------------------------------------------------------------------------

    def begin(self, method: str, params: dict[str, Any]) -> Span:
        """A call of a program here; one that begins a saga gets the trace of its span."""
        if not self._tracer.on or method not in ("begin", "run"):
            return Span(None)
        given, state = params.get(TRACE_PARENT), params.get(TRACE_STATE)
        if not all(one is None or type(one) is str for one in (given, state)):
            return Span(None)  # whoever reads the call refuses it
        parent = trace_context_untrusted(given, state)
        if given and parent is None:
            return Span(None)  # it goes on as it came
        span = self._tracer.begin(f"{method} saga", SpanKind.INTERNAL, parent)
        if span.context is not None:
            params.pop(TRACE_STATE, None)
            params.update(span.context.headers())
        return span

    # -- commands ----------------------------------------------------------------------------------------------------

    def attempt(self, sent: SendCommand) -> tuple[Span, tuple[tuple[str, str], ...]]:
        """The span of an attempt, and the headers to send: those of the command, but with this span as the parent."""
        if not self._tracer.on or sent.saga is None:
            return Span(None), sent.headers
        headers = dict(sent.headers)
        given = headers.get(TRACE_PARENT, "")
        parent = trace_context_untrusted(given, headers.get(TRACE_STATE))
        if given and parent is None:
            return Span(None), sent.headers
        context = self._saga_context(sent.saga, parent)
        undo = sent.work == "undo"
        span = self._tracer.begin(f"{sent.work} {sent.step}", SpanKind.CLIENT, context, {
            "http.request.method": sent.command.method.upper(), "service.peer.name": fold_name(sent.command.service),
            "gossipreg.saga.id": str(sent.saga), "gossipreg.saga.step": sent.step,
            "gossipreg.saga.undo": undo, "gossipreg.saga.attempt": int(headers.get("gossipreg-attempt", "1")),
        })  # fmt: skip
        rest = tuple((name, value) for name, value in sent.headers if name not in (TRACE_PARENT, TRACE_STATE))
        return span, (*rest, *span.headers())

    def answered(self, span: Span, done: CommandDone) -> None:
        """What came of an attempt."""
        if not span.recorded:
            return
        host, _, port = done.instance.rpartition(":")
        if host and port.isdecimal():
            span.note({"server.address": host.strip("[]"), "server.port": int(port)})
        if done.status:
            span.note({"http.response.status_code": done.status})
            span.end("" if done.status < 400 else str(done.status))
        else:
            span.end("no_answer" if done.sent else "not_sent")

    # -- the end -----------------------------------------------------------------------------------------------------

    def over(self, told: TellSagaOver) -> None:
        begun = told.begun
        parent = trace_context_untrusted(begun.traceparent, begun.tracestate)
        if not self._tracer.on or (begun.traceparent and parent is None):
            return
        aborted = told.decision is Decision.ABORT
        attributes: dict[str, str | int | float | bool] = {
            "gossipreg.saga.id": str(told.saga), "gossipreg.saga.name": begun.name,
            "gossipreg.saga.steps": told.steps, "gossipreg.saga.outcome": "aborted" if aborted else "committed",
            "gossipreg.saga.decided_ms": max(0, told.decided_wall_ms - begun.wall_ms),
        }  # fmt: skip
        if aborted:
            attributes["error.type"] = "aborted"
        began_ns = begun.wall_ms * 1_000_000
        ended_ns = max(began_ns, told.ended_wall_ms * 1_000_000)  # leaders have clocks of their own
        self._tracer.record(
            FinishedSpan(
                f"saga {begun.name}", SpanKind.INTERNAL, self._saga_context(told.saga, parent),
                "" if parent is None else parent.span_id, (), began_ns, ended_ns, attributes, aborted,
            )
        )  # fmt: skip

    def _saga_context(self, saga: SagaRef, parent: TraceContext | None) -> TraceContext:
        """Of the saga's own span: the same at every leader."""
        if parent is not None:
            return TraceContext(
                parent.trace_id, derived_span_id(parent.trace_id, str(saga)), parent.flags, parent.state
            )
        trace_id = derived_trace_id(str(saga))
        flags = SAMPLED if self._tracer.samples(trace_id) else 0
        return TraceContext(trace_id, derived_span_id(trace_id, str(saga)), flags)
