"""Messages to bytes and back, as `messages.py` specifies them.

Owns: framing, and the check of every field against its bound. Never knows: what a message means, who sent it, or
whether it was sealed. `decode_untrusted` raises BadDatagram only, with one of these reasons: empty, too_long,
truncated (a length beyond the body), bad_message (a payload out of its specification).

One function a kind, in two tables; `payload_fields.py` has what they share. The decoders below raise ValueError, which
`decode_untrusted` turns into the one exception. Memory: a body is bounded, arrays are limited to 16 elements before
they are made, and lists are read value by value, so what is taken is in proportion to the bytes that came.
"""

import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgpack

from gossipreg.errors import BadDatagram
from gossipreg.model import FIRST_PROTOCOL, NODE_ID_BYTES, NodeId, Rank
from gossipreg.wire import messages as m
from gossipreg.wire.messages import (
    MAX_BITS,
    MAX_BODY_BYTES,
    MAX_DATAGRAM_COUNTER,
    MAX_ENTRY_VALUE_BYTES,
    MAX_INCARNATION,
    MAX_KEY,
    MAX_NUMBER,
    MAX_PAYLOAD_BYTES,
    MAX_PEERS,
    MAX_VERSION,
    ROW_HASH_BYTES,
    Entry,
    Message,
)
from gossipreg.wire.payload_fields import (
    check_cluster,
    check_hashes,
    check_id,
    check_ints,
    fields_and_items,
    fields_of,
    join_items,
    pack,
    protocol_of,
    unpacker_of,
)
from gossipreg.wire.values import address_fields, address_untrusted, known

_PROBE = struct.Struct(">xIQ")
_RANKS = tuple(Rank)

# -- framing ---------------------------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """One message as kind, length, payload. ValueError where the payload is larger than a length can say."""
    kind, payload_of = _ENCODERS[type(message)]
    payload = payload_of(message)
    length = len(payload)
    if length < 0x80:
        return bytes((kind, length)) + payload
    if length > MAX_PAYLOAD_BYTES:
        raise ValueError(f"{type(message).__name__} takes {length} bytes: send at most {MAX_PAYLOAD_BYTES}")
    return bytes((kind, 0x80 | length >> 8, length & 0xFF)) + payload


def decode_untrusted(body: bytes) -> tuple[list[Message], int]:
    """The messages of an opened datagram, in order, and how many of unknown kind were skipped.

    BadDatagram where anything is wrong with any of them: the sender is at fault, nothing changed.
    """
    end = len(body)
    if not end:
        raise BadDatagram("empty")
    if end > MAX_BODY_BYTES:
        raise BadDatagram("too_long", f"{end} bytes")
    found: list[Message] = []
    skipped = at = kind = 0
    try:
        while at < end:
            kind, length = body[at], body[at + 1]
            at += 2
            if length >= 0x80:
                length = (length & 0x7F) << 8 | body[at]
                at += 1
            start, at = at, at + length
            if at > end:
                raise IndexError
            decoder = _DECODERS.get(kind)
            if decoder is None:
                skipped += 1
            else:
                found.append(decoder(body[start:at]))
    except IndexError:
        raise BadDatagram("truncated", f"kind {kind}") from None
    except ValueError as error:
        raise BadDatagram("bad_message", f"kind {kind}: {error}") from None
    return found, skipped


# -- who and whether -------------------------------------------------------------------------------------------------


def _hello(payload: bytes) -> m.Hello:
    cluster, id, generation, nonce, echo, synced, up_ms, *later = fields_of(
        payload, 5, (False, 0, *FIRST_PROTOCOL, 0, 0)
    )
    check_cluster(cluster)
    check_id(id)
    check_ints(MAX_VERSION, generation, up_ms, *later[2:])
    check_ints(m.MAX_HASH, nonce, echo)
    if type(synced) is not bool:
        raise ValueError("a flag is needed")
    return m.Hello(cluster, id, generation, nonce, echo, synced, up_ms, protocol_of(*later[:2]), *later[2:])


def _encode_hello(hello: m.Hello) -> bytes:
    later: tuple[int, ...] = (*hello.protocol, hello.before, hello.held)
    if not hello.held:
        later = later[:3] if hello.before else () if hello.protocol == FIRST_PROTOCOL else later[:2]
    return pack((
        hello.cluster, hello.id, hello.generation, hello.nonce, hello.echo, hello.synced, hello.up_ms, *later,
    ))  # fmt: skip


def _mismatch(payload: bytes) -> m.Mismatch:
    cluster, echo, oldest, newest, nonce = fields_of(payload, 2, (*FIRST_PROTOCOL, 0))
    check_cluster(cluster)
    check_ints(m.MAX_HASH, echo, nonce)
    return m.Mismatch(cluster, echo, protocol_of(oldest, newest), nonce)


