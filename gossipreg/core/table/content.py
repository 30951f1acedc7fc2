"""The entries of one row in one generation: what its owner wrote, as far as it has come here.

Owns: the entries, their digest, how far they reach (`counter`), and what can be read of them (`view`). Must never know:
whose row it is, what the values mean, who is alive, what time it is.

An entry is key -> (counter at its last change, value or None for a tombstone). A key is (kind, slot, part), a slot is
one thing that the owner wrote (itself, a service, a service's health). Entries are kept in order of last change, so a
delta is a slice of them, and to be at counter v means: every key whose last change is at or before v is exactly as the
owner wrote it; the others may be older.

    a small value    part 0: 00 value
    a large value    parts 1..n: 02 chunk, at counters c-n..c-1; then part 0: 01 n bytes, the head, at c

So a delta may be cut anywhere and sent in datagrams of any size. A new head, small value or tombstone at part 0 drops
the slot's other parts at everyone who applies it. The view of a slot changes only when all of a new value is there.

The floor is the counter of the last tombstone that the owner has thrown away. Who is below it may hold something that
was taken out and would never hear of it, so such a receiver takes only a snapshot: it starts again from nothing. A
snapshot's pages must all be of one floor until it is past it, for the same reason.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from math import inf
from struct import Struct

from gossipreg.errors import TooLarge
from gossipreg.model import MAX_ROW_BYTES, MAX_VALUE_BYTES, NodeId
from gossipreg.wire import sizes
from gossipreg.wire.messages import Delta, Entry

KIND_MEMBER, KIND_SERVICE, KIND_HEALTH = 0, 1, 2
"""Kinds go up to 31. Those not known here are stored and relayed untouched."""

_KIND_BITS, _PART_BITS = 5, 8
_SLOT_SHIFT = _KIND_BITS + _PART_BITS
_SLOT_MASK = (1 << _SLOT_SHIFT) - 1
_PART_MASK = _SLOT_MASK ^ ((1 << _KIND_BITS) - 1)
_KEYS_END = 1 << (32 + _SLOT_SHIFT)

PART_BYTES = 400
"""Key and value of an entry together take at most this, so every entry fits the smallest datagram."""
_CHUNK_BYTES = PART_BYTES - 9 - 1
"""Without the longest key and the first byte."""
_PARTS_MAX = (1 << _PART_BITS) - 1
assert _PARTS_MAX * _CHUNK_BYTES >= MAX_VALUE_BYTES, "the largest value must fit its parts"

_WHOLE, _HEAD, _PART = b"\x00", b"\x01", b"\x02"
_HEAD_LAYOUT = Struct(">cBI")
"""Form, number of parts, bytes in all; what stands behind is ignored."""

ENTRY_BYTES = 32
"""What an entry counts beside its value, so that tombstones are not free."""
_RECENT = 64
"""`cut` looks for its base from the end for so many entries, then by bisection."""
_BATCH = 0.25
"""Tombstones are thrown away in batches: when the oldest is over its time by this part of it. Each raise of the floor
sends those who are just fetching the row back to its beginning, so it should be rare."""

_HASHED = Struct(">QQ")


def key_of(kind: int, slot: int, part: int = 0) -> int:
    return slot << _SLOT_SHIFT | part << _KIND_BITS | kind


def split_key(key: int) -> tuple[int, int, int]:
    """(kind, slot, part)"""
    return key & ((1 << _KIND_BITS) - 1), key >> _SLOT_SHIFT, (key & _PART_MASK) >> _KIND_BITS


def hash64(key: int, counter: int, value: bytes) -> int:
    """Of one live entry; a digest is the XOR of these."""
    return int.from_bytes(blake2b(_HASHED.pack(key, counter) + value, digest_size=8).digest(), "big")


class Content:
    __slots__ = (
        "_buried",
        "_dirty",
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
        """Nothing yet, as a receiver begins. An owner calls `own` next."""
        self.generation = generation
        self.counter = 0
        self.floor = 0
        self.head = -1
        """The highest counter of which we were told, by what was applied; -1: nothing was applied yet."""
        self.head_digest = 0
        self.digest = 0
        self.size_bytes = 0
        self.services = 0
        """Slots of kind service that hold something."""
        self.entries: dict[int, tuple[int, bytes | None]] = {}
        self._dirty: dict[int, None] = {}
        self._kept: dict[int, bytes] = {}
        """By a slot's part 0: the last whole value, while what is stored is on its way to the next."""
        self._parts: dict[int, int] = {}
        """By a slot's part 0: the highest part stored, where there is any."""
        self._index: tuple[list[int], list[int]] | None = None
        self._buried: deque[tuple[int, int, float]] | None = None
        """The owner's tombstones: (key, counter, when), oldest first; some may have been overwritten since."""

    def copy(self) -> "Content":
        """The same as a receiver holds it: what only an owner keeps of its tombstones is left out."""
        new = Content(self.generation)
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(new, name, value.copy() if isinstance(value, dict) else value)
        new._buried = None
        return new

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def whole(self) -> bool:
        """All that the owner had at `head` is here, and nothing else. An owner's own content always is."""
        return self.counter == self.head and self.digest == self.head_digest

    @property
    def mismatched(self) -> bool:
        """It has come to its head, and is not what the owner had there."""
        return self.counter == self.head and self.digest != self.head_digest

    def view(self, kind: int, slot: int) -> bytes | None:
        """The slot's last value whose parts were all there; None where there is none."""
        return self._view(key_of(kind, slot))

    def changed_at(self, kind: int, slot: int) -> int:
        """The counter of the slot's last change; 0 where it was never heard of."""
        entry = self.entries.get(key_of(kind, slot))
        return 0 if entry is None else entry[0]

    def slots(self, kind: int) -> Iterator[int]:
        """The slots of this kind that can be viewed."""
        for key in list(self.entries):
            if key & _SLOT_MASK == kind and self._view(key) is not None:
                yield key >> _SLOT_SHIFT

    def drain_dirty(self) -> list[tuple[int, int]]:
        """(kind, slot) of each whose view may have changed since last asked, in order of their first change."""
        if not self._dirty:
            return []
        dirty, self._dirty = self._dirty, {}
        return [split_key(key)[:2] for key in dirty]

    def _view(self, key: int) -> bytes | None:
        kept = self._kept.get(key)
        return self._read(key) if kept is None else kept

    def _read(self, key: int) -> bytes | None:
        """The value at part 0 as it is stored; None where it is a tombstone or cannot be put together."""
        entry = self.entries.get(key)
        if entry is None or not entry[1]:
            return None
        if entry[1][:1] == _WHOLE:
            return entry[1][1:]
        return self._assemble_untrusted(key, entry[0], entry[1])

    def _assemble_untrusted(self, key: int, counter: int, head: bytes) -> bytes | None:
        """The value of these parts; None where one is missing, or the head makes no sense."""
        count, total_bytes = _read_head_untrusted(head)
        chunks = []
        for part in range(1, count + 1):
            at, stored = self.entries.get(key + (part << _KIND_BITS), (0, None))
            if at != counter - count + part - 1 or not stored or stored[:1] != _PART:
                return None
            chunks.append(stored[1:])
        value = b"".join(chunks)
        return value if count and len(value) == total_bytes else None

    # -- the owner's side --------------------------------------------------------------------------------------------

    def own(self) -> "Content":
        """Begin as its owner: what is here is all there is."""
        self._buried = deque()
        self._at_head()
        return self

    def renewed(self, generation: int) -> "Content":
        """The owner's entries in a new generation. Nobody has any of them in it yet, so tombstones are not needed."""
        new = Content(generation)
        new.counter = self.counter
        for key, (counter, value) in self.entries.items():
            if value is not None:
                new._set(key, counter, value)
                new._note_part(key)
        new._dirty = {key: None for key in new.entries if not key & _PART_MASK}
        return new.own()

    def put(self, kind: int, slot: int, value: bytes) -> None:
        """Write a slot. To write what is there already changes nothing. Raises TooLarge; then nothing changed."""
        key = key_of(kind, slot)
        if self._view(key) == value:
            return
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"a value has {len(value)} bytes: at most {MAX_VALUE_BYTES}")
        chunks = [] if len(value) <= _CHUNK_BYTES else _chunks(value)
        more = len(value) + (1 + len(chunks)) * (ENTRY_BYTES + 1)
        if self.size_bytes - self._slot_bytes(key) + more > MAX_ROW_BYTES:
            raise TooLarge(f"this sidecar would announce more than {MAX_ROW_BYTES} bytes: deregister a service first")
        for part, chunk in enumerate(chunks, 1):
            self.counter += 1
            self._apply(key + (part << _KIND_BITS), self.counter, _PART + chunk)
        self.counter += 1
        head = _HEAD_LAYOUT.pack(_HEAD, len(chunks), len(value)) if chunks else _WHOLE + value
        self._apply(key, self.counter, head)
        self._at_head()

    def remove(self, kind: int, slot: int, now: float) -> None:
        """Take a slot out, leaving a tombstone. What is not there is no error."""
        key = key_of(kind, slot)
        entry = self.entries.get(key)
        if entry is None or entry[1] is None:
            return
        self.counter += 1
        self._apply(key, self.counter, None)
        if self._buried is not None:
            self._buried.append((key, self.counter, now))
        self._at_head()

    def expire_tombstones(self, now: float, tombstone_s: float, tombstones_max: int) -> bool:
        """Throw away tombstones that are over their time or too many, oldest first; True where the floor rose."""
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
        """When `expire_tombstones` has something to do; infinity where nothing is buried."""
        return self._buried[0][2] + tombstone_s * (1 + _BATCH) if self._buried else inf

    def _at_head(self) -> None:
        self.head, self.head_digest = self.counter, self.digest

    def _slot_bytes(self, key: int) -> int:
        keys = range(key, key + (self._parts.get(key, 0) + 1 << _KIND_BITS), 1 << _KIND_BITS)
        stored = [self.entries[key][1] for key in keys if key in self.entries]
        return sum(ENTRY_BYTES + len(value or b"") for value in stored)

    # -- everybody's -------------------------------------------------------------------------------------------------

    def floor_fits(self, delta: Delta) -> bool:
        """Whether no tombstone can be missing between what is here and what the delta brings."""
        return self.head < 0 or delta.floor == self.floor or self.counter >= max(delta.floor, self.floor)

    def accepts(self, delta: Delta) -> bool:
        """Whether the delta can be applied: there is no gap before it, and no tombstone can be missing."""
        return delta.generation == self.generation and delta.base <= self.counter and self.floor_fits(delta)

    def apply(self, delta: Delta) -> None:
        """Take what is new of an accepted delta. A delta that breaks the rules raises nothing: entries out of order
        or out of range are left out, which the digest will show."""
        first = self.head < 0
        if delta.reached <= self.counter and not first:
            return
        last = self.counter
        for key, counter, value in delta.entries:
            if last < counter <= delta.reached and 0 <= key < _KEYS_END:
                self._apply(key, counter, value)
                last = counter
        self.counter = max(self.counter, delta.reached)
        if delta.head > self.head:
            self.head, self.head_digest = delta.head, delta.digest
        if delta.floor > self.floor:
            self.floor = delta.floor
            if not first:
                self._drop_tombstones()

    def cut(self, id: NodeId, base: int, limit_bytes: int) -> Delta:
        """The page after `base`: as many entries as fit a Delta of `limit_bytes` when encoded, and at least one."""
        room = sizes.room_for(Delta, limit_bytes)
        reached = self.counter
        page: list[Entry] = []
        for key in self._keys_after(base):
            counter, value = self.entries[key]
            room -= sizes.entry_bytes(key, counter, value)
            if page and room < 0:
                reached = page[-1][1]
                break
            page.append((key, counter, value))
        return Delta(id, self.generation, base, reached, self.head, self.head_digest, self.floor, tuple(page))

    def _keys_after(self, base: int) -> Iterator[int]:
        """The keys whose last change is after `base`, in order. News is at the end; a snapshot's pages are anywhere,
        so for those an index is made, good until the next change."""
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
        """The rules of the layout, the same for the owner and for all who follow."""
        slot_key = key & ~_PART_MASK
        if key != slot_key:
            if slot_key not in self._kept:
                self._keep(slot_key)
            self._set(key, counter, value)
            self._note_part(key)
            return
        self._dirty[key] = None
        if value is None or value[:1] == _WHOLE:
            self._kept.pop(key, None)
            if key in self._parts:
                self._drop_parts(key, 0)
            self._set(key, counter, value)
            return
        before = self._view(key)
        count, _ = _read_head_untrusted(value)
        if count:  # of a form that is not known here nothing is dropped: its writer knows what belongs to it
            self._drop_parts(key, count)
        self._set(key, counter, value)
        if self._read(key) is not None:
            self._kept.pop(key, None)
        elif before is not None:
            self._kept[key] = before

    def _keep(self, slot_key: int) -> None:
        """A part is about to change: keep what a head says now, since its parts' keys are used again."""
        entry = self.entries.get(slot_key)
        if entry is not None and entry[1] and entry[1][:1] != _WHOLE:
            value = self._read(slot_key)
            if value is not None:
                self._kept[slot_key] = value

    def _set(self, key: int, counter: int, value: bytes | None) -> None:
        if key in self.entries:
            self._drop(key)
        self.entries[key] = (counter, value)
        self.size_bytes += ENTRY_BYTES
        if value is not None:
            self.digest ^= hash64(key, counter, value)
            self.size_bytes += len(value)
            self.services += key & _SLOT_MASK == KIND_SERVICE
        self._index = None

    def _drop(self, key: int) -> None:
        counter, value = self.entries.pop(key)
        self.size_bytes -= ENTRY_BYTES
        if value is not None:
            self.digest ^= hash64(key, counter, value)
            self.size_bytes -= len(value)
            self.services -= key & _SLOT_MASK == KIND_SERVICE
        self._index = None

    def _note_part(self, key: int) -> None:
        part = (key & _PART_MASK) >> _KIND_BITS
        slot_key = key & ~_PART_MASK
        if part > self._parts.get(slot_key, 0):
            self._parts[slot_key] = part

    def _drop_parts(self, slot_key: int, count: int) -> None:
        """All parts of the slot but the first `count`. An older one among those is no harm: it does not fit its head,
        and its owner has written or dropped it again later."""
        for part in range(count + 1, self._parts.get(slot_key, 0) + 1):
            key = slot_key + (part << _KIND_BITS)
            if key in self.entries:
                self._drop(key)
        if count:
            self._parts[slot_key] = count
        else:
            self._parts.pop(slot_key, None)

    def _drop_tombstones(self) -> None:
        """Those at or below the floor, which the owner no longer has either."""
        for key in [key for key, (at, value) in self.entries.items() if value is None and at <= self.floor]:
            self._drop(key)


def _read_head_untrusted(head: bytes) -> tuple[int, int]:
    """(number of parts, bytes in all); (0, 0) where it is no head that is understood here."""
    if len(head) < _HEAD_LAYOUT.size:
        return 0, 0
    form, count, total_bytes = _HEAD_LAYOUT.unpack_from(head)
    return (count, total_bytes) if form == _HEAD else (0, 0)


def _chunks(value: bytes) -> list[bytes]:
    return [value[at : at + _CHUNK_BYTES] for at in range(0, len(value), _CHUNK_BYTES)]
