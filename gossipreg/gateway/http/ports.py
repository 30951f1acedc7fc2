"""The listeners of the gateway, on TCP addresses and unix sockets, and the caller at the other end of a connection.

Owns opening them, and the errors for whoever starts the sidecar. Never knows HTTP.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from gossipreg.callers import Caller, caller_at
from gossipreg.errors import cannot_start
from gossipreg.gateway.sockets import address_of, no_such_family, open_socket
from gossipreg.model import Address

_WHY = {
    errno.EADDRINUSE: "something listens there already",
    errno.EACCES: "ports below 1024 are for root and CAP_NET_BIND_SERVICE",
}


@dataclass(slots=True)
class HttpListener:
    sock: socket.socket
    unix: bool
    close: Callable[[], None]
    text: str
    """Its address, for people."""

    def caller_of(self, sock: socket.socket) -> Caller:
        """As the kernel knows the other end."""
        return caller_at(sock, "http") if self.unix else Caller()


def listen_tcp(hosts: Sequence[str], port: int) -> list[HttpListener]:
    """On each of these literal addresses, all on one port; 0: any that is free. Those after the first may be missing on
    this machine (no IPv6). Raises CannotStart."""
    found: list[HttpListener] = []
    for host in hosts:
        try:
            sock = open_socket(host, port, socket.SOCK_STREAM)
        except OSError as error:
            if found and no_such_family(error):
                continue
            for listener in found:
                listener.close()
            why = _WHY.get(error.errno or 0, error.strerror or str(error))
            message = f"cannot listen for HTTP on {Address(host, port)}: {why}; choose another --http HOST:PORT"
            raise cannot_start(message, error.errno) from None
        port = address_of(sock).port
        found.append(HttpListener(sock, False, sock.close, str(Address(host, port))))
    return found


async def accept(listener: HttpListener) -> socket.socket | None:
    try:
        sock, _ = listener.sock.accept()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
            await trio.sleep(0.1)  # it stays readable: do not spin until somebody closes a descriptor
        return None
    sock.setblocking(False)
    if not listener.unix:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def raise_descriptors(wanted: int) -> int:
    """Raise the limit of descriptors to this number if the system allows it; returns the limit of this process.
    Programs that it starts later (commands of checks) have the same limit, and none of our descriptors."""
    try:
        import resource
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    better = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (better, hard))
    except (OSError, ValueError):
        return soft
    return better
