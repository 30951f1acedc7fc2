"""TCP sockets of streams: connecting, and what the kernel is to do. `gossip_sockets.py` listens."""

import errno
import fcntl
import os
import socket
import struct
import sys
import termios
from contextlib import suppress

import trio

from gossipreg.model import Address
from gossipreg.net.addresses import family_of

CONNECT_S = 3.0
"""For a connection to one address. A firewall that drops it without a word must not take all the time that an election
has."""
UNACKED_S = 10.0
"""The kernel ends a connection if data is not acked, or not taken, for so long. Nothing is sent to find that out: on an
idle stream a dead peer is found by the next message, or by the membership."""
UNSENT_BYTES = 64 * 1024
"""How much the kernel takes before it can send it: what waits there cannot be overtaken by what is urgent."""
_TCP_USER_TIMEOUT = 18
_TCP_NOTSENT_LOWAT = 25


def prepare(sock: socket.socket) -> None:
    """Set the options of a connection."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(UNACKED_S * 1000))
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def has_bytes_in_flight(sock: socket.socket) -> bool:
    """Whether bytes that were sent are not acked, or bytes that came are not read. If the connection is closed now they
    may be lost, and so may its end: the kernel sends both again for a while, and tells nobody when it gives up."""
    if sys.platform != "linux":
        return False
    try:
        return any(
            struct.unpack("i", fcntl.ioctl(sock, what, bytes(4)))[0] for what in (termios.TIOCOUTQ, termios.FIONREAD)
        )
    except OSError:
        return False


async def connect(address: Address) -> socket.socket:
    """A connection to this literal address, not blocking. Raises OSError; TimeoutError if nothing answers in time."""
    sock = socket.socket(family_of(address.host), socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        prepare(sock)
        number = sock.connect_ex(tuple(address))
        if number == errno.EINPROGRESS:
            with trio.move_on_after(CONNECT_S) as patience:
                await trio.lowlevel.wait_writable(sock)
            late = patience.cancelled_caught
            number = errno.ETIMEDOUT if late else sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        else:
            await trio.lowlevel.checkpoint()
        if number:
            raise OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
    return sock
