"""The loop that takes connections from a listening socket.

It must outlive every error: a client that is gone again, and a process or a machine without a free descriptor. In the
latter case the listener stays readable, so the loop waits a moment instead of spinning.
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


async def accept_connections(listener: socket.socket, take: Take, *, turn: int) -> NoReturn:
    """Hand each connection to `take` until cancelled; other tasks run after `turn` connections at the latest."""
    while True:
        await trio.lowlevel.wait_readable(listener)
        for _ in range(turn):
            try:
                sock, source = listener.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:
                    await trio.sleep(NO_ROOM_S)
                break
            sock.setblocking(False)
            take(sock, source[0] if isinstance(source, tuple) else "")
