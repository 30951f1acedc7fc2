"""Who may load the page and call its methods: raw requests, as a browser or an attacker sends them."""

import json
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest
import trio

from gossipreg.callers import Caller
from gossipreg.gateway.http.ui.page_files import POLICY, PageFiles, read_files
from gossipreg.gateway.http.ui.routes import PAGE_READS, PAGE_WRITES
from gossipreg.net.http_message import HttpError, Request
from gossipreg.rights import RIGHTS, Right
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Reply, Served, request_bytes, running
from tests.gateway.http.ui.page_reader import JSON, call, open_page

TOKEN = "a-token-of-good-length"


class Writing(Served):
    """With --ui-writes."""

    page_writes = True


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>x</title>")
    (tmp_path / "parts" / "a.js").write_text("export const a = 1;")
    (tmp_path / "notes.txt").write_text("not of the page")
    return tmp_path


async def test_files_have_a_strict_policy_and_a_tag(folder: Path) -> None:
    files = PageFiles(folder)
    reply = await files.answer(Request("GET", ("ui", ""), {}), "index.html")
    headers = dict(reply.headers)
    assert (reply.status, reply.content_type) == (200, "text/html; charset=utf-8")
    assert headers["Content-Security-Policy"] == POLICY
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in POLICY
    assert "unsafe" not in POLICY
    assert (headers["Referrer-Policy"], headers["Cross-Origin-Opener-Policy"]) == ("no-referrer", "same-origin")
    again = Request("GET", ("ui", ""), {}, headers={b"if-none-match": [f'"other", {headers["ETag"]}'.encode()]})
    reply = await files.answer(again, "index.html")
    assert (reply.status, reply.body) == (304, b"")
    assert dict(reply.headers)["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize(
    "name",
    ["", "notes.txt", "../index.html", "parts", "parts/../index.html", "/etc/passwd", "parts/a.js/", "INDEX.HTML"],
)
async def test_only_files_of_the_page_are_given_out(folder: Path, name: str) -> None:
    assert set(read_files(folder)) == {"index.html", "parts/a.js"}
    with pytest.raises(HttpError) as raised:
        await PageFiles(folder).answer(Request("GET", ("ui",), {}), name)
    assert raised.value.status == 404


async def test_the_root_leads_to_the_page(served: Served) -> None:
    for path in ("/", "/ui"):
        reply = await served.get(path)
        assert (reply.status, reply.headers["location"]) == (302, "ui/"), path


async def test_data_is_never_kept_by_a_browser(served: Served) -> None:
    reply = await call(served, "info")
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    assert reply.headers["x-content-type-options"] == "nosniff"
    client = await served.client()
    await client.send(request_bytes("GET", "/ui/stream?view=overview"))
    head = (await client.stream.receive_some(65536)).decode().partition("\r\n\r\n")[0].lower()
    for line in ("cache-control: no-store", "x-content-type-options: nosniff", "content-type: text/event-stream"):
        assert line in head


# -- calls -------------------------------------------------------------------------------------------------------------


async def test_the_page_reads_by_the_methods_of_the_local_socket(served: Served) -> None:
    await served.register("web", 80)
    assert [one["name"] for one in (await call(served, "services")).json["result"]] == ["web"]
    assert (await call(served, "explain", {"name": "web"})).json["result"]["health"]["passing"] == 1
    assert (await call(served, "lookup", {"name": "web"})).json["result"][0]["id"] == "web-80"


async def test_what_the_method_refuses_is_refused_with_its_words(served: Served) -> None:
    reply = await call(served, "lookup", {"name": "web", "nonsense": 1})
    assert (reply.status, reply.json["error"]["code"]) == (400, "bad_params")
    assert "nonsense" in reply.error
    reply = await call(served, "lookup", b"[1, 2]")
    assert (reply.status, reply.json["error"]["code"]) == (400, "bad_params")


@pytest.mark.parametrize("method", ["leave", "reload", "force-leave", "register", "config", "watch", "nonsense", ".."])
async def test_a_method_that_is_not_the_pages_is_unknown(tmp_path: Path, method: str) -> None:
    async with running(Writing(tmp_path, MemoryNetwork(), "one")) as served:
        assert (await call(served, method)).status == 404
        assert (served.left, served.reloaded) == ([], [])


def test_the_pages_methods_have_rights_and_its_reads_change_nothing() -> None:
    assert {RIGHTS[method] for method in PAGE_READS} == {Right.READ}
    assert Right.READ not in {RIGHTS[method] for method in PAGE_WRITES}
    assert not PAGE_READS & PAGE_WRITES


async def test_nothing_is_changed_without_ui_writes(served: Served) -> None:
    await served.register("web", 80)
    for method in sorted(PAGE_WRITES):
        reply = await call(served, method, {"service": "web-80", "id": "web-80"})
        assert (reply.status, reply.json["error"]["code"]) == (403, "read_only"), method
        assert "--ui-writes" in reply.error
    assert served.services.in_maintenance() == []


