"""What sidecars say to each other about sagas as bytes and back; `saga_messages.py` says what it is for.

Owns: the form of each message, and the check of every field against its bound. Never knows: what a message means, who
sent it, or how it travels.

The form of all messages, how it grows, and what it costs: `journal/message_forms.py`. Kinds are above those of events,
since all travel over the same streams.

    saga    an item of ProgramHere and ProgramLost: [id]

What a call asks for and what a reply says is taken as it is: whoever carries it out decodes it (`saga_calls.py`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from gossipreg.journal.message_forms import (
    JOURNAL,
    NUMBER,
    MessageField,
    MessageForm,
    MessageForms,
    MessageItems,
    data_untrusted,
    one_element,
    text_untrusted,
)
from gossipreg.sagas import saga_messages as m
from gossipreg.sagas.saga_messages import (
    MAX_NAMED_SAGAS,
    MAX_SAGA_CALL_BYTES,
    MAX_SAGA_CODE_BYTES,
    MAX_SAGA_REPLY_BYTES,
    SagaMessage,
)
from gossipreg.sagas.saga_model import MAX_SAGA_BYTES, SAGA_ID
from gossipreg.wire.values import known

FIRST_SAGA_KIND = 96
"""Events have those below, from `journal.codec.FIRST_FOREIGN_KIND` on."""


def _data(most_bytes: int) -> MessageField:
    return MessageField(1, one_element, lambda value: data_untrusted(value, most_bytes))


_CODE = MessageField(1, one_element, lambda value: text_untrusted(value, MAX_SAGA_CODE_BYTES))


def _saga_items(message: m.ProgramHere | m.ProgramLost) -> Iterable[Sequence[object]]:
    _check_count(len(message.sagas))
    return [(saga,) for saga in message.sagas]


def _sagas(items: list[Any], fields: dict[str, Any]) -> dict[str, object]:
    del fields
    _check_count(len(items))
    return {"sagas": tuple(_saga(*known(item, 1)) for item in items)}


def _check_count(count: int) -> None:
    if count > MAX_NAMED_SAGAS:
        raise ValueError(f"{count} sagas in one message: send at most {MAX_NAMED_SAGAS}")


def _saga(value: object) -> str:
    id = text_untrusted(value, MAX_SAGA_BYTES)
    if not SAGA_ID.fullmatch(id):
        raise ValueError("a text is no id of a saga")
    return id


_SAGAS = MessageItems(("sagas",), _saga_items, _sagas)


def _form(
    kind: int, message: type[SagaMessage], items: MessageItems | None = None, **fields: MessageField
) -> MessageForm[SagaMessage]:
    return MessageForm(FIRST_SAGA_KIND + kind, message, items, {"journal": JOURNAL, **fields})


_FORMS = (
    _form(0, m.SagaCall, number=NUMBER, method=_CODE, params=_data(MAX_SAGA_CALL_BYTES)),
    _form(1, m.SagaReply, number=NUMBER, code=_CODE, result=_data(MAX_SAGA_REPLY_BYTES)),
    _form(2, m.ProgramHere, _SAGAS),
    _form(3, m.ProgramLost, _SAGAS),
    _form(4, m.CallAbandoned, number=NUMBER),
)
_MESSAGES = MessageForms(_FORMS)


def encode_saga_message(message: SagaMessage) -> bytes:
    """The bytes of a message. ValueError where they are more than a stream takes, or it names too many sagas."""
    return _MESSAGES.encode(message)


def decode_saga_message_untrusted(data: bytes) -> SagaMessage | None:
    """The message; None where it is of a kind that this release does not know.

    BadDatagram("empty") or ("bad_message"): the sender is at fault, nothing changed.
    """
    return _MESSAGES.decode_untrusted(data)
