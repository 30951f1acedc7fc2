"""HAProxy finds its servers by SRV: a backend that was killed gets no requests once its death is known."""

import shutil
import socket
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S, wait_for

HAPROXY = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
CONFIG = """
global
  stats socket {folder}/stats
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
resolvers sidecar
  nameserver one {dns}
  accepted_payload_size 4096
  hold obsolete 0s
  hold nx 0s
  timeout resolve 100ms
  timeout retry 100ms
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server-template web 4 _web._tcp.service.consul resolvers sidecar resolve-prefer ipv4 init-addr none
"""


class Backend(ThreadingHTTPServer):
    def __init__(self, said: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def servers_up(stats: Path) -> int:
    """How many HAProxy sends requests to: those with an address and the state 2 (running)."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(BOUND_S)
        client.connect(str(stats))
        client.sendall(b"show servers state back\n")
        said = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    lines = [line.split() for line in said.splitlines() if line[:1].isdigit() and " " in line]
    return sum(line[4] != "-" and line[5] == "2" for line in lines)


def ask(port: int, times: int) -> Counter[bytes]:
    return Counter(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=BOUND_S).read() for _ in range(times))


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed (Debian: haproxy)")
def test_a_backend_known_to_be_dead_gets_no_requests(stack: ExitStack) -> None:
    cluster = stack.enter_context(Sidecars())
    gate = cluster.start("gate", "--dns", "127.0.0.1:0").wait_ready()
    for name in ("a", "b"):
        backend = stack.enter_context(Backend(name.encode()))
        stack.callback(backend.shutdown)
        given = ["--service", "web", "--port", str(backend.server_address[1]), "--address", "127.0.0.1"]
        cluster.start(name, *given).wait_ready()
    wait_for(lambda: len(gate.lookup("web")) == 2)
    port = free_port()
    config = cluster.folder / "haproxy.cfg"
    config.write_text(CONFIG.format(folder=cluster.folder, dns=gate.ready["dns"], port=port))
    log = stack.enter_context((cluster.folder / "haproxy.log").open("wb"))
    assert HAPROXY is not None
    process = subprocess.Popen([HAPROXY, "-db", "-f", str(config)], stdout=log, stderr=log)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    stats = cluster.folder / "stats"
    wait_for(lambda: stats.exists() and servers_up(stats) == 2)
    assert ask(port, 20) == {b"a": 10, b"b": 10}
    cluster.all[1].kill()
    wait_for(lambda: len(gate.lookup("web")) == 1)
    wait_for(lambda: servers_up(stats) == 1)
    assert ask(port, 20) == {b"b": 20}
