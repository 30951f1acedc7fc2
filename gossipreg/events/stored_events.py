"""What the state machine of events keeps of events, dead letters and failures, and the records of each.

Owns: the values and their bytes. Never knows: when they change (`event_store.py`, `groups.py`, `known_ids.py`).

The key of a record is one byte, its kind, and numbers of fixed width; the value is one msgpack array, and elements
behind the known ones are ignored.

    N                         the number of the next group, 4 bytes
    G group                   name, index at which it was added, seen_ms, [[pattern, seen_ms] ...]
    E event                   source, id, type, key, size_bytes, led_ms, keep_ms, [group that waits ...]
    D group event             reason, led_ms, attempts, holds
    F group event             attempts, deaths, text
    I entry                   the ids of the events of one entry (`known_ids.py`)
    \\xff event                the event as bytes: large, on the disk alone, and never read back here
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgpack

NEXT_GROUP, GROUP, EVENT, DEAD, FAILURES, IDS, PAYLOAD = b"N", b"G", b"E", b"D", b"F", b"I", b"\xff"
GROUP_NUMBER_BYTES, INDEX_BYTES = 4, 8
MAX_GROUP_NUMBER = (1 << 8 * GROUP_NUMBER_BYTES) - 1

_pack: Callable[[object], bytes] = msgpack.Packer().pack


def payload_key(index: int) -> bytes:
    """Where the bytes of this event are in the records."""
    return PAYLOAD + index.to_bytes(INDEX_BYTES, "big")


def event_key(index: int) -> bytes:
    return EVENT + index.to_bytes(INDEX_BYTES, "big")


def delivery_key(kind: bytes, group: int, index: int) -> bytes:
    """Of what is kept of one event and one group: `kind` is DEAD or FAILURES."""
    return kind + group.to_bytes(GROUP_NUMBER_BYTES, "big") + index.to_bytes(INDEX_BYTES, "big")


def read_index(key: bytes) -> int:
    """Of the event, at the end of a key."""
    return int.from_bytes(key[-INDEX_BYTES:], "big")


def read_delivery(key: bytes) -> tuple[int, int]:
    """(group, index)"""
    return int.from_bytes(key[1 : 1 + GROUP_NUMBER_BYTES], "big"), read_index(key)


@dataclass(slots=True)
class StoredEvent:
    """An event that a group waits for, that is a dead letter, or that is kept. Only `EventStore` changes it."""

    index: int
    source: str
    id: str
    type: str
    key: str
    """Its partition key; "" if it has none."""
    size_bytes: int
    """Of the event as bytes."""
    led_ms: int
    """When it was published, in led time."""
    keep_ms: int
    """For so long it stays though no group waits for it; at most the age at which events are dropped."""
    waiting: frozenset[int]
    """The numbers of the groups that have not acknowledged it."""
    dead: frozenset[int] = frozenset()
    """The numbers of the groups for which it is a dead letter."""

    def encode(self) -> bytes:
        """Without `dead`: each dead letter has a record of its own."""
        return _pack((
            self.source, self.id, self.type, self.key, self.size_bytes, self.led_ms, self.keep_ms, sorted(self.waiting),
        ))  # fmt: skip


def decode_stored(index: int, value: bytes) -> StoredEvent:
    source, id, type, key, size_bytes, led_ms, keep_ms, waiting = msgpack.unpackb(value)[:8]
    return StoredEvent(index, source, id, type, key, size_bytes, led_ms, keep_ms, frozenset(waiting))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was set aside for one group, until a person decides or it is too old."""

    reason: str
    led_ms: int
    """When it was set aside, in led time."""
    attempts: int
    """Deliveries that failed, the last one included."""
    holds: bool
    """Later events with its key wait for the decision."""

    def encode(self) -> bytes:
        return _pack((self.reason, self.led_ms, self.attempts, self.holds))


def decode_letter(value: bytes) -> DeadLetter:
    reason, led_ms, attempts, holds = msgpack.unpackb(value)[:4]
    return DeadLetter(reason, led_ms, attempts, holds)


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed deliveries of an event that a group still waits for."""

    attempts: int
    """All of them."""
    deaths: int
    """Those whose handler died."""
    text: str
    """Why the last one failed."""

    def encode(self) -> bytes:
        return _pack((self.attempts, self.deaths, self.text))


def decode_failures(value: bytes) -> Failures:
    attempts, deaths, text = msgpack.unpackb(value)[:3]
    return Failures(attempts, deaths, text)


NO_FAILURES = Failures(0, 0, "")
