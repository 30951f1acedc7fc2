"""The sockets: UDP and TCP on the same port, on each host.

An answer must leave from the address that was asked, or its client throws it away. Bound to one address that is so by
itself; bound to all of them, the kernel says where each datagram came in, and the answer names that address.
"""

import errno
import socket
import struct
import sys

from gossipreg.errors import cannot_start
from gossipreg.model import Address
from gossipreg.net.addresses import WILDCARDS
from gossipreg.net.listening import CannotOpen, address_of, open_sockets

QUERY_MAX_BYTES = 4_096
"""Longer datagrams are cut, and are no queries then; questions have at most some 300 bytes."""
RECEIVE_BUFFER_BYTES = 1 << 20
"""Asked for: what comes while gossip has its turn waits here."""
_IP_PKTINFO = 8
"""IP_PKTINFO of linux/in.h; Python's socket module has it from 3.14."""
_IN_PKTINFO = struct.Struct("@I4s4s")
"""Interface, address to answer from, address that was asked."""
_WAY_BACK_BYTES = 64

WayBack = list[tuple[int, int, bytes]]
"""Ancillary data that make an answer leave from where its question came in."""


class UdpPort:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.wildcard = sock.getsockname()[0] in WILDCARDS
        self._asks_where = self.wildcard and sys.platform == "linux"
        if self._asks_where and sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        elif self._asks_where:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)

    def receive(self) -> tuple[bytes, tuple[str, int], WayBack]:
        """Raises OSError; BlockingIOError if nothing has arrived."""
        if not self._asks_where:
            data, source = self.sock.recvfrom(QUERY_MAX_BYTES)
            return data, source, []
        data, ancillary, _, source = self.sock.recvmsg(QUERY_MAX_BYTES, _WAY_BACK_BYTES)
        return data, source, [_answerable(*item) for item in ancillary]

    def send(self, data: bytes, destination: tuple[str, int], way_back: WayBack) -> None:
        """Raises OSError."""
        if way_back:
            self.sock.sendmsg([data], way_back, 0, destination)
        else:
            self.sock.sendto(data, destination)


def _answerable(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """An answer may leave by another interface than its question came in by."""
    if level == socket.IPPROTO_IP and len(data) == _IN_PKTINFO.size:
        _, answer_from, asked = _IN_PKTINFO.unpack(data)
        return level, kind, _IN_PKTINFO.pack(0, answer_from, asked)
    return level, kind, data


class Ports:
    """Open from the start. `addresses` are where they are bound."""

    def __init__(self, udp: list[socket.socket], tcp: list[socket.socket]) -> None:
        self.udp = [UdpPort(sock) for sock in udp]
        self.tcp = tcp
        self.wildcard = any(port.wildcard for port in self.udp)
        self.addresses = tuple(address_of(sock) for sock in udp)

    def close(self) -> None:
        for sock in (*(port.sock for port in self.udp), *self.tcp):
            sock.close()


def open_ports(hosts: tuple[str, ...], port: int) -> Ports:
    """Open UDP and TCP on one port of each host; see `open_sockets`. Raises CannotStart."""
    try:
        opened = open_sockets(hosts, port, [socket.SOCK_DGRAM, socket.SOCK_STREAM])
    except CannotOpen as error:
        raise cannot_start(_why_not(hosts, port, error.why), error.why.errno) from None
    udp = [sock for sock in opened if sock.type == socket.SOCK_DGRAM]
    for sock in udp:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return Ports(udp, [sock for sock in opened if sock.type == socket.SOCK_STREAM])


def _why_not(hosts: tuple[str, ...], port: int, error: OSError) -> str:
    where = " and ".join(str(Address(host, port)) for host in hosts)
    advice = {
        errno.EADDRINUSE: "another program answers there, stop it or take another port with --dns",
        errno.EADDRNOTAVAIL: "it is not an address of this machine, or not yet",
        errno.EACCES: "ports below 1024 are for root and CAP_NET_BIND_SERVICE, take another with --dns",
    }.get(error.errno or 0, "choose another with --dns")
    return f"cannot listen for DNS at {where}: {error.strerror}; {advice}"
