"""The bootstraps that `gossipreg xds bootstrap` prints work: for a real gRPC client, and for a real Envoy."""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from scripts.checks.mesh.envoy_front import ENVOY as FETCHED
from scripts.tools.programs import free_port
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.grpc_programs import child

ENVOY = shutil.which("envoy", path=f"{FETCHED.parent}:{os.environ['PATH']}")
needs_envoy = pytest.mark.skipif(ENVOY is None, reason="no envoy here: scripts/check --mesh and --wide fetch it")


def printed(sidecar: Sidecar, *arguments: str) -> str:
    line = [*COMMAND, "--socket", str(sidecar.socket), "xds", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=BOUND_S, check=True).stdout


def shown(sidecar: Sidecar, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(sidecar, "show", "--json", *arguments))
    return found


def acked(sidecar: Sidecar, client: str) -> dict[str, bool]:
    """Whether each type of this client is acknowledged in its newest version."""
    [one] = shown(sidecar, "--client", client)
    return {of_type["type"]: of_type["sent"] == of_type["acked"] for of_type in one["types"]}


@pytest.mark.parametrize("unix", [False, True])
def test_a_grpc_client_with_the_printed_bootstrap_calls_and_is_shown(unix: bool) -> None:
    with Sidecars() as cluster, child("serve", "a") as servers:
        where = f"unix:{cluster.folder}/xds" if unix else "127.0.0.1:0"
        one = cluster.start("one", "--xds", where, "--zone", "east").wait_ready()
        one.call("register", name="web", id="a", address="127.0.0.1", port=servers.read()["a"])
        bootstrap = printed(one, "bootstrap", "--node-id", "shop-1")
        with child("ask", "xds:///web", GRPC_XDS_BOOTSTRAP_CONFIG=bootstrap) as calls:
            assert calls.answers() == {"a"}
            wait_for(lambda: acked(one, "shop-1") == dict.fromkeys(("listener", "cluster", "endpoints"), True))
            [client] = shown(one, "web")
            assert (client["id"], client["zone"], client["kind"], client["form"]) == (
                *("shop-1", "east"),
                *("grpc-core", "sotw"),
            )
            assert "Python" in client["version"]
            assert "shop-1" in printed(one, "show")
            assert shown(one, "nobody") == []
        wait_for(lambda: shown(one) == [])
        assert one.end() == 0


class Web:
    """A web server that answers with a name."""

    def __init__(self, name: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Envoy:
    def __init__(self, port: int, admin: int) -> None:
        self._port, self._admin = port, admin

    def get(self, host: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=BOUND_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except urllib.error.URLError:
            return 0, ""

    def stat(self, name: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin}/stats?filter=^{name}$", timeout=BOUND_S) as answer:
            text = answer.read().decode()
        return int(text.rpartition(":")[2] or 0)

    def has_reached(self, name: str, value: int) -> bool:
        return self.stat(name) >= value


@contextmanager
def envoy(sidecar: Sidecar, folder: Path, port: int, *flags: str) -> Iterator[Envoy]:
    admin = free_port()
    config = folder / ("envoy.yaml" if "--yaml" in flags else "envoy.json")
    config.write_text(printed(sidecar, "bootstrap", "--envoy", "--node-id", "edge", "--admin-port", str(admin), *flags))
    assert ENVOY is not None
    line = [ENVOY, "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1"]
    with (folder / "log").open("ab") as log, subprocess.Popen(line, stdout=log, stderr=log) as process:
        try:
            yield Envoy(port, admin)
        finally:
            process.terminate()
            try:
                process.wait(BOUND_S)
            finally:
                process.kill()


@contextmanager
def fronted(folder: Path, *flags: str) -> Iterator[tuple[Sidecar, Envoy, Path, Web]]:
    """A sidecar with a policy file, a service `web`, and an Envoy in front of it."""
    port, web = free_port(), Web(b"a")
    policy = folder / "policy.toml"
    listen = f"[listen]\nport = {port}\n"
    policy.write_text(listen)
    try:
        with Sidecars() as cluster:
            one = cluster.start("one", "--xds", "127.0.0.1:0", "--zone", "z1", "--xds-policy", str(policy)).wait_ready()
            one.call("register", name="web", id="a", address="127.0.0.1", port=web.port)
            with envoy(one, folder, port, *flags) as front:
                wait_for(lambda: front.get("web") == (200, "a"))
                yield one, front, policy, web
            assert one.end() == 0
    finally:
        web.close()


FORMS = pytest.mark.parametrize("flags", [(), ("--delta",), ("--yaml", "--delta")], ids=" ".join)


@pytest.mark.wide
@needs_envoy
@FORMS
def test_envoy_takes_the_printed_bootstrap_and_follows(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with fronted(tmp_path, *flags) as (one, front, _, web):
        assert front.get("nobody")[0] == 404
        one.call("register", name="api", id="b", address="127.0.0.1", port=web.port)
        wait_for(lambda: front.get("api") == (200, "a"))
        one.call("deregister", id="a")
        wait_for(lambda: front.get("web")[0] == 503)
        one.call("register", name="web", id="a", address="127.0.0.1", port=web.port)
        wait_for(lambda: front.get("web") == (200, "a"))
        wait_for(lambda: acked(one, "edge") == dict.fromkeys(("cluster", "endpoints", "listener", "route"), True))
        assert shown(one)[0]["version"].startswith("1.")


@pytest.mark.wide
@needs_envoy
@FORMS
def test_envoy_puts_a_changed_cluster_to_use_and_fails_no_call(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """It waits 15 s for endpoints that nobody sends; here they come with the cluster."""
    with fronted(tmp_path, *flags) as (one, front, policy, _):
        unlimited = policy.read_text()
        before = front.stat("cluster_manager.cds.update_success")
        for attempt in range(1, 6):
            policy.write_text(f"{unlimited}[service.web.limits]\nconnections = {attempt}00\n")
            one.call("reload")
            wait_for(partial(front.has_reached, "cluster_manager.cds.update_success", before + attempt))
            assert {front.get("web") for _ in range(10)} == {(200, "a")}
        wait_for(lambda: front.stat("cluster_manager.warming_clusters") == 0)
        assert front.stat("cluster.web.init_fetch_timeout") == 0
        assert front.stat("cluster_manager.cds.update_rejected") == 0
