"""The entries of one row in one generation: what its owner wrote, as far as it has arrived here.

Owns: the entries, their digest, how far they reach (`counter`), and what can be read of them (`view`). Must never know:
whose row it is, what the values mean, who is alive, what time it is. `own_content.py` has what only the owner does.

An entry is key -> (counter at its last change, value or None for a tombstone); `layout.py` has the keys and the forms
of values. Entries are kept in the order of their last change, so a delta is a slice of them. To be at counter v means:
every key whose last change is at or before v is exactly as the owner wrote it; the others may be older.

A new head, small value or tombstone at part 0 drops the slot's other parts in every copy that applies it. The view of a
slot changes only when all of a new value is there.

The floor is the counter of the last tombstone that the owner has thrown away. A receiver below it may hold something
that was taken out, and no delta would tell it. So it takes only a full row: it begins again with nothing. The pages of
a full row must all have the same floor until the receiver is past that floor, for the same reason.
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from gossipreg.core.table.layout import (
    ENTRY_BYTES,
    KEYS_END,
    KIND_BITS,
    KIND_SERVICE,
    PART,
    PART_MASK,
    PART_STEP,
    SLOT_MASK,
    SLOT_SHIFT,
    WHOLE,
    hash64,
    key_of,
    read_head_untrusted,
)
from gossipreg.model import NodeId
from gossipreg.wire import sizes
from gossipreg.wire.messages import Delta, Entry

_RECENT = 64
"""`cut` looks for its base among this many entries from the end, then by bisection."""


SMALL_BYTES = 8
"""Values up to this size exist once in memory: the health of most services is the same three bytes."""


@lru_cache(256)
def _one_of_equal(value: bytes) -> bytes:
    return value


class Content:
    __slots__ = (
        "_index",
        "_kept",
        "_parts",
        "counter",
        "digest",
        "entries",
        "floor",
        "generation",
        "head",
        "head_digest",
        "services",
        "size_bytes",
    )

    def __init__(self, generation: int) -> None:
        """Nothing has arrived yet."""
        self.generation = generation
        self.counter = 0
        self.floor = 0
        self.head = -1
        """The owner's counter, as the newest delta that was applied says; -1: none was applied yet."""
        self.head_digest = 0
        self.digest = 0
        self.size_bytes = 0
        self.services = 0
        """The number of slots of kind service that are not empty."""
        self.entries: dict[int, tuple[int, bytes | None]] = {}
        self._kept: dict[int, bytes] = {}
        """By a slot's part 0: the last complete value, while the parts of the next one arrive."""
        self._parts: dict[int, int] = {}
        """By a slot's part 0: the highest part that is stored, if there is any."""
        self._index: tuple[list[int], list[int]] | None = None

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def whole(self) -> bool:
        """Whether all that the owner had at `head` is here, and nothing else. An owner's always is."""
        return self.counter == self.head and self.digest == self.head_digest

    @property
    def mismatched(self) -> bool:
        """Whether it has reached its head, and is not what the owner had there."""
        return self.counter == self.head and self.digest != self.head_digest

    def view(self, kind: int, slot: int) -> bytes | None:
        """The slot's last value of which all parts arrived; None if there is none."""
        return self._view(key_of(kind, slot))

    def changed_at(self, kind: int, slot: int) -> int:
        """The counter of the slot's last change; 0 if it was never written."""
        entry = self.entries.get(key_of(kind, slot))
        return 0 if entry is None else entry[0]

    def slots(self, kind: int) -> Iterator[int]:
        """The slots of this kind that have a view."""
        for key in list(self.entries):
            if key & SLOT_MASK == kind and self._view(key) is not None:
                yield key >> SLOT_SHIFT

    def _view(self, key: int) -> bytes | None:
        kept = self._kept.get(key)
        return self._read(key) if kept is None else kept

    def _read(self, key: int) -> bytes | None:
        """The value that is stored at part 0. None if it is a tombstone or cannot be put together."""
        entry = self.entries.get(key)
        if entry is None or not entry[1]:
            return None
        if entry[1][:1] == WHOLE:
            return entry[1][1:]
        return self._assemble_untrusted(key, entry[0], entry[1])

    def _assemble_untrusted(self, key: int, counter: int, head: bytes) -> bytes | None:
        """The value of these parts. None if one is missing, or if the head makes no sense."""
        count, total_bytes = read_head_untrusted(head)
        chunks = []
        for part in range(1, count + 1):
            at, stored = self.entries.get(key + part * PART_STEP, (0, None))
            if at != counter - count + part - 1 or not stored or stored[:1] != PART:
                return None
            chunks.append(stored[1:])
        value = b"".join(chunks)
        return value if count and len(value) == total_bytes else None

    # -- following the owner -----------------------------------------------------------------------------------------

    def floor_fits(self, delta: Delta) -> bool:
        """Whether no tombstone can be missing between what is here and what the delta brings."""
        return self.head < 0 or delta.floor == self.floor or self.counter >= max(delta.floor, self.floor)

    def accepts(self, delta: Delta) -> bool:
        """Whether the delta can be applied: there is no gap before it, and no tombstone can be missing."""
        return delta.generation == self.generation and delta.base <= self.counter and self.floor_fits(delta)

    def apply(self, delta: Delta) -> list[int]:
        """Apply what is new in an accepted delta. Return part 0 of each slot whose view may have changed, in order. A
        delta that breaks the rules raises nothing: entries out of order or out of range are left out, which the digest
        will show."""
        changed: list[int] = []
        first = self.head < 0
        if delta.reached <= self.counter and not first:
            return changed
        last = self.counter
        for key, counter, value in delta.entries:
            if last < counter <= delta.reached and 0 <= key < KEYS_END:
                self._apply(key, counter, value)
                last = counter
                if not key & PART_MASK:
                    changed.append(key)
        self.counter = max(self.counter, delta.reached)
        if delta.head > self.head:
            self.head, self.head_digest = delta.head, delta.digest
        if delta.floor > self.floor:
            self.floor = delta.floor
            if not first:
                self._drop_tombstones()
        return changed

    # -- pages for others --------------------------------------------------------------------------------------------

    def cut(self, id: NodeId, base: int, limit_bytes: int) -> Delta:
        """The page after `base`: as many entries as fit a Delta of `limit_bytes` when encoded, and at least one."""
        room = sizes.room_for(Delta, limit_bytes)
        reached = self.counter
        page: list[Entry] = []
        for key in self.keys_after(base):
            counter, value = self.entries[key]
            room -= sizes.entry_bytes(key, counter, value)
            if page and room < 0:
                reached = page[-1][1]
                break
            page.append((key, counter, value))
        return Delta(id, self.generation, base, reached, self.head, self.head_digest, self.floor, tuple(page))

    def keys_after(self, base: int) -> Iterator[int]:
        """The keys whose last change is after `base`, in order. The newest changes are at the end. The pages of a full
        row begin anywhere, so for those an index is made, which is valid until the next change."""
        if base <= 0:
            return iter(self.entries)
        recent: list[int] = []
        for key in islice(reversed(self.entries), _RECENT):
            if self.entries[key][0] <= base:
                return reversed(recent)
            recent.append(key)
        if len(recent) == len(self.entries):
            return reversed(recent)
        if self._index is None:
            self._index = [counter for counter, _ in self.entries.values()], list(self.entries)
        counters, keys = self._index
        return islice(keys, bisect_right(counters, base), None)

    # -- one entry ---------------------------------------------------------------------------------------------------

    def _apply(self, key: int, counter: int, value: bytes | None) -> None:
        """Store one entry by the rules of the layout, which are the same for the owner and for every copy."""
        slot_key = key & ~PART_MASK
        if key != slot_key:
            if slot_key not in self._kept:
                self._keep(slot_key)
            self._set(key, counter, value)
            self._note_part(key)
            return
        if value is None or value[:1] == WHOLE:
            self._kept.pop(key, None)
            if key in self._parts:
                self._drop_parts(key, 0)
            self._set(key, counter, value)
            return
        before = self._view(key)
        count, _ = read_head_untrusted(value)
        if count:  # if the form is not known here nothing is dropped: its writer knows what belongs to it
            self._drop_parts(key, count)
        self._set(key, counter, value)
        if self._read(key) is not None:
            self._kept.pop(key, None)
        elif before is not None:
            self._kept[key] = before

    def _keep(self, slot_key: int) -> None:
        """A part is about to change: keep the value that the head has now, since the keys of its parts are used
        again."""
        entry = self.entries.get(slot_key)
        if entry is not None and entry[1] and entry[1][:1] != WHOLE:
            value = self._read(slot_key)
            if value is not None:
                self._kept[slot_key] = value

    def _set(self, key: int, counter: int, value: bytes | None) -> None:
        if key in self.entries:
            self._drop(key)
        if value is not None and len(value) <= SMALL_BYTES:
            value = _one_of_equal(value)
        self.entries[key] = (counter, value)
        self.size_bytes += ENTRY_BYTES
        if value is not None:
            self.digest ^= hash64(key, counter, value)
            self.size_bytes += len(value)
            self.services += key & SLOT_MASK == KIND_SERVICE
        self._index = None

    def _drop(self, key: int) -> None:
        counter, value = self.entries.pop(key)
        self.size_bytes -= ENTRY_BYTES
        if value is not None:
            self.digest ^= hash64(key, counter, value)
            self.size_bytes -= len(value)
            self.services -= key & SLOT_MASK == KIND_SERVICE
        self._index = None

    def _note_part(self, key: int) -> None:
        part = (key & PART_MASK) >> KIND_BITS
        slot_key = key & ~PART_MASK
        if part > self._parts.get(slot_key, 0):
            self._parts[slot_key] = part

    def _drop_parts(self, slot_key: int, count: int) -> None:
        """Drop all parts of the slot except the first `count`. An older part among those does no harm: it does not fit
        its head, and its owner has written or dropped it again later."""
        for part in range(count + 1, self._parts.get(slot_key, 0) + 1):
            key = slot_key + part * PART_STEP
            if key in self.entries:
                self._drop(key)
        if count:
            self._parts[slot_key] = count
        else:
            self._parts.pop(slot_key, None)

    def _drop_tombstones(self) -> None:
        """Drop the tombstones at or below the floor, which the owner has thrown away too."""
        for key in [key for key, (at, value) in self.entries.items() if value is None and at <= self.floor]:
            self._drop(key)
