"""Invocation, metadata and health by Dapr's API, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import trio

from gossipreg.callers import Caller
from gossipreg.gateway.http.doors import Door, Doors
from gossipreg.gateway.http.routes import is_open_untrusted
from gossipreg.gateway.http.tokens import Tokens
from gossipreg.model import Health
from gossipreg.net.http_message import Head, HttpError
from simulations import inside
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Reply, Served, running
from tests.net.test_http_client import server

HI = b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nhi"
TOKEN = b"the-token-of-the-file"


class Backend:
    """A service that answers with what the test says, and remembers the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers or (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nhi",
        )
        self.requests: list[str] = []

    async def serve(self, stream: trio.SocketStream, _number: int) -> None:
        data = b""
        while more := await stream.receive_some(65536):
            data += more
            head, end, body = data.partition(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            if end and len(body) >= length:
                self.requests.append(data.decode())
                data = b""
                await stream.send_all(self.answers[min(len(self.requests), len(self.answers)) - 1])


async def register(served: Served, port: int, id: str = "web") -> None:
    params: dict[str, Any] = {"name": "web", "id": id, "port": port, "address": "127.0.0.1"}
    await served.services.register(params, by=Caller(), holder=None, fresh=Health.PASSING)


async def call(served: Served, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    return await (await served.client()).request(method, path, body, **headers)


async def test_a_call_gets_there_as_it_was_sent(served: Served) -> None:
    backend = Backend()
    async with server(backend.serve) as (_, port):
        await register(served, port)
        reply = await call(served, "PATCH", "/v1.0/invoke/WEB/method/a%2Fb/c?q=%20", b"data", x_mine="1",
                           dapr_api_token="secret", connection="x-hop", x_hop="1")  # fmt: skip
    assert (reply.status, reply.body) == (200, b"hi")
    assert (reply.headers["content-type"], reply.headers["x-own"]) == ("text/x", "1")
    (sent,) = backend.requests
    assert sent.startswith("PATCH /a%2Fb/c?q=%20 HTTP/1.1\r\n")
    assert sent.endswith("\r\n\r\ndata")
    assert "x-mine: 1\r\n" in sent
    assert f"Host: 127.0.0.1:{port}\r\n" in sent
    for gone in ("secret", "x-hop", "Host: 127.0.0.1\r\n"):
        assert gone not in sent


async def test_the_header_makes_any_path_a_call(served: Served) -> None:
    backend = Backend()
    async with server(backend.serve) as (_, port):
        await register(served, port)
        assert (await call(served, "GET", "/v1/agent/self", dapr_app_id="web")).body == b"hi"
        assert (await call(served, "GET", "/v1.0/invoke/web/method", dapr_app_id="web")).body == b"hi"
    assert backend.requests[0].startswith("GET /v1/agent/self HTTP/1.1\r\n")
    assert backend.requests[1].startswith("GET /v1.0/invoke/web/method HTTP/1.1\r\n")


async def test_a_call_without_a_path_goes_to_the_root(served: Served) -> None:
    backend = Backend()
    async with server(backend.serve) as (_, port):
        await register(served, port)
        for path in ("method", "method/", "method?a=1"):
            assert (await call(served, "GET", f"/v1.0/invoke/web/{path}")).status == 200
    assert [sent.split(" ")[1] for sent in backend.requests] == ["/", "/", "/?a=1"]


async def test_a_failed_call_is_repeated_only_where_it_may_be(served: Served) -> None:
    failed = b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nfull"
    backend = Backend(failed, failed, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    async with server(backend.serve) as (_, port):
        await register(served, port)
        reply = await call(served, "POST", "/v1.0/invoke/web/method/x")
        assert (reply.status, reply.body) == (503, b"full")
        assert (await call(served, "PUT", "/v1.0/invoke/web/method/x")).body == b"hi"
    assert len(backend.requests) == 3


async def test_an_instance_that_refuses_gives_way_to_another(served: Served) -> None:
    backend = Backend()
    async with server(Backend().serve) as (_, closed):
        pass
    async with server(backend.serve) as (_, port):
        await register(served, closed, "down")
        await register(served, port, "up")
        for _ in range(8):
            assert (await call(served, "POST", "/v1.0/invoke/web/method/x")).body == b"hi"


async def test_a_call_that_no_instance_takes_is_an_error_in_daprs_form(served: Served) -> None:
    async with server(Backend().serve) as (_, port):
        pass
    none = await call(served, "GET", "/v1.0/invoke/web/method/x")
    assert (none.status, none.json["errorCode"]) == (500, "ERR_DIRECT_INVOKE")
    assert "web" in none.json["message"]
    await register(served, port)
    refused = await call(served, "GET", "/any", dapr_app_id="web")
    assert (refused.status, refused.json["errorCode"]) == (500, "ERR_DIRECT_INVOKE")
    assert "Connection refused" in refused.json["message"]


@pytest.mark.parametrize(
    "app", ["http://x.y", "https://x.y:1", "http%3A%2F%2Fx.y", "HTTP://x", "https%3a//x.y", "web%20http://x"]
)
async def test_an_app_id_that_is_a_url_is_refused(served: Served, app: str) -> None:
    reply = await call(served, "GET", f"/v1.0/invoke/{app}/method/x")
    assert (reply.status, reply.json["errorCode"]) == (400, "ERR_DIRECT_INVOKE")


async def test_a_url_in_the_header_is_refused(served: Served) -> None:
    reply = await call(served, "GET", "/x", dapr_app_id="http://x.y")
    assert (reply.status, reply.json["errorCode"]) == (400, "ERR_DIRECT_INVOKE")
    assert "is a URL" in reply.json["message"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1.0-alpha1/publish/bulk/p/t", "publish/bulk"), ("POST", "/v1.0/publish/bulk/p/t", "publish/bulk"),
        ("GET", "/v1.0/state/store/key", "state"), ("POST", "/v1.0/bindings/x", "bindings"),
        ("GET", "/v1.0/secrets/s/k", "secrets"), ("POST", "/v1.0/actors/t/i/method/m", "actors"),
        ("GET", "/v1.0/configuration/s", "configuration"), ("POST", "/v1.0-alpha1/lock/s", "lock"),
        ("POST", "/v1.0-beta1/workflows/d/w/start", "workflows"), ("POST", "/v1.0/shutdown", "shutdown"),
    ],
)  # fmt: skip
async def test_what_is_not_here_says_its_name_in_daprs_form(served: Served, method: str, path: str, name: str) -> None:
    reply = await call(served, method, path)
    assert (reply.status, reply.json["errorCode"]) == (501, "ERR_NOT_HERE")
    assert reply.json["message"].startswith(f"there is no {name} API here: ")


async def test_metadata_names_the_app_and_its_subscriptions(served: Served) -> None:
    served.outgoing.subscriptions = [{"pubsubname": "p", "topic": "t"}]
    shape = (await call(served, "GET", "/v1.0/metadata")).json
    assert (shape["id"], shape["subscriptions"]) == ("one", [{"pubsubname": "p", "topic": "t"}])
    assert [one["name"] for one in shape["components"]] == ["p"]


async def test_health_is_204_once_synced(served: Served) -> None:
    for path in ("/v1.0/healthz", "/v1.0/healthz/outbound"):
        reply = await call(served, "GET", path)
        assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize(
    ("target", "app_id"),
    [
        (b"/v1.0/invoke/web/method/x", b""), (b"/v1%2E0/%69nvoke/web/method/x", b""),
        (b"http://h/v1.0/invoke/web/method/x", b""), (b"/healthz", b"web"), (b"/v1/catalog/nodes", b"web"),
    ],
)  # fmt: skip
def test_a_call_needs_the_token_of_a_write(target: bytes, app_id: bytes) -> None:
    doors = Doors(tokens=Tokens([TOKEN]), open_reads=True, is_open=is_open_untrusted)
    headers = {b"dapr-app-id": [app_id]} if app_id else {}
    for door in (Door(unix=False, loopback=True), Door(unix=False, loopback=False)):
        with pytest.raises(HttpError) as refused:
            doors.check_untrusted(door, Head("GET", target, b"1.1", headers))
        assert refused.value.status in (401, 403)
        doors.check_untrusted(door, Head("GET", target, b"1.1", {**headers, b"dapr-api-token": [TOKEN]}))


async def test_our_token_reaches_no_service_and_the_callers_does(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(TOKEN)
    backend = Backend()
    guarded = Served(tmp_path, MemoryNetwork(), "one", token_file=str(tmp_path / "tokens"))
    async with running(guarded) as served, server(backend.serve) as (_, port):
        await register(served, port)
        ours = f"Bearer {TOKEN.decode()}"
        assert (await call(served, "GET", "/v1.0/invoke/web/method/x", authorization=ours)).status == 200
        both = {"authorization": "Bearer of-the-caller", "dapr_api_token": TOKEN.decode()}
        assert (await call(served, "GET", "/v1.0/invoke/web/method/x", **both)).status == 200
    first, second = backend.requests
    assert TOKEN.decode() not in first + second
    assert "authorization" not in first
    assert "authorization: Bearer of-the-caller\r\n" in second


async def test_what_is_not_known_any_more_is_not_said_to_be_missing(served: Served) -> None:
    path = "/v1.0/invoke/none/method/a"
    assert "no instance of none is registered" in (await served.get(path)).body.decode()
    inside.unsync(served.node)
    assert "is not synced yet" in (await served.get(path)).body.decode()
