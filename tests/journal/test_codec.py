"""What replicas say to each other survives the way through bytes, and bytes that are something else are refused."""

import tracemalloc
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.errors import BadDatagram
from gossipreg.journal import codec, values
from gossipreg.journal import messages as m
from gossipreg.journal.codec import FIRST_FOREIGN_KIND, MAX_REASON_BYTES, decode_message_untrusted, encode_message
from gossipreg.journal.message_forms import MAX_MESSAGE_BYTES, MAX_NUMBER
from gossipreg.journal.messages import Append, InstallState, ReplicaLost, ReplicaMessage, ReplicaRefused
from gossipreg.journal.model import (
    MAX_ENTRY_BYTES,
    Ballot,
    Configuration,
    JournalId,
    LogEntry,
    Position,
    ReplicaId,
    ReplicaPlace,
)
from gossipreg.model import NodeId
from gossipreg.streams import frames
from tests.examples import examples
from tests.journal.valid_messages import messages

JOURNAL, HERE, THERE = JournalId(b"j" * 16), ReplicaId(b"h" * 16), ReplicaId(b"t" * 16)
BALLOT = Ballot(3, HERE)
APPEND = Append(
    journal=JOURNAL, sender=HERE, receiver=THERE, ballot=BALLOT, before=Position(BALLOT, 4),
    entries=(LogEntry(5, BALLOT, 10, 2, b"five"), LogEntry(6, BALLOT, 11, 2, b"six")), commit=4,
)  # fmt: skip
ARRAY: list[Any] = [JOURNAL, HERE, THERE, 3, HERE, 3, HERE, 4, 4]
ITEM: list[Any] = [5, 3, HERE, 10, 2, b"five"]
FORMS = {form.message: form for form in codec._FORMS}


def append_of(array: list[Any], *items: object) -> bytes:
    return b"\x05" + b"".join(map(msgpack.packb, (array, *items)))


def refused(data: bytes) -> str:
    with pytest.raises(BadDatagram) as caught:
        decode_message_untrusted(data)
    return caught.value.reason


@settings(max_examples=examples(400))
@given(messages)
def test_a_message_comes_back_as_it_was(message: ReplicaMessage) -> None:
    assert decode_message_untrusted(encode_message(message)) == message


def test_every_message_has_a_form_with_all_its_fields() -> None:
    classes = {one for one in vars(m).values() if isinstance(one, type) and issubclass(one, ReplicaMessage)}
    assert FORMS.keys() == classes - {ReplicaMessage}
    for message, form in FORMS.items():
        listed = {*form.fields, *([*form.items.names] if form.items else [])}
        assert listed == {field.name for field in fields(message)}


def test_an_append_has_the_form_that_is_described() -> None:
    items = [ITEM, [6, 3, HERE, 11, 2, b"six"]]
    assert encode_message(APPEND) == append_of(ARRAY, *items)


@given(messages, st.lists(st.one_of(st.integers(0, 9), st.text(max_size=3)), max_size=3))
def test_elements_of_later_releases_are_ignored(message: ReplicaMessage, more: list[Any]) -> None:
    encoded = encode_message(message)
    unpacker = msgpack.Unpacker(use_list=True)
    unpacker.feed(encoded[1:])
    array, *items = unpacker
    longer = [array + more[: 16 - len(array)], *(item + more for item in items)]
    assert decode_message_untrusted(encoded[:1] + b"".join(map(msgpack.packb, longer))) == message


@pytest.mark.parametrize("kind", [0, 21, FIRST_FOREIGN_KIND, 255])
def test_kinds_of_later_releases_are_none(kind: int) -> None:
    assert decode_message_untrusted(bytes((kind,)) + b"anything") is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x05",
        b"\x05\xc0",
        append_of(ARRAY[:-1]),
        append_of([b"short", *ARRAY[1:]]),
        append_of([*ARRAY[:3], -1, *ARRAY[4:]]),
        append_of([*ARRAY[:3], 0, HERE, *ARRAY[5:]]),
        append_of([*ARRAY[:3], 3, b"", *ARRAY[5:]]),
        append_of([*ARRAY[:3], True, *ARRAY[4:]]),
        append_of([*ARRAY[:8], MAX_NUMBER + 1]),
        append_of(ARRAY, [6, *ITEM[1:]]),
        append_of(ARRAY, ITEM, ITEM),
        append_of(ARRAY, ITEM[:5]),
        append_of(ARRAY, [*ITEM[:4], 256, b""]),
        append_of(ARRAY, [*ITEM[:5], "text"]),
        append_of(ARRAY, [*ITEM[:5], bytes(MAX_ENTRY_BYTES + 1)]),
        append_of(ARRAY, ITEM)[:-1],
        append_of([*ARRAY, *range(8)]),
        append_of(ARRAY, {}),
        bytes(MAX_MESSAGE_BYTES + 1),
    ],
)
def test_a_message_that_is_not_of_the_form_is_refused(data: bytes) -> None:
    assert refused(data) == "bad_message"


def test_no_bytes_are_no_message() -> None:
    assert refused(b"") == "empty"


