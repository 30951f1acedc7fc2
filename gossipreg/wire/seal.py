"""Authenticated encryption of datagrams, the keyring, and what keeps replays out.

Owns: the header, the counter of what was sealed, subkeys. Never knows: what a body says, or whose boot id it is.

    header  format 1 | key id 4 | boot id 8 | counter 6
    sealed  header, then the body under ChaCha20-Poly1305, then its tag of 16 bytes; the header is associated data
    clear   header with key id 0, then the body
    notice  the header alone, as it came in a datagram whose key id we do not have: "not our key"

The subkey of a process is BLAKE2b of its boot id, keyed with the cluster's key, so that each process has the whole
counter for itself as nonce (six zero bytes before it) and no two processes share one. A key id is a 4-byte hash: two
keys of a ring may share it, and then both are tried. Who has a keyring takes nothing in clear, and who has none
nothing sealed.
"""

import base64
import binascii
from collections import OrderedDict
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from gossipreg.blake2 import blake2b
from gossipreg.errors import BadConfig, BadDatagram
from gossipreg.model import BOOT_ID_BYTES, BootId
from gossipreg.narrow_cryptography import chacha20_poly1305
from gossipreg.quick_dataclass import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEY_BYTES = 32
KEY_ID_BYTES = 4
NO_KEY = bytes(KEY_ID_BYTES)
"""What stands in a header in place of the key id where there is no key."""
COUNTER_BYTES = 6
HEADER_BYTES = 1 + KEY_ID_BYTES + BOOT_ID_BYTES + COUNTER_BYTES
TAG_BYTES = 16
CLEAR_FORMAT, SEALED_FORMAT, NOTICE_FORMAT = 0xA0, 0xA1, 0xA2

MAX_COUNTER = 2 ** (8 * COUNTER_BYTES) - 1
"""At a million datagrams a second it is reached in nine years."""
MAX_SUBKEYS = 512
"""Kept at one time by an Opener: 2.4 KB each, as OpenSSL has it; one that is not kept costs 3.3 us to derive again."""
WINDOW = 4096
"""How far back a ReplayWindow remembers, in counters."""

_BOOT_ID_AT = 1 + KEY_ID_BYTES
_COUNTER_AT = _BOOT_ID_AT + BOOT_ID_BYTES
_NONCE_START = bytes(6)
_WINDOW_MASK = (1 << WINDOW) - 1


@dataclass(frozen=True, slots=True)
class Keyring:
    """The cluster's keys. A new key is first added behind the old one everywhere, then put first everywhere, and then
    the old one is taken out: nobody is ever without the key that another seals with."""

    keys: tuple[bytes, ...] = field(repr=False)
    """32 bytes each; the first seals, all open."""

    def __post_init__(self) -> None:
        if not self.keys:
            raise BadConfig("there is no key: write one a line, as `gossipreg keygen` prints it")
        for number, key in enumerate(self.keys, 1):
            if len(key) != KEY_BYTES:
                raise BadConfig(f"key {number} has {len(key)} bytes: a key is {KEY_BYTES}, see `gossipreg keygen`")

    @classmethod
    def parse_untrusted(cls, text: str) -> "Keyring":
        """Keys in base64, one a line; blank lines and what follows a # are left out. BadConfig names the line and the
        fault, never the key."""
        keys = []
        for number, line in enumerate(text.splitlines(), 1):
            written = line.partition("#")[0].strip()
            if not written:
                continue
            try:
                key = base64.b64decode(written, validate=True)
            except (binascii.Error, ValueError):
                raise BadConfig(f"line {number} of the keys is not base64: see `gossipreg keygen`") from None
            if len(key) != KEY_BYTES:
                raise BadConfig(
                    f"line {number} of the keys has {len(key)} bytes: a key is {KEY_BYTES}, see `gossipreg keygen`"
                )
            keys.append(key)
        return cls(tuple(keys))

    def ids(self) -> tuple[bytes, ...]:
        """The key ids, in the order of the keys. Every datagram carries one in clear text, so they may be shown."""
        return tuple(key_id(key) for key in self.keys)

    def fingerprints(self) -> list[str]:
        """The key ids in hex, for people."""
        return [id.hex() for id in self.ids()]


def key_id(key: bytes) -> bytes:
    """What a header says of the key. Tells nothing about it."""
    return blake2b(key=key, digest_size=KEY_ID_BYTES, person=b"gossipreg key id").digest()


def _cipher(key: bytes, boot_id: bytes) -> "ChaCha20Poly1305":
    return chacha20_poly1305(blake2b(boot_id, key=key, digest_size=KEY_BYTES, person=b"gossipreg subkey").digest())


class Sealer:
    """Seals what one process sends. Two with the same boot id would use nonces twice: make one a process."""

    def __init__(self, keyring: Keyring | None, boot_id: BootId) -> None:
        self.counter = 0
        """Of the datagram sealed last; 0 before the first."""
        self.boot_id = boot_id
        self.overhead = HEADER_BYTES
        """Bytes that a datagram is longer than its body."""
        self._cipher: ChaCha20Poly1305 | None = None
        self._prefix = bytes((CLEAR_FORMAT,)) + NO_KEY + boot_id
        if keyring is not None:
            self.rekey(keyring)

    def names(self, key_id: bytes, boot_id: bytes) -> bool:
        """Whether a header with these is of this process, and of the key that it seals with now."""
        return self._prefix[1:] == key_id + boot_id

    def rekey(self, keyring: Keyring) -> None:
        """Seal with the first of these from now on. The counter goes on: the old key may come back."""
        key = keyring.keys[0]
        self._cipher = _cipher(key, self.boot_id)
        self.overhead = HEADER_BYTES + TAG_BYTES
        self._prefix = bytes((SEALED_FORMAT,)) + key_id(key) + self.boot_id

    def seal(self, body: bytes) -> bytes:
        """A datagram of `body`. OverflowError once the counter is used up: nothing is sealed with one used before."""
        if self.counter >= MAX_COUNTER:
            raise OverflowError("this process has sealed 2**48 datagrams, the limit for one key: restart it")
        self.counter += 1
        counter = self.counter.to_bytes(COUNTER_BYTES, "big")
        header = self._prefix + counter
        if self._cipher is None:
            return header + body
        return header + self._cipher.encrypt(_NONCE_START + counter, body, header)


