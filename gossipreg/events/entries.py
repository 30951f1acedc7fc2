"""The entries of a journal that are about events: values and bytes.

Each kind of entry is one msgpack array; elements behind the known ones are ignored. An entry carries many changes at
once, so that a busy journal has few entries.

    PUBLISH       [[group ...], [event ...]]     group: [name, [pattern ...], past]; event: [bytes, keep_ms]
    OUTCOMES      [[group number, event index, what, text] ...]
    DEAD_AGAIN    [[group number, event index] ...]     dead letters that are delivered once more
    DEAD_DROPPED  [[group number, event index] ...]     dead letters that are thrown away
    FORGET_GROUP  [[name, reason] ...]
    SEEN_GROUPS   [[name, [pattern ...]] ...]    groups, and patterns of theirs, that have an instance at this led time
    EXPIRE        []                             what is too old at this led time goes

What is read is tuples, which cost half of what other frozen values do: a busy journal reads thousands a second.

An event's index is that of its entry times EVENTS_STEP, and its place in the entry: it rises along the journal, fits
the numbers of JavaScript, and is the fencing token that handlers get.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack

EVENTS_STEP = 4096
"""More events than one entry has."""
MAX_EVENTS = 1024
"""Of one PUBLISH entry."""
MAX_OUTCOMES = 4096
MAX_GROUPS = 1024
"""Of one journal."""
MAX_GROUP_BYTES = 255
MAX_GROUP_PATTERNS = 64
MAX_REASON_BYTES = 512

_pack: Callable[[object], bytes] = msgpack.Packer().pack


class EventEntryKind(IntEnum):
    """Beside `journal.model.EntryKind`, whose numbers end below 16."""

    PUBLISH = 16
    OUTCOMES = 17
    DEAD_AGAIN = 18
    DEAD_DROPPED = 19
    FORGET_GROUP = 20
    SEEN_GROUPS = 21
    EXPIRE = 22


class OutcomeCode(IntEnum):
    """What became of one delivery, as an entry notes it. A release that adds one puts it into entries of another kind:
    an older one cannot read the entry, ignores it, and its state would differ from then on."""

    ACKED = 0
    FAILED = 1
    """An attempt: the handler failed, asked to be tried again, or did not answer in time."""
    DIED = 2
    """An attempt: whoever handled it died or hung up."""
    DEAD = 3
    """Set aside as a dead letter; later events with its key go on."""
    DEAD_HOLDS = 4
    """Set aside as a dead letter that holds its key until a person decides."""


_CODES = {int(code): code for code in OutcomeCode}


class NewGroup(NamedTuple):
    """A group that is added, or gets these patterns beside those that it has."""

    name: str
    patterns: tuple[str, ...]
    past: bool = False
    """If it is new in this journal, it gets the events that are kept, too."""


class NewEvent(NamedTuple):
    data: bytes
    """As `cloud_event.encode_event` gives it."""
    keep_ms: int = 0
    """For so long in led time it is kept though all groups have acknowledged it."""


class DeliveryNote(NamedTuple):
    """What became of the delivery of an event to a group."""

    group: int
    """The number of the group in this journal."""
    index: int  # type: ignore[assignment]  # nobody searches a note as a tuple
    """Of the event."""
    code: OutcomeCode
    text: str = ""
    """Why it failed."""


def event_index(entry_index: int, place: int) -> int:
    return entry_index * EVENTS_STEP + place


def encode_publish(groups: tuple[NewGroup, ...], events: tuple[NewEvent, ...]) -> bytes:
    return _pack((
        [(group.name, group.patterns, group.past) for group in groups],
        [(event.data, event.keep_ms) for event in events],
    ))  # fmt: skip


def decode_publish(data: bytes) -> tuple[list[NewGroup], list[NewEvent]]:
    """Raises ValueError or TypeError where it is none, as the other `decode_` functions do."""
    groups, events, *_ = _array(data, 2)
    return (
        _groups(groups),
        [NewEvent(_bytes(event), _whole(keep_ms)) for event, keep_ms, *_ in events],
    )


def encode_outcomes(notes: tuple[DeliveryNote, ...]) -> bytes:
    return _pack([(note.group, note.index, int(note.code), note.text) for note in notes])


def decode_outcomes(data: bytes) -> list[DeliveryNote]:
    try:
        return [
            DeliveryNote(_whole(group), _whole(index), _CODES[code], _text(text))
            for group, index, code, text, *_ in _array(data, 0)
        ]
    except KeyError as error:
        raise ValueError(f"no outcome has the code {error}") from None


def encode_letters(letters: tuple[tuple[int, int], ...]) -> bytes:
    """(group number, event index) of dead letters."""
    return _pack(letters)


def decode_letters(data: bytes) -> list[tuple[int, int]]:
    return [(_whole(group), _whole(index)) for group, index, *_ in _array(data, 0)]


def encode_forget(groups: tuple[tuple[str, str], ...]) -> bytes:
    """(name, why) of groups."""
    return _pack(groups)


def decode_forget(data: bytes) -> list[tuple[str, str]]:
    return [(_text(name), _text(reason)) for name, reason, *_ in _array(data, 0)]


def encode_seen(groups: tuple[NewGroup, ...]) -> bytes:
    return _pack([(group.name, group.patterns) for group in groups])


def decode_seen(data: bytes) -> list[NewGroup]:
    return _groups(_array(data, 0))


EXPIRE_DATA = _pack(())


def _groups(raw: Any) -> list[NewGroup]:
    return [
        NewGroup(_text(name), tuple(map(_text, patterns)), bool(later) and later[0] is True)
        for name, patterns, *later in raw
    ]


def _array(data: bytes, least: int) -> tuple[Any, ...]:
    """The array, whose elements are of any type yet: what takes them apart raises ValueError or TypeError."""
    try:
        found = msgpack.unpackb(data, use_list=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"no msgpack: {error}") from None
    if type(found) is not tuple or len(found) < least:
        raise ValueError("an array is needed")
    return found


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("text is needed")
    return value


def _bytes(value: object) -> bytes:
    if type(value) is not bytes:
        raise ValueError("bytes are needed")
    return value


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a number is needed")
    return value
