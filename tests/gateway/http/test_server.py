"""Connections: keep-alive, pipelining, limits, slow clients, too many of them."""

import errno
import socket
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gossipreg.gateway.http import connections
from gossipreg.gateway.http.client import HttpConnection
from gossipreg.gateway.http.connections import IDLE_S, REQUEST_S, SEND_S
from gossipreg.net.http_framing import BODY_MAX_BYTES, HEAD_MAX_BYTES
from gossipreg.net.http_message import HttpError
from gossipreg.net.selection import Selection
from tests.gateway.http.conftest import Served, request_bytes

LEADER = request_bytes("GET", "/v1/status/leader")


async def test_one_connection_carries_many_requests(served: Served) -> None:
    client = await served.client()
    for _ in range(3):
        reply = await client.get("/v1/status/leader")
        assert (reply.status, reply.json) == (200, "10.0.0.1:7940")


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    client = await served.client()
    paths = [
        f"/v1/health/service/s{number}?pretty" if number % 2 else "/v1/catalog/datacenters" for number in range(50)
    ]
    await client.send(b"".join(request_bytes("GET", path) for path in paths))
    for path in paths:
        assert (await client.reply()).json == ([] if "health" in path else ["default"])


async def test_a_request_may_come_byte_by_byte(served: Served) -> None:
    client = await served.client()
    for byte in LEADER:
        await client.send(bytes([byte]))
    assert (await client.reply()).status == 200


async def test_empty_lines_before_a_request_are_passed_over(served: Served) -> None:
    client = await served.client()
    await client.send(b"\r\n\r\n" + LEADER)
    assert (await client.reply()).status == 200


async def test_head_has_the_headers_of_get_and_no_body(served: Served) -> None:
    client = await served.client()
    whole = await client.get("/v1/catalog/nodes")
    head = await client.request("HEAD", "/v1/catalog/nodes")
    assert head.body == b""
    assert {**whole.headers, "date": ""} == {**head.headers, "date": ""}
    assert (await client.get("/v1/status/leader")).status == 200


async def test_close_is_granted_and_http_1_0_ends_with_its_response(served: Served) -> None:
    client = await served.client()
    reply = await client.get("/v1/status/leader", Connection="close")
    assert reply.headers["connection"] == "close"
    assert await client.closed()
    old = await served.client()
    await old.send(b"GET /healthz HTTP/1.0\r\n\r\n")  # haproxy's default check, without a Host
    assert (await old.reply()).body == b"ok\n"
    assert await old.closed()


async def test_a_client_that_waits_for_100_continue_is_told(served: Served) -> None:
    client = await served.client()
    body = b'{"Name":"web","Port":80}'
    await client.send(request_bytes("PUT", "/v1/agent/service/register", Expect="100-continue",
                                    Content_Length=str(len(body))))  # fmt: skip
    assert bytes(await client.stream.receive_some(100)) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(body)
    assert (await client.reply("PUT")).status == 200


