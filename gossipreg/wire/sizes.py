"""Sizes of encoded messages: how much of a list fits a datagram, known before it is encoded.

Owns: upper bounds of what `codec.py` makes of a message's fields and of the items of its list. Never knows: what a
datagram may carry; the sender gives the limit. Every bound is checked against the codec by properties
(tests/wire/test_sizes.py). They are rounded up, so a field can be added without cutting lists anew.
"""

from gossipreg.wire.messages import ROW_HASH_BYTES, Delta, Hashes, Message, Versions, Want

_FIELDS_BYTES: dict[type[Message], int] = {Delta: 96, Hashes: 32, Want: 32, Versions: 48}
"""Kind, length and fields of a message without the items of its list. Of Versions, without `next`."""
_NEXT_BYTES = 16
"""What `next` adds to Versions."""
_VERSION_BYTES = 38
"""(id, generation, counter) in Versions."""
BUCKET_BYTES = 24
"""(bucket, low, high, hashes) in Hashes, without the hashes themselves."""
_BUCKET_ALONE_BYTES = 32
"""The same in a datagram of its own."""
PADDING_HEADER_BYTES = 3
"""Kind and length of a Padding of 128 bytes or more: exactly."""


def room_for(kind: type[Message], limit_bytes: int) -> int:
    """The bytes that a message of this kind has left for the items of its list, if it may take `limit_bytes`."""
    return limit_bytes - _FIELDS_BYTES[kind]


def versions_in(limit_bytes: int, *, with_next: bool = False) -> int:
    """The number of rows that fit a Versions of at most `limit_bytes`; `with_next` if it is a page of a List."""
    return (room_for(Versions, limit_bytes) - (_NEXT_BYTES if with_next else 0)) // _VERSION_BYTES


def row_hashes_in_want(limit_bytes: int) -> int:
    """The number of row hashes that fit a Want of at most `limit_bytes`."""
    return room_for(Want, limit_bytes) // ROW_HASH_BYTES


def row_hashes_in_bucket(limit_bytes: int) -> int:
    """The number of row hashes of one bucket that fit a Hashes of at most `limit_bytes`."""
    return (room_for(Hashes, limit_bytes) - _BUCKET_ALONE_BYTES) // ROW_HASH_BYTES


def entry_bytes(key: int, counter: int, value: bytes | None) -> int:
    """The bytes of one entry of a Delta."""
    return 4 + _int_bytes(key) + _int_bytes(counter) + (0 if value is None else len(value))


def _int_bytes(number: int) -> int:
    """What msgpack takes for a number that is not negative."""
    return 1 if number < 128 else 2 if number < 256 else 3 if number < 65536 else 5 if number < 1 << 32 else 9
