"""The loop that takes connections from a listening socket.

It must outlive every error: a client that is gone again, and a process or a machine without a free descriptor. In the
latter case the listener stays readable, so the loop waits a moment instead of spinning, and says so each time.
"""

import errno
import socket
from collections.abc import Callable
from typing import NoReturn

import trio

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
NO_ROOM_S = 0.1
"""The pause until somebody may have closed a descriptor."""

Take = Callable[[socket.socket, str], None]
"""Gets a connection, not blocking, and the host of its other end (empty for a unix socket)."""
NoRoom = Callable[[OSError], None]
"""Hears that a connection waits, since the system has no descriptor or no memory for it: up to ten times a second."""


def no_room(error: OSError) -> bool:
    """Whether the process, or the machine, has too few descriptors or too little memory: that may pass."""
    return error.errno in _NO_ROOM


def ignore(error: OSError) -> None:
    """A NoRoom for those that tell nobody."""


async def accept_connections(
    listener: socket.socket, take: Take, *, turn: int, full: NoRoom = ignore
) -> NoReturn:  # fmt: skip
    """Hand each connection to `take` until cancelled; other tasks run after `turn` connections at the latest."""
    while True:
        await trio.lowlevel.wait_readable(listener)
        for _ in range(turn):
            try:
                sock, source = listener.accept()
            except OSError as error:
                if no_room(error):
                    full(error)
                    await trio.sleep(NO_ROOM_S)
                break
            sock.setblocking(False)
            take(sock, source[0] if isinstance(source, tuple) else "")
