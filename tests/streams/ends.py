"""Two ends of a stream without a network, for tests."""

import random
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gossipreg.model import BootId, NodeId, ProtocolRange
from gossipreg.streams.connection import StreamAsked, StreamConnection, StreamEvent
from gossipreg.streams.handshake import HELLO, MAX_HANDSHAKE_BYTES, NONCE_BYTES, member_id_of
from gossipreg.streams.stream_seal import (
    MAX_BODY_BYTES,
    FrameSealer,
    StreamDirection,
    derived_key,
    hash_of,
    key_for,
    seal_once,
)
from gossipreg.streams.values import StreamMember, StreamSelf
from gossipreg.wire.seal import KEY_ID_BYTES, TAG_BYTES, Keyring, key_id

START = 1000.0
RING = Keyring((b"k" * 32,))
OTHER_RING = Keyring((b"o" * 32,))


def an_end(
    number: int, *, cluster: str = "default", boot: int = 1, generation: int = 1,
    protocol: ProtocolRange = ProtocolRange(1, 1),  # noqa: B008  # a value
) -> StreamSelf:  # fmt: skip
    """The same member for the same number."""
    seed = bytes([number]) * 32
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    member = StreamMember(
        member_id_of(public), public, BootId(bytes([number, boot]) * 4), generation, cluster, protocol
    )  # fmt: skip
    return StreamSelf(member, seed)


ALICE, BOB, CAROL = an_end(1), an_end(2), an_end(3)


def entropy(seed: int) -> "random.Random":
    return random.Random(seed)


def opening(
    own: StreamSelf = ALICE, to: NodeId = BOB.member.id, ring: Keyring | None = RING, seed: int = 1
) -> StreamConnection:
    return StreamConnection.opening(own, to, key_for(ring, None), entropy(seed).randbytes, START)


def accepting(own: StreamSelf = BOB, ring: Keyring | None = RING, seed: int = 2) -> StreamConnection:
    return StreamConnection.accepting(own, ring, entropy(seed).randbytes, START)


def all_to_send(stream: StreamConnection) -> bytes:
    sent = b""
    while data := stream.data_to_send():
        sent += data
    return sent


@dataclass
class Pair:
    """Two ends that are given each other's bytes; what travelled is kept."""

    opener: StreamConnection = field(default_factory=opening)
    acceptor: StreamConnection = field(default_factory=accepting)
    opener_events: list[StreamEvent] = field(default_factory=list)
    acceptor_events: list[StreamEvent] = field(default_factory=list)
    to_acceptor: list[bytes] = field(default_factory=list)
    to_opener: list[bytes] = field(default_factory=list)

    def exchange(self, now: float = START) -> "Pair":
        """Until both are silent."""
        while True:
            forth, back = all_to_send(self.opener), all_to_send(self.acceptor)
            if not forth and not back:
                return self
            self.to_acceptor += [forth] if forth else []
            self.to_opener += [back] if back else []
            self.acceptor_events += received(self.acceptor, forth, now)
            self.opener_events += received(self.opener, back, now)


def received(stream: StreamConnection, data: bytes, now: float = START) -> list[StreamEvent]:
    """What it says to these bytes; whoever asks is accepted."""
    events = stream.receive_bytes(data, now)
    if events and isinstance(events[-1], StreamAsked):
        events += stream.accept(now)
    return events


def open_pair(ring: Keyring | None = RING) -> Pair:
    return Pair(opening(ring=ring), accepting(ring=ring)).exchange()


def insider_frame(pair: Pair, body: bytes) -> bytes:
    """A frame with any body, as somebody whose stream is open can make it."""
    agreed = pair.acceptor._agreed
    assert agreed is not None
    sealer = FrameSealer(agreed.key, agreed.transcript, StreamDirection.FROM_OPENER)
    sealer.frames = 1  # the proof
    return sealer.seal(body[:MAX_BODY_BYTES])


def insider_hello(body: bytes) -> bytes:
    """A hello with any body, as somebody who has the key can make it."""
    body = body[: MAX_HANDSHAKE_BYTES - 100]
    size = KEY_ID_BYTES + NONCE_BYTES + len(body) + TAG_BYTES
    header = bytes((HELLO,)) + size.to_bytes(2, "big") + key_id(RING.keys[0]) + bytes(NONCE_BYTES)
    return header + seal_once(derived_key(RING.keys[0], "hello", hash_of(header)), header, body)
