"""Random sequences of writes, each of which follows from those before it. One seed, one sequence."""

import random
from collections.abc import Mapping, Sequence

from gossipreg.journal.effects import LogBase, RemoveJournal, WriteJournal
from gossipreg.journal.model import Ballot, Configuration, JournalId, LogEntry, Position, ReplicaId, ReplicaPlace
from gossipreg.journal.replica_data import StoredReplica
from gossipreg.journal.state import LARGE
from gossipreg.model import NodeId
from tests.journal.stored import Disk, apply_write

JOURNALS = [JournalId(bytes([number]) * 16) for number in range(1, 5)]
OWNER = NodeId(b"o" * 16)
LARGE_KEYS = [LARGE, LARGE + b"a", LARGE + b"b" * 40]
SMALL_KEYS = [b"", b"a", b"ab", b"b" * 40, b"c" * 300]
KEYS = SMALL_KEYS + LARGE_KEYS
SIZES = (0, 1, 30, 900, 2_500, 9_000)


class RandomWrites:
    """Each `next` is a write or a removal; `disk` is what a disk holds when all of them are written."""

    def __init__(self, rng: random.Random, *, removals: bool = True, large: bool = True) -> None:
        """`large`: with large records, also of states that arrive. Stages end with the process: clear `disk.stages`."""
        self._rng = rng
        self._large = large
        self._last_stage = 0
        self._removals = removals
        self._number = 0
        self._replicas = 0
        self.disk = Disk()

    def next(self) -> WriteJournal | RemoveJournal:
        rng = self._rng
        journal = rng.choice(JOURNALS)
        now = self.disk.get(journal)
        drawn = rng.random()
        if now is not None and drawn < 0.04 and self._removals:
            asked: WriteJournal | RemoveJournal = RemoveJournal(journal, now.replica)
        elif now is None or drawn < 0.08:
            asked = self._begun(journal)
        else:
            asked = self._changed(now, again=drawn < 0.12)
        apply_write(self.disk, asked)
        return asked

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _begun(self, journal: JournalId) -> WriteJournal:
        """A new replica, also in place of another one."""
        self._replicas += 1
        replica = ReplicaId(self._replicas.to_bytes(16))
        base = self._base(0, replica)
        return WriteJournal(self._next_number(), journal, replica, OWNER, reset=base)

    def _changed(self, now: StoredReplica, again: bool) -> WriteJournal:
        """`again`: it begins with another base."""
        rng = self._rng
        promised = Ballot(now.promised.round + rng.randrange(2), now.replica) if rng.random() < 0.2 else None
        promised = promised if promised is None or promised >= now.promised else None
        reset = self._base(rng.randrange(1000), now.replica) if again else None
        applied = now.applied if reset is None else reset.position.index
        base = now.base if reset is None else reset
        last = base.position.index if reset or not now.entries else now.entries[-1].index
        truncate = rng.randrange(applied, last + 2) if rng.random() < 0.2 else None
        last = last if truncate is None else min(last, truncate)
        entries = tuple(self._entry(last + 1 + at, now.replica) for at in range(rng.choice((0, 1, 1, 2, 5))))
        last += len(entries)
        known = KEYS if self._large else SMALL_KEYS
        keys = rng.sample(known, rng.randrange(len(known) + 1)) if rng.random() < 0.5 else []
        records = tuple((key, None if rng.random() < 0.3 else self._bytes()) for key in keys)
        then = rng.randrange(applied, last + 1) if records or rng.random() < 0.3 else None
        applied = applied if then is None else then
        cut = None
        if rng.random() < 0.1:
            cut = self._base(rng.randrange(base.position.index, applied + 1), now.replica)
        return WriteJournal(
            self._next_number(), now.journal, now.replica, now.owner, promised, reset, truncate, entries, records,
            then, cut, *self._staged(now.replica, again=reset is not None),
        )  # fmt: skip

    def _staged(
        self, replica: ReplicaId, *, again: bool
    ) -> tuple[tuple[tuple[int, bytes, bytes], ...], int | None, int]:
        """Pieces of a state that arrives, the stage that it begins with again, and the oldest one that stays."""
        rng, stages = self._rng, [*self.disk.stages.get(replica, ())]
        if not self._large:
            return (), None, 0
        staged: tuple[tuple[int, bytes, bytes], ...] = ()
        if rng.random() < 0.3:
            if not stages or rng.random() < 0.3:
                self._last_stage += 1
                stages.append(self._last_stage)
            keys = rng.sample(LARGE_KEYS, rng.randrange(1, len(LARGE_KEYS) + 1))
            staged = tuple((stages[-1], key, self._bytes()) for key in keys)
        reset = rng.choice(stages) if again and stages and rng.random() < 0.7 else None
        oldest = stages[-1] if stages and rng.random() < 0.5 else 0
        return staged, reset, oldest

    def _entry(self, index: int, replica: ReplicaId) -> LogEntry:
        return LogEntry(index, Ballot(self._rng.randrange(1 << 64), replica), index * 7, 2, self._bytes())

    def _base(self, index: int, replica: ReplicaId) -> LogBase:
        places = (ReplicaPlace(replica, OWNER, b"host"),)
        return LogBase(Position(Ballot(index, replica), index), index * 7, Configuration(places if index % 2 else ()))

    def _bytes(self) -> bytes:
        return self._rng.randbytes(self._rng.choice(SIZES))


def states(seed: int, writes: int, *, removals: bool = True) -> list[Disk]:
    """What a disk holds before any write, after the first one, after the second one, ..."""
    drawn = RandomWrites(random.Random(seed), removals=removals, large=False)
    found = [Disk()]
    for _ in range(writes):
        drawn.next()
        found.append(Disk(drawn.disk))
    return found


def place_of(found: Mapping[JournalId, StoredReplica], expected: Sequence[Disk], first: int = 0) -> int:
    """After how many writes a disk holds this; at least `first`. (Without printing all of it where that is none.)"""
    place = next((at for at in range(first, len(expected)) if expected[at].opened() == found), None)
    assert place is not None, f"after no number of writes from {first} to {len(expected) - 1} the disk holds this"
    return place
