"""The loop that takes connections outlives what the kernel says."""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from gossipreg.net.accepting import NO_ROOM_S, NoRoom, accept_connections, ignore
from gossipreg.net.listening import open_sockets

GENEROUS_S = 60


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    (listener,) = open_sockets(["127.0.0.1"], 0, [socket.SOCK_STREAM])
    with listener:
        yield listener


class Failing:
    """A listener whose first accepts raise these errors."""

    def __init__(self, listener: socket.socket, *numbers: int) -> None:
        self._listener = listener
        self._errors = [OSError(number, "failed") for number in numbers]

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> Any:
        if self._errors:
            raise self._errors.pop(0)
        return self._listener.accept()


async def taken_from(listener: Any, clients: int, full: NoRoom = ignore) -> tuple[list[str], float]:
    """Connect so many clients, take them all; the hosts that were handed over, and the seconds that it took."""
    hosts: list[str] = []
    done = trio.Event()

    def take(sock: socket.socket, host: str) -> None:
        assert not sock.getblocking()
        sock.close()
        hosts.append(host)
        if len(hosts) == clients:
            done.set()

    opened = [socket.create_connection(listener._listener.getsockname()) for _ in range(clients)]
    start = trio.current_time()
    with trio.fail_after(GENEROUS_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: accept_connections(listener, take, turn=2, full=full))
            await done.wait()
            nursery.cancel_scope.cancel()
    for client in opened:
        client.close()
    return hosts, trio.current_time() - start


async def test_every_waiting_client_is_taken(listener: socket.socket) -> None:
    hosts, _ = await taken_from(Failing(listener), 5)
    assert hosts == ["127.0.0.1"] * 5


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
async def test_without_a_free_descriptor_the_loop_pauses(listener: socket.socket, number: int) -> None:
    told: list[OSError] = []
    hosts, took_s = await taken_from(Failing(listener, number, number), 1, told.append)
    assert hosts == ["127.0.0.1"]
    assert took_s >= 2 * NO_ROOM_S
    assert [error.errno for error in told] == [number, number]


async def test_a_client_that_is_gone_does_not_end_the_loop(listener: socket.socket) -> None:
    told: list[OSError] = []
    hosts, _ = await taken_from(Failing(listener, errno.ECONNABORTED, errno.EAGAIN), 1, told.append)
    assert (hosts, told) == (["127.0.0.1"], [])
