"""The local socket over HTTP: calls, streams, what lives as long as a connection, and bytes that are no request."""

import json
import socket
from contextlib import suppress
from dataclasses import replace
from typing import Any

import h11
import pytest
import trio
import trio.testing
from msgpack import packb

from gossipreg.daemon import all_clients, outgoing
from gossipreg.daemon.json_form import SAFE_MAX, json_of
from gossipreg.daemon.places import MOST, PlaceLimits
from gossipreg.errors import REQUEST_ERRORS, BadParams
from gossipreg.net.http_framing import BODY_MAX_BYTES, HEAD_MAX_BYTES
from gossipreg.wire.json_params import params_of_untrusted
from tests.daemon.conftest import GENEROUS_S, Sidecar
from tests.daemon.http_client import SocketHttp, gone, http_client

LINES = (("Accept", "application/x-ndjson"),)


async def test_a_call_over_http_gives_what_rpc_gives(sidecar: Sidecar) -> None:
    http, rpc = await http_client(sidecar), await sidecar.client()
    status, registered = await http.call("register", {"name": "web", "port": 80, "tags": ["a"]})
    assert (status, registered["id"]) == (200, "web-80")
    for method, params in (("lookup", {"name": "web"}), ("services", None), ("registered", {}), ("state", None)):
        assert await http.call(method, params) == (200, await rpc.call(method, **(params or {})))
    assert (await http.call("info"))[1]["name"] == "tested"


