"""The messages of replicas as bytes and back; `messages.py` says what they are for.

Owns: the form of each message, and the check of every field against its bound. Never knows: what a message means, who
sent it, or how it travels.

    message   kind 1 | msgpack array of the fields, in the order of _FORMS | items, each a msgpack value

    ballot          two elements: round, replica id (0 and empty: none)
    position        three: round, replica id, index
    configuration   bytes, see `values.py`
    entry           an item of Append: [index, round, replica id, led time in ms, kind, data]; indices rise by one
    record          an item of InstallState: [key, value]

Growing: a receiver ignores kinds that it does not know, and what stands behind the elements that it knows, in the array
and in an item. Only the last fields may be added to, up to 16 elements; none is taken away. Kinds from 64 on are left
to others who send over the same stream.

Memory: a message is bounded, arrays are limited to 16 elements before they are made, and items are read one by one, so
what is taken is in proportion to the bytes that came.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from gossipreg.errors import BadDatagram
from gossipreg.journal import messages as m
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import (
    JOURNAL_ID_BYTES,
    MAX_ENTRY_BYTES,
    REPLICA_ID_BYTES,
    Ballot,
    Configuration,
    LogEntry,
    Position,
    ReplicaId,
)
from gossipreg.journal.values import decode_configuration_untrusted, encode_configuration
from gossipreg.model import NODE_ID_BYTES
from gossipreg.wire.values import known

MAX_MESSAGE_BYTES = 1024 * 1024 + 256 * 1024
"""As much as a stream takes: entries of 1 MiB, and what stands around them."""
MAX_NUMBER = 2**63 - 1
"""Of indices, rounds, times and numbers: what a database keeps in an integer."""
MAX_REASON_BYTES = 255
MAX_ENTRY_KIND = 255
FIRST_FOREIGN_KIND = 64
_MAX_ARRAY = 16
_NIL = b"\xc0"

_pack: Callable[[object], bytes] = msgpack.Packer().pack


@dataclass(frozen=True, slots=True)
class _Field:
    """How a field stands in the array: in `size` elements. `read` raises ValueError."""

    size: int
    elements: Callable[[Any], tuple[object, ...]]
    read: Callable[..., object]


# -- fields ------------------------------------------------------------------------------------------------------------


def _bytes_of(size: int, *, or_none: bool = False) -> Callable[[object], bytes]:
    def read(value: object) -> bytes:
        if type(value) is not bytes or (len(value) != size and not (or_none and not value)):
            raise ValueError(f"an id has {size} bytes")
        return value

    return read


_replica_or_none = _bytes_of(REPLICA_ID_BYTES, or_none=True)


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise ValueError("a number is missing or out of range")
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("a flag is needed")
    return value


def _ballot(round: object, replica: object) -> Ballot:
    ballot = Ballot(_number(round), ReplicaId(_replica_or_none(replica)))
    if bool(ballot.round) != bool(ballot.replica):
        raise ValueError("a ballot has a round and a replica, or neither")
    return ballot


def _position(round: object, replica: object, index: object) -> Position:
    return Position(_ballot(round, replica), _number(index))


def _reason(value: object) -> str:
    if type(value) is not str or len(value.encode()) > MAX_REASON_BYTES:
        raise ValueError(f"a reason has at most {MAX_REASON_BYTES} bytes")
    return value


def _configuration(value: object) -> Configuration:
    if type(value) is not bytes:
        raise ValueError("a configuration is bytes")
    return decode_configuration_untrusted(value)


def _position_elements(position: Position) -> tuple[object, ...]:
    return *position.ballot, position.index


def _one(value: object) -> tuple[object, ...]:
    return (value,)


def _cut_reason(reason: str) -> tuple[object, ...]:
    return (reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore"),)


_JOURNAL = _Field(1, _one, _bytes_of(JOURNAL_ID_BYTES))
_REPLICA = _Field(1, _one, _replica_or_none)
_NODE = _Field(1, _one, _bytes_of(NODE_ID_BYTES))
_NUMBER = _Field(1, _one, _number)
_FLAG = _Field(1, _one, _flag)
_BALLOT = _Field(2, tuple, _ballot)
_POSITION = _Field(3, _position_elements, _position)
_CONFIGURATION = _Field(1, lambda value: (encode_configuration(value),), _configuration)
_REASON = _Field(1, _cut_reason, _reason)


# -- items -------------------------------------------------------------------------------------------------------------


def _entry_elements(entry: LogEntry) -> tuple[object, ...]:
    return entry.index, *entry.ballot, entry.led_ms, entry.kind, entry.data


def _entries(items: list[Any], fields: dict[str, Any]) -> tuple[LogEntry, ...]:
    entries = []
    for expected, item in enumerate(items, fields["before"].index + 1):
        index, round, replica, led_ms, kind, data = known(item, 6)
        if index != expected or type(index) is not int:
            raise ValueError("the entries do not follow each other")
        if type(kind) is not int or not 0 <= kind <= MAX_ENTRY_KIND:
            raise ValueError("an entry's kind is out of range")
        if type(data) is not bytes or len(data) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry has at most {MAX_ENTRY_BYTES} bytes")
        entries.append(LogEntry(index, _ballot(round, replica), _number(led_ms), kind, data))
    return tuple(entries)


def _records(items: list[Any], fields: dict[str, Any]) -> tuple[tuple[bytes, bytes], ...]:
    del fields
    records = []
    for item in items:
        key, value = known(item, 2)
        if type(key) is not bytes or type(value) is not bytes:
            raise ValueError("a record is a key and a value")
        records.append((key, value))
    return tuple(records)


@dataclass(frozen=True, slots=True)
class _Items:
    """The field that is a list, behind the array."""

    name: str
    elements: Callable[[Any], Sequence[object]]
    read: Callable[[list[Any], dict[str, Any]], object]
    """Gets the other fields too."""


_ENTRIES = _Items("entries", _entry_elements, _entries)
_RECORDS = _Items("records", tuple, _records)


# -- messages ----------------------------------------------------------------------------------------------------------


class _Form:
    """One kind of message: its fields by name, in order, behind those that all have."""

    def __init__(
        self, kind: int, message: type[ReplicaMessage], items: _Items | None = None, **fields: _Field
    ) -> None:  # fmt: skip
        self.kind = kind
        self.message = message
        self.items = items
        self.fields = {"journal": _JOURNAL, "sender": _REPLICA, "receiver": _REPLICA, **fields}
        self.size = sum(field.size for field in self.fields.values())
        assert self.size <= _MAX_ARRAY
        assert 0 < kind < FIRST_FOREIGN_KIND

    def encode(self, message: ReplicaMessage) -> bytes:
        elements: list[object] = []
        for name, field in self.fields.items():
            elements += field.elements(getattr(message, name))
        encoded = bytes((self.kind,)) + _pack(elements)
        if self.items is None:
            return encoded
        items = getattr(message, self.items.name)
        return encoded + b"".join(_pack(self.items.elements(item)) for item in items)

    def decode(self, values: list[Any]) -> ReplicaMessage:
        elements = known(values[0], self.size)
        fields: dict[str, Any] = {}
        at = 0
        for name, field in self.fields.items():
            fields[name] = field.read(*elements[at : at + field.size])
            at += field.size
        if self.items is not None:
            fields[self.items.name] = self.items.read(values[1:], fields)
        return self.message(**fields)


_FORMS = (
    _Form(1, m.PreVote, attempt=_NUMBER, position=_POSITION, promised=_BALLOT),
    _Form(2, m.PreVoteAnswer, attempt=_NUMBER, granted=_FLAG, promised=_BALLOT),
    _Form(3, m.RequestVote, ballot=_BALLOT, position=_POSITION),
    _Form(4, m.Vote, ballot=_BALLOT, granted=_FLAG, promised=_BALLOT),
    _Form(5, m.Append, _ENTRIES, ballot=_BALLOT, before=_POSITION, commit=_NUMBER),
    _Form(6, m.AppendAnswer, ballot=_BALLOT, matches=_FLAG, index=_NUMBER, promised=_BALLOT),
    _Form(
        7, m.InstallState, _RECORDS,
        ballot=_BALLOT, base=_POSITION, led_ms=_NUMBER, configuration=_CONFIGURATION, number=_NUMBER, last=_FLAG,
    ),
    _Form(8, m.StateInstalled, ballot=_BALLOT, base=_POSITION, number=_NUMBER, promised=_BALLOT),
    _Form(9, m.AskLeader, number=_NUMBER),
    _Form(10, m.LeaderAnswer, number=_NUMBER, leads=_FLAG),
    _Form(11, m.ConfirmLeader, ballot=_BALLOT, number=_NUMBER),
    _Form(12, m.LeaderConfirmed, ballot=_BALLOT, number=_NUMBER, promised=_BALLOT),
    _Form(13, m.HandOver, ballot=_BALLOT),
    _Form(14, m.ReplicaHello, promised=_BALLOT, position=_POSITION),
    _Form(15, m.ReplicaLost),
    _Form(16, m.ReplicaDismissed),
    _Form(17, m.TakeReplica, number=_NUMBER, owner=_NODE),
    _Form(18, m.ReplicaTaken, number=_NUMBER),
    _Form(19, m.ReplicaRefused, number=_NUMBER, reason=_REASON),
)  # fmt: skip
_BY_KIND = {form.kind: form for form in _FORMS}
_BY_CLASS = {form.message: form for form in _FORMS}
assert len(_BY_KIND) == len(_BY_CLASS) == len(_FORMS)


def encode_message(message: ReplicaMessage) -> bytes:
    """The bytes of a message. ValueError where they are more than a stream takes: the state or the entries in it have
    to be cut."""
    encoded = _BY_CLASS[type(message)].encode(message)
    if len(encoded) > MAX_MESSAGE_BYTES:
        raise ValueError(f"{type(message).__name__} takes {len(encoded)} bytes: send at most {MAX_MESSAGE_BYTES}")
    return encoded


def decode_message_untrusted(data: bytes) -> ReplicaMessage | None:
    """The message; None where it is of a kind that this release does not know.

    BadDatagram("empty"), ("bad_message") or ("bad_configuration"): the sender is at fault, nothing changed.
    """
    if not data:
        raise BadDatagram("empty")
    if len(data) > MAX_MESSAGE_BYTES:
        raise BadDatagram("bad_message", f"{len(data)} bytes")
    form = _BY_KIND.get(data[0])
    if form is None:
        return None
    try:
        return form.decode(_values(memoryview(data)[1:]))
    except ValueError as error:
        raise BadDatagram("bad_message", f"kind {form.kind}: {error}") from None


def _values(payload: memoryview) -> list[Any]:
    """The array and the items behind it."""
    unpacker = msgpack.Unpacker(
        use_list=False, max_buffer_size=MAX_MESSAGE_BYTES, max_array_len=_MAX_ARRAY, max_map_len=0, max_ext_len=0
    )
    unpacker.feed(payload)
    values = list(unpacker)  # ends without a word where the last one is cut off
    unpacker.feed(_NIL)  # and then this would become a part of it
    if next(unpacker, values) is not None or not values:
        raise ValueError("the last value is cut off")
    return values
