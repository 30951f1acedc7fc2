"""The layout of a row's entries: their keys, and how a value is cut into parts.

Owns: the bits of a key, the form of what is stored under it, and the hash of one entry. Never knows: which entries
there are.

A slot is one thing that the owner of the row wrote: itself, a service, a service's health. A key is (kind, slot, part).

    a small value    part 0: 00 value
    a large value    parts 1..n: 02 chunk, at counters c-n..c-1; then part 0: 01 n bytes, the head, at c

So a delta may be cut anywhere and sent in datagrams of any size.
"""

from struct import Struct

from gossipreg.blake2 import blake2b
from gossipreg.model import MAX_VALUE_BYTES

KIND_MEMBER, KIND_SERVICE, KIND_HEALTH = 0, 1, 2
KIND_JOURNAL_CLAIM, KIND_JOURNAL_HOST = 3, 4
KIND_SUBSCRIPTION, KIND_GROUP = 5, 6
KIND_JOURNAL_LEADERLESS = 7
"""Kinds go up to 31. Those that are not known here are stored and sent on untouched."""

KIND_BITS, PART_BITS = 5, 8
SLOT_SHIFT = KIND_BITS + PART_BITS
SLOT_MASK = (1 << SLOT_SHIFT) - 1
"""Kind and part of a key. A key of part 0 masked with it is the kind."""
PART_MASK = SLOT_MASK ^ ((1 << KIND_BITS) - 1)
PART_STEP = 1 << KIND_BITS
"""The difference between the keys of two successive parts."""
KEYS_END = 1 << (32 + SLOT_SHIFT)

PART_BYTES = 400
"""Key and value of an entry together take at most this, so every entry fits the smallest datagram."""
_CHUNK_BYTES = PART_BYTES - 9 - 1
"""Without the longest key and the first byte."""
_PARTS_MAX = (1 << PART_BITS) - 1
assert _PARTS_MAX * _CHUNK_BYTES >= MAX_VALUE_BYTES, "the largest value must fit its parts"

WHOLE, HEAD, PART = b"\x00", b"\x01", b"\x02"
_HEAD_LAYOUT = Struct(">cBI")
"""Form, number of parts, bytes of the whole value; bytes after these are ignored."""

ENTRY_BYTES = 32
"""The bytes that an entry counts in addition to its value, so that tombstones are not free."""

_HASHED = Struct(">QQ")


def key_of(kind: int, slot: int, part: int = 0) -> int:
    return slot << SLOT_SHIFT | part << KIND_BITS | kind


def split_key(key: int) -> tuple[int, int, int]:
    """(kind, slot, part)"""
    return key & ((1 << KIND_BITS) - 1), key >> SLOT_SHIFT, (key & PART_MASK) >> KIND_BITS


def hash64(key: int, counter: int, value: bytes) -> int:
    """The hash of one entry that is no tombstone. The digest of a row is the XOR of these."""
    return int.from_bytes(blake2b(_HASHED.pack(key, counter) + value, digest_size=8).digest(), "big")


def chunks_of(value: bytes) -> list[bytes]:
    """The chunks of a large value, for parts 1..n; none if the value is small."""
    if len(value) <= _CHUNK_BYTES:
        return []
    return [value[at : at + _CHUNK_BYTES] for at in range(0, len(value), _CHUNK_BYTES)]


def head_of(value: bytes, chunks: list[bytes]) -> bytes:
    """The bytes that part 0 stores for this value, which was cut into these chunks."""
    return _HEAD_LAYOUT.pack(HEAD, len(chunks), len(value)) if chunks else WHOLE + value


def read_head_untrusted(head: bytes) -> tuple[int, int]:
    """(number of parts, bytes of the whole value); (0, 0) if this is no head that is understood here."""
    if len(head) < _HEAD_LAYOUT.size:
        return 0, 0
    form, count, total_bytes = _HEAD_LAYOUT.unpack_from(head)
    return (count, total_bytes) if form == HEAD else (0, 0)
