"""The trace that a command is a part of, and the spans of `gossipreg call`.

A shell that is traced hands its trace on in the variables TRACEPARENT and TRACESTATE
(https://opentelemetry.io/docs/specs/otel/context/env-carriers/).
"""

import os
from typing import TYPE_CHECKING, Any

from gossipreg.trace_context import TRACE_PARENT, TraceContext, trace_context_untrusted

if TYPE_CHECKING:
    from gossipreg.otlp.otlp_post import Collector
    from gossipreg.otlp.otlp_settings import OtlpSettings
    from gossipreg.tracing import FinishedSpan, Span

EXPORT_S = 1.0
"""A collector is near. One that hangs must not hold up the shell: its answer is not what the command was for."""


def trace_of_environment() -> TraceContext | None:
    return trace_context_untrusted(os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE"))


def extensions_of_environment(given: dict[str, str]) -> dict[str, str]:
    """These extensions of an event, and the trace of the environment, if they name none."""
    trace = trace_of_environment()
    return given if trace is None or TRACE_PARENT in given else {**given, **dict(trace.headers())}


class CallSpans:
    """One span for each attempt, which all go to the collector at the end."""

    def __init__(self, otlp: str | None, name: str, method: str, *, named: bool) -> None:
        """`otlp` is the collector's URL; None: the trace of the environment goes on as it is. `named`: the user gives a
        traceparent, which stays. Raises BadConfig, and CannotStart for a file of TLS that cannot be used."""
        from random import SystemRandom

        from gossipreg.tracing import NO_TRACER, Tracer

        self._name, self._method, self._named = name, method, named
        self._parent = trace_of_environment()
        self._spans: list[FinishedSpan] = []
        self._settings: OtlpSettings | None = None
        self._collector: Collector
        """Where there are settings."""
        self._tracer = NO_TRACER
        if otlp is not None and not named:
            from gossipreg import __version__
            from gossipreg.otlp import otlp_post
            from gossipreg.otlp.otlp_settings import otlp_settings

            self._settings = otlp_settings(otlp, None, os.environ)
            self._collector = otlp_post.Collector(self._settings, f"gossipreg/{__version__}")
            self._tracer = Tracer(self._settings.sampler, SystemRandom(), self._spans.append)

    def begin(self, address: str, port: int) -> "tuple[Span, list[tuple[str, str]]]":
        """The span of an attempt, and the headers that hand it on."""
        from gossipreg.tracing import SpanKind

        about: dict[str, Any] = {
            "http.request.method": self._method, "service.peer.name": self._name, "server.address": address,
            "server.port": port,
        }  # fmt: skip
        if self._spans:
            about["http.request.resend_count"] = len(self._spans)
        span = self._tracer.begin(f"{self._method} {self._name}", SpanKind.CLIENT, self._parent, about)
        return span, [] if self._named else [*span.headers()]

    def export(self) -> str:
        """Send them, for at most EXPORT_S. Returns why some were not delivered; empty if all were."""
        if self._settings is None or not self._spans:
            return ""
        from gossipreg import __version__
        from gossipreg.otlp.span_queue import SpanQueue

        settings = self._settings
        resource = {"service.name": "gossipreg-call", "service.version": __version__, **dict(settings.resource)}
        queue = SpanQueue(self._collector, resource=resource, scope=("gossipreg", __version__))
        for span in self._spans:
            queue.put(span)
        queue.start()
        if queue.close(EXPORT_S):
            return f"{settings.shown} did not answer within {EXPORT_S:g} s"
        return queue.failure or (f"{settings.shown} refused spans of it" if queue.dropped else "")


def end_with_status(span: "Span", status: int) -> None:
    span.note({"http.response.status_code": status})
    span.end(str(status) if status >= 400 else "")
