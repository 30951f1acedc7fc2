"""`gossipreg call`: real servers behind real sidecars, some of which fail, and what a person gets to see."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli.call import _body_in_json
from gossipreg.cli.http_exchange import BODY_MAX_BYTES
from scripts.tools.programs import free_port
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S
from tests.daemon.checks.test_runners import self_signed
from tests.test_loaded_modules import HEAVY


class Answering(BaseHTTPRequestHandler):
    """Answers with the status of its server, and with what it was asked; notes each request."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        server.asked.append((self.command, self.path, dict(self.headers), body))
        if server.status is None:
            self.close_connection = True
            return
        text = json.dumps({"method": self.command, "path": self.path, "body": body.decode()}).encode()
        text += bytes(server.padding)
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(text)))
        if server.location is not None:
            self.send_header("Location", server.location)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):  # a reader that has enough closes
                self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@contextmanager
def server(status: int | None, *, location: str | None = None, padding: int = 0) -> Iterator[Any]:
    """A server that answers with this status; None: it closes the connection instead. `padding` bytes end the body."""
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    made.status, made.asked, made.location, made.padding = status, [], location, padding
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


@pytest.fixture(scope="module")
def sidecar() -> Iterator[Sidecar]:
    with Sidecars() as cluster:
        yield cluster.start("n0").wait_ready()