async def test_a_body_in_chunks_is_put_together(served: Served) -> None:
    client = await served.client()
    body = b'{"Name":"web","Port":80}'
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:])) + b"0\r\n\r\n"
    await client.send(request_bytes("PUT", "/v1/agent/service/register", Transfer_Encoding="chunked") + chunks)
    assert (await client.reply("PUT")).status == 200
    assert served.node.catalog.lookup("web")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (request_bytes("GET", "/" + "a" * HEAD_MAX_BYTES), 431),
        (request_bytes("GET", "/", X="a" * HEAD_MAX_BYTES), 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000, 431),
        (request_bytes("PUT", "/v1/agent/service/register", Content_Length=str(BODY_MAX_BYTES + 1)), 413),
        (request_bytes("PUT", "/v1/agent/service/register", Content_Length="99999999999999999999"), 413),
        (request_bytes("PUT", "/v1/agent/service/register", Content_Length="-1"), 400),
        (request_bytes("PUT", "/x", Content_Length="1", Transfer_Encoding="chunked"), 400),
        (request_bytes("GET", "/x", Transfer_Encoding="gzip"), 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),  # TLS
        (b"GET /a b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA : b\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
async def test_bytes_that_are_no_request_get_a_reason_and_a_close(served: Served, request_: bytes, status: int) -> None:
    client = await served.client()
    with suppress(trio.BrokenResourceError):  # it may be told before it has said all
        await client.send(request_)
    reply = await client.reply()
    assert reply.status == status
    assert reply.error
    assert await client.closed()


async def test_a_body_of_chunks_without_an_end_is_cut_at_the_limit(served: Served) -> None:
    client = await served.client()
    await client.send(request_bytes("PUT", "/v1/agent/service/register", Transfer_Encoding="chunked"))
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with pytest.raises(trio.BrokenResourceError):
        await client.send(chunk * 400)
    assert not served.services.report("web")


async def test_a_body_in_chunks_of_a_byte_leaves_others_their_turn(served: Served) -> None:
    slow, other = await served.client(), await served.client()
    assert (await other.get("/healthz")).status == 200
    head = request_bytes("PUT", "/v1/agent/service/register", Transfer_Encoding="chunked")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"Name":"web","Port":80}'.ljust(10_000)) + b"0\r\n\r\n"
    await slow.send(head + chunks)  # all of it is read at once
    assert (await other.get("/healthz")).status == 200
    assert served.node.catalog.of_node(served.node.id) == ()
    assert (await slow.reply()).status == 200
    assert [one.service.name for one in served.node.catalog.of_node(served.node.id)] == ["web"]


async def test_a_wrong_path_of_one_request_does_not_end_the_connection(served: Served) -> None:
    client = await served.client()
    assert (await client.get("/nowhere")).status == 404
    assert (await client.get("/v1/health/service/%zz")).status == 400
    assert (await client.request("DELETE", "/v1/status/leader")).headers["allow"] == "GET, HEAD"
    assert (await client.get("/v1/status/leader")).status == 200


# -- time --------------------------------------------------------------------------------------------------------------


async def test_slow_loris_is_cut_off_and_costs_no_task(served: Served, mock_clock: MockClock) -> None:
    await served.get("/healthz")
    tasks = trio.lowlevel.current_statistics().tasks_living
    clients = [await served.client() for _ in range(50)]
    for client in clients:
        await client.send(b"GET / HTTP/1.1\r\nHost: ")
    await wait_all_tasks_blocked(0.05)
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    for client in clients:
        await client.send(b"1")  # a byte now and then does not help
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(REQUEST_S + 0.1)
    for client in clients:
        reply = await client.reply()
        assert (reply.status, "its head does not end" in reply.error) == (408, True), reply.error
        assert await client.closed()
    assert served.gateway.counts()["http.cut.too_slow"] == 50


async def test_a_body_that_does_not_come_is_cut_off(served: Served, mock_clock: MockClock) -> None:
    client = await served.client()
    await client.send(request_bytes("PUT", "/v1/agent/service/register", Content_Length="100") + b"{")
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(REQUEST_S + 0.1)
    reply = await client.reply("PUT")
    assert reply.status == 408
    assert reply.error == "the request is not whole after 10 s: its body has fewer bytes than it says"
    assert await client.closed()
    assert served.gateway.counts()["http.cut.too_slow"] == 1
    assert served.bugs == []


async def test_a_body_after_100_continue_has_no_extra_time(served: Served, mock_clock: MockClock) -> None:
    client = await served.client()
    await client.send(request_bytes("PUT", "/v1/agent/service/register", Content_Length="100", Expect="100-continue"))
    assert (await client.stream.receive_some(100)).startswith(b"HTTP/1.1 100")
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(REQUEST_S + 0.1)
    assert (await client.reply("PUT")).status == 408
    assert await client.closed()


async def test_an_idle_connection_lives_longer_than_clients_keep_it(served: Served, mock_clock: MockClock) -> None:
    client, silent = await served.client(), await served.client()
    assert (await client.get("/healthz")).status == 200
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(100.0)
    await wait_all_tasks_blocked(0.05)
    assert (await client.get("/healthz")).status == 200
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(IDLE_S - 90.0)
    assert await silent.closed()
    assert (await client.get("/healthz")).status == 200


