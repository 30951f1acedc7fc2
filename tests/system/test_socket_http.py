"""Real programs at a real sidecar's local socket: Python's http.client, curl, Node.js, and thousands of watchers."""

import http.client
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gossipreg import Client
from gossipreg.net.descriptors import WANTED, for_local_clients, raise_descriptors
from scripts.tools.machine import private_dirty_kib
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for

CURL, NODE = shutil.which("curl"), shutil.which("node")
WATCHERS, A_PROCESS = 2000, 100
PROGRAM = """if True:
    import select, socket, sys
    from gossipreg.wire.rpc import Decoder, encode_request

    path, number = sys.argv[1], int(sys.argv[2])
    streams = {}
    for _ in range(number):
        one = socket.socket(socket.AF_UNIX)
        one.connect(path)
        one.sendall(encode_request(1, "watch", {"name": "web"}))
        streams[one] = Decoder(1 << 26)
    waiting = {kind: set(streams) for kind in ("current", "updated")}
    for kind in waiting:
        while waiting[kind]:
            for one in select.select(list(streams), [], [])[0]:
                for message in streams[one].feed_untrusted(one.recv(65536)):
                    if message[0] == "notification":
                        waiting[message[2]["change"]["kind"]].discard(one)
        print(kind, flush=True)
    sys.stdin.read()
"""


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("sidecar", timeout=BOUND_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(BOUND_S)
        self.sock.connect(self._path)

    def post(self, method: str, params: dict[str, Any], **headers: str) -> http.client.HTTPResponse:
        self.request("POST", f"/rpc/{method}", json.dumps(params), headers)
        return self.getresponse()

    def call(self, method: str, params: dict[str, Any]) -> Any:
        response = self.post(method, params)
        return json.loads(response.read())


@pytest.fixture
def sidecar(cluster: Sidecars) -> Sidecar:
    return cluster.start("n0").wait_ready()


def test_pythons_http_client_calls_on_one_connection(sidecar: Sidecar) -> None:
    with closing(UnixHttp(sidecar.socket)) as client:
        assert client.call("register", {"name": "web", "port": 80})["id"] == "web-80"
        first = client.sock
        assert [one["id"] for one in client.call("lookup", {"name": "web"})] == ["web-80"]
        assert client.call("lookup", {})["error"]["code"] == "bad_params"
        assert client.call("info", {})["id"] == sidecar.id
        assert client.sock is first


def test_a_stream_ends_unfinished_when_the_sidecar_is_killed(sidecar: Sidecar) -> None:
    with closing(UnixHttp(sidecar.socket)) as client, client.post("watch", {}) as response:
        assert json.loads(response.readline()) == {"result": {"watch": 1}}
        assert json.loads(response.readline())["params"]["change"]["kind"] == "current"
        sidecar.kill()
        with pytest.raises(http.client.IncompleteRead):
            response.read()


def test_a_service_goes_with_the_stream_that_holds_it(sidecar: Sidecar) -> None:
    holder = UnixHttp(sidecar.socket)
    response = holder.post("register", {"name": "web", "port": 80, "attach": True}, Accept="application/x-ndjson")
    assert json.loads(response.readline())["result"]["id"] == "web-80"
    assert sidecar.lookup("web") == ["127.0.0.1:80"]
    response.close()
    holder.close()
    wait_for(lambda: sidecar.lookup("web") == [])


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_curl_reads_and_follows(sidecar: Sidecar) -> None:
    assert CURL is not None
    command = [CURL, "-sS", "-N", "--unix-socket", str(sidecar.socket)]
    asked = subprocess.run(
        [*command, "http://x/rpc/lookup", "-d", '{"name":"web"}'], capture_output=True, timeout=BOUND_S
    )
    assert json.loads(asked.stdout) == []
    with subprocess.Popen(
        [*command, "http://x/rpc/watch", "-d", '{"name":"web"}'], stdout=subprocess.PIPE
    ) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline()) == {"result": {"watch": 1}}
        following.stdout.readline()
        sidecar.call("register", name="web", port=80)
        assert json.loads(following.stdout.readline())["params"]["change"]["kind"] == "added"
        assert sidecar.end() == 0
        assert json.loads(following.stdout.read())["params"]["change"]["kind"] == "removed"
        assert following.wait(BOUND_S) == 18  # a transfer without its end


