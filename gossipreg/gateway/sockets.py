"""Opening the sockets that other people's clients come to.

Owns: how one is made, and which hosts a machine may lack. Never knows: what is spoken there.
"""

import errno
import socket

from gossipreg.model import Address

BACKLOG = 1024
"""Clients that may connect while the sidecar is busy. The kernel may allow fewer (net.core.somaxconn); further clients
try again after a second."""


def open_socket(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """Bound to this literal address, not blocking; a stream socket listens. Raises OSError, and leaves nothing open."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind | socket.SOCK_CLOEXEC)
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


def no_such_family(error: OSError) -> bool:
    """Whether this machine lacks the address: of several hosts, one may be missing for that (no IPv6)."""
    return error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def address_of(sock: socket.socket) -> Address:
    """The address to which it is bound."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)
