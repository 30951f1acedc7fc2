"""The messages to one client: written at once if the kernel accepts them, else queued within a bound.

Owns the queue and its bounds. Never knows what is in it. A client is cut off, with an error that says so, if more than
4 MiB wait behind the message that is being written, or more than 64 KiB while all queues together have 16 MiB. A single
message may be larger than that.
"""

import socket
from collections import Counter, deque

import trio

from gossipreg.errors import TooLarge
from gossipreg.wire.rpc import MAX_QUEUE_BYTES, encode_error

LAST_WORDS_S = 5.0
"""The time that a client has to read its last messages when it is disconnected or has closed its side."""
MAX_QUEUES_BYTES = 16 << 20
"""Bytes that may wait for all clients together: many that do not read must not take the memory of the machine."""
SPARED_BYTES = 64 * 1024
"""A client with no more bytes waiting than this is not disconnected for that bound."""
CHUNK_BYTES = 16 * 1024
"""Small messages wait together in chunks of this size, since each alone would take several times its bytes."""
FLUSH_CHUNKS = 4
"""Chunks that are written before the other clients have their turn."""


class Queues:
    """The bytes that wait for all clients together."""

    def __init__(self) -> None:
        self.bytes = 0


class Outgoing:
    def __init__(self, sock: socket.socket, queues: Queues, dropped: Counter[str]) -> None:
        """A client that is disconnected is counted in `dropped`."""
        self.nursery: trio.Nursery
        """The connection's, set before anything is written. Cancelled at the end, when all is written or the client is
        gone."""
        self.ending = False
        """Nothing more is taken to be written."""
        self._sock = sock
        self._queues = queues
        self._dropped = dropped
        self._queue: deque[bytearray | memoryview] = deque()
        """Chunks of whole messages, except for the first one, which is being written."""
        self._waiting_bytes = 0  # in the queue, behind its first message
        self._flushed = trio.Event()
        self._flushed.set()

    @property
    def waiting_bytes(self) -> int:
        return self._waiting_bytes + len(self._queue[0]) if self._queue else 0

    async def wait_flushed(self) -> None:
        """Return when nothing waits, or nothing can be written any more."""
        await self._flushed.wait()

    def close(self) -> None:
        """Let go of what waits."""
        self.ending = True
        self._queue.clear()
        self._note_waiting(-self._waiting_bytes)
        self._flushed.set()

    def push(self, data: bytes) -> None:
        """Write now what the kernel takes and queue the rest. Never blocks, never raises."""
        if self.ending:
            return
        rest = memoryview(data)
        if not self._queue:
            rest = rest[self._write(rest) :]
            if not rest:
                return
            self._flushed = trio.Event()
            self.nursery.start_soon(self._flush)
        elif self._too_slow(len(rest)):
            self._cut_off()
            return
        else:
            self._note_waiting(len(rest))
        last = self._queue[-1] if len(self._queue) > 1 else None
        if isinstance(last, bytearray) and len(last) < CHUNK_BYTES:
            last += rest
        else:
            self._queue.append(bytearray(rest))

    def _too_slow(self, more_bytes: int) -> bool:
        waiting = self._waiting_bytes + more_bytes
        crowded = self._queues.bytes + more_bytes > MAX_QUEUES_BYTES
        return waiting > MAX_QUEUE_BYTES or (crowded and waiting > SPARED_BYTES)

    def _note_waiting(self, change_bytes: int) -> None:
        self._waiting_bytes += change_bytes
        self._queues.bytes += change_bytes

    def _cut_off(self) -> None:
        """Keep the message being written, so that the client can still make out the last one, which says why."""
        self._dropped["client_too_slow"] += 1
        while len(self._queue) > 1:
            self._queue.pop()
        message = f"this connection read too slowly, {self._waiting_bytes} bytes were waiting: open another"
        self._note_waiting(-self._waiting_bytes)
        self._queue.append(bytearray(encode_error(None, TooLarge.code, message)))
        self.end()

    def end(self) -> None:
        """Take nothing more to write; allow a bounded time for what is queued."""
        self.ending = True
        self.nursery.cancel_scope.deadline = trio.current_time() + LAST_WORDS_S

    async def _flush(self) -> None:
        while self._queue:
            await trio.lowlevel.wait_writable(self._sock)
            for _ in range(FLUSH_CHUNKS):
                first = memoryview(self._queue[0])
                self._queue[0] = first[self._write(first) :]
                if self._queue[0]:
                    break
                self._queue.popleft()
                if not self._queue:
                    break
                self._note_waiting(-len(self._queue[0]))
        self._flushed.set()
        if self.ending:
            self.nursery.cancel_scope.cancel()

    def _write(self, data: memoryview) -> int:
        """The number of bytes that need no more writing: all of them if the client is gone."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.ending = True
            self.nursery.cancel_scope.cancel()
            return len(data)
