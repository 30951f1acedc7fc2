"""What sidecars say to each other about sagas survives the way through bytes, and bytes that are none are refused."""

from contextlib import suppress
from dataclasses import fields
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.streams.stream_messages import bytes_of, class_of, message_untrusted
from gossipreg.errors import BadDatagram
from gossipreg.events.messages import Deliveries, ForwardPublish
from gossipreg.journal.message_forms import MAX_NUMBER
from gossipreg.journal.model import NO_BALLOT, JournalId
from gossipreg.sagas import saga_message_codec
from gossipreg.sagas import saga_messages as m
from gossipreg.sagas.saga_message_codec import (
    FIRST_SAGA_KIND,
    decode_saga_message_untrusted,
    encode_saga_message,
)
from gossipreg.sagas.saga_messages import (
    MAX_NAMED_SAGAS,
    MAX_SAGA_CALL_BYTES,
    MAX_SAGA_CODE_BYTES,
    MAX_SAGA_REPLY_BYTES,
    SagaMessage,
)
from gossipreg.sagas.saga_model import MAX_SAGA_BYTES
from gossipreg.streams.values import StreamFault
from tests.events.valid_event_messages import event_messages
from tests.journal.valid_messages import messages as replica_messages
from tests.sagas.valid_saga_messages import saga_messages

JOURNAL = JournalId(b"j" * 16)
FORMS = {form.message: form for form in saga_message_codec._FORMS}
KINDS = {message: form.kind for message, form in FORMS.items()}


def as_bytes(message: type[SagaMessage], *values: object) -> bytes:
    return bytes((KINDS[message],)) + b"".join(map(msgpack.packb, values))


@given(saga_messages)
def test_a_message_about_sagas_comes_back_as_it_was(message: SagaMessage) -> None:
    assert decode_saga_message_untrusted(encode_saga_message(message)) == message


def test_every_saga_message_has_a_form_with_all_its_fields() -> None:
    classes = {one for one in vars(m).values() if isinstance(one, type) and issubclass(one, SagaMessage)}
    assert FORMS.keys() == classes - {SagaMessage}
    for message, form in FORMS.items():
        listed = {*form.fields, *(form.items.names if form.items else ())}
        assert listed == {field.name for field in fields(message)}
        assert form.kind >= FIRST_SAGA_KIND


@given(st.one_of(saga_messages, event_messages, replica_messages))
def test_the_first_byte_tells_sagas_from_the_others(message: Any) -> None:
    assert message_untrusted(bytes_of(message)) == message


def test_a_step_waits_for_what_makes_entries_durable_alone() -> None:
    call = m.SagaCall(journal=JOURNAL, number=1, method="step", params=b"")
    consensus = class_of(ForwardPublish(journal=JOURNAL, number=1, event=b"", keep_ms=0))
    deliveries = class_of(Deliveries(journal=JOURNAL, ballot=NO_BALLOT, deliveries=()))
    assert consensus < class_of(call) < deliveries


@given(saga_messages, st.lists(st.one_of(st.integers(0, 9), st.text(max_size=3)), max_size=3))
def test_elements_of_later_releases_are_ignored_in_sagas(message: SagaMessage, more: list[Any]) -> None:
    encoded = encode_saga_message(message)
    unpacker = msgpack.Unpacker(use_list=True)
    unpacker.feed(encoded[1:])
    longer = [value + more for value in unpacker]
    assert decode_saga_message_untrusted(encoded[:1] + b"".join(map(msgpack.packb, longer))) == message


@pytest.mark.parametrize("kind", [0, 1, FIRST_SAGA_KIND - 1, FIRST_SAGA_KIND + len(FORMS), 255])
def test_kinds_of_others_are_no_sagas(kind: int) -> None:
    assert decode_saga_message_untrusted(bytes((kind,)) + b"anything") is None


@pytest.mark.parametrize(
    "data",
    [
        as_bytes(m.SagaCall),
        as_bytes(m.SagaCall, [b"short", 1, "step", b""]),
        as_bytes(m.SagaCall, [JOURNAL, -1, "step", b""]),
        as_bytes(m.SagaCall, [JOURNAL, MAX_NUMBER + 1, "step", b""]),
        as_bytes(m.SagaCall, [JOURNAL, 1, "m" * (MAX_SAGA_CODE_BYTES + 1), b""]),
        as_bytes(m.SagaCall, [JOURNAL, 1, "step", "text"]),
        as_bytes(m.SagaCall, [JOURNAL, 1, "step", bytes(MAX_SAGA_CALL_BYTES + 1)]),
        as_bytes(m.SagaCall, [JOURNAL, 1, "step"]),
        as_bytes(m.SagaReply, [JOURNAL, 1, b"", b""]),
        as_bytes(m.SagaReply, [JOURNAL, 1, "", bytes(MAX_SAGA_REPLY_BYTES + 1)]),
        as_bytes(m.ProgramHere, [JOURNAL], []),
        as_bytes(m.ProgramHere, [JOURNAL], "7"),
        as_bytes(m.ProgramHere, [JOURNAL], ["a/b"]),
        as_bytes(m.ProgramHere, [JOURNAL], [7]),
        as_bytes(m.ProgramLost, [JOURNAL], ["i" * (MAX_SAGA_BYTES + 1)]),
        as_bytes(m.ProgramLost, [JOURNAL], *[["7"]] * (MAX_NAMED_SAGAS + 1)),
        as_bytes(m.ProgramLost, [JOURNAL], ["7"])[:-1],
    ],
)
def test_a_message_about_sagas_that_is_not_of_the_form_is_refused(data: bytes) -> None:
    with pytest.raises(BadDatagram) as caught:
        decode_saga_message_untrusted(data)
    assert caught.value.reason == "bad_message"
    with pytest.raises(StreamFault):
        message_untrusted(data)


def test_the_valid_neighbours_of_refused_messages_are_taken() -> None:
    """Otherwise the refusals would prove nothing."""
    valid = (
        as_bytes(m.SagaCall, [JOURNAL, MAX_NUMBER, "m" * MAX_SAGA_CODE_BYTES, bytes(MAX_SAGA_CALL_BYTES)]),
        as_bytes(m.SagaReply, [JOURNAL, 0, "", bytes(MAX_SAGA_REPLY_BYTES)]),
        as_bytes(m.ProgramLost, [JOURNAL], *[["i" * MAX_SAGA_BYTES]] * MAX_NAMED_SAGAS),
    )
    assert all(decode_saga_message_untrusted(data) is not None for data in valid)


def test_a_message_that_names_too_many_sagas_is_not_sent() -> None:
    with pytest.raises(ValueError, match="send at most"):
        encode_saga_message(m.ProgramHere(journal=JOURNAL, sagas=("7",) * (MAX_NAMED_SAGAS + 1)))


@given(st.sampled_from(sorted(KINDS.values())), st.binary(max_size=200))
def test_any_bytes_are_a_message_about_sagas_or_refused(kind: int, payload: bytes) -> None:
    with suppress(BadDatagram):
        assert decode_saga_message_untrusted(bytes((kind,)) + payload) is not None
