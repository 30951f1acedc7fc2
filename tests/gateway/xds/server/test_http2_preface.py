"""The first bytes of a connection, also of those who speak something else."""

import pytest

from gossipreg.gateway.xds.server.http2_frames import PREFACE, Http2Fault
from gossipreg.gateway.xds.server.http2_preface import whole_preface_untrusted


def test_the_preface_may_come_in_parts() -> None:
    assert [whole_preface_untrusted(PREFACE[:length]) for length in range(25)] == [False] * 24 + [True]
    assert whole_preface_untrusted(PREFACE + b"more")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS", "PATCH"])
def test_http_1_gets_an_answer_that_it_can_read(method: str) -> None:
    request = f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    assert [whole_preface_untrusted(request[:length]) for length in range(1, len(method) + 1)] == [False] * len(method)
    with pytest.raises(Http2Fault) as caught:
        whole_preface_untrusted(request)
    head, _, body = caught.value.answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 505 ")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"HTTP/2 without TLS" in body
    assert caught.value.reason == "xds_not_http2"


def test_tls_gets_an_alert() -> None:
    with pytest.raises(Http2Fault) as caught:
        whole_preface_untrusted(b"\x16\x03\x01\x02\x00\x01")
    assert (caught.value.reason, caught.value.answer[:1]) == ("xds_tls", b"\x15")


@pytest.mark.parametrize("data", [b"\0", b"hello", b"PRI * HTTP/2.0\r\n\r\nSX", b"ABCDEFGHIJ", b"SSH-2.0-x\r\n"])
def test_anything_else_gets_no_answer(data: bytes) -> None:
    with pytest.raises(Http2Fault) as caught:
        whole_preface_untrusted(data)
    assert (caught.value.reason, caught.value.answer) == ("xds_not_http2", b"")
