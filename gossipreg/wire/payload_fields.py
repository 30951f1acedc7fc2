"""What the payloads of messages are made of: an array of fields, the items of a list behind it, and checks of fields.

Owns: the bounds of what is taken apart, and one check a kind of field. Never knows: which message has which field. Each
reader raises ValueError, which `codec.decode_untrusted` turns into the one exception.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgpack

from gossipreg.model import MAX_NAME_BYTES, NODE_ID_BYTES, ProtocolRange
from gossipreg.wire.messages import MAX_BODY_BYTES, ROW_HASH_BYTES
from gossipreg.wire.values import check_protocol, known

MAX_ARRAY = 16
"""Elements of one array, those of later versions included."""
_NIL = b"\xc0"

pack: Callable[[object], bytes] = msgpack.Packer().pack  # one for all: a new one a message costs 8 us


def fields_of(payload: bytes, count: int, later: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """The known fields of a payload that is one array: `count`, and then those that were added `later`, which an older
    version leaves out and means so."""
    raw: Any = msgpack.unpackb(payload, use_list=False, max_array_len=MAX_ARRAY, max_map_len=0, max_ext_len=0)
    known(raw, count)
    return (*raw, *later[len(raw) - count :])[: count + len(later)]


def fields_and_items(payload: bytes, count: int, later: tuple[Any, ...] = ()) -> tuple[tuple[Any, ...], list[Any]]:
    """The known fields of a payload, `later` as in `fields_of`, and the items of its list, which stand behind the
    array."""
    unpacker = _unpacker()
    unpacker.feed(payload)
    values = list(unpacker)  # ends without a word where the last one is cut off
    unpacker.feed(_NIL)  # and then this would become a part of it
    if next(unpacker, payload) is not None or not values:
        raise ValueError("the last value is cut off")
    first = known(values[0], count)
    if later:
        first = (*values[0], *later[len(values[0]) - count :])[: count + len(later)]
    return first, values[1:]


_unpacker = partial(
    msgpack.Unpacker,
    use_list=False, max_buffer_size=MAX_BODY_BYTES, max_array_len=MAX_ARRAY, max_map_len=0, max_ext_len=0,
)  # fmt: skip


def unpacker_of(payload: bytes) -> Any:
    unpacker = _unpacker()
    unpacker.feed(payload)
    return unpacker


def check_id(id: object) -> None:
    if type(id) is not bytes or len(id) != NODE_ID_BYTES:
        raise ValueError("an id is 16 bytes")


def check_ints(high: int, *values: object) -> None:
    for value in values:
        if type(value) is not int or not 0 <= value <= high:
            raise ValueError("an integer is missing or out of range")


def check_hashes(hashes: object) -> None:
    if type(hashes) is not bytes or len(hashes) % ROW_HASH_BYTES:
        raise ValueError("row hashes are 4 bytes each")


def check_cluster(cluster: object) -> None:
    if type(cluster) is not str or not 1 <= len(cluster.encode()) <= MAX_NAME_BYTES:
        raise ValueError("a cluster's name is 1 to 255 bytes")


def protocol_of(oldest: int, newest: int) -> ProtocolRange:
    check_protocol(found := ProtocolRange(oldest, newest))
    return found


def join_items(fields: tuple[object, ...], items: Iterable[object]) -> bytes:
    return pack(fields) + b"".join(map(pack, items))
