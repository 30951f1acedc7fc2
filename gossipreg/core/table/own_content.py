"""The owner's side of a row's content: this member's own entries, which only it writes.

Owns: the next counter, and when each tombstone is thrown away. Must never know: what the values mean, or who holds a
copy. An owner's content is whole after every change: its head is its counter.

Tombstones are thrown away in batches. Each time the floor rises, members that are pulling the row begin again, so it
should rise seldom.
"""

from collections import deque
from math import inf

from gossipreg.core.table.content import Content
from gossipreg.core.table.layout import ENTRY_BYTES, PART, PART_STEP, chunks_of, head_of, key_of
from gossipreg.errors import TooLarge
from gossipreg.model import MAX_ROW_BYTES, MAX_VALUE_BYTES

_BATCH = 0.25
"""Tombstones are thrown away when the oldest is older than its time by this part of it."""


class OwnContent(Content):
    __slots__ = ("_buried",)

    def __init__(self, generation: int) -> None:
        super().__init__(generation)
        self._buried: deque[tuple[int, int, float]] = deque()
        """The tombstones: (key, counter, when), oldest first. Some may have been overwritten since."""
        self._complete()

    def renewed(self, generation: int) -> "OwnContent":
        """The same entries in a new generation. No member has any of them in it yet, so tombstones are not needed."""
        new = OwnContent(generation)
        new.counter = self.counter
        for key, (counter, value) in self.entries.items():
            if value is not None:
                new._set(key, counter, value)
                new._note_part(key)
        new._complete()
        return new

    def put(self, kind: int, slot: int, value: bytes) -> bool:
        """Write a slot. Return whether that changed it. Raises TooLarge; then nothing has changed."""
        key = key_of(kind, slot)
        if self._view(key) == value:
            return False
        self.check_room(kind, slot, value)
        chunks = chunks_of(value)
        for part, chunk in enumerate(chunks, 1):
            self._write(key + part * PART_STEP, PART + chunk)
        self._write(key, head_of(value, chunks))
        self._complete()
        return True

    def check_room(self, kind: int, slot: int, value: bytes) -> None:
        """Raise TooLarge if the row has no room for this value in this slot."""
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"a value has {len(value)} bytes: at most {MAX_VALUE_BYTES}")
        more = len(value) + (1 + len(chunks_of(value))) * (ENTRY_BYTES + 1)
        if self.size_bytes - self._slot_bytes(key_of(kind, slot)) + more > MAX_ROW_BYTES:
            raise TooLarge(f"this sidecar would announce more than {MAX_ROW_BYTES} bytes: deregister a service first")

    def remove(self, kind: int, slot: int, now: float) -> bool:
        """Take a slot out and leave a tombstone. Return whether there was anything to take out."""
        key = key_of(kind, slot)
        entry = self.entries.get(key)
        if entry is None or entry[1] is None:
            return False
        self._write(key, None)
        self._buried.append((key, self.counter, now))
        self._complete()
        return True

    def expire_tombstones(self, now: float, tombstone_s: float, tombstones_max: int) -> bool:
        """Throw away the tombstones that are too old or too many, oldest first. Return whether the floor rose."""
        buried = self._buried
        if not buried or (len(buried) <= tombstones_max and now < self.next_tombstone_due(tombstone_s)):
            return False
        keep = tombstones_max if len(buried) <= tombstones_max else tombstones_max // 2
        floor = self.floor
        while buried and (len(buried) > keep or now - buried[0][2] >= tombstone_s):
            key, counter, _ = buried.popleft()
            if self.entries.get(key) == (counter, None):
                self._drop(key)
                floor = counter
        rose = floor > self.floor
        self.floor = floor
        return rose

    def next_tombstone_due(self, tombstone_s: float) -> float:
        """When `expire_tombstones` has something to do; infinity if there is no tombstone."""
        return self._buried[0][2] + tombstone_s * (1 + _BATCH) if self._buried else inf

    def _write(self, key: int, stored: bytes | None) -> None:
        self.counter += 1
        self._apply(key, self.counter, stored)

    def _complete(self) -> None:
        """What is here is all there is."""
        self.head, self.head_digest = self.counter, self.digest

    def _slot_bytes(self, key: int) -> int:
        """The bytes that this slot counts now, all its parts together."""
        keys = range(key, key + (self._parts.get(key, 0) + 1) * PART_STEP, PART_STEP)
        stored = [self.entries[key][1] for key in keys if key in self.entries]
        return sum(ENTRY_BYTES + len(value or b"") for value in stored)
