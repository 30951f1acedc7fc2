"""Services as users register them: with checks, from a file, for as long as a program runs."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for


def cli(sidecar: Sidecar, *arguments: str, code: int = 0) -> str:
    ended = subprocess.run(
        [*COMMAND, "--socket", str(sidecar.socket), *arguments], capture_output=True, text=True, timeout=BOUND_S
    )
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture
def web() -> Iterator[ThreadingHTTPServer]:
    """A server whose health can be set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(b"queue is long")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_failing_check_takes_a_service_out_everywhere(cluster: Sidecars, web: ThreadingHTTPServer) -> None:
    one = cluster.start("one").wait_ready()
    two = cluster.start("two").wait_ready()
    port = web.server_address[1]
    check = f"http://127.0.0.1:{port}/health,interval=100ms,timeout=10s,fails=2"
    cli(one, "register", "web", "--port", str(port), "--address", "127.0.0.1", "--check", check)
    cli(two, "wait", "web", "--timeout", "30s")
    web.status = 503  # type: ignore[attr-defined]
    wait_for(lambda: two.lookup("web") == [])
    assert f"127.0.0.1:{port} critical  {check}: HTTP 503 Service Unavailable queue is long" in cli(
        one, "lookup", "web", "--all"
    )
    assert cli(two, "lookup", "web", "--all") == f"127.0.0.1:{port} critical  registered at one\n"
    assert one.call("info")["failing_checks"][0]["service"] == f"web-{port}"
    assert "queue is long" in cli(one, "info")
    web.status = 200  # type: ignore[attr-defined]
    wait_for(lambda: len(two.lookup("web")) == 1)
    one.wait_logged("service_health", 3)
    assert "before=passing" in one.log.read_text()


def test_a_ttl_is_answered_by_heartbeats(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    cli(one, "register", "job", "--port", "9", "--check", "ttl:1h")
    assert one.lookup("job") == []
    cli(one, "heartbeat", "job-9", "--note", "half way")
    assert len(one.lookup("job")) == 1
    cli(one, "heartbeat", "job-9", "--status", "critical", "--note", "stuck")
    assert "stuck" in cli(one, "lookup", "job", "--all")
    assert "nobody" in cli(one, "heartbeat", "nobody", code=4)


def test_sighup_follows_the_services_file_unless_it_is_bad(cluster: Sidecars) -> None:
    file = cluster.folder / "services.toml"
    file.write_text('[[service]]\nname = "a"\nport = 1\n[[service]]\nname = "b"\nport = 2\n')
    one = cluster.start("one", "--services", str(file)).wait_ready()
    assert (len(one.lookup("a")), len(one.lookup("b"))) == (1, 1)
    file.write_text('[[service]]\nname = "a"\nport = 3\n[[service]]\nname = "c"\nport = 4\n')
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(one.lookup("c")) == 1)
    assert [address.rpartition(":")[2] for address in one.lookup("a")] == ["3"]
    assert one.lookup("b") == []
    file.write_text("[[service]]\nport = 1")
    one.process.send_signal(signal.SIGHUP)
    one.wait_logged("services_not_read")
    assert len(one.lookup("c")) == 1


def test_a_bad_services_file_stops_the_start_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "services.toml"
    file.write_bytes(b"name = '\xff'")
    ended = subprocess.run(
        [*COMMAND, "join", "--services", str(file), "--socket", str(tmp_path / "s"), "--bind", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=BOUND_S,
    )  # fmt: skip
    assert ended.returncode == 5
    assert ended.stderr == f"Error: --services {file}: not UTF-8 at byte 8\n"


def start_cli(sidecar: Sidecar, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "--socket", str(sidecar.socket), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_an_attached_service_lives_as_long_as_its_process(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    client = start_cli(one, "register", "web", "--port", "80", "--attach")
    try:
        wait_for(lambda: len(one.lookup("web")) == 1)
        one.kill()
        one = cluster.start("one").wait_ready()
        wait_for(lambda: len(one.lookup("web")) == 1)
    finally:
        client.kill()
        client.communicate()
    wait_for(lambda: one.lookup("web") == [])


@pytest.mark.parametrize("how", ["deregister", "register"])
def test_an_attached_client_ends_when_another_takes_its_service(cluster: Sidecars, how: str) -> None:
    one = cluster.start("one").wait_ready()
    client = start_cli(one, "register", "web", "--port", "80", "--attach")
    wait_for(lambda: len(one.lookup("web")) == 1)
    cli(one, *(["deregister", "web-80"] if how == "deregister" else ["register", "web", "--port", "80"]))
    _, said = client.communicate(timeout=BOUND_S)
    assert client.returncode == 1
    assert said.startswith(
        "web-80 was deregistered" if how == "deregister" else "web-80 was registered again by another program"
    )
    assert len(one.lookup("web")) == int(how == "register")