def places(count: int) -> tuple[ReplicaPlace, ...]:
    return tuple(
        ReplicaPlace(ReplicaId(bytes([n]) * 16), NodeId(bytes([n]) * 16), bytes(values.MAX_HOST_BYTES))
        for n in range(count)
    )


def test_the_largest_configuration_fits_its_bound() -> None:
    ring = places(values.MAX_REPLICAS)
    largest = Configuration(ring, ring, ring)
    assert len(values.encode_configuration(largest)) <= values.MAX_CONFIGURATION_BYTES
    assert values.decode_configuration_untrusted(values.encode_configuration(largest)) == largest


@pytest.mark.parametrize("data", [b"", b"\x93\x90\x90\x90", b"\x90", bytes(5000), b"\xdd\xff\xff\xff\xff", b"\x80"])
def test_a_configuration_that_is_none_is_refused(data: bytes) -> None:
    install = [JOURNAL, HERE, THERE, 3, HERE, 3, HERE, 4, 0, data, 0, True]
    assert refused(b"\x07" + msgpack.packb(install)) == "bad_configuration"


def test_a_long_reason_is_cut_where_it_is_sent() -> None:
    long = ReplicaRefused(journal=JOURNAL, sender=HERE, receiver=THERE, number=1, reason="é" * MAX_REASON_BYTES)
    assert decode_message_untrusted(encode_message(long)) == replace(long, reason="é" * (MAX_REASON_BYTES // 2))


def test_what_a_stream_takes_a_message_may_have() -> None:
    assert MAX_MESSAGE_BYTES == frames.MAX_MESSAGE_BYTES
    entries = tuple(LogEntry(index, BALLOT, 2**40, 2, bytes(256)) for index in range(5, 5 + 4096))
    assert len(encode_message(replace(APPEND, entries=entries))) <= MAX_MESSAGE_BYTES
    large = tuple(LogEntry(index, BALLOT, 0, 2, bytes(MAX_ENTRY_BYTES)) for index in range(5, 10))
    with pytest.raises(ValueError, match="Append takes 13"):
        encode_message(replace(APPEND, entries=large))


@settings(max_examples=examples(300))
@given(st.integers(1, 20), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(kind: int, payload: bytes) -> None:
    with suppress(BadDatagram):
        message = decode_message_untrusted(bytes((kind,)) + payload)
        assert message is not None


anything = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.binary(max_size=20),
    st.text(max_size=4), st.lists(st.integers(0, 3), max_size=3),
)  # fmt: skip


@settings(max_examples=examples(400))
@given(messages, st.integers(0, 20), anything)
def test_any_value_in_place_of_an_element_is_read_or_refused(
    message: ReplicaMessage, at: int, value: object
) -> None:  # fmt: skip
    unpacker = msgpack.Unpacker(use_list=True)
    unpacker.feed(encode_message(message)[1:])
    values = list(unpacker)
    places = [(array, place) for array in values for place in range(len(array))]
    array, place = places[at % len(places)]
    array[place] = value
    with suppress(BadDatagram):
        decode_message_untrusted(encode_message(message)[:1] + b"".join(map(msgpack.packb, values)))


@pytest.mark.parametrize("value", [7, None, "text", [1], True])
def test_a_configuration_that_is_no_bytes_is_refused(value: object) -> None:
    install = [JOURNAL, HERE, THERE, 3, HERE, 3, HERE, 4, 0, value, 0, True]
    assert refused(b"\x07" + msgpack.packb(install)) == "bad_message"


@given(messages, st.integers(0, 2**16), st.integers(0, 20), st.binary(max_size=10))
def test_what_is_near_a_message_is_read_or_refused(
    message: ReplicaMessage, at: int, gone: int, put: bytes
) -> None:  # fmt: skip
    encoded = encode_message(message)
    at %= len(encoded) + 1
    changed = encoded[:at] + put + encoded[at + gone :]
    with suppress(BadDatagram):
        again = decode_message_untrusted(changed)
        assert again is None or decode_message_untrusted(encode_message(again)) == again


@pytest.mark.parametrize("kind", [5, 7, 15])
@pytest.mark.parametrize("header", [b"\x91", b"\xdd\xff\xff\xff\xff", b"\xdc\x00\x10", b"\x9f"])
def test_nested_headers_take_memory_in_proportion(kind: int, header: bytes) -> None:
    size = 512 * 1024
    data = bytes((kind,)) + header * (size // len(header))
    tracemalloc.start()
    try:
        assert refused(data) == "bad_message"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * size


def test_a_message_without_fields_of_its_own_takes_56_bytes() -> None:
    lost = ReplicaLost(journal=JOURNAL, sender=HERE, receiver=THERE)
    assert len(encode_message(lost)) == 2 + 3 * 18 == 56


def test_a_piece_of_state_keeps_its_records_in_order() -> None:
    records = tuple((bytes([n]), bytes(n)) for n in range(20))
    piece = InstallState(
        journal=JOURNAL, sender=HERE, receiver=THERE, ballot=BALLOT, base=Position(BALLOT, 9), led_ms=1,
        configuration=Configuration(places(3)), number=2, records=records, last=True,
    )  # fmt: skip
    assert decode_message_untrusted(encode_message(piece)) == piece