def _encode_mismatch(mismatch: m.Mismatch) -> bytes:
    later: tuple[int, ...] = (*mismatch.protocol, mismatch.nonce)
    if not mismatch.nonce:
        later = () if mismatch.protocol == FIRST_PROTOCOL else later[:2]
    return pack((mismatch.cluster, mismatch.echo, *later))


def _probe(payload: bytes) -> m.Probe:
    if len(payload) < _PROBE.size:
        raise ValueError("a probe is 13 bytes")
    return m.Probe(*_PROBE.unpack_from(payload))


def _ack(payload: bytes) -> m.Ack:
    if len(payload) == _PROBE.size:
        return m.Ack(*_PROBE.unpack(payload))
    if len(payload) < _PROBE.size:
        raise ValueError("an ack is 13 bytes")
    try:
        observed = unpacker_of(payload[_PROBE.size :]).unpack()
    except msgpack.OutOfData:  # the only error of msgpack's that is no ValueError
        raise ValueError("the observed address is cut off") from None
    number, fingerprint = _PROBE.unpack_from(payload)
    return m.Ack(number, fingerprint, None if observed is None else address_untrusted(observed))


def _encode_ack(ack: m.Ack) -> bytes:
    fixed = _PROBE.pack(ack.number, ack.fingerprint)
    return fixed if ack.observed is None else fixed + pack(address_fields(ack.observed))


def _nack(payload: bytes) -> m.Nack:
    number, refused = fields_of(payload, 2)
    check_ints(MAX_NUMBER, number)
    if type(refused) is not bool:
        raise ValueError("refused is a flag")
    return m.Nack(number, refused)


def _ping_req(payload: bytes) -> m.PingReq:
    number, target = fields_of(payload, 2)
    check_ints(MAX_NUMBER, number)
    check_id(target)
    return m.PingReq(number, target)


# -- rows ------------------------------------------------------------------------------------------------------------


def _claim(payload: bytes) -> m.Claim:
    id, generation, incarnation, rank, by = fields_of(payload, 5)
    check_id(id)
    check_ints(MAX_VERSION, generation)
    check_ints(MAX_INCARNATION, incarnation)
    check_ints(len(_RANKS) - 1, rank)
    check_id(by)
    return m.Claim(id, generation, incarnation, _RANKS[rank], by)


def _delta(payload: bytes) -> m.Delta:
    (id, generation, base, reached, head, digest, floor), items = fields_and_items(payload, 7)
    check_id(id)
    check_ints(MAX_VERSION, generation, base, reached, head, floor)
    check_ints(m.MAX_HASH, digest)
    if not base <= reached <= head or floor > head:
        raise ValueError("a delta's counters contradict each other")
    return m.Delta(id, generation, base, reached, head, digest, floor, _entries(items, base, reached))


def _entries(items: list[Any], base: int, reached: int) -> tuple[Entry, ...]:
    before = base
    for item in items:
        if type(item) is not tuple or len(item) != 3:
            return _entries([known(item, 3) for item in items], base, reached)
        key, counter, value = item
        if type(key) is not int or not 0 <= key <= MAX_KEY:
            raise ValueError("a key is out of range")
        if type(counter) is not int or not before < counter <= reached:
            raise ValueError("an entry's counter is out of order")
        if value is not None and (type(value) is not bytes or len(value) > MAX_ENTRY_VALUE_BYTES):
            raise ValueError("a value is at most 394 bytes")
        before = counter
    return tuple(items)


def _announce(payload: bytes) -> m.Announce:
    id, generation, head = fields_of(payload, 3)
    check_id(id)
    check_ints(MAX_VERSION, generation, head)
    return m.Announce(id, generation, head)


def _pull(payload: bytes) -> m.Pull:
    id, generation, counter = fields_of(payload, 3)
    check_id(id)
    check_ints(MAX_VERSION, generation, counter)
    return m.Pull(id, generation, counter)


def _receipt(payload: bytes) -> m.Receipt:
    _, counters = fields_and_items(payload, 0)
    check_ints(MAX_DATAGRAM_COUNTER, *counters)
    if 0 in counters:
        raise ValueError("datagrams are counted from 1")
    return m.Receipt(tuple(counters))


# -- comparing -------------------------------------------------------------------------------------------------------


def _buckets(payload: bytes) -> m.Buckets:
    salt, bits, digests = fields_of(payload, 3)
    check_ints(m.MAX_HASH, salt)
    check_ints(MAX_BITS, bits)
    if type(digests) is not bytes or len(digests) != 4 << bits:
        raise ValueError("digests are 4 bytes a bucket")
    return m.Buckets(salt, bits, digests)


def _hashes(payload: bytes) -> m.Hashes:
    (salt, bits), items = fields_and_items(payload, 2)
    check_ints(m.MAX_HASH, salt)
    check_ints(MAX_BITS, bits)
    return m.Hashes(salt, bits, tuple(_bucket(known(item, 4), bits) for item in items))


