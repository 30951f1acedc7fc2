"""The spans of invocations: each attempt at an instance of a service.

Owns: their names and attributes, and which trace an instance is told. No span has a path, a header or a body.
"""

from gossipreg.client.picking.attempts import Attempt
from gossipreg.gateway.http.dapr.invocation import Invocation
from gossipreg.model import fold_name
from gossipreg.net.http_client import HttpAnswer
from gossipreg.trace_context import TRACE_PARENT, TRACE_STATE, trace_context_untrusted
from gossipreg.tracing import Span, SpanKind, Tracer

KNOWN_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"))


def begin_attempt(tracer: Tracer, wanted: Invocation, attempt: Attempt) -> tuple[Span, list[tuple[str, str]]]:
    """The span of an attempt, and the headers of its request: those of the invocation, but with this span as the
    parent."""
    headers = [*wanted.headers]
    if not tracer.on:
        return Span(None), headers
    parent = trace_context_untrusted(wanted.header(TRACE_PARENT), wanted.header(TRACE_STATE))
    method = wanted.method if wanted.method in KNOWN_METHODS else "_OTHER"
    service, instance = fold_name(wanted.app), attempt.pick.instance
    span = tracer.begin(f"{'HTTP' if method == '_OTHER' else method} {service}", SpanKind.CLIENT, parent, {
        "http.request.method": method, "service.peer.name": service, "server.address": instance.address,
        "server.port": instance.port,
        **({"http.request.resend_count": attempt.number - 1} if attempt.number > 1 else {}),
    })  # fmt: skip
    kept = [item for item in headers if item[0] not in (TRACE_PARENT, TRACE_STATE)]
    return span, [*kept, *span.headers()]


def end_attempt(span: Span, answer: HttpAnswer) -> None:
    span.note({"http.response.status_code": answer.status})
    span.end(str(answer.status) if answer.status >= 400 else "")
