"""Ports: given out once, held for as long as wanted, and open to our own servers meanwhile."""

import socket
from collections.abc import Iterator
from random import Random

import pytest

from gossipreg.demo.ports import HOST, FreePorts, hold


@pytest.fixture
def ports() -> Iterator[FreePorts]:
    ports = FreePorts(Random())
    yield ports
    ports.close()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_is_free_only_for_both_kinds(kind: socket.SocketKind, ports: FreePorts) -> None:
    with socket.socket(type=kind) as taken:
        taken.bind((HOST, 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        assert hold(port) is None
        assert ports.take(port) != port


def test_a_port_that_was_given_out_is_nobody_elses(ports: FreePorts) -> None:
    port = ports.take()
    assert ports.take(port) != port
    other = FreePorts(Random())
    assert other.take(port) != port
    other.close()


def test_a_held_port_serves_and_refuses_again(ports: FreePorts) -> None:
    port = ports.take()
    for _ in range(2):
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.create_server((HOST, port)) as server:
            udp.bind((HOST, port))
            with socket.create_connection((HOST, port)), server.accept()[0]:
                pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port))


def test_a_port_is_free_again_after_the_end() -> None:
    ports = FreePorts(Random())
    port = ports.take()
    ports.close()
    held = hold(port)
    assert held is not None
    held.close()
