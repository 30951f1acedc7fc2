"""The messages to one client: written at once if the kernel accepts them, else queued within a bound.

Owns the queue and its bound. Never knows what is in it. A client is cut off, with an error that says so, if more than
4 MiB wait behind the message that is being written, or less where all clients together do not read
(`all_clients.py`). A single message may be larger than that.

A message may come in several pieces. Large pieces are queued as they are: many clients share the bytes of one change.
"""

import socket
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

import trio

from gossipreg.daemon.all_clients import AllClients
from gossipreg.errors import TooLarge
from gossipreg.wire.rpc import MAX_QUEUE_BYTES

LAST_WORDS_S = 5.0
"""The time that a client has to read its last messages when it is disconnected or has closed its side."""
CHUNK_BYTES = 16 * 1024
"""Small messages wait together in chunks of this size, since each alone would take several times its bytes."""
REST_BYTES, REST_READS = 8 * 1024, 16
"""Read at most so much, so often, of what a client sent before its connection is closed."""
SEND_BUFFER_BYTES = 208 * 1024
"""The kernel's own default for a socket. Asked for, it is doubled, and an answer about 1,000 instances fits. A
connection gets it with the first message that does not fit: waiting for the client takes more CPU time than the message
itself."""
FLUSH_CHUNKS = 4
"""Chunks that are written before the other clients have their turn."""


