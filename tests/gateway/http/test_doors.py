"""The token that a request needs, by the place of both ends of its connection."""

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gossipreg.errors import CannotStart
from gossipreg.gateway.http import server
from gossipreg.gateway.http.doors import Door, Doors, door_of
from gossipreg.gateway.http.routes import is_open_untrusted
from gossipreg.gateway.http.tokens import Tokens
from gossipreg.net.http_message import Head, HttpError
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served, request_bytes, running

TOKEN = b"the-token-of-the-file"
UNIX, LOOPBACK, OUTSIDE = Door(True, False), Door(False, True), Door(False, False)
READ, WRITE = Head("GET", b"/v1/catalog/nodes", b"1.1"), Head("PUT", b"/v1/agent/leave", b"1.1")


def status(doors: Doors, door: Door, head: Head, token: bytes = b"") -> int:
    carried = {b"x-consul-token": [token]} if token else {}
    try:
        doors.check_untrusted(door, Head(head.method, head.target, head.version, carried))
    except HttpError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("door", "tokens", "open_reads", "read", "write", "write_with_token"),
    [
        (UNIX, True, False, 200, 200, 200), (UNIX, False, False, 200, 200, 200),
        (LOOPBACK, False, False, 200, 200, 200), (LOOPBACK, True, False, 200, 403, 200),
        (OUTSIDE, True, False, 403, 403, 200), (OUTSIDE, True, True, 200, 403, 200),
        (OUTSIDE, False, True, 200, 403, 403), (OUTSIDE, False, False, 403, 403, 403),
    ],
)  # fmt: skip
def test_each_door_lets_in_what_it_should(
    door: Door, tokens: bool, open_reads: bool, read: int, write: int, write_with_token: int
) -> None:
    doors = Doors(tokens=Tokens([TOKEN]) if tokens else None, open_reads=open_reads, is_open=is_open_untrusted)
    assert status(doors, door, READ) == read
    assert status(doors, door, WRITE) == write
    assert status(doors, door, WRITE, TOKEN) == write_with_token
    if door != UNIX and tokens:
        assert status(doors, door, WRITE, b"wrong") == 403
        assert status(doors, door, READ, TOKEN) == 200


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"])
def test_all_but_get_and_head_are_writes(method: str) -> None:
    doors = Doors(tokens=Tokens([TOKEN]), open_reads=True, is_open=is_open_untrusted)
    assert status(doors, LOOPBACK, Head(method, b"/v1/catalog/nodes", b"1.1")) == 403
    assert status(doors, OUTSIDE, Head("HEAD", b"/v1/catalog/nodes", b"1.1")) == 200


def test_probes_need_no_token_and_no_other_path_passes_for_one() -> None:
    doors = Doors(tokens=Tokens([TOKEN]), open_reads=False, is_open=is_open_untrusted)
    for path in (b"/healthz", b"/readyz", b"/readyz?verbose"):
        assert status(doors, OUTSIDE, Head("GET", path, b"1.1")) == 200
        assert status(doors, OUTSIDE, Head("PUT", path, b"1.1")) == 401
    for path in (b"/healthz/", b"/healthz/../metrics", b"//healthz", b"http://x/healthz", b"/metrics", b"/events"):
        assert status(doors, OUTSIDE, Head("GET", path, b"1.1")) == 401


def refusal(path: bytes, tokens: bool, **headers: bytes) -> HttpError:
    doors = Doors(tokens=Tokens([TOKEN]) if tokens else None, open_reads=not tokens, is_open=is_open_untrusted)
    given = {name.replace("_", "-").encode(): [value] for name, value in headers.items()}
    with pytest.raises(HttpError) as refused:
        doors.check_untrusted(OUTSIDE, Head("PUT", path, b"1.1", given))
    return refused.value


def test_consuls_clients_get_a_403_in_consuls_words() -> None:
    for error, why in (
        (refusal(b"/v1/agent/leave", True), "no token: send X-Consul-Token"),
        (refusal(b"/v1/agent/leave", True, x_consul_token=b"wrong"), "the token is none of those in --http-token-file"),
        (refusal(b"/v1/agent/leave", False), "without --http-token-file other machines may only read"),
    ):
        assert error.status == 403
        assert str(error).startswith(f"Permission denied: {why}")
        assert error.headers == ()


def test_other_clients_are_asked_for_a_password() -> None:
    for path in (b"/eureka/apps/WEB", b"/metrics", b"/v1", b"/v12"):
        error = refusal(path, True)
        assert (error.status, dict(error.headers)["WWW-Authenticate"][:5]) == (401, "Basic")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "fd00::1", "fe80::1%eth0"])
