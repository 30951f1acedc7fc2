"""The file of the table known last: what is written is read again, and no bytes do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import UnusableFile
from gossipreg.model import NodeId
from gossipreg.wire.kept_table import (
    HEAD_BYTES,
    DecodedTable,
    body_digest,
    cluster_digest,
    decode_untrusted,
    encode_head,
    encode_record,
)
from gossipreg.wire.messages import Delta

entries = st.lists(st.none() | st.binary(max_size=60), max_size=6).map(
    lambda values: tuple((number << 13, number + 1, value) for number, value in enumerate(values))
)
deltas = st.builds(
    lambda of, generation, entries, digest: Delta(
        NodeId(of), generation, 0, len(entries), len(entries), digest, 0, entries
    ),
    st.binary(min_size=16, max_size=16), st.integers(1, 1 << 60), entries, st.integers(0, (1 << 64) - 1),
)  # fmt: skip


def a_file(deltas: list[Delta], cluster: str = "default", synced_at_ms: int = 1_700_000_000_000) -> bytes:
    body = b"".join(map(encode_record, deltas))
    digest = body_digest()
    digest.update(body)
    return encode_head(cluster, synced_at_ms, len(body), digest.digest()) + body


def read(data: bytes) -> list[Delta] | None:
    """None: it is refused, which is the one exception that there may be."""
    try:
        kept: DecodedTable = decode_untrusted(data, "default")
        return list(kept.deltas)
    except UnusableFile:
        return None


@given(st.lists(deltas, max_size=5), st.integers(0, (1 << 64) - 1))
def test_a_written_table_is_read_again(written: list[Delta], synced_at_ms: int) -> None:
    kept = decode_untrusted(a_file(written, synced_at_ms=synced_at_ms), "default")
    assert (kept.synced_at_ms, list(kept.deltas)) == (synced_at_ms, written)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_file_are_refused(data: bytes) -> None:
    assert read(data) is None


@given(st.lists(deltas, min_size=1, max_size=3), st.data())
def test_a_file_with_one_changed_byte_is_refused(written: list[Delta], data: st.DataObject) -> None:
    whole = bytearray(a_file(written))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert read(bytes(whole)) is None


@given(st.lists(deltas, min_size=1, max_size=3), st.data())
def test_a_file_that_is_cut_off_or_longer_is_refused(written: list[Delta], data: st.DataObject) -> None:
    whole = a_file(written)
    assert read(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    assert read(whole + data.draw(st.binary(min_size=1, max_size=9))) is None


@given(st.binary(max_size=200))
def test_a_body_of_rubbish_with_a_right_digest_does_no_harm(body: bytes) -> None:
    digest = body_digest()
    digest.update(body)
    found = read(encode_head("default", 0, len(body), digest.digest()) + body)
    assert found is None or all(isinstance(one, Delta) for one in found)


def test_a_file_of_another_cluster_or_layout_is_refused() -> None:
    with pytest.raises(UnusableFile, match="it belongs to another cluster"):
        decode_untrusted(a_file([], cluster="other"), "default")
    newer = bytearray(a_file([]))
    newer[7] = 2
    with pytest.raises(UnusableFile, match="it has layout 2, and this version reads layout 1"):
        decode_untrusted(bytes(newer), "default")
    assert cluster_digest("a") != cluster_digest("b")


def test_the_head_alone_can_be_written_anew() -> None:
    whole = a_file([])
    later = encode_head("default", 5, 0, body_digest().digest())
    assert len(later) == HEAD_BYTES
    assert decode_untrusted(later + whole[HEAD_BYTES:], "default").synced_at_ms == 5
