"""One port on several addresses, for several kinds of sockets."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from gossipreg.net.listening import FREE_PORT_TRIES, CannotOpen, address_of, open_sockets

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
NOT_OURS = "2001:db8::1"


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def crowd(monkeypatch: pytest.MonkeyPatch, times: int, kind: socket.SocketKind) -> list[int]:
    """The next binds to port 0 of sockets of this kind, so many, find their port taken; gives the ports tried first."""
    bind, tried = socket.socket.bind, list[int]()

    def crowded(sock: socket.socket, address: Any) -> None:
        if sock.type == kind and len(tried) < times:
            tried.append(address[1])
            raise OSError(errno.EADDRINUSE, "taken")
        bind(sock, address)

    monkeypatch.setattr(socket.socket, "bind", crowded)
    return tried


@pytest.mark.parametrize(
    ("hosts", "kinds"), [(["127.0.0.1", "::1"], [UDP]), (["127.0.0.1", "::1"], [TCP]), (["127.0.0.1"], [UDP, TCP])]
)
def test_all_sockets_share_one_port(hosts: list[str], kinds: list[Any], closing: ExitStack) -> None:
    opened = [closing.enter_context(sock) for sock in open_sockets(hosts, 0, kinds)]
    assert [(sock.getsockname()[0], sock.type) for sock in opened] == [(host, kind) for host in hosts for kind in kinds]
    assert len({address_of(sock).port for sock in opened}) == 1
    assert not any(sock.getblocking() for sock in opened)


def test_another_free_port_is_tried_if_one_kind_is_taken(monkeypatch: pytest.MonkeyPatch, closing: ExitStack) -> None:
    taken = FREE_PORT_TRIES // 2  # other programs of this machine may have some of the others
    tried = crowd(monkeypatch, taken, TCP)
    udp, tcp = (closing.enter_context(sock) for sock in open_sockets(["127.0.0.1"], 0, [UDP, TCP]))
    assert address_of(udp) == address_of(tcp)
    assert len(tried) == taken


def test_the_search_for_a_free_port_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = crowd(monkeypatch, FREE_PORT_TRIES, TCP)
    with pytest.raises(CannotOpen) as raised:
        open_sockets(["127.0.0.1"], 0, [UDP, TCP])
    assert (raised.value.address.port, raised.value.why.errno) == (tried[-1], errno.EADDRINUSE)


def test_a_chosen_port_that_is_taken_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = crowd(monkeypatch, FREE_PORT_TRIES, UDP)
    with pytest.raises(CannotOpen, match=r"127\.0\.0\.1:9"):
        open_sockets(["127.0.0.1"], 9, [UDP])
    assert tried == [9]


def test_a_missing_second_host_is_left_out(closing: ExitStack) -> None:
    opened = [closing.enter_context(sock) for sock in open_sockets(["127.0.0.1", NOT_OURS], 0, [UDP, TCP])]
    assert {sock.getsockname()[0] for sock in opened} == {"127.0.0.1"}


def test_a_missing_first_host_is_an_error() -> None:
    with pytest.raises(CannotOpen, match=r"\[2001:db8::1\]:80") as raised:
        open_sockets([NOT_OURS, "127.0.0.1"], 80, [TCP])
    assert raised.value.why.errno == errno.EADDRNOTAVAIL
