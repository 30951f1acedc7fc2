"""An instance that ends in the middle of its answer: whatever library asks it, the request goes to another instance."""

import asyncio
import http.client
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

import gossipreg.aio
from gossipreg.client.picked import PickedInstance
from gossipreg.client.service import Service
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 60.0
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"
CUTS = [b"", b"HTTP/1", WHOLE[:-5], WHOLE[:-3]]
"""Headers that break off are missing: http.client takes them for all, and gives an empty body."""


def _serve(listener: socket.socket, answer: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(BOUND_S)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(4096)
                connection.sendall(answer)


@pytest.fixture(params=CUTS, ids=["nothing", "half-a-status", "no-body", "half-a-body"])
def web(talking: TalkingSidecar, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Two instances: one cuts all its answers, and one does not."""
    with ExitStack() as stack:
        ports = []
        for answer in (request.param, WHOLE):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            ports.append(listener.getsockname()[1])
            threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
        talking.services["web"] = [at(port) for port in ports]
        registry = stack.enter_context(gossipreg.connect(str(talking.path), timeout=BOUND_S))
        yield registry.service("web").configure(policy="round_robin")


def ask_http_client(instance: PickedInstance) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=BOUND_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def ask_urllib(instance: PickedInstance) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{instance.port}/", timeout=BOUND_S) as answer:
        body: bytes = answer.read()
        return body


def ask_urllib3(instance: PickedInstance) -> bytes:
    urllib3 = pytest.importorskip("urllib3")
    with urllib3.PoolManager(retries=False) as pool:
        body: bytes = pool.request("GET", f"http://127.0.0.1:{instance.port}/", timeout=BOUND_S).data
        return body


@pytest.mark.parametrize("ask", [ask_http_client, ask_urllib, ask_urllib3])
def test_a_cut_answer_is_asked_for_again(web: Service, ask: Callable[[PickedInstance], bytes]) -> None:
    for _ in range(2):
        assert web.call(ask, idempotent=True) == b"whole"
    assert web.stats()["failures"] in (1, 2)
    assert web.stats()["neutral"] == 0


async def ask_asyncio(instance: PickedInstance) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", instance.port)
    try:
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        return (await reader.readexactly(len(WHOLE)))[-5:]
    finally:
        writer.close()


def test_a_cut_answer_is_asked_for_again_in_asyncio(web: Service) -> None:
    async def test() -> None:
        service = gossipreg.aio.AsyncService(web)
        for _ in range(2):
            assert await service.call(ask_asyncio, idempotent=True) == b"whole"

    asyncio.run(test())
    assert web.stats()["failures"] in (1, 2)
    assert web.stats()["neutral"] == 0
