"""A packed value of another member: whatever its bytes, it is a value that every client can read, or one error."""

import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.json_form import json_of
from gossipreg.errors import BadParams
from gossipreg.wire.packed import MAX_DEPTH, unpacked_untrusted
from tests.sagas.one_line import assert_one_line

plain = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
anything = st.recursive(
    plain | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9) | st.binary(), inner),
    max_leaves=20,
)


@given(values)
def test_a_plain_value_is_read_as_it_was_packed(value: object) -> None:
    packed = msgpack.packb(value)
    assert msgpack.packb(unpacked_untrusted(packed, "the answer")) == packed


@given(st.binary(max_size=200) | anything.map(msgpack.packb))
def test_any_bytes_are_a_value_for_all_clients_or_one_error(data: bytes) -> None:
    try:
        value = unpacked_untrusted(data, "the answer")
    except BadParams as error:
        assert_one_line(error)
        return
    packed = msgpack.packb(value)
    msgpack.unpackb(packed)
    json.loads(json_of(packed))


@pytest.mark.parametrize("key", [b"\x01", b"\xc4\x01a", b"\x90", b"\x80", b"\xc0", b"\xa1\xff"])
def test_a_key_that_is_no_text_is_an_error_at_every_level(key: bytes) -> None:
    inner = b"\x81" + key + b"\x02"
    for data in (inner, b"\x91" + inner, b"\x81\xa1a" + inner):
        with pytest.raises(BadParams, match="the answer cannot be read"):
            unpacked_untrusted(data, "the answer")


def test_nesting_is_bounded() -> None:
    fits = b"\x91" * (MAX_DEPTH - 1) + b"\x00"
    assert unpacked_untrusted(fits, "it")
    for levels in (MAX_DEPTH, 1_000, 100_000):
        with pytest.raises(BadParams):
            unpacked_untrusted(b"\x91" * levels + b"\x00", "it")