def _bucket(item: tuple[Any, ...], bits: int) -> tuple[int, int, int, bytes]:
    bucket, low, high, hashes = item
    check_ints((1 << bits) - 1, bucket)
    check_ints(2 ** (8 * ROW_HASH_BYTES) - 1, low, high)
    check_hashes(hashes)
    rows = [low.to_bytes(ROW_HASH_BYTES, "big")]
    rows += (hashes[at : at + ROW_HASH_BYTES] for at in range(0, len(hashes), ROW_HASH_BYTES))
    rows.append(high.to_bytes(ROW_HASH_BYTES, "big"))
    if any(a > b for a, b in pairwise(rows)):
        raise ValueError("row hashes are out of order or of their range")
    return bucket, low, high, hashes


def _want(payload: bytes) -> m.Want:
    salt, hashes = fields_of(payload, 2)
    check_ints(m.MAX_HASH, salt)
    check_hashes(hashes)
    return m.Want(salt, hashes)


def _versions(payload: bytes) -> m.Versions:
    (following, synced), items = fields_and_items(payload, 1, (True,))
    if following is not None:
        _check_place(following)
    if type(synced) is not bool:
        raise ValueError("a flag is needed")
    return m.Versions(tuple(_version(known(item, 3)) for item in items), following, synced)


def _version(item: tuple[Any, ...]) -> tuple[NodeId, int, int]:
    id, generation, counter = item
    check_id(id)
    check_ints(MAX_VERSION, generation, counter)
    return id, generation, counter


def _list(payload: bytes) -> m.List:
    (after,) = fields_of(payload, 1)
    _check_place(after)
    return m.List(after)


def _check_place(place: object) -> None:
    if type(place) is not bytes or len(place) not in (0, NODE_ID_BYTES):
        raise ValueError("a place in the list is an id or nothing")


def _peers(payload: bytes) -> m.Peers:
    _, items = fields_and_items(payload, 0)
    if len(items) > MAX_PEERS:
        raise ValueError("more peers than anybody names")
    peers = []
    for item in items:
        id, address = known(item, 2)
        check_id(id)
        peers.append((id, address_untrusted(address)))
    return m.Peers(tuple(peers))


# -- the tables ------------------------------------------------------------------------------------------------------

_DECODERS: dict[int, Callable[[bytes], Message]] = {
    m.HELLO: _hello, m.MISMATCH: _mismatch, m.PROBE: _probe, m.ACK: _ack, m.NACK: _nack, m.PING_REQ: _ping_req,
    m.CLAIM: _claim, m.DELTA: _delta, m.ANNOUNCE: _announce, m.PULL: _pull, m.RECEIPT: _receipt,
    m.BUCKETS: _buckets, m.HASHES: _hashes, m.WANT: _want, m.VERSIONS: _versions, m.LIST: _list, m.PEERS: _peers,
    m.PADDING: lambda payload: m.Padding(len(payload)),
}  # fmt: skip

_ENCODERS: dict[type[Message], tuple[int, Callable[[Any], bytes]]] = {
    m.Hello: (m.HELLO, _encode_hello),
    m.Mismatch: (m.MISMATCH, _encode_mismatch),
    m.Probe: (m.PROBE, lambda x: _PROBE.pack(x.number, x.fingerprint)),
    m.Ack: (m.ACK, _encode_ack),
    m.Nack: (m.NACK, lambda x: pack((x.number, x.refused))),
    m.PingReq: (m.PING_REQ, lambda x: pack((x.number, x.target))),
    m.Claim: (m.CLAIM, lambda x: pack((x.id, x.generation, x.incarnation, x.rank, x.by))),
    m.Delta: (
        m.DELTA,
        lambda x: join_items((x.id, x.generation, x.base, x.reached, x.head, x.digest, x.floor), x.entries),
    ),
    m.Announce: (m.ANNOUNCE, lambda x: pack((x.id, x.generation, x.head))),
    m.Pull: (m.PULL, lambda x: pack((x.id, x.generation, x.counter))),
    m.Receipt: (m.RECEIPT, lambda x: join_items((), x.counters)),
    m.Buckets: (m.BUCKETS, lambda x: pack((x.salt, x.bits, x.digests))),
    m.Hashes: (m.HASHES, lambda x: join_items((x.salt, x.bits), x.buckets)),
    m.Want: (m.WANT, lambda x: pack((x.salt, x.hashes))),
    m.Versions: (m.VERSIONS, lambda x: join_items((x.next,) if x.synced else (x.next, False), x.rows)),
    m.List: (m.LIST, lambda x: pack((x.after,))),
    m.Peers: (m.PEERS, lambda x: join_items((), ((id, address_fields(address)) for id, address in x.peers))),
    m.Padding: (m.PADDING, lambda x: bytes(x.payload_bytes)),
}
