"""Events as HTTP requests, with real sidecars and a service that answers what a test says."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.test_services import start_cli


@dataclass(frozen=True, slots=True)
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Program:
    """A program with a port; `answers` are by path: (status, body), one after the other, the last one for ever."""

    port: int = 0
    answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    posted: list[Posted] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str) -> tuple[int, str]:
        with self.lock:
            answers = self.answers.get(path, [(200, "")])
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def at(self, path: str) -> list[Posted]:
        with self.lock:
            return [one for one in self.posted if one.path == path]


@contextmanager
def program(port: int = 0, /, **answers: list[tuple[int, str]]) -> Iterator[Program]:
    """`answers` by the path without its slash."""
    found = Program(answers={f"/{path}": list(some) for path, some in answers.items()})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with found.lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                found.posted.append(Posted(self.path, headers, body))
            self.reply()

        def do_GET(self) -> None:
            self.reply()

        def reply(self) -> None:
            status, text = found.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        found.port = server.server_address[1]
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def started(cluster: Sidecars, name: str, *flags: str) -> Sidecar:
    return cluster.start(name, "--data-dir", str(cluster.folder / f"{name}-d"), "--host-id", name, *flags).wait_ready()


def service(port: int) -> tuple[str, ...]:
    return "--service", "shop", "--port", str(port), "--address", "127.0.0.1"


def post(sidecar: Sidecar, path: str, body: bytes, **headers: str) -> int:
    where = f"http://127.0.0.1:{sidecar.port('http')}{path}"
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with urlopen(Request(where, body, given, method="POST"), timeout=BOUND_S) as reply:
        return int(reply.status)


def dead(sidecar: Sidecar) -> list[str]:
    """The reasons of the dead letters."""
    return [letter["reason"] for letter in sidecar.call("events-dead")["letters"]]


def test_a_route_gets_events_until_it_acks_and_rejects_one() -> None:
    with program(orders=[(503, ""), (200, "")], refunds=[(422, "no such order")]) as shop, Sidecars() as cluster:
        flags = ("--subscribe", "order.*=/orders", "--subscribe", "refund=/refunds")
        one = started(cluster, "one", *service(shop.port), *flags)
        wait_for(lambda: bool(one.call("events-groups")["groups"]) or "service_subscribed" in one.log.read_text())
        assert one.call("publish", type="order.created", json={"a": 1}, subject="s p")["groups"] == 1
        assert one.call("publish", type="refund", data="x")["groups"] == 1
        assert one.call("publish", type="other", data="x")["groups"] == 0
        wait_for(lambda: len(shop.at("/orders")) == 2)
        first, second = shop.at("/orders")
        assert (first.headers["ce-type"], first.headers["ce-subject"], first.json) == (
            "order.created",
            "s%20p",
            {"a": 1},
        )
        attempts = [first.headers["gossipreg-event-attempt"], second.headers["gossipreg-event-attempt"]]
        assert (first.headers["ce-id"], attempts) == (second.headers["ce-id"], ["1", "2"])
        wait_for(lambda: dead(one) == ["HTTP 422 no such order"])
        assert len(shop.at("/refunds")) == 1


@pytest.mark.wide
def test_events_wait_without_an_attempt_while_the_service_is_away() -> None:
    with Sidecars() as cluster:
        with program() as shop:
            one = started(cluster, "one", *service(shop.port), "--subscribe", "order=/orders")
            one.wait_logged("service_subscribed")
        port = shop.port
        one.call("publish", type="order", data="while it is down")
        one.call("maint", service=f"shop-{port}", reason="upgrade")
        with program(port) as back:
            one.call("publish", type="order", data="in maintenance")
            assert back.at("/orders") == []
            one.call("maint", service=f"shop-{port}", off=True)
            wait_for(lambda: len(back.at("/orders")) == 2)
            assert {one.headers["gossipreg-event-attempt"] for one in back.at("/orders")} == {"1"}


@pytest.mark.wide
def test_a_registered_subscription_is_kept_over_a_restart() -> None:
    with program() as shop, Sidecars() as cluster:
        one = started(cluster, "one")
        params = {"name": "shop", "port": shop.port, "address": "127.0.0.1"}
        one.call("register", **params, subscribe={"order": "/orders"})
        assert one.end() == 0
        again = started(cluster, "one")
        wait_for(lambda: again.call("publish", type="order", data="x")["groups"] == 1)
        wait_for(lambda: len(shop.at("/orders")) >= 1)
        again.call("register", **params)
        again.wait_logged("service_updated")
        count = len(shop.at("/orders"))
        again.call("publish", type="order", data="nobody takes it now")
        again.call("register", **params, subscribe={"order": "/anew"})
        wait_for(lambda: len(shop.at("/anew")) == 1)
        assert len(shop.at("/orders")) == count


def test_a_dapr_app_publishes_subscribes_and_is_asked_again() -> None:
    wanted = [{"pubsubname": "p", "topic": "orders", "route": "/orders", "deadLetterTopic": "poison"},
              {"pubsubname": "p", "topic": "poison", "routes": {"default": "/poison"}},
              {"pubsubname": "p", "topic": "many", "route": "/many", "bulkSubscribe": {"enabled": True}}]  # fmt: skip
    subscribe = {"dapr/subscribe": [(200, json.dumps(wanted))]}
    drop = [(200, '{"status":"RETRY"}'), (500, ""), (200, '{"status":"DROP"}'), (200, '{"status":"SUCCESS"}')]
    with program(**subscribe, orders=drop) as shop, Sidecars() as cluster:
        one = started(cluster, "one", "--http", "127.0.0.1:0", "--dapr-app", "shop", *service(shop.port))
        one.wait_logged("dapr_app_subscribed")
        one.wait_logged("bulkSubscribe is enabled")
        assert post(one, "/v1.0/publish/p/orders", b'{"a":1}', Content_Type="application/json") == 204
        wait_for(lambda: len(shop.at("/poison")) == 1)
        assert [posted.headers["gossipreg-event-attempt"] for posted in shop.at("/orders")] == ["1", "2", "3"]
        letter = shop.at("/poison")[0]
        assert letter.headers["content-type"] == "application/cloudevents+json"
        assert (letter.json["data"], letter.json["topic"], letter.json["pubsubname"]) == ({"a": 1}, "poison", "p")
        assert dead(one) == []
        shop.answers["/dapr/subscribe"] = [(200, json.dumps([{"pubsubname": "p", "topic": "new", "route": "/new"}]))]
        one.call("maint", reason="a new release")
        one.call("maint", off=True)
        one.wait_logged("dapr_app_subscribed", 2)
        assert one.call("publish", type="new", data="own")["groups"] == 1
        wait_for(lambda: len(shop.at("/new")) == 1)
        assert (shop.at("/new")[0].json["data"], shop.at("/new")[0].json["type"]) == ("own", "new")


TAKES = """if True:
    import http.server, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            data = self.rfile.read(int(self.headers["Content-Length"]))
            print(self.path, data.decode(), self.headers["ce-type"], flush=True)
            self.send_response(204)
            self.end_headers()
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_program_under_exec_gets_events_at_its_routes() -> None:
    with Sidecars() as cluster:
        one = started(cluster, "one")
        port = str(free_port())
        flags = (
            "--service",
            "shop",
            "--port",
            port,
            "--subscribe",
            "order.*=/orders",
            "--subscribe",
            "refund=/refunds",
        )
        client = start_cli(one, "exec", *flags, "--", sys.executable, "-c", TAKES, port)
        try:
            wait_for(lambda: one.call("publish", type="order.created", data="first")["groups"] == 1)
            one.call("publish", type="refund", data="second", key="k")
            assert client.stdout is not None
            said = {client.stdout.readline() for _ in range(2)}
            assert said == {"/orders first order.created\n", "/refunds second refund\n"}
        finally:
            client.terminate()
            client.communicate(timeout=BOUND_S)
        wait_for(lambda: one.call("lookup", name="shop", all=True) == [])
        assert one.call("publish", type="refund", data="later")["groups"] == 1, "it waits for the next program"