async def test_requests_that_come_together_are_answered_in_order(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    bodies = [json.dumps({"name": f"web-{number}", "port": 80}).encode() for number in range(20)]
    head = b"POST /rpc/register HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    await client.stream.send_all(b"".join(head % len(body) + body for body in bodies))
    for number in range(20):
        client.expect_answer()
        assert (await client.answer())[1]["id"] == f"web-{number}-80"


@pytest.mark.parametrize(
    ("method", "params", "status", "code"),
    [
        ("lookup", {}, 400, "bad_params"),
        ("lookup", {"name": "a", "tag": "b"}, 400, "bad_params"),
        ("lookup", ["a"], 400, "bad_params"),
        ("nothing", {}, 404, "unknown_method"),
        ("deregister", {"id": "a"}, 404, "not_found"),
        ("leave", {"hold": 5}, 403, "refused"),
        ("", {}, 404, "unknown_path"),
    ],
)
async def test_an_error_over_http_has_its_code_and_status(
    sidecar: Sidecar, method: str, params: Any, status: int, code: str
) -> None:
    client = await http_client(sidecar)
    answered, body = await client.call(method, params)
    assert (answered, body["error"]["code"]) == (status, code)
    assert "\n" not in body["error"]["message"]
    assert (await client.call("info"))[0] == 200  # the connection goes on


async def test_a_lookup_before_the_sync_is_a_503_over_http(unsynced: Sidecar) -> None:
    status, body = await (await http_client(unsynced)).call("lookup", {"name": "web"})
    assert (status, body["error"]["code"]) == (503, "not_synced")


def test_every_error_code_has_a_status() -> None:
    from gossipreg.net.error_status import STATUS

    assert STATUS.keys() == REQUEST_ERRORS.keys()


async def test_a_bug_is_a_500_and_is_logged(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    sidecar.methods.handlers["info"] = lambda _: packb(1 // 0)
    status, body = await client.call("info")
    assert (status, body["error"]["code"]) == (500, "refused")
    assert sidecar.pump.counts.pop("bug.method info") == 1


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_only_post_calls_a_method(sidecar: Sidecar, verb: str) -> None:
    status, body = await (await http_client(sidecar)).call("info", verb=verb)
    assert (status, body["error"]["code"]) == (405, "bad_params")


async def test_a_request_of_a_page_in_a_browser_is_refused(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    status, body = await client.call("register", {"name": "web", "port": 80}, headers=(("Origin", "http://a"),))
    assert (status, body["error"]["code"]) == (403, "refused")
    assert await client.call("services") == (200, [])


async def test_a_watch_over_http_has_the_contents_of_rpc(sidecar: Sidecar) -> None:
    http, rpc = await http_client(sidecar), await sidecar.client()
    await sidecar.register("web", 80)
    await rpc.call("watch", name="web")
    await http.send("watch", {"name": "web"})
    assert await http.head() == 200
    assert await http.line() == {"result": {"watch": 1}}
    await sidecar.register("web", 81)
    await sidecar.register("other", 1)
    await sidecar.register("web", 82)
    for kind in ("current", "added", "added"):
        number, change = await rpc.change()
        assert await http.line() == {"method": "watch", "params": {"watch": number, "change": change}}
        assert change["kind"] == kind


async def test_a_stream_follows_many_names_and_the_state(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    await client.send("watch", {"names": ["a", "b"], "state": True})
    assert await client.head() == 200
    assert await client.line() == {"result": {"watches": [1, 2]}}
    state = await client.line()
    assert (state["method"], state["params"]["knowledge"]) == ("state", "synced")
    assert [(await client.line())["params"]["change"]["kind"] for _ in range(2)] == ["current"] * 2
    await sidecar.register("b", 1)
    assert (await client.line())["params"]["watch"] == 2


async def test_a_watch_that_is_refused_is_a_plain_answer(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    assert (await client.call("watch", {"name": "a b"}))[0] == 400
    assert (await client.call("watch", {"name": "a", "names": ["b"]}))[0] == 400
    assert len(sidecar.watches) == 0


async def test_a_client_that_leaves_its_stream_leaves_no_watch(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    await client.send("watch", {"names": ["a", "b"], "state": True})
    assert await client.head() == 200
    await client.line()
    assert (len(sidecar.watches), len(sidecar.state)) == (2, 1)
    await client.stream.aclose()
    await gone(sidecar, 0)
    assert (len(sidecar.watches), len(sidecar.state)) == (0, 0)
    assert sidecar.api.watches_of.total() == 0


async def test_an_attached_service_lives_as_long_as_the_connection(sidecar: Sidecar) -> None:
    holder, other = await http_client(sidecar), await http_client(sidecar)
    await holder.send("register", {"name": "web", "port": 80, "attach": True}, headers=LINES)
    assert await holder.head() == 200
    assert (await holder.line())["result"]["id"] == "web-80"
    assert len((await other.call("lookup", {"name": "web"}))[1]) == 1
    await holder.stream.aclose()
    await gone(sidecar, 1)
    assert await other.call("lookup", {"name": "web"}) == (200, [])


async def test_a_service_cannot_be_attached_without_a_stream(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    status, body = await client.call("register", {"name": "web", "port": 80, "attach": True})
    assert (status, body["error"]["code"]) == (400, "bad_params")
    assert body["error"]["message"].endswith("send Accept: application/x-ndjson")
    assert await client.call("registered") == (200, [])
    assert (await client.call("register", {"name": "web", "port": 80, "attach": False}))[0] == 200


async def test_a_stream_that_holds_a_service_says_that_it_is_lost(sidecar: Sidecar) -> None:
    holder, other = await http_client(sidecar), await http_client(sidecar)
    await holder.send("register", {"name": "web", "port": 80, "attach": True}, headers=LINES)
    assert await holder.head() == 200
    assert (await holder.line())["result"]["id"] == "web-80"
    assert (await other.call("deregister", {"id": "web-80"}))[0] == 200
    lost = await holder.line()
    assert (lost["method"], lost["params"]["id"]) == ("detached", "web-80")


async def test_a_stream_for_http_1_0_has_no_chunks(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    await client.stream.send_all(b"POST /rpc/watch HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    data = b""
    with trio.fail_after(GENEROUS_S):
        while b'"current"' not in data:
            data += bytes(await client.stream.receive_some(65536))
    head, _, lines = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert [list(json.loads(line)) for line in lines.splitlines()] == [["result"], ["method", "params"]]


async def test_a_reader_that_is_too_slow_is_told_in_the_stream(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "MAX_QUEUE_BYTES", 64 * 1024)
    monkeypatch.setattr(outgoing, "LAST_WORDS_S", 600.0)  # the machine may be busy
    client = await http_client(sidecar)
    await client.send("watch")
    assert await client.head() == 200
    for number in range(2000):
        await sidecar.register(f"web-{number}", 80)
    assert sidecar.methods.dropped["client_too_slow"] == 1
    lines = []
    with suppress(EOFError):
        while True:
            lines.append(await client.line())
    assert lines[-1]["error"]["code"] == "too_large"
    assert all("error" not in line for line in lines[:-1])


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"POST /rpc/info HTTP/1.1\r\n\r\n", 400),  # without Host
        (b"POST /rpc/info HTTP/9.9\r\nHost: a\r\n\r\n", 505),
        (b"POST /rpc/info HTTP/1.1\r\nHost: a\r\nX: " + b"x" * HEAD_MAX_BYTES, 431),
        (b"POST /rpc/info HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (BODY_MAX_BYTES + 1), 413),
        (b"POST /rpc/info HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /rpc/info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
async def test_bytes_that_are_no_http_end_that_connection_alone(sidecar: Sidecar, data: bytes, status: int) -> None:
    client, other = await http_client(sidecar), await http_client(sidecar)
    client.expect_answer()
    await client.stream.send_all(data)
    answered, body = await client.answer()
    assert (answered, list(body)) == (status, ["error"])
    assert isinstance(await client.event(), h11.ConnectionClosed)
    assert (await other.call("info"))[1]["counters"]["drop.client_broke_protocol"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"nothing", b"\xff\xfe", b'{"name": NaN}', b'{"name": "\\ud800"}', b'{"a":' * 9 + b"1" + b"}" * 9,
        b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b'{"name": {"a": [' + b"[]," * 100_000 + b"1]}}",
    ],
)  # fmt: skip
async def test_a_body_that_is_no_map_of_parameters_is_refused(sidecar: Sidecar, body: bytes) -> None:
    client = await http_client(sidecar)
    client.expect_answer()
    await client.stream.send_all(
        b"POST /rpc/lookup HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    status, answer = await client.answer()
    assert (status, answer["error"]["code"]) == (400, "bad_params")
    assert len(answer["error"]["message"]) < 200
    assert (await client.call("info"))[0] == 200


async def test_a_client_that_waits_for_continue_gets_it(sidecar: Sidecar) -> None:
    client = await http_client(sidecar)
    head = b"POST /rpc/lookup HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n"
    client.expect_answer()
    await client.stream.send_all(head)
    event = await client.event()
    assert (type(event), event.status_code) == (h11.InformationalResponse, 100)
    await client.stream.send_all(b'{"name":"web"}')
    assert await client.answer() == (200, [])


async def test_an_idle_http_client_makes_room_without_a_word(sidecar: Sidecar) -> None:
    sidecar.socket.places.limits = PlaceLimits(all=2, of_user=2, kept=0)
    stream, idle = await http_client(sidecar), await http_client(sidecar)
    await stream.send("watch", {"name": "a"})
    assert await stream.head() == 200
    assert (await idle.call("info"))[0] == 200
    assert (await (await http_client(sidecar)).call("info"))[0] == 200
    assert await idle.stream.receive_some(10) == b""
    assert (await stream.line())["result"] == {"watch": 1}


async def test_an_http_client_without_a_place_gets_a_503(sidecar: Sidecar) -> None:
    sidecar.socket.places.limits = replace(MOST, of_process=0)
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(str(sidecar.socket.path))
        plain.sendall(b"POST /rpc/info HTTP/1.1\r\n")  # it is there when the sidecar takes the connection
        plain.setblocking(False)
        with trio.fail_after(GENEROUS_S):
            await trio.lowlevel.wait_readable(plain)
        head, _, body = plain.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["error"]["code"] == "busy"


async def test_parts_of_requests_are_bounded_for_all_together(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_clients, "MAX_HELD_BYTES", 500_000)
    first, second = await http_client(sidecar), await sidecar.client()
    head = b"POST /rpc/info HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    await first.stream.send_all(head + bytes(300_000))
    await second.stream.send_all(packb([0, 1, "info", {"a": "b" * 900_000}])[:300_000])
    assert (await second.next())[2][0] == "busy"
    assert sidecar.methods.dropped["client_held_too_much"] == 1
    await first.stream.aclose()
    await gone(sidecar, 0)
    assert sidecar.socket._all.held_bytes == 0


def test_numbers_that_javascript_lacks_become_text_or_null() -> None:
    value = {"a": SAFE_MAX, "b": SAFE_MAX + 1, "c": [-SAFE_MAX - 1, 1 << 63], "d": float("inf"), "e": True, "f": 0.5}
    assert json.loads(json_of(packb(value))) == {
        **value, "b": str(SAFE_MAX + 1), "c": [str(-SAFE_MAX - 1), str(1 << 63)], "d": None,
    }  # fmt: skip


def test_an_empty_body_has_no_parameters() -> None:
    assert params_of_untrusted(b" \n") == params_of_untrusted(b"{}") == {}
    with pytest.raises(BadParams):
        params_of_untrusted(b"null")


async def test_a_name_that_stands_twice_is_one_error(sidecar: Sidecar) -> None:
    client: SocketHttp = await http_client(sidecar)
    for body, name in (
        (b'{"name": "a", "port": 1, "name": "b"}', "name"),
        (b'{"name": "a", "port": 1, "check": {"http": "http://a/", "http": "http://b/"}}', "http"),
    ):
        head = client.begun("POST", "/rpc/register", [("Host", "sidecar"), ("Content-Length", str(len(body)))])
        await client.stream.send_all(head + body)
        text = f"the body has the name '{name}' twice in one object: leave one of them out"
        assert await client.answer() == (400, {"error": {"code": "bad_params", "message": text}})
    assert (await client.call("registered"))[1] == []


async def test_a_stream_is_one_connection(sidecar: Sidecar) -> None:
    """What follows the request of a stream is dropped, however much it is."""
    client: SocketHttp = await http_client(sidecar)
    await client.send("watch", {"name": "a"})
    assert await client.head() == 200
    await client.stream.send_all(b"POST /rpc/leave HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" * 5000)
    assert [list(await client.line()) for _ in range(2)] == [["result"], ["method", "params"]]
    await sidecar.register("a", 1)
    assert (await client.line())["params"]["change"]["kind"] == "added"
    assert sidecar.left == []
