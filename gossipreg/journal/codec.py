"""The messages of replicas as bytes and back; `messages.py` says what they are for.

Owns: the form of each message, and the check of every field against its bound. Never knows: what a message means, who
sent it, or how it travels.

The form of all messages, how it grows, and what it costs: `message_forms.py`.

    ballot          two elements: round, replica id (0 and empty: none)
    position        three: round, replica id, index
    configuration   bytes, see `values.py`
    entry           an item of Append: [index, round, replica id, led time in ms, kind, data]; indices rise by one
    record          an item of InstallState: [key, value]

Kinds from 64 on are left to others who send over the same stream.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from gossipreg.journal import messages as m
from gossipreg.journal.message_forms import (
    BALLOT,
    FLAG,
    JOURNAL,
    NUMBER,
    MessageField,
    MessageForm,
    MessageForms,
    MessageItems,
    ballot_untrusted,
    bytes_of,
    number_untrusted,
    one_element,
    text_field,
)
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import (
    MAX_ENTRY_BYTES,
    REPLICA_ID_BYTES,
    Configuration,
    LogEntry,
    Position,
)
from gossipreg.journal.values import decode_configuration_untrusted, encode_configuration
from gossipreg.model import NODE_ID_BYTES
from gossipreg.wire.values import known

MAX_REASON_BYTES = 255
MAX_ENTRY_KIND = 255
FIRST_FOREIGN_KIND = 64


# -- fields ------------------------------------------------------------------------------------------------------------


_replica_or_none = bytes_of(REPLICA_ID_BYTES, or_none=True)


def _position(round: object, replica: object, index: object) -> Position:
    return Position(ballot_untrusted(round, replica), number_untrusted(index))


def _configuration(value: object) -> Configuration:
    if type(value) is not bytes:
        raise ValueError("a configuration is bytes")
    return decode_configuration_untrusted(value)


def _position_elements(position: Position) -> tuple[object, ...]:
    return *position.ballot, position.index


_REPLICA = MessageField(1, one_element, _replica_or_none)
_NODE = MessageField(1, one_element, bytes_of(NODE_ID_BYTES))
_POSITION = MessageField(3, _position_elements, _position)
_CONFIGURATION = MessageField(1, lambda value: (encode_configuration(value),), _configuration)
_REASON = text_field(MAX_REASON_BYTES)


# -- items -------------------------------------------------------------------------------------------------------------


def _entry_items(message: m.Append) -> Iterable[Sequence[object]]:
    return [(one.index, *one.ballot, one.led_ms, one.kind, one.data) for one in message.entries]


def _entries(items: list[Any], fields: dict[str, Any]) -> dict[str, object]:
    entries = []
    for expected, item in enumerate(items, fields["before"].index + 1):
        index, round, replica, led_ms, kind, data = known(item, 6)
        if index != expected or type(index) is not int:
            raise ValueError("the entries do not follow each other")
        if type(kind) is not int or not 0 <= kind <= MAX_ENTRY_KIND:
            raise ValueError("an entry's kind is out of range")
        if type(data) is not bytes or len(data) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry has at most {MAX_ENTRY_BYTES} bytes")
        entries.append(LogEntry(index, ballot_untrusted(round, replica), number_untrusted(led_ms), kind, data))
    return {"entries": tuple(entries)}


def _records(items: list[Any], fields: dict[str, Any]) -> dict[str, object]:
    del fields
    records = []
    for item in items:
        key, value = known(item, 2)
        if type(key) is not bytes or type(value) is not bytes:
            raise ValueError("a record is a key and a value")
        records.append((key, value))
    return {"records": tuple(records)}


_ENTRIES = MessageItems(("entries",), _entry_items, _entries)
_RECORDS = MessageItems(("records",), lambda message: message.records, _records)


# -- messages ----------------------------------------------------------------------------------------------------------


def _form(
    kind: int, message: type[ReplicaMessage], items: MessageItems | None = None, **fields: MessageField
) -> MessageForm[ReplicaMessage]:
    assert 0 < kind < FIRST_FOREIGN_KIND
    return MessageForm(kind, message, items, {"journal": JOURNAL, "sender": _REPLICA, "receiver": _REPLICA, **fields})


_FORMS = (
    _form(1, m.PreVote, attempt=NUMBER, position=_POSITION, promised=BALLOT),
    _form(2, m.PreVoteAnswer, attempt=NUMBER, granted=FLAG, promised=BALLOT),
    _form(3, m.RequestVote, ballot=BALLOT, position=_POSITION),
    _form(4, m.Vote, ballot=BALLOT, granted=FLAG, promised=BALLOT),
    _form(5, m.Append, _ENTRIES, ballot=BALLOT, before=_POSITION, commit=NUMBER),
    _form(6, m.AppendAnswer, ballot=BALLOT, matches=FLAG, index=NUMBER, promised=BALLOT),
    _form(
        7, m.InstallState, _RECORDS,
        ballot=BALLOT, base=_POSITION, led_ms=NUMBER, configuration=_CONFIGURATION, number=NUMBER, last=FLAG,
    ),
    _form(8, m.StateInstalled, ballot=BALLOT, base=_POSITION, number=NUMBER, promised=BALLOT),
    _form(9, m.AskLeader, number=NUMBER),
    _form(10, m.LeaderAnswer, number=NUMBER, leads=FLAG),
    _form(11, m.ConfirmLeader, ballot=BALLOT, number=NUMBER),
    _form(12, m.LeaderConfirmed, ballot=BALLOT, number=NUMBER, promised=BALLOT),
    _form(13, m.HandOver, ballot=BALLOT),
    _form(14, m.ReplicaHello, promised=BALLOT, position=_POSITION),
    _form(15, m.ReplicaLost),
    _form(16, m.ReplicaDismissed, ballot=BALLOT),
    _form(17, m.TakeReplica, number=NUMBER, owner=_NODE),
    _form(18, m.ReplicaTaken, number=NUMBER),
    _form(19, m.ReplicaRefused, number=NUMBER, reason=_REASON),
    _form(20, m.ReplicaLeaving),
)  # fmt: skip
_MESSAGES = MessageForms(_FORMS)


def encode_message(message: ReplicaMessage) -> bytes:
    """The bytes of a message. ValueError where they are more than a stream takes: the state or the entries in it have
    to be cut."""
    return _MESSAGES.encode(message)


def decode_message_untrusted(data: bytes) -> ReplicaMessage | None:
    """The message; None where it is of a kind that this release does not know.

    BadDatagram("empty"), ("bad_message") or ("bad_configuration"): the sender is at fault, nothing changed.
    """
    return _MESSAGES.decode_untrusted(data)
