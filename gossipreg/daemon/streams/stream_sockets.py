"""TCP sockets of streams: listening beside the UDP sockets of gossip, connecting, and what the kernel is to do."""

import errno
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import trio

from gossipreg.daemon.udp import UdpTransport, bind_udp
from gossipreg.errors import cannot_start
from gossipreg.model import Address
from gossipreg.net.addresses import Bind, family_of
from gossipreg.net.listening import CannotOpen, open_sockets

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


def listen_for_streams(bound: Sequence[Address]) -> list[socket.socket]:
    """Listen on TCP at the addresses to which the UDP sockets of gossip are bound. Raises CannotStart; where the port
    is taken, as for UDP, CannotStartYet."""
    listeners: list[socket.socket] = []
    try:
        for address in bound:
            listeners += open_sockets([address.host], address.port, [socket.SOCK_STREAM])
    except CannotOpen as error:
        for listener in listeners:
            listener.close()
        raise cannot_start(_why_not(error), error.why.errno) from None
    return listeners


def bind_gossip(bind: Bind) -> tuple[UdpTransport, list[socket.socket]]:
    """The sockets of gossip, and those for streams on the same port; if any port is fine, one that is free for both.
    Raises CannotStart."""
    if bind.port:
        transport = bind_udp(bind)
        try:
            return transport, listen_for_streams(transport.local_addresses)
        except BaseException:
            transport.close()
            raise
    try:
        both = open_sockets(bind.hosts, 0, [socket.SOCK_DGRAM, socket.SOCK_STREAM])
    except CannotOpen as error:
        raise cannot_start(_why_not(error), error.why.errno) from None
    return UdpTransport(both[::2]), both[1::2]


def _why_not(error: CannotOpen) -> str:
    advice = "choose another with --bind"
    if error.why.errno == errno.EADDRINUSE:
        advice = (
            "another program has that port for TCP, which streams between sidecars need too: "
            f"find it with `ss -ltnp`, or choose another port with --bind {shown_host(error.address.host)}:PORT"
        )
    elif error.why.errno == errno.EADDRNOTAVAIL:
        advice = "it is not an address of this machine, or not yet"
    return f"cannot listen on TCP at {error.address}: {error.why.strerror}; {advice}"


def shown_host(host: str) -> str:
    """As `--bind` takes it."""
    return f"[{host}]" if ":" in host else host


def prepare(sock: socket.socket) -> None:
    """Set the options of a connection."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(UNACKED_S * 1000))
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)


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
