"""The file of the local socket: for whom it is, and whose it may be."""

import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from gossipreg.errors import CannotStart
from gossipreg.net.socket_file import SocketFile, bind_socket_file


def test_nobody_else_may_connect(tmp_path: Path) -> None:
    file = bind_socket_file(tmp_path / "s", group=None)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    file.close()
    assert not (tmp_path / "s").exists()


def test_a_group_may_be_let_in(tmp_path: Path) -> None:
    file = bind_socket_file(tmp_path / "s", group=os.getgid())
    status = (tmp_path / "s").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, os.getgid())
    file.close()


def test_many_clients_may_connect_before_the_first_is_taken(tmp_path: Path) -> None:
    """After a restart all clients of the machine come back at once; gRPC connects without blocking."""
    count = min(500, int(Path("/proc/sys/net/core/somaxconn").read_text()))
    file = bind_socket_file(tmp_path / "s", group=None)
    with ExitStack() as clients:
        for _ in range(count):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect(str(tmp_path / "s"))
    file.close()


def test_the_socket_of_a_dead_sidecar_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    file = bind_socket_file(tmp_path / "s", group=None)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    file.close()


def test_the_socket_of_a_live_sidecar_is_left_alone(tmp_path: Path) -> None:
    live = bind_socket_file(tmp_path / "s", group=None)
    with pytest.raises(CannotStart, match="already answers"):
        bind_socket_file(tmp_path / "s", group=None)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    live.close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(CannotStart, match="is not a socket"):
        bind_socket_file(tmp_path / "s", group=None)
    assert (tmp_path / "s").read_text() == "mine"


def test_a_socket_that_another_has_put_there_is_not_removed(tmp_path: Path) -> None:
    first = bind_socket_file(tmp_path / "s", group=None)
    (tmp_path / "s").unlink()
    with socket.socket(socket.AF_UNIX) as second:
        second.bind(str(tmp_path / "s"))
        first.close()
        assert (tmp_path / "s").exists()


def test_of_many_that_start_at_once_on_a_dead_socket_exactly_one_gets_it(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "s"))
    dead.close()
    start = threading.Barrier(8)

    def take(_: int) -> SocketFile | None:
        start.wait()
        try:
            return bind_socket_file(tmp_path / "s", group=None)
        except CannotStart:
            return None

    with ThreadPoolExecutor(8) as pool:
        taken = [one for one in pool.map(take, range(8)) if one is not None]
    assert len(taken) == 1
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    taken[0].close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="--socket"):
        bind_socket_file(tmp_path / "no" / "s", group=None)
