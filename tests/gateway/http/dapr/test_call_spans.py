"""An invocation is a span of the caller's trace, and the service is told of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from gossipreg.gateway.http.dapr.invocation import Invocation
from gossipreg.gateway.http.dapr.picking import ServiceCalls
from gossipreg.net.http_client import HttpClient
from gossipreg.net.http_message import HttpError
from gossipreg.tracing import NO_TRACER, FinishedSpan, Sampler, SpanKind, Tracer
from tests.gateway.http.conftest import Served
from tests.gateway.http.dapr.test_dapr_calls import Backend, register
from tests.net.test_http_client import server

TRACE, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{PARENT_ID}-01"
HEADERS = (
    ("authorization", "Bearer secret"), ("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "user=secret"),
)  # fmt: skip
FAILED = b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nfull"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def wanted(method: str = "PUT", headers: tuple[tuple[str, str], ...] = HEADERS) -> Invocation:
    return Invocation("Web", method, "/orders/secret?card=secret", headers, b"secret")


def recorded(share: float = 1.0) -> tuple[Tracer, list[FinishedSpan]]:
    seen: list[FinishedSpan] = []
    return Tracer(Sampler(share), Random(7), seen.append), seen


@asynccontextmanager
async def calling(served: Served, tracer: Tracer) -> AsyncIterator[ServiceCalls]:
    client = HttpClient()
    try:
        yield ServiceCalls(served.node, client, Random(7), zone=lambda: "", tracer=tracer)
    finally:
        client.close()


async def test_each_attempt_is_a_span_of_the_callers_trace(served: Served) -> None:
    tracer, spans = recorded()
    backend = Backend(FAILED, OK)
    async with calling(served, tracer) as calls, server(backend.serve) as (_, port):
        await register(served, port)
        assert (await calls.call(wanted())).body == b"hi"
    first, second = spans
    assert (first.context.trace_id, first.parent_id, second.parent_id) == (TRACE, PARENT_ID, PARENT_ID)
    assert {(one.name, one.kind) for one in spans} == {("PUT web", SpanKind.CLIENT)}
    assert (first.failed, first.attributes["error.type"]) == (True, "503")
    assert (second.failed, second.attributes) == (
        False,
        {
            "http.request.method": "PUT", "service.peer.name": "web", "server.address": "127.0.0.1",
            "server.port": port, "http.request.resend_count": 1, "http.response.status_code": 200,
        },
    )  # fmt: skip
    for sent, span in zip(backend.requests, spans, strict=True):
        assert sent.count("traceparent: ") == 1
        assert f"traceparent: {span.context.parent}\r\n" in sent
        assert "tracestate: a=1\r\n" in sent
        assert "baggage: user=secret\r\n" in sent
    assert "secret" not in str(spans)


async def test_a_call_that_nobody_takes_is_a_span_that_failed(served: Served) -> None:
    tracer, spans = recorded()
    async with server(Backend().serve) as (_, port):
        pass
    async with calling(served, tracer) as calls:
        await register(served, port)
        with pytest.raises(HttpError):
            await calls.call(wanted("POST"))
    assert {one.attributes["error.type"] for one in spans} == {"not_sent"}


async def test_a_method_of_ones_own_is_no_name_of_a_span(served: Served) -> None:
    tracer, spans = recorded()
    async with calling(served, tracer) as calls, server(Backend().serve) as (_, port):
        await register(served, port)
        await calls.call(wanted("SECRET", ()))
    assert [(one.name, one.attributes["http.request.method"]) for one in spans] == [("HTTP web", "_OTHER")]


@pytest.mark.parametrize("share", [None, 0.0])
async def test_without_spans_the_trace_goes_on_as_it_came(share: float | None, served: Served) -> None:
    tracer = NO_TRACER if share is None else recorded(share)[0]
    unwanted = PARENT[:-1] + "0"
    backend = Backend()
    async with calling(served, tracer) as calls, server(backend.serve) as (_, port):
        await register(served, port)
        await calls.call(wanted(headers=(("traceparent", unwanted), ("tracestate", "a=1"))))
    assert f"traceparent: {unwanted}\r\n" in backend.requests[0]
    assert "tracestate: a=1\r\n" in backend.requests[0]