def test_events_come_for_as_long_as_the_body_is_open(cluster: Sidecars, tmp_path: Path) -> None:
    one = cluster.start("m0", "--data-dir", str(tmp_path / "data")).wait_ready()
    wait_for(lambda: one.call("info")["synced"])
    with socket.socket(socket.AF_UNIX) as stream, stream.makefile("rb") as answer:
        stream.settimeout(BOUND_S)
        stream.connect(str(one.socket))

        def add(line: bytes) -> None:
            stream.sendall(b"%x\r\n%b\r\n" % (len(line) + 1, line + b"\n"))

        def line() -> Any:
            while not (found := answer.readline()).startswith(b"{"):
                assert found, "the stream has ended"
            return json.loads(found)

        head = "POST /rpc/subscribe HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
        stream.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        add(b'{"pattern": "order.*", "group": "mail", "window": 1}')
        assert line()["result"]["subscription"]
        for number in (1, 2):
            one.call("publish", type="order.paid", id=f"e{number}")
            given = line()["params"]
            assert given["event"]["id"] == f"e{number}"
            add(b'{"method": "ack", "params": {"delivery": %d}}' % given["delivery"])
            assert line() == {"result": {"known": 1}}
        stream.sendall(b"0\r\n\r\n")
        assert "the body of the request has ended" in line()["error"]["message"]
    wait_for(lambda: one.call("events-groups")["groups"][0]["instances"] == 0)


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_node_registers_and_watches_over_http(sidecar: Sidecar) -> None:
    assert NODE is not None
    program = Path(__file__).with_name("socket_client.mjs")
    ended = subprocess.run([NODE, program, sidecar.socket], capture_output=True, text=True, timeout=BOUND_S)
    assert ended.returncode == 0, ended.stderr
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert told[0] == {"result": {"watches": [1, 2]}}
    assert (told[1]["method"], told[1]["params"]["knowledge"]) == ("state", "synced")
    assert [one["id"] for one in told[2]["params"]["change"]["instances"]] == ["held-80"]
    assert told[-1]["status"] == 400
    changes = [line["params"]["change"] for line in told if line.get("method") == "watch"]
    assert (changes[-1]["kind"], changes[-1]["instance"]["weight"]) == ("added", 7)
    assert isinstance(changes[-1]["instance"]["version"][0], str)
    wait_for(lambda: [one["id"] for one in sidecar.call("lookup", name="held")] == ["second"])


@contextmanager
def watchers(sidecar: Sidecar, processes: int, each: int) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", PROGRAM, str(sidecar.socket), str(each)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        yield started
    finally:
        for one in started:
            one.kill()
            one.communicate()


@pytest.mark.skipif(raise_descriptors() < WANTED // 4, reason="the system allows too few open files")
def test_two_thousand_watchers_get_each_change(sidecar: Sidecar) -> None:
    sidecar.call("register", name="web", port=80)
    with watchers(sidecar, 1, 1) as [warm]:
        assert warm.stdout is not None
        assert warm.stdout.readline() == "current\n"
    os.sync()
    before = private_dirty_kib(sidecar.process.pid)
    with watchers(sidecar, WATCHERS // A_PROCESS, A_PROCESS) as started:
        for kind in ("current", "updated"):
            for one in started:
                assert one.stdout is not None
                assert one.stdout.readline() == f"{kind}\n"
            if kind == "current":
                with Client(str(sidecar.socket)) as client:
                    assert client.call("info")["counters"]["watches"] == WATCHERS
                    client.call("register", name="web", port=80, weight=2)
        os.sync()
        assert (private_dirty_kib(sidecar.process.pid) - before) / WATCHERS < 16
    wait_for(lambda: sidecar.call("info")["counters"]["watches"] == 0)
    assert not [name for name in sidecar.call("info")["counters"] if name.startswith(("bug.", "drop.client"))]


def test_a_low_limit_of_open_files_is_raised_at_the_start(cluster: Sidecars) -> None:
    command = ["bash", "-c", 'ulimit -S -n 128 && exec "$@"', "bash", *COMMAND]
    sidecar = cluster.start("n0", "--log-level", "debug", command=command).wait_ready()
    [line] = [line for line in sidecar.log.read_text().splitlines() if " open_files " in line]
    limit = min(WANTED, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert f"limit={limit} clients={for_local_clients(limit)} " in line
    with watchers(sidecar, 3, 100) as started:
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == "current\n"