def test_listening_off_loopback_needs_a_token_file_or_open_reads(host: str) -> None:
    with pytest.raises(CannotStart, match="--http-token-file") as refused:
        Doors(tokens=None, open_reads=False, is_open=is_open_untrusted).check_listening(["127.0.0.1", host], 8500)
    assert host in str(refused.value)
    Doors(tokens=None, open_reads=True, is_open=is_open_untrusted).check_listening([host], 8500)
    Doors(tokens=Tokens([TOKEN]), open_reads=False, is_open=is_open_untrusted).check_listening([host], 8500)
    Doors(tokens=None, open_reads=False, is_open=is_open_untrusted).check_listening(
        ["127.0.0.1", "127.0.0.55", "::1"], 8500
    )


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_door_is_on_loopback_where_both_ends_are(family: socket.AddressFamily) -> None:
    with socket.create_server(("::" if family == socket.AF_INET6 else "0.0.0.0", 0), family=family) as listener:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        with socket.create_connection((host, listener.getsockname()[1])), listener.accept()[0] as accepted:
            assert door_of(accepted) == LOOPBACK


# -- through a real gateway --------------------------------------------------------------------------------------------


@pytest.fixture
async def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_bytes(TOKEN + b"\n")
    return path


@pytest.fixture
async def guarded(tmp_path: Path, tokens: Path) -> AsyncIterator[Served]:
    async with running(Served(tmp_path, MemoryNetwork(), "one", token_file=str(tokens))) as served:
        yield served


WEB = {"Name": "web", "Port": 80}


async def test_writes_on_loopback_need_the_token_and_reads_do_not(guarded: Served) -> None:
    client = await guarded.client()
    kept_out = await client.put("/v1/agent/service/register", WEB)
    assert (kept_out.status, guarded.node.catalog.lookup("web")) == (403, ())
    assert kept_out.body.startswith(b"Permission denied: no token")
    carried = {"X_Consul_Token": TOKEN.decode()}
    assert (await client.put("/v1/agent/service/register", WEB, **carried)).status == 200  # the connection goes on
    assert len((await client.get("/v1/health/service/web")).json) == 1
    assert (await client.put("/v1/agent/leave")).status == 403
    assert guarded.left == []


async def test_a_large_body_without_token_is_dropped_and_refused(guarded: Served) -> None:
    client = await guarded.client()
    await client.send(request_bytes("PUT", "/v1/agent/service/register", b"x" * 900_000))
    assert (await client.reply("PUT")).status == 403
    assert (await client.get("/v1/status/leader")).status == 200
    await client.send(request_bytes("PUT", "/v1/agent/service/register", b"x" * 1_100_000)[:2000])
    assert (await client.reply("PUT")).status == 413


async def test_a_unix_socket_needs_no_token(guarded: Served) -> None:
    assert (await (await guarded.local_client()).put("/v1/agent/service/register", WEB)).status == 200


async def test_tokens_are_read_again_and_a_broken_file_changes_nothing(guarded: Served, tokens: Path) -> None:
    client = await guarded.client()
    tokens.write_bytes(b"another-token-instead\n")
    assert guarded.gateway.rereads["http_tokens"]() == {"tokens": 1}
    old, new = {"X_Consul_Token": TOKEN.decode()}, {"Authorization": "Bearer another-token-instead"}
    assert (await client.put("/v1/agent/service/register", WEB, **old)).status == 403
    assert (await client.put("/v1/agent/service/register", WEB, **new)).status == 200
    tokens.write_bytes(b"\n")
    with pytest.raises(CannotStart, match="no token"):
        guarded.gateway.rereads["http_tokens"]()
    assert (await client.put("/v1/agent/service/register", WEB, **new)).status == 200


def test_a_weak_or_exposed_token_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"short\n" + TOKEN)
    os.chmod(tmp_path / "t", 0o644)
    gateway = Served.options(tmp_path, "x", token_file=str(tmp_path / "t")).open()
    exposed, weak = gateway.warnings()
    assert "everybody can read" in exposed
    assert weak.startswith("1 tokens of")
    os.chmod(tmp_path / "t", 0o640)
    (tmp_path / "t").write_bytes(TOKEN)
    gateway.rereads["http_tokens"]()
    assert gateway.warnings() == []
    gateway.close()


async def test_a_read_from_off_loopback_needs_the_token(guarded: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "door_of", lambda _sock: OUTSIDE)  # a test in namespaces has a real one
    client = await guarded.client()
    assert (await client.get("/v1/catalog/nodes")).status == 403
    assert (await client.get("/metrics")).status == 401
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/v1/catalog/nodes", X_Consul_Token=TOKEN.decode())).status == 200