class OpenedDatagram(NamedTuple):
    """A datagram that is as its sender wrote it (with a key), or says so (without). It may still be a replay."""

    boot_id: BootId
    counter: int
    body: bytes


class Opener:
    def __init__(self, keyring: Keyring | None) -> None:
        self._keys: dict[bytes, tuple[bytes, ...]] = {}
        self._ciphers: OrderedDict[bytes, ChaCha20Poly1305] = OrderedDict()
        """By key id and boot id as they stand in the header: that with which such a datagram was opened last."""
        if keyring is not None:
            self.rekey(keyring)

    def rekey(self, keyring: Keyring) -> None:
        """Open with these from now on, and with no other."""
        from cryptography.exceptions import InvalidTag

        self._invalid_tag = InvalidTag
        self._ciphers.clear()
        self._keys = {}
        for key in keyring.keys:
            self._keys[key_id(key)] = (*self._keys.get(key_id(key), ()), key)

    def open_untrusted(self, datagram: bytes) -> OpenedDatagram:
        """BadDatagram with the reason short, unknown_format, clear_refused, sealed_refused, unknown_key (see
        `notice_for`), bad_tag, or notice (see `read_notice_untrusted`); nothing is remembered of such a datagram."""
        if len(datagram) < HEADER_BYTES:
            raise BadDatagram("short", f"{len(datagram)} bytes")
        form = datagram[0]
        if form == SEALED_FORMAT:
            body = self._unseal(datagram)
        elif form == CLEAR_FORMAT:
            if self._keys:
                raise BadDatagram("clear_refused")
            body = datagram[HEADER_BYTES:]
        else:
            raise BadDatagram("notice" if form == NOTICE_FORMAT else "unknown_format")
        return OpenedDatagram(
            BootId(datagram[_BOOT_ID_AT:_COUNTER_AT]),
            int.from_bytes(datagram[_COUNTER_AT:HEADER_BYTES], "big"),
            body,
        )

    def _unseal(self, datagram: bytes) -> bytes:
        if not self._keys:
            raise BadDatagram("sealed_refused")
        if len(datagram) < HEADER_BYTES + TAG_BYTES:
            raise BadDatagram("short", f"{len(datagram)} bytes")
        header, sealed = datagram[:HEADER_BYTES], datagram[HEADER_BYTES:]
        nonce = _NONCE_START + header[_COUNTER_AT:]
        who = header[1:_COUNTER_AT]
        known = self._ciphers.get(who)
        if known is not None:
            try:
                body = known.decrypt(nonce, sealed, header)
            except self._invalid_tag:
                pass  # forged, or sealed with another key of the same id
            else:
                self._ciphers.move_to_end(who)
                return body
        keys = self._keys.get(header[1:_BOOT_ID_AT])
        if keys is None:
            raise BadDatagram("unknown_key")
        for key in keys:
            cipher = _cipher(key, header[_BOOT_ID_AT:_COUNTER_AT])
            try:
                body = cipher.decrypt(nonce, sealed, header)
            except self._invalid_tag:
                continue
            self._ciphers[who] = cipher
            self._ciphers.move_to_end(who)
            if len(self._ciphers) > MAX_SUBKEYS:
                self._ciphers.popitem(last=False)
            return body
        raise BadDatagram("bad_tag")


class ReplayWindow:
    """Which counters of one boot id came: a bitmap of the last 4,096, newest in bit 0. Ask only about datagrams that
    opened, or a stranger could move the window."""

    __slots__ = ("_newest", "_seen")

    def __init__(self) -> None:
        self._newest = 0  # 0 is never sent, and is marked as seen
        self._seen = 1

    def accept(self, counter: int) -> bool:
        """Mark it as seen. False where it was seen before, or is too old to tell."""
        ahead = counter - self._newest
        if ahead > 0:
            # A jump beyond the window forgets it all; shifting by it would build a number of that many bits.
            self._seen = (self._seen << ahead & _WINDOW_MASK) | 1 if ahead < WINDOW else 1
            self._newest = counter
            return True
        if -ahead >= WINDOW or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


def notice_for(datagram: bytes) -> bytes:
    """The notice that its key is not ours, for a datagram refused as unknown_key. Shorter than what came."""
    return bytes((NOTICE_FORMAT,)) + datagram[1:HEADER_BYTES]


def read_notice_untrusted(datagram: bytes) -> tuple[bytes, BootId, int]:
    """(key id, boot id, counter) of the datagram that a notice speaks of: believe it only where they are our own, and
    even then only to tell the user, since anybody on the way can write it. BadDatagram("notice") where it is none."""
    if len(datagram) != HEADER_BYTES or datagram[0] != NOTICE_FORMAT:
        raise BadDatagram("notice", "not of the form of one")
    return (
        datagram[1:_BOOT_ID_AT],
        BootId(datagram[_BOOT_ID_AT:_COUNTER_AT]),
        int.from_bytes(datagram[_COUNTER_AT:], "big"),
    )
