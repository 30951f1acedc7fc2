"""Reads the values of a replica's records, which may be in memory or only on its disk.

Owns: the requests that wait, and the one read that is under way. Never knows: what a record means, or why it is asked
for.

One read of the disk is under way at a time, of at most `READ_BYTES`; what is asked for meanwhile goes with the next
one. A value that is not in memory is in what the disk was asked to hold so far, and reads are done in order with the
writes. So a record that is there when the disk is read is found; one that was removed meanwhile is None.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gossipreg.journal.context import JournalContext
from gossipreg.journal.disk import ReplicaDisk
from gossipreg.journal.effects import ReadRecords, RecordsFound
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.state import JournalState

READ_BYTES = 1024 * 1024
"""Of one read, or one record."""
_KEY_BYTES = 64
"""What a key costs beside its bytes, about."""
MAX_WAITING = 4_096
"""Requests that wait; more are refused. Each is small: the values come when its turn has come."""


@dataclass(frozen=True, slots=True)
class FoundForFollower:
    """Values that are to be sent to a follower."""

    replica: ReplicaId
    number: int
    values: tuple[bytes | None, ...]


@dataclass(slots=True, eq=False)
class _Request:
    number: int
    keys: tuple[bytes, ...]
    follower: ReplicaId | None
    """None: it came from outside."""
    values: list[bytes | None] = field(default_factory=list)
    """Of the first keys, as far as they were looked for; those that are being read are None until then."""
    unread: int = 0
    """How many of these are being read."""

    @property
    def done(self) -> bool:
        return len(self.values) == len(self.keys) and not self.unread


class RecordReader:
    def __init__(self, context: JournalContext, journal: JournalId, state: JournalState, disk: ReplicaDisk) -> None:
        self._context = context
        self._journal = journal
        self._state = state
        self._disk = disk
        self._waiting: deque[_Request] = deque()
        """In order; the first one may be looked for in part."""
        self._number = 0
        """Of the read that is under way; 0: none is."""
        self._reading: list[tuple[_Request, int]] = []
        """What that reads: a request, and which of its keys."""
        self._asked_of = state.records
        """The records that were looked for by that."""
        self._found: list[FoundForFollower] = []
        self._lost: set[bytes] = set()
        """The keys of records that the disk has lost, as far as they were asked for."""

    @property
    def full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING

    def read(self, keys: Sequence[bytes], number: int, follower: ReplicaId | None = None) -> None:
        """Look for these records. RecordsFound has the values, or what `take_found` returns, if it is for a follower;
        at once if all are in memory."""
        request = _Request(number, tuple(keys), follower)
        records = self._state.records
        values = [records.in_memory(key) for key in request.keys]
        if any(value is None and key in records for key, value in zip(request.keys, values, strict=True)):
            self._waiting.append(request)
        else:
            request.values = values
            self._answer(request)

    def take_found(self) -> list[FoundForFollower]:
        found, self._found = self._found, []
        return found

    def pump(self) -> None:
        """Begin the next read, if none is under way. Not while the disk was not asked to hold this state yet."""
        if self._number or self._disk.reset_waits:
            return
        room = READ_BYTES
        while self._waiting and room > 0:
            room = self._look_for(self._waiting[0], room)
            if len(self._waiting[0].values) == len(self._waiting[0].keys):
                request = self._waiting.popleft()
                if request.done:
                    self._answer(request)
        if self._reading:
            self._number, self._asked_of = self._context.next_read(), self._state.records
            keys = tuple(request.keys[at] for request, at in self._reading)
            self._context.effects.append(ReadRecords(self._journal, self._number, keys))

    def _look_for(self, request: _Request, room: int) -> int:
        """Find values in memory, and have the others read as far as there is room. Returns the room that is left."""
        records = self._state.records
        for key in request.keys[len(request.values) :]:
            value = records.in_memory(key)
            if value is None and key in records:
                size = records.large[key] + len(key) + _KEY_BYTES
                if size > room and self._reading:
                    return 0
                room -= size
                self._reading.append((request, len(request.values)))
                request.unread += 1
            request.values.append(value)
        return room

    def on_read(self, number: int, values: Sequence[bytes | None]) -> bool:
        """The disk has answered. Returns whether it has lost a record of which that was not known yet."""
        if number != self._number or len(values) != len(self._reading):
            return False
        reading, self._reading, self._number = self._reading, [], 0
        known = len(self._lost)
        for (request, at), value in zip(reading, values, strict=True):
            request.values[at] = value
            if value is None:
                self._report_if_lost(request.keys[at])
            request.unread -= 1
            if request.done:
                self._answer(request)
        return len(self._lost) > known

    def _report_if_lost(self, key: bytes) -> None:
        """Say so if the disk does not have a record that was written, and that was not removed while it was read."""
        records = self._state.records
        if records is self._asked_of and key in records and records.in_memory(key) is None:
            self._lost.add(key)
            self._context.event("journal_record_missing", journal=self._journal.hex(), record=key.hex())

    def end(self) -> None:
        """Nothing is read any more: answer everything that waits with None."""
        requests = dict.fromkeys([*(request for request, _ in self._reading), *self._waiting])
        self._reading, self._number = [], 0
        self._waiting.clear()
        for request in requests:
            request.values = [None] * len(request.keys)
            self._answer(request)

    def _answer(self, request: _Request) -> None:
        values = tuple(request.values)
        if request.follower is None:
            self._context.effects.append(RecordsFound(self._journal, request.number, values))
        else:
            self._found.append(FoundForFollower(request.follower, request.number, values))
