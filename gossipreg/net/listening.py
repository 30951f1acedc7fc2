"""Opening TCP and UDP sockets: the same port on several addresses, and a free one where the user leaves the choice.

Never knows what is spoken on them. A failure is a CannotOpen, and nothing is left open; the caller words
the error for the user, who chose the address with an option.
"""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from gossipreg.model import Address
from gossipreg.net.addresses import family_of

BACKLOG = 1024
"""Clients that may connect while the sidecar is busy. The kernel may allow fewer (net.core.somaxconn); further clients
try again after a second."""
FREE_PORT_TRIES = 32
"""A port that is free for one socket may be taken for the next one: then another free port is tried."""


class CannotOpen(Exception):
    """No socket could be opened at `address`, which names the port as it was tried; `why` is the kernel's answer."""

    def __init__(self, address: Address, why: OSError) -> None:
        super().__init__(f"{address}: {why}")
        self.address = address
        self.why = why


def open_sockets(hosts: Sequence[str], port: int, kinds: Sequence[socket.SocketKind]) -> list[socket.socket]:
    """Open a socket of each kind at each of these literal addresses, all on one port; 0: the first free one.
    The result is in the order of `hosts`, then of `kinds`. Hosts after the first may be missing on this machine (no
    IPv6); they are left out. Raises CannotOpen."""
    for tries_left in reversed(range(FREE_PORT_TRIES if port == 0 else 1)):
        try:
            return _open_all(hosts, port, kinds)
        except CannotOpen as error:
            if error.why.errno != errno.EADDRINUSE or not tries_left:
                raise
    raise AssertionError("the last try raises or returns")


def _open_all(hosts: Sequence[str], port: int, kinds: Sequence[socket.SocketKind]) -> list[socket.socket]:
    with ExitStack() as undo:
        opened: list[socket.socket] = []
        for host in hosts:
            for kind in kinds:
                try:
                    sock = undo.enter_context(_open(host, port, kind))
                except OSError as error:
                    if opened and host != hosts[0] and _missing_here(error):
                        break
                    raise CannotOpen(Address(host, port), error) from None
                opened.append(sock)
                port = address_of(sock).port
        undo.pop_all()
        return opened


def _open(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """Bound to this literal address, not blocking; a stream socket listens. Raises OSError, and leaves nothing open."""
    sock = socket.socket(family_of(host), kind | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier sidecar may linger
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _missing_here(error: OSError) -> bool:
    """Whether this machine lacks the address, or its whole family."""
    return error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def address_of(sock: socket.socket) -> Address:
    """The address to which it is bound."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def error_name(error: BaseException) -> str:
    """`ECONNREFUSED` and the like, for counters; of an exception without a number its class."""
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)
