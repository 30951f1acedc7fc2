"""How a message of a stream stands in bytes: what all kinds of messages share.

Owns: kind, array, items, and the bounds that hold whatever a field says. Never knows: which kinds there are; `codec.py`
names those of replicas, and `events/codec.py` those of events.

    message   kind 1 | msgpack array of the fields, in the order of the form | items, each a msgpack value

Growing: a receiver ignores kinds that it does not know, and what stands behind the elements that it knows, in the array
and in an item. Only the last fields may be added to, up to 16 elements; none is taken away.

Memory: a message is bounded, arrays are limited to 16 elements before they are made, and items are read one by one, so
what is taken is in proportion to the bytes that came.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgpack

from gossipreg.errors import BadDatagram
from gossipreg.journal.model import JOURNAL_ID_BYTES, REPLICA_ID_BYTES, Ballot, ReplicaId
from gossipreg.wire.values import known

MAX_MESSAGE_BYTES = 1024 * 1024 + 256 * 1024
"""As much as a stream takes: entries of 1 MiB, and what stands around them."""
MAX_NUMBER = 2**63 - 1
"""Of indices, rounds, times and numbers: what a database keeps in an integer."""
_MAX_ARRAY = 16
_NIL = b"\xc0"

_pack: Callable[[object], bytes] = msgpack.Packer().pack
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class MessageField:
    """How a field stands in the array: in `size` elements. `read` gets them, and raises ValueError."""

    size: int
    elements: Callable[[Any], tuple[object, ...]]
    read: Callable[..., object]


@dataclass(frozen=True, slots=True)
class MessageItems:
    """The fields that are lists, behind the array."""

    names: tuple[str, ...]
    elements: Callable[[Any], Iterable[Sequence[object]]]
    """The items of a message."""
    read: Callable[[list[Any], dict[str, Any]], dict[str, object]]
    """The lists by name, from the items and the other fields. Raises ValueError."""


class MessageForm(Generic[M]):
    """One kind of message: its fields by name, in order."""

    def __init__(
        self, kind: int, message: type[M], items: MessageItems | None, fields: Mapping[str, MessageField]
    ) -> None:
        self.kind = kind
        self.message = message
        self.items = items
        self.fields = fields
        self.size = sum(field.size for field in fields.values())
        assert self.size <= _MAX_ARRAY

    def encode(self, message: M) -> bytes:
        elements: list[object] = []
        for name, field in self.fields.items():
            elements += field.elements(getattr(message, name))
        encoded = bytes((self.kind,)) + _pack(elements)
        if self.items is None:
            return encoded
        return encoded + b"".join(map(_pack, self.items.elements(message)))

    def decode(self, values: list[Any]) -> M:
        elements = known(values[0], self.size)
        fields: dict[str, Any] = {}
        at = 0
        for name, field in self.fields.items():
            fields[name] = field.read(*elements[at : at + field.size])
            at += field.size
        if self.items is not None:
            fields |= self.items.read(values[1:], fields)
        return self.message(**fields)


class MessageForms(Generic[M]):
    """All kinds of messages of one sort, as bytes and back."""

    def __init__(self, forms: Sequence[MessageForm[M]]) -> None:
        self._by_kind = {form.kind: form for form in forms}
        self._by_class = {form.message: form for form in forms}
        assert len(self._by_kind) == len(self._by_class) == len(forms)

    def encode(self, message: M) -> bytes:
        """ValueError where it is more than a stream takes."""
        encoded = self._by_class[type(message)].encode(message)
        if len(encoded) > MAX_MESSAGE_BYTES:
            raise ValueError(f"{type(message).__name__} takes {len(encoded)} bytes: send at most {MAX_MESSAGE_BYTES}")
        return encoded

    def decode_untrusted(self, data: bytes) -> M | None:
        """The message; None where its kind is none of these. BadDatagram("empty"), ("bad_message"), or what a field
        raises: the sender is at fault, nothing changed."""
        if not data:
            raise BadDatagram("empty")
        if len(data) > MAX_MESSAGE_BYTES:
            raise BadDatagram("bad_message", f"{len(data)} bytes")
        form = self._by_kind.get(data[0])
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


# -- fields that many forms have; their readers raise ValueError -------------------------------------------------------


def bytes_of(size: int, *, or_none: bool = False) -> Callable[[object], bytes]:
    """A reader of so many bytes; of none as well, with `or_none`."""

    def read(value: object) -> bytes:
        if type(value) is not bytes or (len(value) != size and not (or_none and not value)):
            raise ValueError(f"an id has {size} bytes")
        return value

    return read


_replica_or_none = bytes_of(REPLICA_ID_BYTES, or_none=True)


def number_untrusted(value: object, most: int = MAX_NUMBER) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("a number is missing or out of range")
    return value


def flag_untrusted(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("a flag is needed")
    return value


def ballot_untrusted(round: object, replica: object) -> Ballot:
    ballot = Ballot(number_untrusted(round), ReplicaId(_replica_or_none(replica)))
    if bool(ballot.round) != bool(ballot.replica):
        raise ValueError("a ballot has a round and a replica, or neither")
    return ballot


def text_untrusted(value: object, most_bytes: int) -> str:
    if type(value) is not str or len(value.encode()) > most_bytes:
        raise ValueError(f"a text has at most {most_bytes} bytes")
    return value


def data_untrusted(value: object, most_bytes: int) -> bytes:
    if type(value) is not bytes or len(value) > most_bytes:
        raise ValueError(f"at most {most_bytes} bytes are taken")
    return value


def cut_text(text: str, most_bytes: int) -> str:
    """As much of a text for people as fits."""
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore")


def one_element(value: object) -> tuple[object, ...]:
    return (value,)


def text_field(most_bytes: int) -> MessageField:
    """A text for people, which is cut where it is sent."""
    return MessageField(
        1, lambda text: (cut_text(text, most_bytes),), lambda value: text_untrusted(value, most_bytes)
    )  # fmt: skip


JOURNAL = MessageField(1, one_element, bytes_of(JOURNAL_ID_BYTES))
NUMBER = MessageField(1, one_element, number_untrusted)
FLAG = MessageField(1, one_element, flag_untrusted)
BALLOT = MessageField(2, tuple, ballot_untrusted)
