"""The bytes that the clients of the local socket make the sidecar keep, all together, and the bounds on them.

Three kinds: messages that wait behind the one that is being written; the messages that are being written, where bytes
that many clients share count once; and parts of requests. Neither clients that do not read, nor clients that send
requests without an end, may take the memory of the machine.
"""

from collections.abc import Iterable
from typing import Protocol

from gossipreg.wire.rpc import SMALL_BYTES

MAX_QUEUED_BYTES = 16 << 20
MAX_WRITING_BYTES = 256 << 20
"""A lookup of 10,000 instances has some 3 MB."""
MAX_HELD_BYTES = 16 << 20
HELD_TOO_MUCH = "all clients together have sent too much of requests that are not whole: send whole ones, one by one"
SPARED_BYTES = 64 * 1024
"""A client for which no more than this waits is not disconnected for these bounds."""
HELD_SPARED_BYTES = SMALL_BYTES
"""The same for a part of a request: many clients may hold one."""
COUNTED_FROM_BYTES = 16 * 1024
"""Smaller pieces of a message that is being written do not count."""


class Writer(Protocol):
    """Writes messages to one client."""

    def give_up(self) -> None:
        """Disconnect the client at once, and let go of what it has not read."""


class AllClients:
    def __init__(self) -> None:
        self.queued_bytes = 0
        """Bytes that wait behind the messages that are being written."""
        self.held_bytes = 0
        """Bytes that wait for the rest of a request."""
        self.writing_bytes = 0
        """Bytes of the messages that are being written."""
        self._writing: dict[Writer, list[object]] = {}
        """The large pieces of each message that is being written; the writer without progress for longest is first."""
        self._shares: dict[int, int] = {}
        """How many writers have a piece, by its id."""

    def hold(self, before: int, held: int) -> bool:
        """A client held `before` bytes of a request that is not whole, and holds `held` now. False: too many."""
        self.held_bytes += held - before
        return held <= HELD_SPARED_BYTES or self.held_bytes <= MAX_HELD_BYTES

    def too_much_queued(self, waiting: int, more: int) -> bool:
        """Whether to disconnect a client for which `waiting` bytes would wait with these `more` ones."""
        return self.queued_bytes + more > MAX_QUEUED_BYTES and waiting > SPARED_BYTES

    def begin_writing(self, writer: Writer, chunks: Iterable[bytearray | memoryview]) -> None:
        """The writer is about to write a message with these chunks. If all messages are too much, the clients that have
        read nothing for longest are disconnected."""
        pieces: list[object] = [chunk.obj if isinstance(chunk, memoryview) else chunk for chunk in chunks]
        large = [piece for piece in pieces if _size(piece) >= COUNTED_FROM_BYTES]
        if not large:
            return
        self._writing[writer] = large
        for piece in large:
            shares = self._shares[id(piece)] = self._shares.get(id(piece), 0) + 1
            self.writing_bytes += _size(piece) if shares == 1 else 0
        while self.writing_bytes > MAX_WRITING_BYTES and len(self._writing) > 1:
            next(iter(self._writing)).give_up()

    def progress(self, writer: Writer) -> None:
        """The client has read some bytes."""
        if writer in self._writing:
            self._writing[writer] = self._writing.pop(writer)

    def end_writing(self, writer: Writer) -> None:
        """The message is written, or the client is gone. It may be called again."""
        for piece in self._writing.pop(writer, ()):
            self._shares[id(piece)] -= 1
            if not self._shares[id(piece)]:
                del self._shares[id(piece)]
                self.writing_bytes -= _size(piece)


def _size(piece: object) -> int:
    assert isinstance(piece, bytes | bytearray)
    return len(piece)
