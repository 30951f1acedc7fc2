"""gRPC checks against a real HTTP/2 server in this process, which gives the answers of the test."""

import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.checks import grpc
from gossipreg.daemon.checks.grpc import _status
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import CheckOutcome, Progress
from gossipreg.model import Health
from tests.daemon.checks.test_runners import self_signed

GENEROUS_S = 60


def message(status: int) -> bytes:
    data = b"" if status == 0 else bytes([0x08, status])
    return struct.pack(">BI", 0, len(data)) + data


class HealthServer:
    """One connection after the other; keeps the last request."""

    def __init__(self) -> None:
        self.body = message(1)
        self.headers = {":status": "200", "content-type": "application/grpc"}
        self.trailers = {"grpc-status": "0"}
        self.path = ""
        self.asked = b""
        self.request: dict[str, str] = {}

    async def serve(self, stream: Any) -> None:
        talk = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        talk.initiate_connection()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            await stream.send_all(talk.data_to_send())
            while data := await stream.receive_some(65536):
                for event in talk.receive_data(data):
                    if isinstance(event, RequestReceived):
                        self.request, self.asked = dict(event.headers or ()), b""  # type: ignore[arg-type]
                    elif isinstance(event, DataReceived):
                        self.asked += event.data or b""
                    elif isinstance(event, StreamEnded):
                        talk.send_headers(event.stream_id or 0, list(self.headers.items()))
                        if self.body:
                            talk.send_data(event.stream_id or 0, self.body)
                        talk.send_headers(event.stream_id or 0, list(self.trailers.items()), end_stream=True)
                await stream.send_all(talk.data_to_send())


@asynccontextmanager
async def listening(server: HealthServer, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def serve(stream: trio.SocketStream) -> None:
        if context is None:
            await server.serve(stream)
        else:
            with suppress(trio.BrokenResourceError, ssl.SSLError):
                await server.serve(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def said(text: str) -> CheckOutcome:
    with trio.fail_after(GENEROUS_S):
        return await grpc.run(parse_check_untrusted("check", text), Progress())


@pytest.mark.parametrize(
    ("status", "health", "output"),
    [(1, Health.PASSING, "SERVING"), (2, Health.CRITICAL, "NOT_SERVING"), (0, Health.CRITICAL, "UNKNOWN"),
     (3, Health.CRITICAL, "SERVICE_UNKNOWN"), (9, Health.CRITICAL, "status 9")],
)  # fmt: skip
async def test_only_serving_passes(status: int, health: Health, output: str) -> None:
    server = HealthServer()
    server.body = message(status)
    async with listening(server) as port:
        assert await said(f"grpc://127.0.0.1:{port}") == CheckOutcome(health, output)
    assert server.request[":path"] == "/grpc.health.v1.Health/Check"
    assert server.request["content-type"] == "application/grpc"
    assert server.asked == bytes(5)


@pytest.mark.parametrize("service", ["shop.Cart", "x" * 200])
async def test_the_service_is_asked_for_by_its_name(service: str) -> None:
    server = HealthServer()
    async with listening(server) as port:
        assert (await said(f"grpc://127.0.0.1:{port}/{service}")).health is Health.PASSING
    name = service.encode()
    size = bytes([len(name)]) if len(name) < 128 else bytes([len(name) & 0x7F | 0x80, len(name) >> 7])
    assert server.asked[5:] == b"\x0a" + size + name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"trailers": {"grpc-status": "5", "grpc-message": "unknown%20service"}},
            "NOT_FOUND: this server does not know",
        ),
        ({"trailers": {"grpc-status": "12"}}, "UNIMPLEMENTED: this server has no health service"),
        ({"trailers": {"grpc-status": "99"}}, "gRPC status 99"),
        ({"headers": {":status": "404"}}, "HTTP 404"),
        ({"body": b"\x00\x00\x00\x00\x09\x08\x01"}, "cannot be read"),
        ({"body": struct.pack(">BI", 1, 2) + b"\x08\x01"}, "cannot be read"),
        ({"body": struct.pack(">BI", 0, 3) + b"\x12\x01x"}, "of another type"),
        ({"body": b"x" * 5000}, "too long"),
    ],
)
async def test_what_is_no_answer_of_a_health_service_is_critical(change: dict[str, Any], words: str) -> None:
    server = HealthServer()
    for name, value in change.items():
        setattr(server, name, value)
    async with listening(server) as port:
        outcome = await said(f"grpc://127.0.0.1:{port}/x")
    assert outcome.health is Health.CRITICAL
    assert words in outcome.output


async def test_a_server_of_another_protocol_and_none_are_critical() -> None:
    async def http1(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, http1, [listener])
        outcome = await said(f"grpc://127.0.0.1:{port}")
        assert (outcome.health, outcome.output[:12]) == (Health.CRITICAL, "no answer of")
        nursery.cancel_scope.cancel()
    assert (await said(f"grpc://127.0.0.1:{port}")).output == "connection refused"


async def test_tls_is_offered_http2_and_verified(tmp_path: Path) -> None:
    context = self_signed(tmp_path, "localhost")
    context.set_alpn_protocols(["h2"])
    async with listening(HealthServer(), context) as port:
        assert "TLS" in (await said(f"grpcs://127.0.0.1:{port}")).output
        assert (await said(f"grpcs://127.0.0.1:{port},verify=no")).health is Health.PASSING


@given(st.binary(max_size=12))
def test_whatever_comes_is_a_status_or_no_answer(data: bytes) -> None:
    with suppress(grpc.NoAnswer):
        assert 0 <= _status(data) < 128
