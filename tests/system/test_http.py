"""The HTTP gateway of real sidecars: at the start, under failures, over a restart, at the end."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from scripts.tools.sidecars import COMMAND, Sidecars
from scripts.tools.wait import BOUND_S, wait_for


def ask(where: str, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """The index, and what is said."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"http://{where}{path}", data, method=method), timeout=BOUND_S) as reply:
        text = reply.read()
        return int(reply.headers.get("X-Consul-Index", 0)), json.loads(text) if text else None


def refused_start(*arguments: str) -> tuple[int, str]:
    """Exit code and the one line of a sidecar that cannot start."""
    ended = subprocess.run([*COMMAND, "join", "--bind", "127.0.0.1:0", *arguments], capture_output=True, text=True,
                           timeout=BOUND_S, check=False)  # fmt: skip
    lines = [line for line in ended.stderr.splitlines() if " info " not in line]
    assert len(lines) == 1, ended.stderr
    return ended.returncode, lines[0]


@pytest.mark.wide
def test_a_gateway_that_cannot_start_is_a_clear_error(tmp_path: Path) -> None:
    path = ("--socket", str(tmp_path / "s"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, line = refused_start(*path, "--http", f"127.0.0.1:{port}")
        assert (code, f"127.0.0.1:{port}" in line, "--http" in line) == (6, True, True)
    code, line = refused_start(*path, "--http", f"unix:{tmp_path}/{'x' * 110}")
    assert (code, "107" in line) == (5, True)
    code, line = refused_start(*path, "--http", f"unix:{tmp_path}/none/h")
    assert (code, "--http" in line) == (5, True)
    code, line = refused_start(*path, "--http", "unix:")  # what is said wrongly is 2, as everywhere
    assert (code, "PATH" in line) == (2, True)
    insecure = "--insecure-http"
    code, line = refused_start(*path, "--http", "192.0.2.1:8500", insecure)  # no address of this machine
    assert (code, "192.0.2.1:8500" in line) == (6, True)
    (tmp_path / "file").write_text("mine")
    code, line = refused_start(*path, "--http", f"unix:{tmp_path}/file")
    assert (code, "is not a socket" in line) == (5, True)
    assert (tmp_path / "file").read_text() == "mine"
    assert refused_start(*path, "--http", "127.0.0.1:99999")[0] == 2


def test_only_a_killed_sidecars_unix_socket_is_taken_over() -> None:
    with Sidecars() as cluster:
        path = cluster.folder / "h"
        cluster.start("one", "--http", f"unix:{path}").wait_ready().kill()
        assert path.is_socket()
        two = cluster.start("two", "--http", f"unix:{path}").wait_ready()
        assert path.stat().st_mode & 0o777 == 0o600
        other = cluster.start("three", "--http", f"unix:{path}", seed=False)
        assert other.process.wait(BOUND_S) == 6
        assert two.end() == 0
        assert not path.exists()


def test_a_gateway_that_fails_begins_anew_beside_the_registry() -> None:
    """Its server's loop is made to fail once, at the first connection."""
    program = """if True:
        import sys
        from gossipreg.gateway.http.server import Server
        serve = Server._serve
        async def fail_once(self):
            Server._serve = serve
            raise RuntimeError("made to fail")
        Server._serve = fail_once
        from gossipreg.cli import main
        sys.exit(main())
    """
    with Sidecars() as cluster:
        one = cluster.start("one", "--http", "127.0.0.1:0", command=[sys.executable, "-c", program]).wait_ready()
        one.call("register", name="web", port=80)
        assert one.lookup("web")
        one.wait_logged("made to fail")
        assert ask(one.ready["http"], "/v1/catalog/services")[1] == {"web": []}
        assert one.call("info")["counters"]["bug.gateway_http"] == 1
        assert one.end() == 0


def _without_indexes(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_indexes(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_indexes(one) for key, one in value.items() if key not in ("CreateIndex", "ModifyIndex")}
    return value


def test_indexes_and_registrations_go_on_over_a_restart() -> None:
    with Sidecars() as cluster:
        data = str(cluster.folder / "data")
        one = cluster.start("one", "--http", "127.0.0.1:0", "--data-dir", data).wait_ready()
        where = one.ready["http"]
        body = {"Name": "web", "Port": 80, "Check": {"TTL": "1h", "Status": "passing", "Name": "beat", "Notes": "a,b"}}
        ask(where, "/v1/agent/service/register", "PUT", body)
        index, found = ask(where, "/v1/health/service/web?passing")
        one.kill()
        again = cluster.start("one", "--http", where, "--data-dir", data).wait_ready()
        later, shown = ask(where, f"/v1/health/service/web?passing&index={index}&wait=5m")  # answered at once
        assert later > index
        assert _without_indexes(shown) == _without_indexes(found)  # a new run of the sidecar has its own
        assert shown[0]["Service"]["ModifyIndex"] > found[0]["Service"]["ModifyIndex"]
        assert ask(where, "/v1/agent/checks")[1]["service:web"]["Notes"] == "a,b"
        ask(where, "/v1/agent/leave", "PUT")
        assert again.process.wait(BOUND_S) == 0


def test_one_sidecars_services_are_served_by_all() -> None:
    with Sidecars() as cluster:
        one = cluster.start("one", "--http", "127.0.0.1:0").wait_ready()
        two = cluster.start("two", "--http", "127.0.0.1:0").wait_ready()
        ask(two.ready["http"], "/v1/agent/service/register", "PUT", {"Name": "web", "Port": 80})
        wait_for(lambda: ask(one.ready["http"], "/v1/health/service/web")[1] != [])
        index, _ = ask(one.ready["http"], "/v1/health/service/web?passing")
        two.kill()
        assert ask(one.ready["http"], f"/v1/health/service/web?passing&index={index}&wait=30s")[1] == []


def test_thousands_of_idle_connections_lock_out_nobody() -> None:
    from scripts.tools.machine import usage

    with Sidecars() as cluster:
        one = cluster.start("one", "--http", "127.0.0.1:0").wait_ready()
        host, _, port = one.ready["http"].rpartition(":")
        ask(one.ready["http"], "/v1/status/leader")
        before = usage(one)["memory_kib"]
        socks = [socket.create_connection((host, int(port))) for _ in range(900)]
        try:
            wait_for(lambda: _connections(one.ready["http"]) >= 900)
            assert (usage(one)["memory_kib"] - before) / 900 < 6
            assert one.lookup("web") == []
        finally:
            for sock in socks:
                sock.close()
        wait_for(lambda: _connections(one.ready["http"]) < 10)


def _connections(where: str) -> int:
    with urlopen(f"http://{where}/metrics", timeout=BOUND_S) as reply:
        found = re.search(r"gossipreg_http_connections (\d+)", reply.read().decode())
    assert found is not None
    return int(found[1])