def call(sidecar: Sidecar, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--socket", str(sidecar.socket), "call", *arguments]
    return subprocess.run(command, input=input, capture_output=True, text=True, timeout=2 * BOUND_S)


def register(sidecar: Sidecar, name: str, *servers: Any) -> None:
    for one in servers:
        port = one if isinstance(one, int) else one.server_address[1]
        sidecar.call("register", name=name, port=port, address="127.0.0.1")


def test_a_call_prints_the_body_of_the_response(sidecar: Sidecar) -> None:
    with server(200) as one:
        register(sidecar, "plain", one)
        ended = call(sidecar, "plain", "/a?b=c")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert json.loads(ended.stdout) == {"method": "GET", "path": "/a?b=c", "body": ""}
        [(_, _, headers, _)] = one.asked
        assert headers["Host"] == "plain.service"
        assert 0 < int(headers["Gossipreg-Timeout-Ms"]) <= 10_000


def test_data_makes_a_post_and_json_says_all(sidecar: Sidecar) -> None:
    with server(200) as one:
        register(sidecar, "posted", one)
        ended = call(sidecar, "posted", "/", "--data", "@-", "--header", "X-Of: me", "--json", input="a body")
        assert ended.returncode == 0
        told = json.loads(ended.stdout)
        assert (told["status"], told["attempts"]) == (200, [f"127.0.0.1:{one.server_address[1]}"])
        assert json.loads(told["body"]) == {"method": "POST", "path": "/", "body": "a body"}
        assert one.asked[0][2]["X-Of"] == "me"


def test_a_get_that_fails_is_sent_to_another_instance(sidecar: Sidecar) -> None:
    with server(503) as failing, server(None) as closing, server(200) as good:
        register(sidecar, "mixed", failing, closing, good)
        for _ in range(5):
            ended = call(sidecar, "mixed", "/")
            assert ended.returncode == 0, ended.stderr
            assert len(ended.stderr.splitlines()) <= 2
        assert len(good.asked) == 5
        retries = [headers["Gossipreg-Attempt"] for _, _, headers, _ in good.asked if "Gossipreg-Attempt" in headers]
        assert len(failing.asked) + len(closing.asked) >= len(retries)


def test_a_post_is_sent_again_only_if_nothing_was_sent(sidecar: Sidecar) -> None:
    with server(503) as failing:
        register(sidecar, "once", failing)
        ended = call(sidecar, "once", "/", "--data", "x")
        assert (ended.returncode, len(failing.asked)) == (1, 1)
        assert "status 503" in ended.stderr
    with server(200) as good:
        register(sidecar, "refusing", free_port(), good)
        for _ in range(4):
            assert call(sidecar, "refusing", "/", "--data", "x").returncode == 0
        assert len(good.asked) == 4


def test_a_status_from_400_is_exit_1_with_its_body(sidecar: Sidecar) -> None:
    with server(404) as one:
        register(sidecar, "missing", one)
        ended = call(sidecar, "missing", "/")
        assert ended.returncode == 1
        assert json.loads(ended.stdout)["path"] == "/"
        assert "status 404" in ended.stderr
        assert len(one.asked) == 1


def test_a_redirect_is_told_and_not_followed(sidecar: Sidecar) -> None:
    with server(302, location="http://elsewhere.example/b") as one, server(304) as unchanged:
        register(sidecar, "moved", one)
        ended = call(sidecar, "moved", "/a")
        address = f"127.0.0.1:{one.server_address[1]}"
        line = f"{address} of {sidecar.name}: status 302, Location: http://elsewhere.example/b (not followed)\n"
        assert (ended.returncode, ended.stderr) == (0, line)
        assert json.loads(ended.stdout)["path"] == "/a"
        assert [path for _, path, *_ in one.asked] == ["/a"]
        register(sidecar, "unchanged", unchanged)
        assert call(sidecar, "unchanged", "/").stderr.endswith(f" of {sidecar.name}: status 304\n")


def test_a_response_that_is_too_large_is_not_asked_for_again(sidecar: Sidecar) -> None:
    with server(200, padding=BODY_MAX_BYTES) as one, server(200, padding=BODY_MAX_BYTES) as other:
        register(sidecar, "large", one, other)
        ended = call(sidecar, "large", "/", "--timeout", "60s")
        assert (ended.returncode, ended.stdout) == (1, "")
        [line] = ended.stderr.splitlines()
        assert line.endswith(f" of {sidecar.name}: the response passes 64 MiB: ask for less at a time")
        assert len(one.asked) + len(other.asked) == 1


def test_no_instance_that_answers_is_exit_1_with_the_reason(sidecar: Sidecar) -> None:
    register(sidecar, "nobody", free_port())
    ended = call(sidecar, "nobody", "/", "--timeout", "5s")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no instance of nobody answered" in ended.stderr
    ended = call(sidecar, "unknown", "/")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no passing instance of unknown: no service of this name is known" in ended.stderr


def test_a_call_over_tls_wants_the_name_of_the_service(sidecar: Sidecar, tmp_path: Path) -> None:
    with server(200) as one:
        one.socket = self_signed(tmp_path, "billing.example").wrap_socket(one.socket, server_side=True)
        port = one.server_address[1]
        trust = ("--https", "--ca-file", str(tmp_path / "pem"))
        sidecar.call("register", name="tls", port=port, address="127.0.0.1")
        ended = call(sidecar, "tls", "/", "--data", "x", *trust)
        assert (ended.returncode, one.asked) == (1, [])
        assert "no TLS for tls" in ended.stderr
        sidecar.call("register", name="tls", port=port, address="127.0.0.1", meta={"tls_name": "billing.example"})
        assert call(sidecar, "tls", "/", "--data", "x", *trust).returncode == 0
        assert len(one.asked) == 1


def test_a_call_loads_no_more_than_other_commands(sidecar: Sidecar) -> None:
    program = (
        "import sys; from gossipreg.cli.commands import run; code = run(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    with server(200) as one:
        register(sidecar, "light", one)
        line = [sys.executable, "-c", program, "--socket", str(sidecar.socket), "call", "light", "/"]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=BOUND_S)
    assert ended.returncode == 0, ended.stderr
    loaded = ended.stderr.splitlines()[-1].split()
    assert "h11" in loaded
    assert [name for name in loaded if HEAVY.match(name)] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("a", "path"), ("a", "/a b"), ("a", "/a#b"),
        ("a", "/", "-X", ""), ("a", "/", "-X", "G T"), ("a", "/", "-d", "@/dev/zero"),
        ("a", "/", "--ca-file", __file__), ("a", "/", "--https", "--ca-file", __file__),
        ("a", "/", "--header", "x"), ("a", "/", "-H", "a b:x"), ("a", "/", "-H", "Host:x"), ("a", "/", "-d", "@/none"),
    ],
)  # fmt: skip
def test_a_malformed_call_is_wrong_usage(sidecar: Sidecar, arguments: tuple[str, ...]) -> None:
    ended = call(sidecar, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")


def test_every_token_is_a_method_and_the_name_of_a_header(sidecar: Sidecar) -> None:
    with server(200) as one:
        register(sidecar, "token", one)
        assert "status 501" in call(sidecar, "token", "/", "-X", "M-SEARCH").stderr  # of this server: it got the method
        assert call(sidecar, "token", "/", "-H", "X.A:1").returncode == 0
        assert one.asked[0][2]["X.A"] == "1"


def test_with_json_a_call_that_fails_is_an_object(sidecar: Sidecar) -> None:
    register(sidecar, "nobody-json", free_port())
    for name, code in (("nobody-json", "no_answer"), ("unknown", "no_instance")):
        ended = call(sidecar, name, "/", "--json", "--timeout", "5s")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert json.loads(ended.stderr)["error"]["code"] == code


def test_a_body_that_is_no_text_is_whole_in_json() -> None:
    assert _body_in_json("ä".encode()) == {"body": "ä"}
    assert _body_in_json(b"\xff\x00") == {"body_base64": "/wA="}


def test_the_timeout_bounds_the_wait_for_the_sidecar(cluster: Sidecars) -> None:
    alone = cluster.start("n0").wait_ready()
    alone.stop()
    try:
        ended = call(alone, "a", "/", "--timeout", "200ms")
    finally:
        alone.resume()
    assert ended.returncode == 3
    assert "did not answer state within 0.2 s" in ended.stderr


def test_a_call_before_the_sync_is_exit_4(cluster: Sidecars) -> None:
    alone = cluster.start("n0", "--seed", f"127.0.0.1:{free_port()}").wait_ready()
    ended = call(alone, "a", "/", "--timeout", "1s")
    assert (ended.returncode, ended.stdout) == (4, "")


def test_a_call_without_a_sidecar_is_exit_3(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gossipreg.cli", "--socket", str(tmp_path / "s"), "call", "a", "/"],
        capture_output=True, text=True, timeout=BOUND_S,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (3, "")
