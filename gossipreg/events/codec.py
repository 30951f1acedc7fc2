"""What sidecars say to each other about events as bytes and back; `messages.py` says what it is for.

Owns: the form of each message, and the check of every field against its bound. Never knows: what a message means, who
sent it, or how it travels.

The form of all messages, how it grows, and what it costs: `journal/message_forms.py`. Kinds are above those of
replicas, since both travel over the same streams.

    pattern    an item of ForwardPublish: [group, pattern, declared, past]; `past` may be left out
    ballot     two elements: round, replica id
    delivery   an item of Deliveries: [group, index, attempt, event]
    outcome    an item of DeliveryOutcomes: [0, group, index, attempt, result, text, after ms, hold, max attempts]
    window     an item of DeliveryOutcomes: [1, group, deliveries]; items that begin otherwise are ignored
    opened     an item of WindowOpened: [group, deliveries]

The bytes of an event are taken as they are: whoever hands it to a handler decodes it.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from gossipreg.errors import BadParams
from gossipreg.events import messages as m
from gossipreg.events.cloud_event import MAX_EVENT_BYTES
from gossipreg.events.entries import MAX_GROUP_BYTES, MAX_REASON_BYTES
from gossipreg.events.membership import KnownGroup
from gossipreg.events.messages import MAX_REPLY_BYTES, Delivery, DeliveryOutcome, DeliveryResult, EventMessage
from gossipreg.events.patterns import MAX_TYPE_BYTES, check_pattern
from gossipreg.journal.codec import FIRST_FOREIGN_KIND
from gossipreg.journal.message_forms import (
    BALLOT,
    FLAG,
    JOURNAL,
    NUMBER,
    MessageField,
    MessageForm,
    MessageForms,
    MessageItems,
    cut_text,
    data_untrusted,
    flag_untrusted,
    number_untrusted,
    one_element,
    text_field,
    text_untrusted,
)
from gossipreg.wire.values import known

MAX_ATTEMPT = (1 << 31) - 1
MAX_WINDOW = (1 << 31) - 1
MAX_AFTER_MS = 7 * 86_400_000
"""As long as an event is kept."""
MAX_KEEP_MS = 1 << 48
MAX_CODE_BYTES = 64
"""Of the code of an error, and of the name of a method."""
MAX_FORWARDED_PATTERNS = 1024
"""That a publisher names to the leader of its journal; the leader knows most of them by itself."""
_OUTCOME, _WINDOW = 0, 1


# -- fields ------------------------------------------------------------------------------------------------------------


def _data(most_bytes: int) -> MessageField:
    return MessageField(1, one_element, lambda value: data_untrusted(value, most_bytes))


def _up_to(most: int) -> MessageField:
    return MessageField(1, one_element, lambda value: number_untrusted(value, most))


_EVENT = _data(MAX_EVENT_BYTES)
_REPLY = _data(MAX_REPLY_BYTES)
_KEEP = _up_to(MAX_KEEP_MS)
_CODE = MessageField(1, one_element, lambda value: text_untrusted(value, MAX_CODE_BYTES))
_TEXT = text_field(MAX_REASON_BYTES)


# -- items -------------------------------------------------------------------------------------------------------------


def _group(value: object, *, broadcast: bool = False) -> str:
    group = text_untrusted(value, MAX_GROUP_BYTES)
    if not group and not broadcast:
        raise ValueError("a group has a name")
    return group


def _attempt(value: object) -> int:
    if number_untrusted(value, MAX_ATTEMPT) == 0:
        raise ValueError("attempts are counted from 1 on")
    return number_untrusted(value)


def _result(value: object) -> DeliveryResult:
    return DeliveryResult(number_untrusted(value))


def _delivery_items(message: m.Deliveries) -> Iterable[Sequence[object]]:
    return [(one.group, one.index, one.attempt, one.event) for one in message.deliveries]


def _deliveries(items: list[Any], fields: dict[str, Any]) -> dict[str, object]:
    del fields
    deliveries = []
    for item in items:
        group, index, attempt, event = known(item, 4)
        deliveries.append(
            Delivery(
                _group(group, broadcast=True), number_untrusted(index), _attempt(attempt),
                data_untrusted(event, MAX_EVENT_BYTES),
            )
        )  # fmt: skip
    return {"deliveries": tuple(deliveries)}


def _outcome_items(message: m.DeliveryOutcomes) -> Iterable[Sequence[object]]:
    for one in message.outcomes:
        text = cut_text(one.text, MAX_REASON_BYTES)
        yield (
            _OUTCOME, one.group, one.index, one.attempt, int(one.result), text, one.after_ms, one.hold,
            one.max_attempts,
        )  # fmt: skip
    for window in message.windows:
        yield (_WINDOW, *window)


def _outcomes(items: list[Any], fields: dict[str, Any]) -> dict[str, object]:
    del fields
    outcomes, windows = [], []
    for item in items:
        what = number_untrusted(known(item, 1)[0])
        if what == _OUTCOME:
            outcomes.append(_outcome(*known(item, 9)[1:]))
        elif what == _WINDOW:
            windows.append(_window(*known(item, 3)[1:]))
    return {"outcomes": tuple(outcomes), "windows": tuple(windows)}


def _outcome(
    group: object, index: object, attempt: object, result: object, text: object, after_ms: object, hold: object,
    max_attempts: object,
) -> DeliveryOutcome:  # fmt: skip
    return DeliveryOutcome(
        _group(group), number_untrusted(index), _attempt(attempt), _result(result),
        text_untrusted(text, MAX_REASON_BYTES), number_untrusted(after_ms, MAX_AFTER_MS), flag_untrusted(hold),
        number_untrusted(max_attempts, MAX_ATTEMPT),
    )  # fmt: skip


def _window(group: object, deliveries: object) -> tuple[str, int]:
    return _group(group), number_untrusted(deliveries, MAX_WINDOW)


def _opened(items: list[Any], fields: dict[str, Any]) -> dict[str, object]:
    del fields
    return {"windows": tuple(_window(*known(item, 2)) for item in items)}


def _pattern_items(message: m.ForwardPublish) -> Iterable[Sequence[object]]:
    items = ((one.name, pattern, one.declared, one.past) for one in message.groups for pattern in one.patterns)
    return islice(items, MAX_FORWARDED_PATTERNS)


def _patterns(items: list[Any], fields: dict[str, Any]) -> dict[str, object]:
    del fields
    groups: dict[tuple[str, bool, bool], dict[str, None]] = {}
    for item in items[:MAX_FORWARDED_PATTERNS]:
        name, pattern, declared = known(item, 3)
        past = flag_untrusted(item[3]) if len(item) > 3 else False
        text = text_untrusted(pattern, MAX_TYPE_BYTES)
        try:
            check_pattern(text)
        except BadParams as error:
            raise ValueError(str(error)) from None
        groups.setdefault((_group(name), flag_untrusted(declared), past), {})[text] = None
    return {"groups": tuple(KnownGroup(name, tuple(found), *flags) for (name, *flags), found in groups.items())}


_PATTERNS = MessageItems(("groups",), _pattern_items, _patterns)
_DELIVERIES = MessageItems(("deliveries",), _delivery_items, _deliveries)
_OUTCOMES = MessageItems(("outcomes", "windows"), _outcome_items, _outcomes)
_OPENED = MessageItems(("windows",), lambda message: message.windows, _opened)


# -- messages ----------------------------------------------------------------------------------------------------------


def _form(
    kind: int, message: type[EventMessage], items: MessageItems | None = None, **fields: MessageField
) -> MessageForm[EventMessage]:
    return MessageForm(FIRST_FOREIGN_KIND + kind, message, items, fields)


_FORMS = (
    _form(0, m.ForwardPublish, _PATTERNS, journal=JOURNAL, number=NUMBER, event=_EVENT, keep_ms=_KEEP),
    _form(
        1, m.PublishAnswers,
        journal=JOURNAL, number=NUMBER, code=_CODE, text=_TEXT, index=NUMBER, copies=NUMBER, takeover=FLAG,
        duplicate=FLAG, groups=NUMBER,
    ),
    _form(2, m.Deliveries, _DELIVERIES, journal=JOURNAL, ballot=BALLOT),
    _form(3, m.DeliveryOutcomes, _OUTCOMES, journal=JOURNAL, ballot=BALLOT),
    _form(4, m.WindowOpened, _OPENED, journal=JOURNAL),
    _form(5, m.EventsCall, number=NUMBER, method=_CODE, params=_REPLY),
    _form(6, m.EventsReply, number=NUMBER, code=_CODE, result=_REPLY),
)  # fmt: skip
_MESSAGES = MessageForms(_FORMS)


def encode_event_message(message: EventMessage) -> bytes:
    """The bytes of a message. ValueError where they are more than a stream takes."""
    return _MESSAGES.encode(message)


def decode_event_message_untrusted(data: bytes) -> EventMessage | None:
    """The message; None where it is of a kind that this release does not know.

    BadDatagram("empty") or ("bad_message"): the sender is at fault, nothing changed.
    """
    return _MESSAGES.decode_untrusted(data)
