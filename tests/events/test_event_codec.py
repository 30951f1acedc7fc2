"""What sidecars say to each other about events survives the way through bytes, and bytes that are none are refused."""

import tracemalloc
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.daemon.streams.stream_messages import bytes_of, class_of, message_untrusted
from gossipreg.errors import BadDatagram
from gossipreg.events import codec
from gossipreg.events import messages as m
from gossipreg.events.cloud_event import MAX_EVENT_BYTES
from gossipreg.events.codec import (
    MAX_AFTER_MS,
    MAX_ATTEMPT,
    MAX_CODE_BYTES,
    MAX_KEEP_MS,
    MAX_WINDOW,
    decode_event_message_untrusted,
    encode_event_message,
)
from gossipreg.events.entries import MAX_GROUP_BYTES, MAX_REASON_BYTES
from gossipreg.events.messages import MAX_BATCH_BYTES, MAX_REPLY_BYTES, Delivery, EventMessage
from gossipreg.journal.codec import FIRST_FOREIGN_KIND, encode_message
from gossipreg.journal.message_forms import MAX_MESSAGE_BYTES, MAX_NUMBER
from gossipreg.journal.messages import AskLeader, ReplicaMessage
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from gossipreg.streams.values import StreamClass, StreamFault
from tests.events.valid_event_messages import event_messages
from tests.examples import examples
from tests.journal.valid_messages import messages as replica_messages

JOURNAL, REPLICA = JournalId(b"j" * 16), ReplicaId(b"r" * 16)
BALLOT = Ballot(3, REPLICA)
FORMS = {form.message: form for form in codec._FORMS}
KINDS = {message: form.kind for message, form in FORMS.items()}


def as_bytes(message: type[EventMessage], *values: object) -> bytes:
    return bytes((KINDS[message],)) + b"".join(map(msgpack.packb, values))


def refused(data: bytes) -> str:
    with pytest.raises(BadDatagram) as caught:
        decode_event_message_untrusted(data)
    return caught.value.reason


@settings(max_examples=examples(400))
@given(event_messages)
def test_a_message_about_events_comes_back_as_it_was(message: EventMessage) -> None:
    assert decode_event_message_untrusted(encode_event_message(message)) == message


def test_every_event_message_has_a_form_with_all_its_fields() -> None:
    classes = {one for one in vars(m).values() if isinstance(one, type) and issubclass(one, EventMessage)}
    assert FORMS.keys() == classes - {EventMessage}
    for message, form in FORMS.items():
        listed = {*form.fields, *(form.items.names if form.items else ())}
        assert listed == {field.name for field in fields(message)}
        assert form.kind >= FIRST_FOREIGN_KIND


@given(st.one_of(event_messages, replica_messages))
def test_the_first_byte_tells_who_a_message_is_for(message: EventMessage | ReplicaMessage) -> None:
    assert message_untrusted(bytes_of(message)) == message


def test_an_ack_is_sent_before_the_deliveries_that_wait() -> None:
    deliveries = m.Deliveries(journal=JOURNAL, ballot=BALLOT, deliveries=())
    outcomes = m.DeliveryOutcomes(journal=JOURNAL, ballot=BALLOT, outcomes=(), windows=())
    forward = m.ForwardPublish(journal=JOURNAL, number=1, event=b"", keep_ms=0)
    assert class_of(forward) == class_of(AskLeader(journal=JOURNAL, sender=REPLICA, receiver=REPLICA, number=1))
    assert class_of(forward) < class_of(outcomes) < class_of(deliveries) == StreamClass.DELIVERIES


@pytest.mark.parametrize("data", [b"", bytes((KINDS[m.Deliveries],)), encode_message(
    AskLeader(journal=JOURNAL, sender=REPLICA, receiver=REPLICA, number=1))[:-1]])  # fmt: skip
def test_a_stream_ends_with_a_message_that_is_none(data: bytes) -> None:
    with pytest.raises(StreamFault):
        message_untrusted(data)


