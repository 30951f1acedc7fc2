"""Heads of requests that were read before are not read again, and mean the same."""

from collections.abc import Callable
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.callers import Caller
from gossipreg.net import http_framing
from gossipreg.net.http_framing import Reader
from gossipreg.net.http_message import Head, HttpError

REQUESTS = st.sampled_from([
    b"GET /v1/catalog/nodes HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v1/catalog/nodes HTTP/1.1\nHost: a\n\n",
    b"\r\nGET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nAccept: y\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.7\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Refused: yes\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000 + b"\r\n\r\n",
    b"nonsense\r\n\r\n",
])  # fmt: skip


def check(head: Head) -> None:
    if b"x-refused" in head.headers:
        raise HttpError(403, "refused", "no")


def told(pieces: list[bytes]) -> list[object]:
    """What a reader makes of these bytes, which come in pieces: requests, how they were refused, and the end."""
    reader, found = Reader(Caller(), check), list[object]()
    for piece in pieces:
        reader.feed(piece)
        try:
            while (one := reader.next_untrusted()) is not None or reader.more:
                if one is not None:
                    head, body = one
                    refused = None if head.refused is None else head.refused.status
                    found.append((head.method, head.target, head.version, dict(head.headers), refused, body))
            found.append((reader.continue_wanted(), reader.between, reader.held_bytes, reader.target))
        except HttpError as error:
            return [*found, (error.status, str(error), error.close, reader.target)]
    return found


@given(requests=st.lists(REQUESTS, max_size=6), cuts=st.lists(st.integers(0, 600), max_size=6))
def test_a_kept_head_means_what_reading_it_again_means(requests: list[bytes], cuts: list[int]) -> None:
    data = b"".join(requests)
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(at)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_framing, "KEPT_HEAD_BYTES", 0)
        each_read = told(pieces)
    assert told(pieces) == each_read


def test_equal_heads_are_read_by_h11_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[None] = []
    real: Callable[..., h11.Connection] = h11.Connection

    def counted(*args: object, **options: object) -> h11.Connection:
        made.append(None)
        return real(*args, **options)

    monkeypatch.setattr(h11, "Connection", counted)
    request = b"GET /v1/once HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(3):
        assert len(told([request * 4])) == 5
    assert len(made) == 1


def test_each_connection_checks_a_kept_head_itself() -> None:
    request = b"GET /v1/checked HTTP/1.1\r\nHost: a\r\n\r\n"
    strict = HttpError(403, "refused", "not here")

    def refuse(_: Head) -> None:
        raise strict

    for check_head, refused in ((check, None), (refuse, strict), (check, None)):
        reader = Reader(Caller(), check_head)
        reader.feed(request)
        found = reader.next_untrusted()
        assert found is not None
        assert found[0].refused is refused
