"""The listeners of the gateway, on TCP addresses and unix sockets, and the caller at the other end of a connection.

Owns opening them, and the errors for the person who starts the sidecar. Never knows HTTP.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipreg.callers import Caller, caller_at
from gossipreg.errors import BadConfig, CannotStart, cannot_start
from gossipreg.net.groups import group_id
from gossipreg.net.listening import CannotOpen, address_of, open_sockets
from gossipreg.net.socket_file import bind_socket_file
from gossipreg.socket_path import path_fault

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
    """Listen on each of these literal addresses, all on one port; see `open_sockets`. Raises CannotStart."""
    try:
        opened = open_sockets(hosts, port, [socket.SOCK_STREAM])
    except CannotOpen as error:
        why = _WHY.get(error.why.errno or 0, error.why.strerror or str(error.why))
        message = f"cannot listen for HTTP on {error.address}: {why}; choose another --http HOST:PORT"
        raise cannot_start(message, error.why.errno) from None
    return [HttpListener(sock, False, sock.close, str(address_of(sock))) for sock in opened]


def listen_unix(path: Path, group: str | None) -> HttpListener:
    """Listen at this path, for the users of the local socket. Raises CannotStart or BadConfig."""
    flag = "--http unix:PATH"
    if not path.name:
        raise BadConfig(f"{flag}: name the PATH")
    if fault := path_fault(path):
        raise CannotStart(fault)
    file = bind_socket_file(path, group=None if group is None else group_id(group, "--socket-group"), flag=flag)
    return HttpListener(file.listener, True, file.close, f"unix:{path}")
