"""One stream, from its first byte to its end. Sans I/O: whoever runs it owns a socket and a clock.

Owns: the states, the deadlines, and when a stream ends by itself. Never knows: sockets, other streams, messages.

    opener      ANSWER -> OPEN                   sends its hello, and its proof and messages after the answer
    acceptor    HELLO -> ASKED -> PROOF -> OPEN  ASKED waits for `accept` or `refuse` of whoever runs it
    either      -> ENDED                         by a fault of either end, a deadline, an end that the peer sent, or
                                                 `end`

The methods that take bytes or time return events. They raise nothing: a fault is the event StreamEnded, and the stream
takes and gives nothing after it but what `data_to_send` still has: the last word of a stream that we ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf

from gossipreg.model import NodeId
from gossipreg.streams import handshake
from gossipreg.streams.frames import Assembly, SendQueue, end_body
from gossipreg.streams.handshake import MAX_HANDSHAKE_BYTES, NONCE_BYTES, Agreed
from gossipreg.streams.stream_seal import (
    LENGTH_BYTES,
    MAX_FRAMES,
    FrameOpener,
    FrameSealer,
    StreamDirection,
    in_ring,
)
from gossipreg.streams.values import (
    BROKE,
    BY_PEER,
    GONE,
    KEY_LEFT,
    WORN,
    StreamClass,
    StreamFault,
    StreamMember,
    StreamSelf,
)
from gossipreg.wire.seal import Keyring

HANDSHAKE_S = 5.0
"""From the connection to the confirmation: several round trips to the other side of the world."""
LIFETIME_S = 86_400.0
"""A stream does not change its keys, so it ends after a day."""


class StreamState(Enum):
    HELLO = "hello"
    ASKED = "asked"
    PROOF = "proof"
    ANSWER = "answer"
    OPEN = "open"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class StreamAsked:
    """A member wants to open a stream: answer with `accept` or `refuse`. It may be a hello that was sent again by a
    stranger, so do nothing else yet."""

    member: StreamMember


@dataclass(frozen=True, slots=True)
class StreamIsOpen:
    """The member at the other end is proven."""

    member: StreamMember


@dataclass(frozen=True, slots=True)
class StreamMessage:
    klass: StreamClass
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """Nothing more comes. `reason` is a name of `drops.py`, or one of ENDS (`values.py`) if nobody is at fault."""

    reason: str
    detail: str = ""


StreamEvent = StreamAsked | StreamIsOpen | StreamMessage | StreamEnded


class StreamConnection:
    """Made by `opening` and `accepting`."""

    def __init__(self, own: StreamSelf, keyring: Keyring | None, entropy: Callable[[int], bytes], now: float) -> None:
        self.state = StreamState.HELLO
        self.member: StreamMember | None = None
        """Who is at the other end, or says so as long as the state is not OPEN."""
        self.key: bytes | None = None
        """The cluster's key under which the stream runs; it ends when that leaves the ring."""
        self.opened_here = False
        self.confirmed = False
        """Whether the other end has shown that the stream is open for it."""
        self.skipped = 0
        """Records of classes that this release does not know."""
        self._own = own
        self._keyring = keyring
        self._entropy = entropy
        self._receiver: NodeId | None = None
        self._sent_hello: handshake.SentHello | None = None
        self._hello: handshake.ReceivedHello | None = None
        self._agreed: Agreed | None = None
        self._sealer: FrameSealer | None = None
        self._opener: FrameOpener | None = None
        self._received = bytearray()
        self._first: list[bytes] = []
        """Whole messages of the handshake, to be sent before any frame."""
        self._queue = SendQueue()
        self._assembly = Assembly()
        self._handshake_until = now + HANDSHAKE_S
        self._worn_at = inf

    @classmethod
    def opening(
        cls, own: StreamSelf, receiver: NodeId, key: bytes, entropy: Callable[[int], bytes], now: float
    ) -> "StreamConnection":  # fmt: skip
        """A stream that we open to this member, with this key of the cluster (`stream_seal.key_for`)."""
        stream = cls(own, None, entropy, now)
        stream.opened_here = True
        stream.state = StreamState.ANSWER
        stream.key = key
        stream._receiver = receiver
        stream._sent_hello = handshake.make_hello(own, receiver, key, entropy(NONCE_BYTES))
        stream._first.append(stream._sent_hello.message)
        return stream

    @classmethod
    def accepting(
        cls, own: StreamSelf, keyring: Keyring | None, entropy: Callable[[int], bytes], now: float
    ) -> "StreamConnection":  # fmt: skip
        """A stream that somebody opens to us."""
        return cls(own, keyring, entropy, now)

    # -- what comes --------------------------------------------------------------------------------------------------

    def receive_bytes(self, data: bytes, now: float) -> list[StreamEvent]:
        """Bytes of the connection, in order; they may be cut anywhere."""
        if self.state is StreamState.ENDED:
            return []
        self._received += data
        events: list[StreamEvent] = []
        try:
            self._advance(events, now)
        except StreamFault as fault:
            events.append(self._failed(fault))
        return events

    def receive_eof(self) -> list[StreamEvent]:
        """The connection has ended."""
        return [] if self.state is StreamState.ENDED else [self._ended(GONE)]

    def receive_error(self, error: str) -> list[StreamEvent]:
        """The connection broke; the other end may hold it for open. `error` is the name of the system's error."""
        return [] if self.state is StreamState.ENDED else [self._ended(BROKE, error)]

    def accept(self, now: float) -> list[StreamEvent]:
        """Accept the stream that StreamAsked announced."""
        assert self.state is StreamState.ASKED
        assert self._hello is not None
        answer, self._agreed = handshake.make_answer(self._own, self._hello, self._entropy(NONCE_BYTES))
        self._first.append(answer)
        self._agree(self._agreed)
        self.state = StreamState.PROOF
        return self.receive_bytes(b"", now)

    def refuse(self, reason: str) -> None:
        """Refuse it; the other end is told the reason."""
        assert self.state is StreamState.ASKED
        self._refuse(reason)
        self._ended(reason)

    def _advance(self, events: list[StreamEvent], now: float) -> None:
        """Take as many whole messages and frames as have come."""
        while self._take_one(events, now):
            pass
        unproven = self.state in (StreamState.HELLO, StreamState.ASKED, StreamState.PROOF, StreamState.ANSWER)
        if unproven and len(self._received) > MAX_HANDSHAKE_BYTES:
            raise StreamFault("stream_bad_hello", f"more than {MAX_HANDSHAKE_BYTES} bytes before the handshake ended")

    def _take_one(self, events: list[StreamEvent], now: float) -> bool:
        match self.state:
            case StreamState.HELLO:
                return self._take_hello(events)
            case StreamState.ANSWER:
                return self._take_answer(events, now)
            case StreamState.PROOF:
                return self._take_proof(events, now)
            case StreamState.OPEN:
                return self._take_frame(events)
            case _:
                return False

    def _take_hello(self, events: list[StreamEvent]) -> bool:
        size = handshake.message_bytes_untrusted(self._received, (handshake.HELLO,))
        if size is None:
            return False
        hello = handshake.read_hello_untrusted(self._keyring, self._cut(size))
        self._hello, self.member, self.key = hello, hello.member, hello.key
        try:
            handshake.check_hello(self._own, hello)
        except StreamFault as fault:
            self._refuse(fault.reason)
            raise
        self.state = StreamState.ASKED
        events.append(StreamAsked(hello.member))
        return False

    def _take_answer(self, events: list[StreamEvent], now: float) -> bool:
        size = handshake.message_bytes_untrusted(self._received, (handshake.ANSWER, handshake.REFUSAL))
        if size is None:
            return False
        assert self._sent_hello is not None
        assert self._receiver is not None
        self.member, agreed = handshake.read_answer_untrusted(
            self._own, self._sent_hello, self._receiver, self._cut(size)
        )
        self._agree(agreed)
        assert self._sealer is not None
        self._first.append(self._sealer.seal(handshake.make_proof(self._own, agreed)))
        self._open(events, now)
        return True

    def _take_proof(self, events: list[StreamEvent], now: float) -> bool:
        body = self._frame(self._frame_bytes())
        if body is None:
            return False
        assert self._hello is not None
        assert self._agreed is not None
        assert self._sealer is not None
        handshake.check_proof(self._hello, self._agreed, body)
        self._first.append(self._sealer.seal(b""))  # the confirmation
        self._confirm()
        self._open(events, now)
        return True

    def _take_frame(self, events: list[StreamEvent]) -> bool:
        body = self._frame(self._frame_bytes())
        if body is None:
            return False
        self._confirm()
        content = self._assembly.take_untrusted(body)
        self.skipped += content.skipped
        events += (StreamMessage(klass, data) for klass, data in content.messages)
        if content.end is not None:
            events.append(self._ended(BY_PEER, content.end))
        return self.state is StreamState.OPEN

    def _frame_bytes(self) -> int | None:
        """The size of the frame that comes next; None until its length is there."""
        if len(self._received) < LENGTH_BYTES:
            return None
        return LENGTH_BYTES + int.from_bytes(self._received[:LENGTH_BYTES], "big")

    def _frame(self, size: int | None) -> bytes | None:
        """The body of the next frame; None until all of it is there."""
        if size is None or len(self._received) < size:
            return None
        assert self._opener is not None
        return self._opener.open_untrusted(self._cut(size))

    def _cut(self, size: int) -> bytes:
        message = bytes(memoryview(self._received)[:size])
        del self._received[:size]
        return message

    # -- what goes ---------------------------------------------------------------------------------------------------

    def send(self, klass: StreamClass, message: bytes) -> list[StreamEvent]:
        """Queue a message. The stream ends if too many wait. ValueError where the message is empty or too large."""
        if self.state is StreamState.ENDED:
            return []
        try:
            self._queue.put(klass, message)
        except StreamFault as fault:
            return [self._failed(fault)]
        return []

    def data_to_send(self) -> bytes:
        """The next bytes for the connection: one message of the handshake, or one frame with what is most urgent now.
        Empty if nothing waits. Ask again only when the connection has taken them all, so that what is urgent overtakes
        the rest."""
        if self._first:
            return self._first.pop(0)
        if self.state is not StreamState.OPEN or self._sealer is None or not self._queue:
            return b""
        if self._sealer.frames >= MAX_FRAMES - 1:  # the last one says that it is the last
            self._worn_at = -inf
            return b""
        return self._sealer.seal(self._queue.next_body())

    def end(self, reason: str) -> list[StreamEvent]:
        """End it, and let the other end know why where that is possible: send what `data_to_send` still gives, and
        close the connection. Call it only when the connection has taken all that was given to it."""
        if self.state is StreamState.ENDED:
            return []
        self._say_end(reason)
        return [self._ended(reason)]

    @property
    def busy(self) -> bool:
        """Whether something waits to be sent, or has come in part."""
        return bool(self._first or self._queue or self._received or self._assembly.partly_bytes)

    @property
    def waiting_messages(self) -> int:
        return self._queue.messages

    @property
    def held_bytes(self) -> int:
        """Memory for what has come in part."""
        return len(self._received) + self._assembly.partly_bytes

    # -- time --------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When `handle_timer` has to be called; infinity where nothing waits for a time."""
        return inf if self.state is StreamState.ENDED else min(self._handshake_until, self._worn_at)

    def handle_timer(self, now: float) -> list[StreamEvent]:
        if self.state is StreamState.ENDED:
            return []
        if now >= self._handshake_until:
            return [self._failed(StreamFault("stream_late", f"in state {self.state.value}"))]
        return self.end(WORN) if now >= self._worn_at else []

    def rekey(self, keyring: Keyring | None) -> list[StreamEvent]:
        """The cluster has these keys now: a stream whose key is not among them ends."""
        self._keyring = keyring
        if self.key is None or in_ring(keyring, self.key):
            return []
        return self.end(KEY_LEFT)

    # -- states ------------------------------------------------------------------------------------------------------

    def _agree(self, agreed: Agreed) -> None:
        ours, theirs = StreamDirection.FROM_ACCEPTOR, StreamDirection.FROM_OPENER
        if self.opened_here:
            ours, theirs = theirs, ours
        self._sealer = FrameSealer(agreed.key, agreed.transcript, ours)
        self._opener = FrameOpener(agreed.key, agreed.transcript, theirs)

    def _open(self, events: list[StreamEvent], now: float) -> None:
        assert self.member is not None
        self.state = StreamState.OPEN
        self._worn_at = now + LIFETIME_S
        events.append(StreamIsOpen(self.member))

    def _confirm(self) -> None:
        self.confirmed = True
        self._handshake_until = inf

    def _refuse(self, reason: str) -> None:
        assert self._hello is not None
        self._first.append(handshake.make_refusal(self._hello, reason, self._entropy(NONCE_BYTES)))

    def _say_end(self, reason: str) -> None:
        """The last frame, if there is somebody who can open it."""
        if self.state is StreamState.OPEN and self._sealer is not None and self._sealer.frames < MAX_FRAMES:
            self._first.append(self._sealer.seal(end_body(reason)))

    def _failed(self, fault: StreamFault) -> StreamEnded:
        self._say_end(fault.reason)
        return self._ended(fault.reason, fault.detail)

    def _ended(self, reason: str, detail: str = "") -> StreamEnded:
        self.state = StreamState.ENDED
        self._received.clear()
        self._queue = SendQueue()
        self._assembly = Assembly()
        return StreamEnded(reason, detail)