@given(event_messages, st.lists(st.one_of(st.integers(0, 9), st.text(max_size=3)), max_size=3))
def test_elements_of_later_releases_are_ignored_in_events(message: EventMessage, more: list[Any]) -> None:
    encoded = encode_event_message(message)
    unpacker = msgpack.Unpacker(use_list=True)
    unpacker.feed(encoded[1:])
    array, *items = unpacker
    longer = [array + more, *(item + more for item in items)]
    assert decode_event_message_untrusted(encoded[:1] + b"".join(map(msgpack.packb, longer))) == message


def test_items_of_later_releases_are_ignored_among_outcomes() -> None:
    data = as_bytes(m.DeliveryOutcomes, [JOURNAL, *BALLOT], [1, "billing", 4], [2, "of", "a", "later", "one"])
    assert decode_event_message_untrusted(data) == m.DeliveryOutcomes(
        journal=JOURNAL, ballot=BALLOT, outcomes=(), windows=(("billing", 4),)
    )


@pytest.mark.parametrize("kind", [0, 1, FIRST_FOREIGN_KIND - 1, FIRST_FOREIGN_KIND + len(FORMS), 255])
def test_kinds_of_others_are_none(kind: int) -> None:
    assert decode_event_message_untrusted(bytes((kind,)) + b"anything") is None


OUTCOME: list[Any] = [0, "billing", 7, 1, 2, "why", 0, False, 10]


def outcomes_of(item: object) -> bytes:
    return as_bytes(m.DeliveryOutcomes, [JOURNAL, *BALLOT], item)


def delivery_of(*item: object) -> bytes:
    return as_bytes(m.Deliveries, [JOURNAL, *BALLOT], item)


def changed(at: int, value: object) -> list[Any]:
    return [*OUTCOME[:at], value, *OUTCOME[at + 1 :]]


@pytest.mark.parametrize(
    "data",
    [
        as_bytes(m.Deliveries),
        as_bytes(m.Deliveries, None),
        as_bytes(m.Deliveries, [b"short", *BALLOT]),
        as_bytes(m.Deliveries, [JOURNAL, 0, REPLICA]),
        as_bytes(m.Deliveries, [JOURNAL, 3]),
        delivery_of("billing", 7, 1),
        delivery_of("billing", 7, 0, b""),
        delivery_of("billing", 7, MAX_ATTEMPT + 1, b""),
        delivery_of("billing", -1, 1, b""),
        delivery_of("billing", MAX_NUMBER + 1, 1, b""),
        delivery_of("billing", True, 1, b""),
        delivery_of("billing", 7, 1, "text"),
        delivery_of("billing", 7, 1, bytes(MAX_EVENT_BYTES + 1)),
        delivery_of("b" * (MAX_GROUP_BYTES + 1), 7, 1, b""),
        delivery_of(b"billing", 7, 1, b""),
        delivery_of("billing", 7, 1, b"")[:-1],
        outcomes_of(OUTCOME[:8]),
        outcomes_of([]),
        outcomes_of(changed(0, -1)),
        outcomes_of(changed(1, "")),
        outcomes_of(changed(3, 0)),
        outcomes_of(changed(4, len(m.DeliveryResult))),
        outcomes_of(changed(4, True)),
        outcomes_of(changed(5, "w" * (MAX_REASON_BYTES + 1))),
        outcomes_of(changed(6, MAX_AFTER_MS + 1)),
        outcomes_of(changed(7, 1)),
        outcomes_of(changed(8, MAX_ATTEMPT + 1)),
        outcomes_of([1, "billing", MAX_WINDOW + 1]),
        outcomes_of([1, "billing"]),
        as_bytes(m.WindowOpened, [JOURNAL], ["", 4]),
        as_bytes(m.WindowOpened, [JOURNAL], ["billing", -1]),
        as_bytes(m.ForwardPublish, [JOURNAL, 1, bytes(MAX_EVENT_BYTES + 1), 0]),
        as_bytes(m.ForwardPublish, [JOURNAL, 1, b"", MAX_KEEP_MS + 1]),
        as_bytes(m.PublishAnswers, [JOURNAL, 1, "c" * (MAX_CODE_BYTES + 1), "", 1, 1, True, False, 1]),
        as_bytes(m.PublishAnswers, [JOURNAL, 1, "", "", 1, 1, None, False, 1]),
        as_bytes(m.EventsCall, [1, "m" * (MAX_CODE_BYTES + 1), b""]),
        as_bytes(m.EventsCall, [1, "groups", "text"]),
        as_bytes(m.EventsReply, [1, "", bytes(MAX_REPLY_BYTES + 1)]),
        bytes((KINDS[m.Deliveries],)) + bytes(MAX_MESSAGE_BYTES),
    ],
)
def test_a_message_about_events_that_is_not_of_the_form_is_refused(data: bytes) -> None:
    assert refused(data) == "bad_message"


