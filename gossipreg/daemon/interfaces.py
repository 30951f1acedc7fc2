"""The addresses of this machine and their changes, from the Linux kernel through netlink (rtnetlink(7)).

Owns the netlink messages. Never knows which of the addresses are announced (`own_addresses.py`). Without netlink (on
another system, in a sandbox) it lists no addresses and reports a possible change every `POLL_S`.
"""

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import trio

from gossipreg.net.addresses import is_link_local, is_loopback, of_many
from gossipreg.quick_dataclass import dataclass

POLL_S = 10.0
_NEWLINK, _GETLINK, _NEWADDR, _GETADDR = 16, 18, 20, 22
_DONE, _ERROR = 3, 2
_REQUEST, _DUMP = 0x1, 0x300
_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
_LINK, _ADDRESS = struct.Struct("=BxHiII"), struct.Struct("=BBBBI")
"""ifinfomsg: family, type, index, flags, change; ifaddrmsg: family, prefix length, flags, scope, index."""
_ATTRIBUTE = struct.Struct("=HH")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_TEMPORARY, _DAD_FAILED, _DEPRECATED, _TENTATIVE = 0x01, 0x08, 0x20, 0x40
_GROUPS = 0x1 | 0x10 | 0x100
"""Links, and addresses of both families: RTMGRP_* in linux/rtnetlink.h."""
_MESSAGE_BYTES = 65_536
_PATIENCE_S = 1.0
"""The kernel answers a request at once; a sandbox's imitation of it may not answer at all."""


@dataclass(frozen=True, slots=True, order=True)
class LocalAddress:
    """An address of an interface that is up, never loopback, link-local or unusable. Ordered from best to worst."""

    carrier_missing: bool
    """The interface is up, but nothing is plugged in."""
    passing: bool
    """Deprecated or temporary: it will be gone soon (RFC 4941)."""
    interface: int
    """The index: what was there at the boot comes before what was made later (bridges, tunnels)."""
    host: str


def local_addresses() -> tuple[LocalAddress, ...]:
    """From best to worst; none where the kernel cannot be asked."""
    if sys.platform != "linux":
        return ()
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
            sock.settimeout(_PATIENCE_S)
            sock.bind((0, 0))
            flags = dict(_links(sock))
            return tuple(sorted(dict.fromkeys(_addresses(sock, flags))))
    except (OSError, struct.error):
        return ()


def _links(sock: socket.socket) -> Iterator[tuple[int, int]]:
    """(index, flags) of each interface."""
    for payload in _dump(sock, _GETLINK, _NEWLINK, _LINK.pack(0, 0, 0, 0, 0)):
        _, _, index, flags, _ = _LINK.unpack_from(payload)
        yield index, flags


def _addresses(sock: socket.socket, links: dict[int, int]) -> Iterator[LocalAddress]:
    for payload in _dump(sock, _GETADDR, _NEWADDR, _ADDRESS.pack(0, 0, 0, 0, 0)):
        family, _, flags, _, index = _ADDRESS.unpack_from(payload)
        attributes = dict(_attributes(payload[_ADDRESS.size :]))
        packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
        if packed is None or family not in (socket.AF_INET, socket.AF_INET6):
            continue
        host = socket.inet_ntop(family, packed)
        if len(wide := attributes.get(_IFA_FLAGS, b"")) == 4:
            [flags] = struct.unpack("=I", wide)
        link = links.get(index, 0)
        if not link & _IFF_UP or flags & (_TENTATIVE | _DAD_FAILED):
            continue
        if not (is_loopback(host) or is_link_local(host) or of_many(host)):
            passing = bool(flags & (_TEMPORARY | _DEPRECATED)) and family == socket.AF_INET6
            yield LocalAddress(not link & _IFF_RUNNING, passing, index, host)


def _dump(sock: socket.socket, kind: int, wanted: int, body: bytes) -> Iterator[bytes]:
    """The payloads of the answer to one request for all."""
    sock.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _DUMP, kind, 0) + body)
    while True:
        data = sock.recv(_MESSAGE_BYTES)
        at = 0
        while at + _HEADER.size <= len(data):
            length, type, _, sequence, _ = _HEADER.unpack_from(data, at)
            if length < _HEADER.size or type in (_DONE, _ERROR):
                return
            if type == wanted and sequence == kind:
                yield data[at + _HEADER.size : at + length]
            at += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, type = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield type, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


class InterfaceChanges:
    """Tells when links or addresses have changed. Closed by `close`."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        if sys.platform == "linux":
            with suppress(OSError), ExitStack() as undo:
                sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
                undo.callback(sock.close)
                sock.setblocking(False)
                sock.bind((0, _GROUPS))
                self._sock = sock
                undo.pop_all()

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()

    async def wait(self) -> None:
        """Return when something has changed since the last call; it may be nothing that matters."""
        if self._sock is None:
            await trio.sleep(POLL_S)
            return
        await trio.lowlevel.wait_readable(self._sock)
        while True:
            try:
                self._sock.recv(_MESSAGE_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # more changes than fit its buffer are a change too
                    raise
