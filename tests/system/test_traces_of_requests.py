"""Requests that a real sidecar makes for others are spans, and tell those whom they ask of them."""

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.otlp.collector import Collector

TRACE, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{PARENT_ID}-01"


class Web:
    """A service that answers 200, and notes the headers of each request, by path."""

    def __init__(self) -> None:
        self.seen: dict[str, list[dict[str, str]]] = {}
        web = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                web.seen.setdefault(self.path, []).append(headers)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = answer  # noqa: N815  names of http.server

            def log_message(self, *_said: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def wait_for(self, path: str) -> dict[str, str]:
        wait_for(lambda: path in self.seen, what=f"a request for {path}")
        return self.seen[path][-1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, Collector, Web]]:
    web = Web()
    try:
        with Collector().serving() as collector, Sidecars() as cluster:
            one = cluster.start(
                "m0", "--data-dir", str(tmp_path_factory.mktemp("d")), "--otlp", collector.url, "--http", "127.0.0.1:0"
            ).wait_ready()
            check = f"http://127.0.0.1:{web.port}/alive?token=secret,interval=1s"
            one.call("register", name="web", address="127.0.0.1", port=web.port, checks=[check],
                     subscribe={"order.*": "/orders"})  # fmt: skip
            wait_for(lambda: bool(one.lookup("web")))
            yield one, collector, web
            assert not any(b"secret" in body for body in collector.bodies)
    finally:
        web.close()


def post(sidecar: Sidecar, path: str, **headers: str) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{sidecar.port('http')}{path}", b'{"card": "secret"}',
        {"Content-Type": "application/json", **headers},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


def test_a_check_is_a_span_that_the_service_hears_of(world: tuple[Sidecar, Collector, Web]) -> None:
    _, collector, web = world
    [span] = collector.wait_for("check http")
    heard = {headers["traceparent"] for headers in web.seen["/alive?token=secret"]}
    assert f"00-{span.trace}-{span.id}-01" in heard
    assert (span.parent, span.attributes["gossipreg.service.id"].startswith("web")) == ("", True)


def test_an_invocation_is_a_span_of_the_callers_trace(world: tuple[Sidecar, Collector, Web]) -> None:
    sidecar, collector, web = world
    assert post(sidecar, "/v1.0/invoke/web/method/pay?card=secret", traceparent=PARENT, baggage="user=secret") == 200
    [span] = collector.wait_for("POST web")
    assert (span.trace, span.parent, span.attributes["http.response.status_code"]) == (TRACE, PARENT_ID, 200)
    heard = web.wait_for("/pay?card=secret")
    assert (heard["traceparent"], heard["baggage"]) == (f"00-{TRACE}-{span.id}-01", "user=secret")


def test_a_delivery_over_http_is_a_child_of_its_event(world: tuple[Sidecar, Collector, Web]) -> None:
    sidecar, collector, web = world
    wait_for(lambda: any(one["group"] == "web" for one in sidecar.call("events-groups")["groups"]))
    assert (
        post(sidecar, "/v1.0/publish/bus/order.created", traceparent=PARENT, tracestate="a=1", baggage="b=secret")
        == 204
    )
    [sent, handled] = collector.wait_for("send order.created", "process order.created")
    heard = web.wait_for("/orders")
    assert heard["traceparent"] == f"00-{TRACE}-{handled.id}-01"
    assert (heard["tracestate"], heard["baggage"]) == ("a=1", "b=secret")
    assert heard["ce-traceparent"] == PARENT, "where it began, as CloudEvents has it"
    assert (sent.parent, handled.parent) == (PARENT_ID, PARENT_ID)


def test_a_call_over_http_to_the_socket_hands_its_trace_on(world: tuple[Sidecar, Collector, Web]) -> None:
    sidecar, collector, _ = world

    body = json.dumps({"type": "mail.sent"}).encode()
    head = f"POST /rpc/publish HTTP/1.1\r\nHost: a\r\ntraceparent: {PARENT}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(sidecar.socket))
        client.sendall(head.encode() + body)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    [sent] = collector.wait_for("send mail.sent")
    assert (sent.trace, sent.parent) == (TRACE, PARENT_ID)
