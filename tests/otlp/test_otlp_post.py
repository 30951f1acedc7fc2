"""What the answer of something that may be no collector means: it holds up no spans, and is no success."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gossipreg.errors import BadConfig
from gossipreg.otlp import otlp_post
from gossipreg.otlp.otlp_post import Collector as Client
from gossipreg.otlp.otlp_post import Posted
from gossipreg.otlp.otlp_settings import otlp_settings

GENEROUS_S = 60.0


@contextmanager
def answering(head: bytes, body: bytes, *, every_s: float = 0.0) -> Iterator[Client]:
    """A client of a server that answers one request so; with `every_s` byte by byte."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(head + b"\r\n\r\n")
            for one in [body] if not every_s else [body[at : at + 1] for at in range(len(body))]:
                try:
                    connection.sendall(one)
                except OSError:
                    return
                if over.wait(every_s):
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = Client(otlp_settings(f"http://127.0.0.1:{listener.getsockname()[1]}", None, {}), "gossipreg/0")
    try:
        yield client
    finally:
        client.close()
        over.set()
        thread.join(GENEROUS_S)
        listener.close()


def test_an_answer_that_comes_byte_by_byte_holds_up_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_post, "ANSWER_S", 0.2)
    began = time.monotonic()
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2000", b"x" * 2000, every_s=0.05) as client:
        assert client.post(b"") == Posted()
    assert time.monotonic() - began < GENEROUS_S  # all of it takes 100 s


def test_a_page_for_people_is_no_collector() -> None:
    """--otlp names another port of that host, where a web server says 200 to everything."""
    with answering(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5", b"<h1>!"
    ) as client:
        posted = client.post(b"")
    assert ("that is no OTLP collector" in posted.error, posted.again) == (True, False)


@pytest.mark.parametrize("type", [b"application/x-protobuf", b"application/json", b"text/plain"])
def test_any_other_answer_of_success_is_one(type: bytes) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: " + type, b"{}") as client:
        assert client.post(b"") == Posted()


@pytest.mark.parametrize("url", ["http://exa mple:4318", "http://example:4318/a b"])
def test_a_url_with_a_space_is_refused(url: str) -> None:
    with pytest.raises(BadConfig, match="--otlp"):
        otlp_settings(url, None, {})
