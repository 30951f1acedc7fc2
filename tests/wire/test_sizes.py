"""The sizes that senders cut their lists by are upper bounds of what the codec writes, and not far above it."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.session.outbox import FLOOR_BYTES
from gossipreg.model import NodeId
from gossipreg.wire import messages as m
from gossipreg.wire import seal, sizes
from gossipreg.wire.codec import encode
from tests.wire.valid_messages import deltas, hashes64, ids, versions

SMALLEST = FLOOR_BYTES - seal.HEADER_BYTES - seal.TAG_BYTES
Row = tuple[NodeId, int, int]
limits = st.integers(SMALLEST, m.MAX_BODY_BYTES)
ID = NodeId(b"\xff" * 16)
LARGEST_VERSION = (ID, m.MAX_VERSION, m.MAX_VERSION)
SLACK_BYTES = 60
"""What a bound may leave unused of a datagram, beside one item and 5 %."""


def fits(message: m.Message, limit: int, item_bytes: int) -> bool:
    """Whether it takes no more than the limit, and wastes little of it."""
    return 0.95 * limit - SLACK_BYTES - item_bytes <= len(encode(message)) <= limit


@given(limits)
def test_a_full_versions_fits_its_limit(limit: int) -> None:
    plain = m.Versions((LARGEST_VERSION,) * sizes.versions_in(limit))
    page = m.Versions((LARGEST_VERSION,) * sizes.versions_in(limit, with_next=True), ID)
    assert fits(plain, limit, 38)
    assert fits(page, limit, 38)


@given(st.lists(st.tuples(ids, versions, versions), min_size=1, max_size=300), limits, st.none() | ids)
def test_no_versions_are_larger_than_said(
    rows: list[tuple[NodeId, int, int]], limit: int, after: NodeId | None
) -> None:
    most = sizes.versions_in(limit, with_next=after is not None)
    assert len(encode(m.Versions(tuple(rows[:most]), after))) <= limit


@given(limits, hashes64)
def test_a_full_want_fits_its_limit(limit: int, salt: int) -> None:
    want = m.Want(salt, bytes(m.ROW_HASH_BYTES) * sizes.row_hashes_in_want(limit))
    assert fits(want, limit, m.ROW_HASH_BYTES)


@given(limits)
def test_the_hashes_of_one_bucket_fit_their_limit(limit: int) -> None:
    row_hashes = b"\xff" * m.ROW_HASH_BYTES * sizes.row_hashes_in_bucket(limit)
    largest = m.Hashes(m.MAX_HASH, m.MAX_BITS, ((2**m.MAX_BITS - 1, 2**32 - 1, 2**32 - 1, row_hashes),))
    assert fits(largest, limit, m.ROW_HASH_BYTES)


@given(st.lists(st.integers(0, 300), max_size=40))
def test_the_buckets_of_a_hashes_add_up_to_its_size(counts: list[int]) -> None:
    buckets = tuple((2**m.MAX_BITS - 1, 2**32 - 1, 2**32 - 1, b"\xff" * m.ROW_HASH_BYTES * count) for count in counts)
    said = sum(sizes.BUCKET_BYTES + len(bucket[3]) for bucket in buckets)
    taken = len(encode(m.Hashes(m.MAX_HASH, m.MAX_BITS, buckets)))
    assert sizes.room_for(m.Hashes, taken) <= said


@given(deltas())
def test_the_entries_of_a_delta_add_up_to_its_size(delta: m.Delta) -> None:
    entries = sum(sizes.entry_bytes(*entry) for entry in delta.entries)
    assert sizes.room_for(m.Delta, len(encode(delta))) <= entries


def test_the_largest_fields_of_a_delta_fit_their_bound() -> None:
    most = m.MAX_VERSION
    largest = m.Delta(ID, most, most, most, most, m.MAX_HASH, most, ())
    assert sizes.room_for(m.Delta, len(encode(largest))) <= 0


@given(st.integers(0x80, m.MAX_BODY_BYTES))
def test_the_header_of_a_large_padding_takes_three_bytes(payload: int) -> None:
    assert len(encode(m.Padding(payload))) == payload + sizes.PADDING_HEADER_BYTES


def test_the_smallest_datagram_has_room_for_one_of_each() -> None:
    assert sizes.versions_in(SMALLEST, with_next=True) >= 1
    assert sizes.row_hashes_in_want(SMALLEST) >= 1
    assert sizes.row_hashes_in_bucket(SMALLEST) >= 1
    assert sizes.room_for(m.Delta, SMALLEST) >= sizes.entry_bytes(m.MAX_KEY, m.MAX_VERSION, bytes(394))
