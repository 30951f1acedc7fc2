"""The selector of a server: for what each connection waits, and which can go on.

Owns the selector. trio waits for its descriptor, so that one task serves all connections: a task for each would cost
more memory than a connection that waits.
"""

import selectors
import socket
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Watched(Protocol):
    """A connection that a selector can watch."""

    sock: socket.socket
    mask: int
    """What it waits for; 0 at its beginning. Only the selection changes it."""


Of = TypeVar("Of", bound=Watched)


class Selection(Generic[Of]):
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def fileno(self) -> int:
        """Readable while a connection can go on."""
        return self._selector.fileno()

    def watch(self, connection: Of, mask: int) -> None:
        """From now on wait for what `mask` has: READ, WRITE, both, or 0 for nothing."""
        if mask == connection.mask:
            return
        if connection.mask == 0:
            self._selector.register(connection.sock, mask, connection)
        elif mask == 0:
            self._selector.unregister(connection.sock)
        else:
            self._selector.modify(connection.sock, mask, connection)
        connection.mask = mask

    def ready(self) -> Iterator[tuple[Of, int]]:
        """The connections that can go on now, each with what it can do. One that is no longer watched when its turn
        comes is left out."""
        for key, mask in self._selector.select(0):
            if key.data.mask:
                yield key.data, mask

    def close(self) -> None:
        self._selector.close()