class Outgoing:
    __slots__ = (
        *("_all", "_dropped", "_flushed", "_large_buffer", "_messages", "_queue", "_sock", "_waiting_bytes"),
        *("ending", "last_words", "nursery"),
    )

    def __init__(
        self, sock: socket.socket, all: AllClients, dropped: Counter[str], last_words: Callable[[str, str], bytes]
    ) -> None:
        """A client that is disconnected is counted in `dropped`. `last_words(code, message)` is the message that says
        so."""
        self.nursery: trio.Nursery
        """The connection's, set before anything is written. Cancelled at the end, when all is written or the client is
        gone."""
        self.ending = False
        """Nothing more is taken to be written."""
        self.last_words = last_words
        self._sock = sock
        self._large_buffer = False
        self._all = all
        self._dropped = dropped
        self._queue: deque[bytearray | memoryview] = deque()
        self._messages: deque[int] = deque()
        """How many chunks each message has; small messages share one. The first message is being written, so its chunks
        may be written in part."""
        self._waiting_bytes = 0
        """In the chunks behind the first message."""
        self._flushed: trio.Event | None = None
        """None: nothing waits."""

    @property
    def waiting_bytes(self) -> int:
        return sum(map(len, self._queue)) if self._queue else 0

    async def wait_flushed(self) -> None:
        """Return when nothing waits, or nothing can be written any more."""
        if self._flushed is not None:
            await self._flushed.wait()

    def close(self) -> None:
        """Let go of what waits."""
        self.ending = True
        self._queue.clear()
        self._messages.clear()
        self._all.end_writing(self)
        self._note_waiting(-self._waiting_bytes)
        self._note_flushed()

    def push(self, *pieces: bytes) -> None:
        """Write one message, or several. Write now what the kernel takes and queue the rest. Never blocks, never
        raises."""
        if self.ending:
            return
        if not self._queue:
            self._write_now(pieces)
            return
        size_bytes = sum(map(len, pieces))
        if self._too_slow(size_bytes):
            self._cut_off()
            return
        self._note_waiting(size_bytes)
        last = self._queue[-1] if len(self._messages) > 1 else None
        if size_bytes >= CHUNK_BYTES:
            self._append([memoryview(piece) for piece in _joined(pieces)])
        elif isinstance(last, bytearray) and len(last) < CHUNK_BYTES:
            last += b"".join(pieces)
        else:
            self._append([bytearray(b"".join(pieces))])

    def _write_now(self, pieces: tuple[bytes, ...]) -> None:
        waiting = [memoryview(piece) for piece in _joined(pieces)]
        for number, piece in enumerate(waiting):
            written = self._write(piece)
            if written < len(piece) and not self._large_buffer:
                self._enlarge_buffer()
                written += self._write(piece[written:])
            if written < len(piece):
                self._append([piece[written:], *waiting[number + 1 :]])
                self._flushed = trio.Event()
                self.nursery.start_soon(self._flush)
                self._all.begin_writing(self, self._queue)
                return

    def _enlarge_buffer(self) -> None:
        self._large_buffer = True
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def _append(self, chunks: Sequence[bytearray | memoryview]) -> None:
        self._queue += chunks
        self._messages.append(len(chunks))

    def _too_slow(self, more_bytes: int) -> bool:
        waiting = self._waiting_bytes + more_bytes
        return waiting > MAX_QUEUE_BYTES or self._all.too_much_queued(waiting, more_bytes)

    def _note_waiting(self, change_bytes: int) -> None:
        self._waiting_bytes += change_bytes
        self._all.queued_bytes += change_bytes

    def _note_flushed(self) -> None:
        if self._flushed is not None:
            self._flushed.set()
            self._flushed = None

    def _cut_off(self) -> None:
        """Keep the message being written, so that the client can still make out the last one, which says why."""
        self._dropped["client_too_slow"] += 1
        while len(self._queue) > self._messages[0]:
            self._queue.pop()
        self._messages = deque([self._messages[0]])
        message = f"this connection read too slowly, {self._waiting_bytes} bytes were waiting: open another"
        self._note_waiting(-self._waiting_bytes)
        last_words = bytearray(self.last_words(TooLarge.code, message))
        self._note_waiting(len(last_words))
        self._append([last_words])
        self.end()

    def give_up(self) -> None:
        """Disconnect the client without a word: what it has not read takes too much memory."""
        self._dropped["client_too_slow"] += 1
        self.close()
        self.nursery.cancel_scope.cancel()

    def end(self) -> None:
        """Take nothing more to write; allow a bounded time for what is queued."""
        self.ending = True
        self.nursery.cancel_scope.deadline = trio.current_time() + LAST_WORDS_S

    def read_rest(self) -> None:
        """All is written: say that nothing more comes, and read what the client has sent since. Else the kernel answers
        it with a reset, which a client may take for the loss of the last message."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            for _ in range(REST_READS):
                if not self._sock.recv(REST_BYTES):
                    break

    async def _flush(self) -> None:
        while self._queue:
            await trio.lowlevel.wait_writable(self._sock)
            self._all.progress(self)
            for _ in range(FLUSH_CHUNKS):
                first = memoryview(self._queue[0])
                self._queue[0] = first[self._write(first) :]
                if self._queue[0]:
                    break
                self._next_chunk()
                if not self._queue:
                    break
        self._note_flushed()
        if self.ending:
            self.read_rest()
            self.nursery.cancel_scope.cancel()

    def _next_chunk(self) -> None:
        """The first chunk is written. When it was the last one of its message, the next message is no longer behind the
        one that is being written."""
        self._queue.popleft()
        self._messages[0] -= 1
        if not self._messages[0]:
            self._messages.popleft()
            self._all.end_writing(self)
            if self._messages:
                chunks = [*islice(self._queue, self._messages[0])]
                self._note_waiting(-sum(map(len, chunks)))
                self._all.begin_writing(self, chunks)

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


def _joined(pieces: tuple[bytes, ...]) -> Sequence[bytes]:
    """The same bytes with fewer small pieces, since each is a call of the kernel."""
    if len(pieces) == 1:
        return pieces
    joined: list[bytes] = []
    small: list[bytes] = []
    for piece in pieces:
        small.append(piece)
        if len(piece) >= CHUNK_BYTES:
            joined += [b"".join(small[:-1]), piece] if len(small) > 1 else [piece]
            small = []
    return [*joined, b"".join(small)] if small else joined