async def test_a_client_that_does_not_read_its_responses_is_cut_off(served: Served, mock_clock: MockClock) -> None:
    client = await served.client()
    with trio.move_on_after(1e9):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_flood, client)
            await wait_all_tasks_blocked(0.5)  # both buffers of the kernel are full
            mock_clock.jump(SEND_S + 0.1)
    assert served.gateway.counts()["http.cut.too_slow"] == 1


async def test_responses_that_nobody_reads_have_a_bound_in_all(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_MAX_BYTES", 100_000)
    reader = await served.client()
    body = {"Name": "web", "Port": 80, "Meta": {f"k{n}": "v" * 4000 for n in range(10)}}
    assert (await reader.put("/v1/agent/service/register", body)).status == 200
    slow = [await served.client() for _ in range(5)]
    await wait_all_tasks_blocked(0.05)
    for one in served.http.server.connections:
        one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for client in slow:
        client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await client.send(request_bytes("GET", "/v1/health/service/web") * 20)
    await wait_all_tasks_blocked(0.05)
    assert served.gateway.counts()["http.cut.unread_too_much"] >= 1
    assert served.http.server.connections.unread_bytes <= 100_000
    assert (await reader.get("/healthz")).status == 200
    for client in slow:
        await client.stream.aclose()
    await wait_all_tasks_blocked(0.05)
    assert served.http.server.connections.unread_bytes == 0


async def _flood(client: Any) -> None:
    with suppress(trio.BrokenResourceError):
        while True:
            await client.send(request_bytes("GET", "/openapi.json") * 20)


# -- many --------------------------------------------------------------------------------------------------------------


async def test_beyond_the_most_connections_the_longest_idle_gives_way(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [await served.client() for _ in range(3)]
    for client in clients:
        await client.get("/healthz")
    monkeypatch.setattr(served.http.server.connections, "most", 3)
    assert (await (await served.client()).get("/healthz")).status == 200
    assert await clients[0].closed()
    assert (await clients[1].get("/healthz")).status == 200


async def test_the_next_connection_is_refused_if_none_is_idle(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        await (await served.client()).send(b"GET")
    await wait_all_tasks_blocked(0.05)
    monkeypatch.setattr(served.http.server.connections, "most", 2)
    late = await served.client()
    assert (await late.reply()).status == 503


async def test_all_that_is_not_whole_is_bounded_together(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HELD_MAX_BYTES", 100_000)
    clients = []
    for _ in range(5):
        client = await served.client()
        await client.send(request_bytes("PUT", "/v1/agent/service/register", Content_Length="50000") + b" " * 30_000)
        clients.append(client)
    await wait_all_tasks_blocked(0.05)
    assert served.gateway.counts()["http.cut.held_too_much"] == 2
    for client in clients[:3]:
        await client.send(b" " * 20_000)
        assert (await client.reply("PUT")).status == 400  # blanks are no JSON
    assert served.http.server.connections.held_bytes == 0


async def test_one_who_pipelines_without_end_leaves_others_their_turn(served: Served) -> None:
    busy, other = await served.client(), await served.client()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(busy.send, LEADER * 2000)
        assert (await other.get("/healthz")).status == 200
        for _ in range(2000):
            assert (await busy.reply()).status == 200


async def test_a_bug_in_one_answer_is_a_500_for_one_request(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(_now: float) -> Any:
        raise KeyError("oh")

    monkeypatch.setattr(served.node, "members", broken)
    client = await served.client()
    reply = await client.get("/v1/status/peers")
    assert (reply.status, reply.error.startswith("this failed inside the sidecar")) == (500, True)
    assert (await client.get("/v1/status/leader")).status == 200
    assert [where for where, _ in served.bugs] == ["http_request"]
    served.bugs.clear()


async def test_a_reset_in_the_middle_harms_nobody(served: Served) -> None:
    for data in (b"", b"GET / HT", request_bytes("GET", "/v1/kv/a?index=1"), LEADER * 100):
        client = await served.client()
        await client.send(data)
        client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.stream.socket.close()
    assert (await served.get("/healthz")).status == 200
    await wait_all_tasks_blocked(0.05)
    assert len(served.http.server.connections) == 1


async def test_unix_and_tcp_answer_alike_and_unix_knows_its_caller(served: Served) -> None:
    local = await served.local_client()
    assert (await local.get("/v1/status/leader", Host="anything.example")).json == "10.0.0.1:7940"
    check = {"Name": "c", "Args": ["true"], "Interval": "10s"}
    service = {"Name": "web", "Port": 80, "Check": check}
    assert (await local.put("/v1/agent/service/register", service)).status == 200
    refused = await served.put("/v1/agent/service/register", {**service, "Name": "other"})
    assert refused.status == 400
    assert "--allow-cmd-checks" in refused.error


# -- errors ------------------------------------------------------------------------------------------------------------


async def test_errors_below_v1_are_the_sentence_alone(served: Served) -> None:
    for method, path, headers, status, sentence in (
        ("GET", "/v1/agent/service/none", {}, 404, "unknown service ID 'none'"),
        ("GET", "/v1/nothing", {}, 404, "there is no such path"),
        ("PUT", "/v1/kv/a", {}, 501, "there is no key-value store here"),
        ("POST", "/v1/agent/services", {}, 405, "this path does not take POST"),
        ("GET", "/v1/health/state/odd", {}, 400, "the state is 'odd'"),
        ("GET", "/v1/catalog/nodes", {"Host": "evil.example"}, 403, "'evil.example' is not a name of this gateway"),
        ("PUT", "/v1/agent/service/register", {"Content-Length": "9999999"}, 413, "the body of the request"),
        ("GET", "/v1/catalog/nodes", {"X-Long": "x" * 20_000}, 431, "the head of the request"),
    ):
        reply = await (await served.client()).request(method, path, **headers)
        assert (reply.status, reply.headers["content-type"]) == (status, "text/plain; charset=utf-8"), path
        assert reply.body.decode().startswith(sentence)
        assert b"\n" not in reply.body


async def test_errors_elsewhere_are_json(served: Served) -> None:
    for path in ("/none", "/events?service=a&service=b", "/sd/prometheus?passing=x", "/v1x"):
        reply = await served.get(path)
        assert (reply.headers["content-type"], list(reply.json["error"])) == ("application/json", ["code", "message"])


async def test_a_key_that_is_not_there_is_a_404_with_an_empty_body(served: Served) -> None:
    for path in ("/v1/kv/a", "/v1/kv/a/b?raw", "/v1/kv/?keys", "/v1/kv/a?recurse", "/v1/kv/a?pretty"):
        reply = await served.get(path)
        assert (reply.status, reply.body, "x-consul-index" in reply.headers) == (404, b"", True), path


async def test_a_waiting_question_of_too_much_work_gets_one_sentence(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await served.client()
    index = (await client.get("/v1/catalog/services")).index
    await client.send(request_bytes("GET", f"/v1/catalog/services?index={index}"))
    await wait_all_tasks_blocked()

    def too_much(_question: object) -> Any:
        raise HttpError(400, "too_much", "this filter takes too long: ask for less")

    monkeypatch.setattr(served.http.api.answers, "_render", too_much)
    await served.register("web", 80)
    reply = await client.reply()
    assert (reply.status, reply.body) == (400, b"this filter takes too long: ask for less")


async def test_a_connection_that_cannot_be_watched_ends_alone(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel watches a bounded number of descriptors for each user (`fs.epoll.max_user_watches`)."""
    other = await served.client()
    assert (await other.get("/v1/status/leader")).status == 200
    watch = Selection.watch

    def none_left(selection: Selection[HttpConnection], one: HttpConnection, mask: int) -> None:
        if mask and not one.mask:
            raise OSError(errno.ENOSPC, "No space left on device")
        watch(selection, one, mask)

    with monkeypatch.context() as limited:
        limited.setattr(Selection, "watch", none_left)
        assert await (await served.client()).closed()
    assert (await other.get("/v1/status/leader")).status == 200
    [(where, _)] = served.bugs
    served.bugs.clear()
    assert where == "http_connection"