def test_the_valid_neighbours_of_refused_ones_are_taken() -> None:
    """Otherwise the refusals would prove nothing."""
    assert decode_event_message_untrusted(outcomes_of(OUTCOME)) is not None
    assert decode_event_message_untrusted(delivery_of("", 7, 1, bytes(MAX_EVENT_BYTES))) is not None
    assert decode_event_message_untrusted(as_bytes(m.EventsReply, [1, "", bytes(MAX_REPLY_BYTES)])) is not None


def test_texts_for_people_are_cut_where_they_are_sent() -> None:
    outcome = m.DeliveryOutcome("billing", 7, 1, m.DeliveryResult.FAILED, "é" * MAX_REASON_BYTES, 0, False, 0)
    message = m.DeliveryOutcomes(journal=JOURNAL, ballot=BALLOT, outcomes=(outcome,), windows=())
    cut = replace(message, outcomes=(replace(outcome, text="é" * (MAX_REASON_BYTES // 2)),))
    assert decode_event_message_untrusted(encode_event_message(message)) == cut


def test_a_full_batch_fits_a_message() -> None:
    """A batch goes over MAX_BATCH_BYTES only for a single event."""
    for size, count in ((MAX_EVENT_BYTES, 2), (16, MAX_BATCH_BYTES // 16)):
        delivery = Delivery("g" * 20, MAX_NUMBER, MAX_ATTEMPT, bytes(size))
        message = m.Deliveries(journal=JOURNAL, ballot=BALLOT, deliveries=(delivery,) * count)
        assert len(encode_event_message(message)) <= MAX_MESSAGE_BYTES


@settings(max_examples=examples(300))
@given(st.sampled_from(sorted(KINDS.values())), st.binary(max_size=200))
def test_any_bytes_are_a_message_about_events_or_refused(kind: int, payload: bytes) -> None:
    with suppress(BadDatagram):
        message = decode_event_message_untrusted(bytes((kind,)) + payload)
        assert message is not None


anything = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.binary(max_size=20),
    st.text(max_size=4), st.lists(st.integers(0, 3), max_size=3),
)  # fmt: skip


@settings(max_examples=examples(400))
@given(event_messages, st.integers(0, 40), anything)
def test_any_value_in_place_of_a_part_is_read_or_refused(message: EventMessage, at: int, value: object) -> None:
    unpacker = msgpack.Unpacker(use_list=True)
    unpacker.feed(encode_event_message(message)[1:])
    values = list(unpacker)
    places = [(array, place) for array in values for place in range(len(array))]
    array, place = places[at % len(places)]
    array[place] = value
    with suppress(BadDatagram):
        data = encode_event_message(message)[:1] + b"".join(map(msgpack.packb, values))
        again = decode_event_message_untrusted(data)
        assert again is not None
        assert decode_event_message_untrusted(encode_event_message(again)) == again


@pytest.mark.parametrize("header", [b"\x91", b"\xdd\xff\xff\xff\xff", b"\xdc\x00\x10", b"\x9f"])
def test_nested_headers_of_events_take_memory_in_proportion(header: bytes) -> None:
    size = 512 * 1024
    data = bytes((KINDS[m.Deliveries],)) + header * (size // len(header))
    tracemalloc.start()
    try:
        assert refused(data) == "bad_message"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * size