async def test_ui_writes_lets_the_page_change_things(tmp_path: Path) -> None:
    async with running(Writing(tmp_path, MemoryNetwork(), "one")) as served:
        await served.register("web", 80)
        assert (await (await open_page(served, "overview")).next("hello"))["writes"] is True
        assert (await call(served, "maint", {"service": "web-80", "reason": "disk"})).status == 200
        assert served.services.in_maintenance() == [{"service": "web-80", "reason": "disk"}]
        assert (await call(served, "deregister", {"id": "web-80"})).status == 200
        assert served.instances("web") == ()
        assert (await call(served, "deregister", {"id": "web-80"})).json["error"]["code"] == "not_found"


STRANGER = Caller(os.geteuid() + 4242, door="http")
"""A user of the unix socket who is neither root nor the sidecar's own."""


@pytest.mark.parametrize(("method", "params"), [("maint", {"reason": "x"}), ("deregister", {"id": "web-80"})])
async def test_the_page_may_do_what_its_user_may(tmp_path: Path, method: str, params: dict[str, str]) -> None:
    async with running(Writing(tmp_path, MemoryNetwork(), "one")) as served:
        await served.register("web", 80)
        request = Request(
            "POST", ("ui", "rpc", method), {}, json.dumps(params).encode(), caller=STRANGER,
            content_type="application/json", headers={b"x-gossipreg-ui": [b"1"]},
        )  # fmt: skip
        answer = served.http.api.answer(request)
        assert isinstance(answer, Awaitable)
        with pytest.raises(HttpError, match="is not allowed for user") as raised:
            await answer
        assert (raised.value.status, raised.value.code) == (403, "refused")
        assert len(served.instances("web")) == 1
        assert served.services.in_maintenance() == []


# -- other sites -------------------------------------------------------------------------------------------------------

FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:8500", "Origin": "http://evil.example:8500"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1:8443"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("unix", [False, True])
async def test_no_other_site_reads_or_calls(tmp_path: Path, headers: dict[str, str], unix: bool) -> None:
    """Also on a unix socket, which people forward to a port that their browser reaches."""
    async with running(Writing(tmp_path, MemoryNetwork(), "one")) as served:
        await served.register("web", 80)
        for method, path in (
            ("GET", "/ui/"), ("GET", "/ui/stream?view=overview"), ("POST", "/ui/rpc/info"),
            ("POST", "/ui/rpc/deregister"), ("GET", "/u%69/stream?view=overview"), ("POST", "/%75i/rpc/deregister"),
            ("POST", "http://127.0.0.1/ui/rpc/deregister"),
        ):  # fmt: skip
            client = await (served.local_client() if unix else served.client())
            body = {"id": "web-80"} if method == "POST" else None
            with trio.fail_after(30):  # a stream that is let in has no end
                reply = await client.request(method, path, body, **{**JSON, **headers})
            assert reply.status == 403, path
        assert len(served.instances("web")) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"}, {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data"}, {"Content_Type": ""}, {"X_Gossipreg_Ui": ""}, {"X_Gossipreg_Ui": "0"},
    ],
)  # fmt: skip
async def test_a_form_of_another_site_is_no_call(tmp_path: Path, headers: dict[str, str]) -> None:
    """What a browser sends across sites without asking has neither this content type nor this header."""
    async with running(Writing(tmp_path, MemoryNetwork(), "one")) as served:
        await served.register("web", 80)
        reply = await call(served, "deregister", {"id": "web-80"}, **headers)
        assert (reply.status, reply.json["error"]["code"]) == (403, "not_the_page")
        assert len(served.instances("web")) == 1


async def test_a_browser_that_asks_first_gets_no_permission(served: Served) -> None:
    headers = {"Origin": "http://evil.example", "Access_Control_Request_Method": "POST",
               "Access_Control_Request_Headers": "x-gossipreg-ui,content-type"}  # fmt: skip
    for origin in ({}, {"Origin": "http://127.0.0.1"}):
        reply = await (await served.client()).request("OPTIONS", "/ui/rpc/info", **{**headers, **origin})
        assert reply.status in (403, 405)
        assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_a_get_is_no_call(served: Served) -> None:
    reply = await (await served.client()).get("/ui/rpc/info", **JSON)
    assert reply.status == 405


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return str(path)


async def test_calls_that_read_need_a_token_where_a_get_does(tmp_path: Path, token_file: str) -> None:
    """On loopback: reads are open, writes are not; the page is asked, not its browser."""
    async with running(Writing(tmp_path, MemoryNetwork(), "one", token_file=token_file)) as served:
        await served.register("web", 80)
        assert (await call(served, "info")).status == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            reply: Reply = await call(served, "deregister", {"id": "web-80"}, **headers)
            assert (reply.status, reply.json["error"]["code"]) == (401, "permission_denied")
            assert reply.headers["www-authenticate"].startswith("Bearer")
        assert (await call(served, "deregister", {"id": "web-80"}, Authorization=f"Bearer {TOKEN}")).status == 200
