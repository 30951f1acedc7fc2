"""A request whose connection is not made, or not in time, was never sent: a POST goes to another instance."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from gossipreg.client.adapters import request_options
from gossipreg.client.registry import Registry
from tests.client.adapters.servers import HttpInstance
from tests.client.adapters.test_tls import Serve, authority, instances, program, registry, serve
from tests.client.talking_sidecar import TalkingSidecar, at

__all__ = ["authority", "instances", "program", "registry", "serve"]


@pytest.fixture
def full() -> Iterator[int]:
    """A port on which no connection is made: its queue is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(8):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            with suppress(BlockingIOError):
                waiting[-1].connect(server.getsockname())
        yield server.getsockname()[1]
        for one in waiting:
            one.close()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing: TLS never begins."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def posts_reach(program: Any, registry: Registry, url: str) -> None:
    billing = registry.service("billing").configure(policy="round_robin")
    for _ in range(2):
        assert program("POST", url, b"x").status == 200
    stats = billing.stats()
    assert stats["retries"] == stats["failures"] != 0
    assert stats["in_flight"] == 0


@pytest.fixture
def quick(program: Any) -> Any:
    """Each connection has a second."""
    with request_options(deadline=3.0):
        yield program


def test_a_connection_that_is_not_made_in_time(
    quick: Any, registry: Registry, talking: TalkingSidecar, full: int
) -> None:
    with HttpInstance() as good:
        talking.services["billing"] = [at(port, service="billing", address="127.0.0.1") for port in (full, good.port)]
        posts_reach(quick, registry, "http://billing.service/200")
        assert len(good.seen) == 2


def test_tls_that_does_not_begin_in_time(
    quick: Any, registry: Registry, serve: Serve, talking: TalkingSidecar, silent: int
) -> None:
    serve("billing", "billing.service", {})
    talking.services["billing"].append(at(silent, service="billing", address="127.0.0.1"))
    posts_reach(quick, registry, "https://billing.service/200")


def test_a_server_that_speaks_no_tls(
    program: Any, registry: Registry, serve: Serve, talking: TalkingSidecar
) -> None:  # fmt: skip
    serve("billing", "billing.service", {})
    with HttpInstance() as plain:
        talking.services["billing"].append(at(plain.port, service="billing", address="127.0.0.1"))
        posts_reach(program, registry, "https://billing.service/200")


def test_a_host_that_has_no_address(program: Any, registry: Registry, talking: TalkingSidecar) -> None:
    with HttpInstance() as good:
        nowhere = at(1, service="billing", address="no-such-host.invalid")
        talking.services["billing"] = [nowhere, at(good.port, service="billing", address="127.0.0.1")]
        posts_reach(program, registry, "http://billing.service/200")
