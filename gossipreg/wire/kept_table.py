"""The layout of the file in which a sidecar keeps the table that it knew last.

    head    magic, version of the layout, digest of the cluster's name, when the sidecar was last synced (wall clock,
            ms), length and digest of the body, digest of the head itself
    body    records, each the length of a Delta (4 bytes, big endian) and the Delta as it goes into datagrams

The Deltas of a member are pages from the start of its row, in order. While the table does not change, only the head is
rewritten. Owns: the layout, and the check of every byte of it. Never knows: files, clocks.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from gossipreg.blake2 import blake2b
from gossipreg.errors import BadDatagram, UnusableFile
from gossipreg.wire import codec
from gossipreg.wire.messages import Delta

MAGIC = b"gregtab"
LAYOUT = 1
PAGE_BYTES = 8_000
"""The largest Delta: some hundred entries, so that one is made in well under a millisecond."""

_HEAD = Struct(">7sB16sQQ32s")
_CHECK_BYTES = 16
HEAD_BYTES = _HEAD.size + _CHECK_BYTES
_LENGTH = Struct(">I")


class DecodedTable(NamedTuple):
    synced_at_ms: int
    """When the sidecar was last known to be synced, by the wall clock."""
    deltas: Iterator[Delta]
    """Raises UnusableFile if one is damaged in spite of the digest."""


def cluster_digest(cluster: str) -> bytes:
    return blake2b(cluster.encode(), digest_size=16, person=b"kept table").digest()


def body_digest() -> "blake2b":
    """A hash to feed with the body while it is written."""
    return blake2b(digest_size=32, person=b"kept table")


def encode_head(cluster: str, synced_at_ms: int, body_bytes: int, digest: bytes) -> bytes:
    head = _HEAD.pack(MAGIC, LAYOUT, cluster_digest(cluster), synced_at_ms, body_bytes, digest)
    return head + _check(head)


def encode_record(delta: Delta) -> bytes:
    data = codec.encode(delta)
    return _LENGTH.pack(len(data)) + data


def decode_untrusted(data: bytes, cluster: str) -> DecodedTable:
    """Raises UnusableFile if the file is damaged, of another layout or of another cluster."""
    head, check = data[: _HEAD.size], data[_HEAD.size : HEAD_BYTES]
    if len(data) < HEAD_BYTES or head[: len(MAGIC)] != MAGIC:
        raise UnusableFile("it does not begin like a file of a kept table")
    _, layout, of_cluster, synced_at_ms, body_bytes, digest = _HEAD.unpack(head)
    if layout != LAYOUT:
        raise UnusableFile(f"it has layout {layout}, and this version reads layout {LAYOUT}")
    if check != _check(head):
        raise UnusableFile("its head is damaged")
    if of_cluster != cluster_digest(cluster):
        raise UnusableFile("it belongs to another cluster")
    body = memoryview(data)[HEAD_BYTES:]
    if len(body) != body_bytes:
        raise UnusableFile(f"its body has {len(body)} bytes, not {body_bytes}")
    found = body_digest()
    found.update(body)
    if found.digest() != digest:
        raise UnusableFile("its body is damaged")
    return DecodedTable(synced_at_ms, _deltas_untrusted(body))


def _deltas_untrusted(body: memoryview) -> Iterator[Delta]:
    at = 0
    while at < len(body):
        start = at + _LENGTH.size
        if start > len(body):
            raise UnusableFile("its last record is cut off")
        at = start + _LENGTH.unpack_from(body, at)[0]
        if at > len(body):
            raise UnusableFile("its last record is cut off")
        try:
            messages, _ = codec.decode_untrusted(bytes(body[start:at]))
        except BadDatagram as error:
            raise UnusableFile(f"a record cannot be read: {error}") from None
        for message in messages:
            if isinstance(message, Delta):
                yield message


def _check(head: bytes) -> bytes:
    return blake2b(head, digest_size=_CHECK_BYTES, person=b"kept table").digest()
