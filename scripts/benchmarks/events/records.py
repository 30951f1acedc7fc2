"""Records of events: which one was acknowledged or handled, and when.

Owns the bytes of a record, in which client programs tell what happened, and what follows from the records of all of
them. Never knows a server. Times are those of `time.perf_counter`, which all processes of a machine share.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

RECORD = struct.Struct("<Qd")
NUMBER = struct.Struct("<Q")
"""The number of an event, at the beginning of its data."""
EACH = 1 << 40
"""The numbers that each publisher has."""


@dataclass(frozen=True, slots=True)
class Record:
    number: int
    at_s: float


def numbered(publisher: int, count: int, data: bytes) -> bytes:
    """The data of the event that this publisher sends as its `count`-th, as long as `data`."""
    return NUMBER.pack(publisher * EACH + count) + data[NUMBER.size :]


def number_of(data: bytes) -> int:
    return int(NUMBER.unpack_from(data)[0])


def encode(records: Iterable[Record]) -> bytes:
    return b"".join(RECORD.pack(record.number, record.at_s) for record in records)


def decode(data: bytes) -> list[Record]:
    """Raises ValueError if the last record is not whole: the program that wrote it was ended."""
    if len(data) % RECORD.size:
        raise ValueError(f"{len(data)} bytes are no whole number of records of {RECORD.size}")
    return [Record(number, at_s) for number, at_s in RECORD.iter_unpack(data)]


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of a time in which publishers kept publishing."""

    events_a_second: float
    """Events that were acknowledged to their publisher and handled."""
    lost: int
    """Events that were acknowledged and never handled."""
    again: int
    """Deliveries of an event that had been handled."""


def throughput(acked: Iterable[Record], handled: Iterable[Record], begin_s: float, end_s: float) -> Throughput:
    """An event counts at the later of the two times: its acknowledgement, and its first handling. Those that count
    outside of [begin, end) are in no rate, but are looked for all the same."""
    first: dict[int, float] = {}
    deliveries = 0
    for record in handled:
        deliveries += 1
        first[record.number] = min(record.at_s, first.get(record.number, record.at_s))
    lost = done = 0
    for record in acked:
        handled_at_s = first.get(record.number)
        if handled_at_s is None:
            lost += 1
        else:
            done += begin_s <= max(record.at_s, handled_at_s) < end_s
    return Throughput(done / (end_s - begin_s), lost, deliveries - len(first))


def latencies_ms(sent: Iterable[Record], handled: Iterable[Record]) -> list[float | None]:
    """For each event that was sent, in order: from then until its first handling; None if it was never handled."""
    first: dict[int, float] = {}
    for record in handled:
        first[record.number] = min(record.at_s, first.get(record.number, record.at_s))
    return [
        None if (at_s := first.get(record.number)) is None else 1000 * (at_s - record.at_s) for record in sent
    ]  # fmt: skip
