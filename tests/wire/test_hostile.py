"""Whatever bytes come, a body is refused with a known reason or read in bounded memory; nothing else escapes."""

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadDatagram
from gossipreg.wire import messages as m
from gossipreg.wire.codec import decode_untrusted, encode
from gossipreg.wire.messages import Message
from tests.wire.valid_messages import VALID, frame, framed, ids, messages, refused

REASONS = {"empty", "too_long", "truncated", "bad_message"}


def test_a_body_without_a_message_is_refused() -> None:
    assert refused(b"") == "empty"


def test_a_body_larger_than_any_datagram_is_refused() -> None:
    unknown = frame(200, bytes(m.MAX_BODY_BYTES - 3))
    assert decode_untrusted(unknown) == ([], 1)
    assert refused(unknown + b"\0") == "too_long"


@given(messages)
def test_a_body_cut_off_anywhere_is_refused(message: Message) -> None:
    body = encode(message)
    assert refused(body[:-1]) == "truncated"
    assert refused(body[:1]) == "truncated"
    assert refused(body + body[:2]) == "truncated"


def check_hostile(body: bytes) -> None:
    """Refused with a known reason, or a message like those that we write ourselves."""
    bad = None
    try:
        found, skipped = decode_untrusted(body)
    except BadDatagram as error:
        bad = error
    if bad is not None:
        assert bad.reason in REASONS
        assert "\n" not in str(bad)
        return
    assert 0 < len(found) + skipped <= len(body) // 2
    if found:
        assert decode_untrusted(b"".join(map(encode, found))) == (found, 0)


@given(st.binary(max_size=300))
def test_random_bytes_do_no_harm(body: bytes) -> None:
    check_hostile(body)


@given(st.sampled_from(sorted(VALID)), st.binary(max_size=120))
def test_random_payloads_do_no_harm(kind: int, payload: bytes) -> None:
    check_hostile(frame(kind, payload))


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=20) | ids
trees = st.recursive(
    scalars | st.text(max_size=5) | st.builds(msgpack.Timestamp, st.integers(0, 9)),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=30,
)


@given(st.sampled_from(sorted(VALID)), st.lists(st.lists(trees, max_size=9) | trees, max_size=4))
def test_valid_msgpack_of_any_shape_does_no_harm(kind: int, values: list[object]) -> None:
    check_hostile(framed(kind, *values))


@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_mutated_messages_do_no_harm(several: list[Message], data: st.DataObject) -> None:
    body = bytearray(b"".join(map(encode, several)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        edit = data.draw(st.sampled_from(("set", "cut", "insert", "copy")))
        if edit == "set":
            body[at] = data.draw(st.integers(0, 255))
        elif edit == "cut":
            del body[max(at, 1) : at + data.draw(st.integers(0, 8))]
        elif edit == "insert":
            body[at:at] = data.draw(st.binary(max_size=8))
        else:
            body[at:at] = body[: data.draw(st.integers(0, len(body)))]
    check_hostile(bytes(body))


@given(messages, st.data())
def test_a_mutated_payload_of_the_right_length_does_no_harm(message: Message, data: st.DataObject) -> None:
    body = encode(message)
    payload = bytearray(body[3:] if body[1] & 0x80 else body[2:])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    check_hostile(frame(body[0], bytes(payload)))


HUGE = {
    "nested arrays": b"\x91" * 8000,
    "nested arrays of 15": b"\x9f" * 8000,
    "nested arrays of 16": b"\xdc\x00\x10" * 2600,
    "nested arrays of 2,048": b"\xdc\x08\x00" * 2600,
    "nested maps": b"\x81\x01" * 4000,
    "array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "bytes of 4 GiB": b"\xc6\xff\xff\xff\xff",
    "text of 4 GiB": b"\xdb\xff\xff\xff\xff",
    "extension of 4 GiB": b"\xc9\xff\xff\xff\xff\x01",
    "lone surrogate": b"\xa3\xed\xa0\x80",
}


@pytest.mark.parametrize("kind", sorted(set(VALID) - {m.PROBE, m.PADDING}))
@pytest.mark.parametrize("what", HUGE)
def test_nesting_and_promised_lengths_take_no_memory(kind: int, what: str) -> None:
    for start in (b"", b"\x91", b"\x90", bytes(13)):
        body = frame(kind, start + HUGE[what])
        tracemalloc.start()
        try:
            assert refused(body) == "bad_message"
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 500_000
