"""The listeners of the gateway, on TCP addresses and unix sockets, and the name of the client at the other end.

Owns opening them, and the errors for the person who starts the sidecar. Never knows HTTP/2.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipreg.callers import Caller, caller_at
from gossipreg.errors import BadConfig, CannotStart, cannot_start
from gossipreg.model import Address
from gossipreg.net.addresses import Bind, is_loopback
from gossipreg.net.groups import group_id
from gossipreg.net.listening import CannotOpen, address_of, open_sockets
from gossipreg.net.socket_file import bind_socket_file
from gossipreg.socket_path import path_fault

_WHY = {
    errno.EADDRINUSE: "something listens there already",
    errno.EACCES: "ports below 1024 are for root and CAP_NET_BIND_SERVICE",
}


@dataclass(slots=True)
class XdsListener:
    sock: socket.socket
    unix: bool
    close: Callable[[], None]
    text: str
    """Its address, for people and for bootstraps: a path is absolute, since a client has a folder of its own."""

    def peer_of(self, sock: socket.socket) -> tuple[str, Caller | None]:
        """The client at the other end of a connection, for people, and its user if the socket is a unix socket. Raises
        OSError if it is gone already."""
        if self.unix:
            caller = caller_at(sock, "socket")
            return f"process {caller.pid} of {caller}", caller
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = sock.getpeername()[:2]
        return str(Address(host, port)), None


def check_reach(where: Sequence[Bind], *, insecure: bool) -> None:
    """Raise CannotStart if other machines could connect and the user did not say that they may."""
    for bind in where:
        for host in bind.hosts:
            if not is_loopback(host) and not insecure:
                raise CannotStart(
                    f"--xds: other machines reach {host} port {bind.port}, and could read where all services are. "
                    "Listen on 127.0.0.1, since each host has a sidecar of its own, or give --insecure-xds"
                )


def listen_tcp(hosts: Sequence[str], port: int) -> list[XdsListener]:
    """Listen on each of these literal addresses, all on one port; see `open_sockets`. Raises CannotStart."""
    try:
        opened = open_sockets(hosts, port, [socket.SOCK_STREAM])
    except CannotOpen as error:
        why = _WHY.get(error.why.errno or 0, error.why.strerror or str(error.why))
        message = f"cannot listen for xDS on {error.address}: {why}; choose another --xds HOST:PORT"
        raise cannot_start(message, error.why.errno) from None
    return [XdsListener(sock, False, sock.close, str(address_of(sock))) for sock in opened]


def listen_unix(path: Path, group: str | None) -> XdsListener:
    """Listen at this path, for the users of the local socket. Raises CannotStart or BadConfig."""
    flag = "--xds unix:PATH"
    if not path.name:
        raise BadConfig(f"{flag}: name the PATH")
    if fault := path_fault(path):
        raise CannotStart(fault)
    file = bind_socket_file(path, group=None if group is None else group_id(group, "--socket-group"), flag=flag)
    return XdsListener(file.listener, True, file.close, f"unix:{path.absolute()}")
