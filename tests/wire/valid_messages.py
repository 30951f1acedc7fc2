"""Every valid message, as strategies and as arrays, and how to frame what is not valid."""

from typing import Any

import msgpack
import pytest
from hypothesis import strategies as st

from gossipreg.errors import BadDatagram
from gossipreg.model import Address, NodeId, ProtocolRange, Rank
from gossipreg.wire import messages as m
from gossipreg.wire.codec import decode_untrusted
from gossipreg.wire.messages import Message
from gossipreg.wire.values import MAX_PROTOCOL

ID = NodeId(bytes(range(16)))
OTHER = NodeId(bytes(range(16, 32)))

ids = st.binary(min_size=16, max_size=16).map(NodeId)
numbers = st.integers(0, m.MAX_NUMBER)
hashes64 = st.integers(0, m.MAX_HASH)
versions = st.integers(0, m.MAX_VERSION)
clusters = st.text(min_size=1, max_size=60)  # at most 240 bytes
addresses = st.builds(
    Address,
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str).filter(lambda host: "::ffff:" not in host),
    st.integers(1, 65_535),
)
protocols = st.integers(1, MAX_PROTOCOL)
ranges = st.tuples(protocols, protocols).map(lambda two: ProtocolRange(min(two), max(two)))
row_hashes = st.lists(st.binary(min_size=4, max_size=4), max_size=12)


@st.composite
def deltas(draw: st.DrawFn) -> m.Delta:
    steps = draw(st.lists(st.integers(1, 2**20), max_size=12))
    base = draw(st.integers(0, 2**40))
    counters = [base + sum(steps[: at + 1]) for at in range(len(steps))]
    reached = (counters[-1] if counters else base) + draw(st.integers(0, 3))
    head = reached + draw(st.integers(0, 2**30))
    entries = tuple(
        (draw(st.integers(0, m.MAX_KEY)), counter, draw(st.none() | st.binary(max_size=m.MAX_ENTRY_VALUE_BYTES)))
        for counter in counters
    )
    return m.Delta(
        draw(ids), draw(versions), base, reached, head, draw(hashes64), draw(st.integers(0, head)), entries
    )  # fmt: skip


@st.composite
def buckets(draw: st.DrawFn) -> m.Buckets:
    bits = draw(st.integers(0, 6))
    return m.Buckets(draw(hashes64), bits, draw(st.binary(min_size=4 << bits, max_size=4 << bits)))


@st.composite
def hashes(draw: st.DrawFn) -> m.Hashes:
    bits = draw(st.integers(0, m.MAX_BITS))
    found = []
    for bucket in draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=5)):
        rows = sorted(draw(row_hashes))
        low = draw(st.integers(0, int.from_bytes(rows[0], "big") if rows else 2**32 - 1))
        high = draw(st.integers(int.from_bytes(rows[-1], "big") if rows else low, 2**32 - 1))
        found.append((bucket, low, high, b"".join(rows)))
    return m.Hashes(draw(hashes64), bits, tuple(found))


VALID: dict[int, st.SearchStrategy[Message]] = {
    m.HELLO: st.builds(
        m.Hello, clusters, ids, versions, hashes64, hashes64, st.booleans(), versions, ranges, versions, versions
    ),
    m.MISMATCH: st.builds(m.Mismatch, clusters, hashes64, ranges, hashes64),
    m.PROBE: st.builds(m.Probe, numbers, hashes64),
    m.ACK: st.builds(m.Ack, numbers, hashes64, st.none() | addresses),
    m.NACK: st.builds(m.Nack, numbers, st.booleans()),
    m.PING_REQ: st.builds(m.PingReq, numbers, ids),
    m.CLAIM: st.builds(m.Claim, ids, versions, st.integers(0, m.MAX_INCARNATION), st.sampled_from(Rank), ids),
    m.DELTA: deltas(),
    m.ANNOUNCE: st.builds(m.Announce, ids, versions, versions),
    m.PULL: st.builds(m.Pull, ids, versions, versions),
    m.RECEIPT: st.builds(m.Receipt, st.lists(st.integers(1, m.MAX_DATAGRAM_COUNTER), max_size=40).map(tuple)),
    m.BUCKETS: buckets(),
    m.HASHES: hashes(),
    m.WANT: st.builds(m.Want, hashes64, row_hashes.map(b"".join)),
    m.VERSIONS: st.builds(
        m.Versions,
        st.lists(st.tuples(ids, versions, versions), max_size=8).map(tuple),
        st.none() | st.just(b"") | ids,
        st.booleans(),
    ),
    m.LIST: st.builds(m.List, st.just(b"") | ids),
    m.PEERS: st.builds(m.Peers, st.lists(st.tuples(ids, addresses), max_size=m.MAX_PEERS).map(tuple)),
    m.PADDING: st.builds(m.Padding, st.integers(1, 300)),
}
messages = st.one_of(*VALID.values())


ARRAYS: dict[int, tuple[list[Any], ...]] = {
    m.HELLO: (["default", ID, 5, 6, 7, True, 8, 2, 3, 4, 4],),
    m.MISMATCH: (["default", 7, 2, 3, 9],),
    m.NACK: ([1, False],),
    m.PING_REQ: ([1, ID],),
    m.CLAIM: ([ID, 5, 1, 2, OTHER],),
    m.DELTA: ([ID, 5, 6, 8, 9, 1, 0], [3, 7, b"v"], [4, 8, None]),
    m.ANNOUNCE: ([ID, 5, 6],),
    m.PULL: ([ID, 5, 6],),
    m.RECEIPT: ([],),
    m.BUCKETS: ([1, 0, b"abcd"],),
    m.HASHES: ([1, 8], [255, 0, 2**32 - 1, bytes(4)]),
    m.WANT: ([1, bytes(12)],),
    m.VERSIONS: ([b"", False], [ID, 5, 6]),
    m.LIST: ([b""],),
    m.PEERS: ([], [ID, [b"\x0a\0\0\1", 7940]]),
}
"""A valid message of each kind that is made of arrays: the fields, then the items of its list."""


def frame(kind: int, payload: bytes) -> bytes:
    return bytes((kind, 0x80 | len(payload) >> 8, len(payload) & 0xFF)) + payload


def framed(kind: int, *values: object) -> bytes:
    return frame(kind, b"".join(map(msgpack.packb, values)))


def refused(body: bytes) -> str:
    with pytest.raises(BadDatagram) as caught:
        decode_untrusted(body)
    return caught.value.reason
