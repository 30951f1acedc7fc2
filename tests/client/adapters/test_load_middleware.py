"""ASGI and WSGI servers tell their load, and hand on how long their caller waits. Real servers: uvicorn, gunicorn."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from gossipreg.client.adapters.exchange import Adapter, Exchange
from gossipreg.client.adapters.options import AdapterOptions
from gossipreg.client.incoming import INCOMING, NOT_SERVING, IncomingRequest
from gossipreg.client.load_middleware import LoadASGI, LoadWSGI
from gossipreg.client.registry import Registry
from gossipreg.errors import DeadlineExceeded

ROOT = Path(__file__).parents[3]
BOUND_S = 60.0

ASGI = """
import json
from gossipreg.client.incoming import INCOMING
from gossipreg.client.load_middleware import LoadASGI

async def served(scope, receive, send):
    assert scope["type"] == "http", scope
    depth, deadline = INCOMING.get()
    body = json.dumps({"depth": depth, "bounded": deadline is not None}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

app = LoadASGI(served)
"""
WSGI = """
import json
from gossipreg.client.incoming import INCOMING
from gossipreg.client.load_middleware import LoadWSGI

def served(environ, start_response):
    depth, deadline = INCOMING.get()
    body = json.dumps({"depth": depth, "bounded": deadline is not None}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

app = LoadWSGI(served)
"""


@contextmanager
def server(command: list[str], folder: Path, program: str) -> Iterator[str]:
    """A server of the module `served`, listening on an inherited socket; gives its URL."""
    (folder / "served.py").write_text(program)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        line = [sys.executable, "-m", *(part.format(fd=fd) for part in command)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "HOME": str(folder)}
        # gunicorn keeps a socket in HOME
        running = subprocess.Popen(line, pass_fds=[fd], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        running.terminate()
        assert running.wait(BOUND_S) in (0, -15)


def ask(url: str, **headers: str) -> tuple[str, dict[str, Any]]:
    """The load header and the body of an answer."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): text for name, text in headers.items()})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=BOUND_S) as answer:
        return answer.headers["gossipreg-load"], json.load(answer)


@pytest.mark.parametrize(
    ("module", "command", "program"),
    [
        ("uvicorn", ["uvicorn", "--fd", "{fd}", "--lifespan", "off", "served:app"], ASGI),
        ("gunicorn", ["gunicorn", "--bind", "fd://{fd}", "--worker-class", "gthread", "served:app"], WSGI),
        ("gunicorn", ["gunicorn", "--bind", "fd://{fd}", "--preload", "--workers", "2", "served:app"], WSGI),
    ],
    ids=["uvicorn", "gunicorn-gthread", "gunicorn-preload"],
)
def test_a_server_tells_its_load(module: str, command: list[str], program: str, tmp_path: Path) -> None:
    pytest.importorskip(module)
    with server(command, tmp_path, program) as url:
        for _ in range(5):
            assert ask(url) == ("in_flight=1", {"depth": 1, "bounded": False})
        assert ask(url, Gossipreg_Attempt="2", Gossipreg_Timeout_Ms="500")[1] == {"depth": 2, "bounded": True}
        assert ask(url, Gossipreg_Attempt="x", Gossipreg_Timeout_Ms="-1")[1] == {"depth": 1, "bounded": False}


def test_requests_of_one_process_are_counted_together() -> None:
    async def test() -> None:
        all_there, go = asyncio.Event(), asyncio.Event()
        loads: list[bytes] = []

        async def app(scope: Any, _receive: Any, send: Any) -> None:
            if scope["last"]:
                all_there.set()
            await go.wait()
            await send({"type": "http.response.start", "status": 200})

        async def send(message: Any) -> None:
            loads.extend(value for name, value in message["headers"] if name == b"gossipreg-load")

        async def receive() -> Any:
            raise AssertionError("no body is read")

        counted = LoadASGI(app)
        scopes = [{"type": "http", "headers": [], "last": number == 2} for number in range(3)]
        tasks = [asyncio.create_task(counted(scope, receive, send)) for scope in scopes]
        await asyncio.wait_for(all_there.wait(), BOUND_S)
        go.set()
        await asyncio.gather(*tasks)
        assert loads == [b"in_flight=3", b"in_flight=2", b"in_flight=1"]
        assert INCOMING.get() is NOT_SERVING

    asyncio.run(test())


def test_what_follows_the_answer_of_asgi_is_for_no_caller() -> None:
    seen: list[int] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        seen.append(INCOMING.get().depth)
        await send({"type": "http.response.body", "body": b"b"})
        seen.append(INCOMING.get().depth)

    async def ignore(*_message: Any) -> Any:
        return {}

    asyncio.run(LoadASGI(app)({"type": "http", "headers": [(b"gossipreg-attempt", b"2")]}, ignore, ignore))
    assert seen == [2, 1]


@pytest.mark.parametrize("fails", [False, True])
def test_a_thread_of_wsgi_serves_nobody_once_the_body_is_closed(fails: bool) -> None:
    seen: list[int] = []

    class Body(list[bytes]):
        def close(self) -> None:
            seen.append(INCOMING.get().depth)
            if fails:
                raise KeyError("mine")

    def work() -> None:
        environ = {"HTTP_GOSSIPREG_ATTEMPT": "2"}
        body: Any = LoadWSGI(lambda _environ, _start: Body())(environ, print)
        later: Any = LoadWSGI(lambda _environ, _start: Body())(environ, print)
        with pytest.raises(KeyError) if fails else nullcontext():
            body.close()
        seen.append(INCOMING.get().depth)
        with pytest.raises(KeyError) if fails else nullcontext():
            later.close()
        seen.append(INCOMING.get().depth)

    copy_context().run(work)
    assert seen == [2, 2, 2, 1]


def test_an_app_that_fails_is_in_flight_no_longer() -> None:
    loads: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/fails":
            raise KeyError("mine")
        start_response("200 OK", [])
        return []

    def start_response(_status: str, headers: list[tuple[str, str]]) -> None:
        loads.append(dict(headers)["gossipreg-load"])

    counted = LoadWSGI(app)
    for path in ("/fails", "/", "/fails", "/"):
        environ: dict[str, Any] = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        if path == "/fails":
            with pytest.raises(KeyError):
                counted(environ, start_response)
            assert INCOMING.get() is NOT_SERVING
        else:
            body: Any = counted(environ, start_response)
            body.close()
            body.close()
    assert loads == ["in_flight=1", "in_flight=1"]


def test_a_wsgi_body_is_in_flight_until_it_is_closed() -> None:
    loads: list[str] = []

    def app(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        return iter([b"a"])

    counted = LoadWSGI(app)
    bodies: list[Any] = [
        counted({}, lambda _status, headers: loads.append(dict(headers)["gossipreg-load"])) for _ in range(3)
    ]
    assert loads == ["in_flight=1", "in_flight=2", "in_flight=3"]
    assert [b"".join(body) for body in bodies] == [b"a"] * 3
    for body in bodies:
        body.close()
    counted({}, lambda _status, headers: loads.append(dict(headers)["gossipreg-load"]))
    assert loads[-1] == "in_flight=1"


def test_calls_for_a_retry_are_not_retried(program: Any, instances: list[Any]) -> None:
    for one in instances:
        one.answers["/200"] = 503
    token = INCOMING.set(IncomingRequest(2, None))
    try:
        assert program("GET", "http://billing.service/200").status == 503
        assert [headers["Gossipreg-Attempt"] for one in instances for _, _, headers, _ in one.seen] == ["2"]
    finally:
        INCOMING.reset(token)


def test_nothing_is_called_for_a_caller_that_has_gone(registry: Registry) -> None:
    token = INCOMING.set(IncomingRequest(1, 0.0))
    try:
        with pytest.raises(DeadlineExceeded, match="billing is not called"):
            Exchange(Adapter(registry, AdapterOptions(), False), "billing", None, "GET", {}, True)
    finally:
        INCOMING.reset(token)
