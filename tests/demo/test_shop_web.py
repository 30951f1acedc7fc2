"""The services of the shop answer every request, also one in which something breaks."""

import threading
from contextlib import closing
from http.client import HTTPConnection

import pytest

from gossipreg.demo.shop.web import JsonRequest, ShopServer
from scripts.tools.wait import BOUND_S


class Broken(JsonRequest):
    def do_PUT(self) -> None:  # noqa: N802  # as http.server calls it
        raise ZeroDivisionError("the work breaks")


def test_a_request_whose_work_breaks_is_answered_500(capsys: pytest.CaptureFixture[str]) -> None:
    with ShopServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            found = [asked(server.server_port, method) for method in ("GET", "PUT", "GET")]
        finally:
            server.shutdown()
            thread.join(BOUND_S)
    assert found == [(200, False), (500, True), (200, False)]
    assert "ZeroDivisionError: the work breaks" in capsys.readouterr().err


def asked(port: int, method: str) -> tuple[int, bool]:
    """The status, and whether the answer says where to look."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=BOUND_S)) as connection:
        connection.request(method, "/")
        answer = connection.getresponse()
        return answer.status, b"stderr of the service" in answer.read()
