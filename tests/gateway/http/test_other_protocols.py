"""Clients of other protocols at the port of HTTP: refused by name, at once."""

import pytest
from msgpack import packb
from trio.testing import MockClock

from gossipreg.wire.seal import CLEAR_FORMAT
from tests.gateway.http.conftest import Served


@pytest.mark.parametrize(
    ("first", "why", "reason"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), "not TLS: write http://", "http_tls"),
        (b"\x16", "not TLS", "http_tls"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "not the PROXY protocol", "http_not_http"),
        (b"PROXY UNKNOWN\r\nGET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n", "PROXY", "http_not_http"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\1" * 12, "not the PROXY protocol", "http_not_http"),
        (b"\x05\x01\x00", "not SOCKS", "http_not_http"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not SSH", "http_not_http"),
        (packb([0, 1, "info", {}]), "not MessagePack-RPC", "http_not_http"),
        (bytes([CLEAR_FORMAT]) + bytes(300), "not gossip", "http_not_http"),
        (b"\0\x1d\x12\x34\x01\0\0\x01", "METHOD TARGET HTTP/1.1", "http_not_http"),  # DNS over TCP
        (b"*1\r\n$4\r\nPING\r\n", "METHOD TARGET HTTP/1.1", "http_not_http"),  # Redis
        (b"AMQP\0\0\x09\x01", "METHOD TARGET HTTP/1.1", "http_not_http"),
        (b"OPTIONS rtsp://a/ RTSP/", "METHOD TARGET HTTP/1.1", "http_not_http"),
        (b"GET /\r\n", "METHOD TARGET HTTP/1.1", "http_not_http"),  # HTTP/0.9
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
async def test_another_protocol_is_refused_by_name_at_once(
    served: Served, mock_clock: MockClock, first: bytes, why: str, reason: str
) -> None:
    """Before its client has sent what would be the end of a head: no time passes."""
    before = mock_clock.current_time()
    client = await served.client()
    await client.send(first)
    reply = await client.reply()
    assert (reply.status, why in reply.error) == (400, True), reply.error
    assert await client.closed()
    assert served.gateway.counts()[f"drop.{reason}"] == 1
    assert mock_clock.current_time() == before


async def test_http_2_is_told_that_this_is_http_1(served: Served) -> None:
    client = await served.client()
    await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert (await client.reply()).error == "this port speaks HTTP/1.1, not HTTP/2.0"
