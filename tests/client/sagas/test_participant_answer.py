"""How an answer of a participant is sent, by any server."""

import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from typing import Any

import pytest

from gossipreg import BadParams, ParticipantAnswer


def test_a_sidecar_that_has_hung_up_is_no_error_of_the_participant() -> None:
    """It asks again, and the traceback of a server would say that something is broken."""
    errors: list[object] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.connection.shutdown(socket.SHUT_RDWR)
            ParticipantAnswer(200, b"x" * 100_000).send(self)
            errors.append(self.close_connection)

    class Server(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            del request, client_address
            errors.append(sys.exc_info()[1])

    with Server(("127.0.0.1", 0), Handler) as server, socket.socket() as peer:
        peer.connect(("127.0.0.1", server.server_port))
        peer.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        server.handle_request()
    assert errors == [True]


@pytest.mark.parametrize("content_type", ["a\r\nb: c", "\ud800", "a\0", "grün", "x" * 257, 7])
def test_a_content_type_that_is_no_header_is_refused(content_type: Any) -> None:
    """It would be kept, and each repeat of the step would fail to send it."""
    with pytest.raises(BadParams, match="printable ASCII"):
        ParticipantAnswer(200, "x", content_type=content_type)
    assert ParticipantAnswer(200, b"x", content_type="image/png").headers["Content-Type"] == "image/png"


def test_an_answer_is_sent_by_any_server() -> None:
    class Handler:
        def __init__(self) -> None:
            self.wfile = BytesIO()
            self.close_connection = False
            self.sent: list[object] = []

        def send_response(self, code: int, _message: str | None = None) -> None:
            self.sent.append(code)

        def send_header(self, keyword: str, value: str) -> None:
            self.sent.append((keyword, value))

        def end_headers(self) -> None:
            self.sent.append("end")

    handler = Handler()
    ParticipantAnswer(201, {"id": 7}).send(handler)
    ParticipantAnswer(204).send(handler)
    assert handler.sent == [201, ("Content-Type", "application/json"), ("Content-Length", "8"), "end", 204, "end"]
    assert handler.wfile.getvalue() == b'{"id":7}'
    begun: list[object] = []
    assert ParticipantAnswer(200, "hm").wsgi(lambda *given: begun.append(given)) == [b"hm"]
    assert begun == [("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "2")])]
