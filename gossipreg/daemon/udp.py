"""The real network: non-blocking UDP sockets on IPv4 and IPv6, one of each at most, on the same port.

Owns the sockets and the kernel's errors about them. Never knows what a datagram means. No failure of the network raises
out of here: a datagram that cannot be sent is dropped and counted under the error's name, as the network may drop any.

On Linux, IP_RECVERR makes the kernel queue ICMP errors with the address that they are about; `refused` and `too_large`
come from that queue. While an error waits, the next call on the socket fails, whatever it is for: then the queue is
read and the call repeated. Other systems report neither of the two.

No datagram is fragmented, here or on the way, since networks drop fragments first: IP_PMTUDISC_PROBE sets "don't
fragment" and lets a datagram be as large as the interface allows. The kernel's own path MTU is not used, since anybody
can forge the ICMP message that it comes from: such a message only makes the core measure.
"""

import errno
import selectors
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

import trio

from gossipreg.errors import cannot_start
from gossipreg.model import Address
from gossipreg.net.addresses import Bind, family_of, is_literal
from gossipreg.net.listening import CannotOpen, address_of, error_name, open_sockets

BATCH = 64
"""Datagrams that are taken at one call, so that a flood never keeps the caller from its timers. Fewer mean that none is
left."""
RECEIVE_BUFFER_BYTES = 1 << 20
"""Asked for; the kernel gives what net.core.rmem_max allows."""
MAX_DATAGRAM_BYTES = 65_536

_MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
"""(level, option) of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER."""
_PMTUDISC_PROBE = 3
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""(level, option) of IP_RECVERR and IPV6_RECVERR in linux/in.h and linux/in6.h."""
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
"""sock_extended_err of linux/errqueue.h: errno, origin, type, code, padding, info, data."""
_FROM_NETWORK = (2, 3)
"""Origins ICMP and ICMP6: another host reported the error. Every other origin is this machine."""
_ERROR_QUEUE_MAX = 256
_MEMINFO = struct.Struct("=9I")
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8
"""asm-generic/socket.h, linux/sock_diag.h: figures of a socket, among them how many datagrams were not let in. They
cost nothing until somebody wants to know; SO_RXQ_OVFL comes with each datagram, and says nothing until the next one."""


class Transport(Protocol):
    """The interface of a network for the pump. One set of tests runs on each implementation."""

    has_errors: bool
    """Whether `refused` or `too_large` has something. Each turn of the pump asks."""

    @property
    def descriptor(self) -> int | None:
        """What is readable when `receive_nowait` or `refused` may have something. None: only `wait_readable` tells."""

    @property
    def dropped(self) -> Counter[str]:
        """Datagrams that could not be sent, or that the kernel did not let in, by reason."""

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """The addresses to which it is bound."""

    def wait_readable(self) -> Awaitable[None]:
        """Return when `receive_nowait` or `refused` may have something. May be wrong, never blocks for good."""

    def receive_nowait(self) -> list[tuple[bytes, Address]]:
        """The datagrams that have arrived, at most BATCH, in order of arrival at each socket."""

    def send(self, datagram: bytes, destination: Address) -> None:
        """Send, or drop and count."""

    def refused(self) -> list[Address]:
        """Addresses where the port is said to be closed, since last asked."""

    def too_large(self) -> list[Address]:
        """Addresses for which ICMP reported a datagram as too large, since the last call."""

    def close(self) -> None: ...


class UdpTransport:
    """See Transport. Made by `bind_udp`."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.has_errors = False
        self._dropped: Counter[str] = Counter()
        self._sockets = {sock.family: sock for sock in sockets}
        self._refused: list[Address] = []
        self._too_large: dict[Address, None] = {}
        self._turn = 0
        # One descriptor to wait on: trio can wait for an epoll (or kqueue) as for any other.
        self._selector = selectors.DefaultSelector() if len(sockets) > 1 else None
        for sock in sockets:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            if sys.platform == "linux":
                sock.setsockopt(*_RECVERR[socket.AddressFamily(sock.family)], 1)
                sock.setsockopt(*_MTU_DISCOVER[socket.AddressFamily(sock.family)], _PMTUDISC_PROBE)
            if self._selector is not None:
                self._selector.register(sock, selectors.EVENT_READ)
        waited_on = sockets[0] if self._selector is None else self._selector
        self.descriptor = waited_on.fileno()
        self.local_addresses = tuple(map(address_of, sockets))

    @property
    def dropped(self) -> Counter[str]:
        if not_let_in := sum(map(_not_let_in, self._sockets.values())):
            self._dropped["receive_buffer"] = not_let_in
        return self._dropped

    def speaks(self, address: Address) -> bool:
        """Whether there is a socket of its family."""
        return family_of(address.host) in self._sockets

    def wait_readable(self) -> Awaitable[None]:
        if self.has_errors:  # found while sending: the socket itself has nothing more to say about it
            return trio.lowlevel.checkpoint()
        return trio.lowlevel.wait_readable(self.descriptor)

    def receive_nowait(self) -> list[tuple[bytes, Address]]:
        received: list[tuple[bytes, Address]] = []
        sockets = list(self._sockets.values())
        self._turn += 1
        if self._turn % 2:
            sockets.reverse()  # so that a flood on one does not starve the other
        for sock in sockets:
            self._receive_from(sock, received)
        return received

    def _receive_from(self, sock: socket.socket, received: list[tuple[bytes, Address]]) -> None:
        errors = 0
        while len(received) < BATCH and errors < _ERROR_QUEUE_MAX:
            try:
                datagram, source = sock.recvfrom(MAX_DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                errors += 1
                if not self._read_errors(sock):
                    self._dropped[f"receive_{error_name(error)}"] += 1
                continue
            received.append((datagram, Address(source[0], source[1])))

    def send(self, datagram: bytes, destination: Address) -> None:
        sock = self._sockets.get(family_of(destination.host))
        if sock is None:
            self._dropped["send_no_such_family"] += 1
            return
        if not is_literal(destination.host):
            self._dropped["send_not_an_address"] += 1  # the socket would go and ask the name server, and block
            return
        for last_try in (False, True):
            try:
                sock.sendto(datagram, destination)
                return
            except (BlockingIOError, InterruptedError):
                self._dropped["send_buffer_full"] += 1
                return
            except (OSError, OverflowError) as error:
                # Either it is about this datagram, or a pending error about an earlier one: then try again.
                if self._read_errors(sock) and not last_try:
                    continue
                if error_name(error) == "EMSGSIZE":
                    self._dropped["send_too_large"] += 1
                    self._note_too_large(destination)
                else:
                    self._dropped[f"send_{error_name(error)}"] += 1
                return

    def too_large(self) -> list[Address]:
        too_large, self._too_large = list(self._too_large), {}
        self.has_errors = bool(self._refused)
        return too_large

    def refused(self) -> list[Address]:
        refused, self._refused = self._refused, []
        self.has_errors = bool(self._too_large)
        return refused

    def _read_errors(self, sock: socket.socket) -> bool:
        """Take what is in the socket's error queue. True if there was something."""
        if sys.platform != "linux":
            return False
        for taken in range(_ERROR_QUEUE_MAX):
            try:
                _, ancillary, _, destination = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return taken > 0
            for level, kind, data in ancillary:
                if (level, kind) == _RECVERR[socket.AddressFamily(sock.family)] and len(data) >= _EXTENDED_ERROR.size:
                    number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
                    self._heed(number, origin, destination)
        return True

    def _heed(self, number: int, origin: int, destination: tuple[str, int]) -> None:
        if number == errno.ECONNREFUSED and origin in _FROM_NETWORK and len(self._refused) < _ERROR_QUEUE_MAX:
            self._refused.append(Address(destination[0], destination[1]))
            self.has_errors = True
            return
        if number == errno.EMSGSIZE:
            self._note_too_large(destination)
            if origin not in _FROM_NETWORK:
                return  # counted where it was sent
        self._dropped[f"network_{errno.errorcode.get(number, str(number))}"] += 1

    def _note_too_large(self, destination: tuple[str, int]) -> None:
        if len(self._too_large) < _ERROR_QUEUE_MAX:
            self._too_large[Address(destination[0], destination[1])] = None
            self.has_errors = True

    def close(self) -> None:
        if self._selector is not None:
            self._selector.close()
        for sock in self._sockets.values():
            sock.close()


def bind_udp(bind: Bind) -> UdpTransport:
    """Open the sockets. Raises CannotStart: port taken, address not of this machine, ..."""
    try:
        return UdpTransport(open_sockets(bind.hosts, bind.port, [socket.SOCK_DGRAM]))
    except CannotOpen as error:
        raise cannot_start(_why_not(bind, error.why), error.why.errno) from None


def _why_not(bind: Bind, error: OSError) -> str:
    where = " and ".join(str(Address(host, bind.port)) for host in bind.hosts)
    advice = {
        errno.EADDRINUSE: "another program, perhaps another sidecar, has that port. A second sidecar on this host "
        f"needs its own port and socket: --bind {bind.shown_host}:0 (any free port) with --name NAME or --socket PATH",
        errno.EADDRNOTAVAIL: "it is not an address of this machine, or not yet",
        errno.EACCES: "ports below 1024 are for root, take another with --bind",
    }.get(error.errno or 0, "choose another with --bind")
    return f"cannot bind UDP to {where}: {error.strerror}; {advice}"


def _not_let_in(sock: socket.socket) -> int:
    """How many datagrams the kernel dropped at this socket since it was opened; 0 where it does not say."""
    try:
        figures = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size) if sys.platform == "linux" else b""
        return int(_MEMINFO.unpack(figures)[_MEMINFO_DROPS])
    except (OSError, struct.error):  # before Linux 4.12, or closed
        return 0
