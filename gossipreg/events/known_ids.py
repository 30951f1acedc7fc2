"""The ids of the events that were published of late, so that the same event counts once.

Owns: which (source, id) a journal remembers, and of which event. Never knows: what an event is, or which groups get it.

The ids of one entry are one record: the led time, and for each place of the entry 34 bytes: a hash of source and id,
the digest of the event, and how many groups got it, so that a publisher who asks again is answered the same; zeros
where the event was not new. So an id costs 34 bytes on the disk, and its digest is read only when the id comes again.
They are forgotten by whole entries, the oldest first: after `dedup_s` of led time, or when there are more than
`dedup_ids`.
"""

from collections import deque
from collections.abc import Callable, Iterator

import msgpack

from gossipreg.blake2 import blake2b
from gossipreg.events.cloud_event import DIGEST_BYTES
from gossipreg.events.entries import EVENTS_STEP
from gossipreg.events.stored_events import IDS, INDEX_BYTES
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.state import Records

_HASH_BYTES = 16
_COUNT_BYTES = 2
_PLACE_BYTES = _HASH_BYTES + DIGEST_BYTES + _COUNT_BYTES
_TIME_BYTES = 8
_NOTHING = bytes(_PLACE_BYTES)

_pack: Callable[[object], bytes] = msgpack.Packer().pack


def id_hash(source: str, id: str) -> bytes:
    return blake2b(_pack((source, id)), digest_size=_HASH_BYTES).digest()


class KnownIds:
    def __init__(self, tuning: EventsTuning) -> None:
        self._longest_ms = int(tuning.dedup_s * 1000)
        self._most = tuning.dedup_ids
        self._indexes: dict[bytes, int] = {}
        """The event with this hash of source and id."""
        self._entries: deque[tuple[int, int]] = deque()
        """(index, led_ms) of the entries with ids that are remembered, oldest first."""
        self._fresh: dict[int, tuple[bytes, bytes, int]] = {}
        """(hash, digest, number of groups) of the events of the entry that is applied just now, by their index."""

    def __len__(self) -> int:
        return len(self._indexes)

    @property
    def since_ms(self) -> int | None:
        """The led time of the oldest id that is remembered; None if there is none."""
        return self._entries[0][1] if self._entries else None

    def load(self, key: bytes, value: bytes) -> None:
        """A record of these; called in the order of their keys."""
        entry = int.from_bytes(key[1:], "big")
        self._entries.append((entry, int.from_bytes(value[:_TIME_BYTES], "big")))
        for place, known in _places(value):
            self._indexes[known] = entry * EVENTS_STEP + place

    def find(self, known: bytes, records: Records) -> tuple[int, bytes, int] | None:
        """(index, digest, number of groups) of the event with this hash of source and id."""
        index = self._indexes.get(known)
        if index is None:
            return None
        if index in self._fresh:
            return index, *self._fresh[index][1:]
        entry, place = divmod(index, EVENTS_STEP)
        at = _TIME_BYTES + place * _PLACE_BYTES + _HASH_BYTES
        kept = (records.get(_key(entry)) or b"")[at : at + DIGEST_BYTES + _COUNT_BYTES]
        return index, kept[:DIGEST_BYTES], int.from_bytes(kept[DIGEST_BYTES:], "big")

    def remember(self, known: bytes, index: int, digest: bytes, groups: int) -> None:
        """A new event of the entry that is applied just now; `write` follows once, after the last one."""
        self._indexes[known] = index
        self._fresh[index] = known, digest, groups

    def write(self, entry: int, led_ms: int, records: Records) -> None:
        """Put the ids of this entry into the records, and forget the oldest entries if there are too many ids."""
        if not self._fresh:
            return
        value = bytearray(led_ms.to_bytes(_TIME_BYTES, "big"))
        for index, (known, digest, groups) in self._fresh.items():
            missing = _TIME_BYTES + index % EVENTS_STEP * _PLACE_BYTES - len(value)
            value += bytes(missing) + known + digest + groups.to_bytes(_COUNT_BYTES, "big")
        self._fresh.clear()
        records.put(_key(entry), bytes(value))
        self._entries.append((entry, led_ms))
        while len(self._indexes) > self._most and len(self._entries) > 1:
            self._forget_oldest(records)

    def forget_old(self, led_ms: int, records: Records) -> None:
        """Forget what is older than it may be at this led time."""
        while self._entries and led_ms - self._entries[0][1] > self._longest_ms:
            self._forget_oldest(records)

    def _forget_oldest(self, records: Records) -> None:
        entry, _ = self._entries.popleft()
        for _, known in _places(records.get(_key(entry)) or b""):
            del self._indexes[known]
        records.remove(_key(entry))


def _key(entry: int) -> bytes:
    return IDS + entry.to_bytes(INDEX_BYTES, "big")


def _places(value: bytes) -> Iterator[tuple[int, bytes]]:
    """(place, hash) of the ids of a record."""
    for place, at in enumerate(range(_TIME_BYTES, len(value), _PLACE_BYTES)):
        if value[at : at + _PLACE_BYTES] != _NOTHING:
            yield place, value[at : at + _HASH_BYTES]
