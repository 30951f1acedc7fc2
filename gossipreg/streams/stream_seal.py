"""The keys of a stream, and the seal of its handshake and its frames.

Owns: how keys are derived, and the counters that are nonces. Never knows: what is in a message or a frame.

Each key is the BLAKE2b hash of everything that both ends have said until then, keyed with the cluster's key:

    key of the opener's hello     the header of that hello, with its nonce of 32 bytes
    key of the answer             the hello, and the header of the answer, with the nonce of the accepting end
    key of each direction         the direction, the hello, the answer

So it depends on both nonces, both boot ids, both member ids and the cluster's name, and no two streams share a key. A
frame's nonce is a counter that begins at 0 with the stream, for each direction: a frame that is left out, repeated, or
sent back to its sender does not open.

A cluster without a key (loopback only) takes 32 zero bytes for it. That hides nothing and keeps nobody out; it makes
one path through the code of two.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

from gossipreg.blake2 import blake2b
from gossipreg.narrow_cryptography import chacha20_poly1305
from gossipreg.streams.values import StreamFault
from gossipreg.wire.seal import KEY_BYTES, NO_KEY, TAG_BYTES, Keyring, key_id

if TYPE_CHECKING:
    pass

LENGTH_BYTES = 2
"""Stands before a frame, in the clear and authenticated: the bytes that follow, the tag included."""
MAX_FRAME_BYTES = 64 * 1024
MAX_BODY_BYTES = MAX_FRAME_BYTES - LENGTH_BYTES - TAG_BYTES
MAX_FRAMES = 2**20
"""Of one direction of a stream. A stream does not change its keys, so it ends instead: far below what the cipher
allows, and often enough that a new stream is nothing rare."""
_NONCE_BYTES = 12
_OPEN_KEY = bytes(KEY_BYTES)


class StreamDirection(IntEnum):
    """The bytes of a direction are sealed with a key of its own."""

    FROM_OPENER = 1
    FROM_ACCEPTOR = 2


def keys_named(keyring: Keyring | None, named: bytes) -> tuple[bytes, ...]:
    """The keys of the ring with this id; two may share one. Without a ring, the key that hides nothing."""
    if keyring is None:
        return (_OPEN_KEY,) if named == NO_KEY else ()
    return tuple(key for key in keyring.keys if key_id(key) == named)


def key_for(keyring: Keyring | None, theirs: tuple[bytes, ...] | None) -> bytes:
    """The key to open a stream with: the first of ours that the other member says it opens; the first if it does not
    say, or has none of ours. `theirs` are key ids, as in a member's row."""
    if keyring is None:
        return _OPEN_KEY
    shared = (key for key in keyring.keys if theirs and key_id(key) in theirs)
    return next(shared, keyring.keys[0])


def name_of(key: bytes) -> bytes:
    """The key id that stands in a hello."""
    return NO_KEY if key == _OPEN_KEY else key_id(key)


def in_ring(keyring: Keyring | None, key: bytes) -> bool:
    """Whether a stream with this key may go on."""
    return key == _OPEN_KEY if keyring is None else key in keyring.keys


def hash_of(*parts: bytes) -> bytes:
    """The transcript of these parts, 32 bytes. Each part goes in with its length."""
    transcript = blake2b(digest_size=KEY_BYTES, person=b"gossipreg talk")
    for part in parts:
        transcript.update(len(part).to_bytes(4, "big") + part)
    return transcript.digest()


def derived_key(key: bytes, purpose: str, transcript: bytes) -> bytes:
    """A key for one purpose, of the cluster's key and what was said until then."""
    return blake2b(
        purpose.encode() + b"\0" + transcript, key=key, digest_size=KEY_BYTES, person=b"gossipreg stream"
    ).digest()


def seal_once(key: bytes, header: bytes, body: bytes) -> bytes:
    """Seal the only message for which this key is ever used."""
    return chacha20_poly1305(key).encrypt(bytes(_NONCE_BYTES), body, header)


def open_once(key: bytes, header: bytes, sealed: bytes) -> bytes | None:
    """The body, or None where it was not sealed with this key and header."""
    from cryptography.exceptions import InvalidTag

    try:
        return chacha20_poly1305(key).decrypt(bytes(_NONCE_BYTES), sealed, header)
    except InvalidTag:
        return None


class FrameSealer:
    """Seals the frames of one direction."""

    def __init__(self, key: bytes, transcript: bytes, direction: StreamDirection) -> None:
        self.frames = 0
        """Sealed so far."""
        self._cipher = chacha20_poly1305(derived_key(key, f"frames {direction.value}", transcript))

    def seal(self, body: bytes) -> bytes:
        """A frame of at most MAX_BODY_BYTES. OverflowError after MAX_FRAMES: no nonce is used twice."""
        if self.frames >= MAX_FRAMES:
            raise OverflowError(f"{MAX_FRAMES} frames are sealed: open another stream")
        nonce = self.frames.to_bytes(_NONCE_BYTES, "big")
        length = (len(body) + TAG_BYTES).to_bytes(LENGTH_BYTES, "big")
        self.frames += 1
        return length + self._cipher.encrypt(nonce, body, length)


class FrameOpener:
    """Opens the frames of one direction, in their order."""

    def __init__(self, key: bytes, transcript: bytes, direction: StreamDirection) -> None:
        from cryptography.exceptions import InvalidTag

        self._frames = 0
        self._invalid_tag = InvalidTag
        self._cipher = chacha20_poly1305(derived_key(key, f"frames {direction.value}", transcript))

    def open_untrusted(self, frame: bytes) -> bytes:
        """The body of a whole frame. StreamFault if it was changed, or is not the next one of this stream."""
        if self._frames >= MAX_FRAMES or len(frame) < LENGTH_BYTES + TAG_BYTES:
            raise StreamFault("stream_bad_frame", "too short, or beyond the last frame of a stream")
        length = frame[:LENGTH_BYTES]
        try:
            body = self._cipher.decrypt(self._frames.to_bytes(_NONCE_BYTES, "big"), frame[LENGTH_BYTES:], length)
        except self._invalid_tag:
            raise StreamFault("stream_bad_tag", f"frame {self._frames}") from None
        self._frames += 1
        return body
