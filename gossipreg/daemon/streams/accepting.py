"""Connections that come to the gossip port, until they have proven who they are.

Owns: the bounds for strangers. At most HALF_OPEN_MAX connections may be in their handshake; of more, one that has shown
nothing gives way, the oldest first. So strangers that open connections and say nothing, or drip bytes, keep no member
out as long as its hello comes sooner than that many others.
"""

import socket
from collections.abc import Callable, Iterator

from gossipreg.daemon.streams.link import Link
from gossipreg.net.addresses import is_loopback
from gossipreg.streams.connection import StreamState
from gossipreg.streams.values import StreamFault

HALF_OPEN_MAX = 64
ACCEPT_TURN = 16
"""Connections that are taken before other tasks have their turn."""


class HalfOpen:
    """The connections that came and are not open yet."""

    def __init__(self, drop: Callable[[StreamFault], None]) -> None:
        """`drop` counts a fault that has no link to tell it."""
        self._drop = drop
        self._links: dict[Link, None] = {}
        """The oldest first."""

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(tuple(self._links))

    def add(self, link: Link) -> None:
        """Take one more; if there are too many, another one gives way."""
        if len(self._links) >= HALF_OPEN_MAX:
            silent = (one for one in self._links if one.connection.state is StreamState.HELLO)
            gives_way = next(silent, next(iter(self._links)))
            self._drop(StreamFault("stream_crowded"))
            gives_way.end("crowded")
        self._links[link] = None

    def remove(self, link: Link) -> None:
        """It is open, or has ended."""
        self._links.pop(link, None)


def on_loopback(sock: socket.socket) -> bool:
    """Whether both ends of the connection are loopback addresses."""
    try:
        return all(is_loopback(str(name[0])) for name in (sock.getsockname(), sock.getpeername()))
    except OSError:  # it is gone already
        return False
