"""Messages cut into the bodies of frames, and put together again.

Owns: the order of sending, and the bounds of what waits. Never knows: seals, or what a message says.

    body     record ...                   to the end of the frame
    record   class 1 | length 2 | piece   the top bit of the class: this is the last piece of its message
    end      0 | length 2 | why           the sender ends the stream

A frame is filled with what is most urgent; what is less urgent takes the room that is left. Messages of one class stay
in their order, those of different classes overtake each other. A receiver skips records of classes that it does not
know. A body without a record says only that the frame before it arrived.
"""

from collections import deque
from dataclasses import dataclass

from gossipreg.streams.stream_seal import MAX_BODY_BYTES
from gossipreg.streams.values import StreamClass, StreamFault

MAX_MESSAGE_BYTES = 1024 * 1024 + 256 * 1024
"""Entries of 1 MiB, and what stands around them: 4,096 entries take 60 bytes each."""
MAX_QUEUE_BYTES = 16 * 1024 * 1024
"""Of one class, waiting to be sent to one member. Twice what a leader may leave uncommitted."""
MAX_QUEUE_MESSAGES = 65_536
"""As many small messages take the memory that the bytes do not show."""
MAX_PARTLY_BYTES = 2 * MAX_MESSAGE_BYTES
"""Of messages that have come in part, of all classes of a stream."""
END = 0
_LAST = 0x80
_RECORD_BYTES = 3
_MIN_PIECE_BYTES = 256
"""A large message does not begin in less room than that: a record for a few bytes helps nobody."""
_CLASSES = tuple(StreamClass)
_KNOWN = frozenset(int(one) for one in StreamClass)


@dataclass(frozen=True, slots=True)
class FrameContent:
    """What a frame brought."""

    messages: tuple[tuple[StreamClass, bytes], ...]
    """Those that are whole now."""
    end: str | None
    """The sender ends the stream for this reason; nothing follows."""
    skipped: int
    """Records of unknown classes."""


class SendQueue:
    """Messages that wait to be sent over one stream."""

    def __init__(self) -> None:
        self._waiting: dict[StreamClass, deque[bytes]] = {one: deque() for one in _CLASSES}
        self._bytes = dict.fromkeys(_CLASSES, 0)
        self._sent = dict.fromkeys(_CLASSES, 0)
        """Bytes of the first message of each class that are sent already."""

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    @property
    def messages(self) -> int:
        """How many wait, one that is sent in part included."""
        return sum(map(len, self._waiting.values()))

    def put(self, klass: StreamClass, message: bytes) -> None:
        """StreamFault if too much waits already: a stream from which messages are missing is of no use. ValueError
        where the message is empty or larger than any may be."""
        if not 0 < len(message) <= MAX_MESSAGE_BYTES:
            raise ValueError(f"a message has {len(message)} bytes: send 1 to {MAX_MESSAGE_BYTES}")
        queued = self._bytes[klass] + len(message)
        if queued > MAX_QUEUE_BYTES or len(self._waiting[klass]) >= MAX_QUEUE_MESSAGES:
            raise StreamFault("stream_queue_full", f"{self._bytes[klass]} bytes of class {klass.name.lower()} wait")
        self._waiting[klass].append(message)
        self._bytes[klass] = queued

    def next_body(self) -> bytes:
        """As much as one frame takes, the most urgent first; empty if nothing waits."""
        parts: list[bytes] = []
        room = MAX_BODY_BYTES
        for klass in _CLASSES:
            waiting = self._waiting[klass]
            while waiting and room > _RECORD_BYTES:
                message, start = waiting[0], self._sent[klass]
                left = len(message) - start
                size = min(left, room - _RECORD_BYTES)
                if size < left and size < _MIN_PIECE_BYTES:
                    return b"".join(parts)
                last = size == left
                parts.append(bytes((klass | _LAST if last else klass,)) + size.to_bytes(2, "big"))
                parts.append(message[start : start + size])
                room -= _RECORD_BYTES + size
                self._bytes[klass] -= size
                self._sent[klass] = 0 if last else start + size
                if last:
                    waiting.popleft()
        return b"".join(parts)


def end_body(reason: str) -> bytes:
    """The body of the last frame."""
    why = reason.encode()[:64]
    return bytes((END,)) + len(why).to_bytes(2, "big") + why


class Assembly:
    """Puts the messages of one stream together again."""

    def __init__(self) -> None:
        self.partly_bytes = 0
        """Of messages that are not whole yet."""
        self._pieces: dict[int, bytearray] = {}

    def take_untrusted(self, body: bytes) -> FrameContent:
        """The messages that end in this body, in order. StreamFault if it is not of the form, or too much is begun."""
        messages: list[tuple[StreamClass, bytes]] = []
        skipped = at = 0
        while at < len(body):
            if at + _RECORD_BYTES > len(body):
                raise StreamFault("stream_bad_frame", "the head of a record is cut off")
            kind, start = body[at], at + _RECORD_BYTES
            at = start + int.from_bytes(body[at + 1 : start], "big")
            if at > len(body):
                raise StreamFault("stream_bad_frame", "a record is longer than its frame")
            if kind == END:
                return FrameContent(tuple(messages), body[start:at].decode("ascii", "replace"), skipped)
            klass = kind & ~_LAST
            if klass not in _KNOWN:
                skipped += 1
                continue
            message = self._add(klass, body[start:at], last=bool(kind & _LAST))
            if message is not None:
                messages.append((StreamClass(klass), message))
        return FrameContent(tuple(messages), None, skipped)

    def _add(self, klass: int, piece: bytes, *, last: bool) -> bytes | None:
        before = self._pieces.get(klass)
        size = (0 if before is None else len(before)) + len(piece)
        if not size or size > MAX_MESSAGE_BYTES:
            raise StreamFault("stream_bad_frame", f"a message of {size} bytes or more")
        if last:
            if before is None:
                return piece
            del self._pieces[klass]
            self.partly_bytes -= len(before)
            return bytes(before + piece)
        self.partly_bytes += len(piece)
        if self.partly_bytes > MAX_PARTLY_BYTES:
            raise StreamFault("stream_bad_frame", f"{self.partly_bytes} bytes of messages that are not whole")
        if before is None:
            self._pieces[klass] = bytearray(piece)
        else:
            before += piece
        return None
