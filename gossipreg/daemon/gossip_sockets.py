"""The sockets on the gossip port: UDP for gossip, TCP beside it for streams between sidecars.

Owns that both have one port. Never knows what comes in. Streams themselves are loaded when the first one is needed, but
the port is taken at the start: later another program may have it.
"""

import errno
import socket
from collections.abc import Sequence

from gossipreg.daemon.udp import UdpTransport, bind_udp
from gossipreg.errors import cannot_start
from gossipreg.model import Address
from gossipreg.net.addresses import Bind
from gossipreg.net.listening import CannotOpen, open_sockets


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
