"""How many replicas are caught up from far behind at a time, and how fast: over all journals of a sidecar.

Owns: who has a turn and who waits for one, and the bytes that were sent. Never knows: what is sent.

A replica is far behind if it needs entries that are only on the disk, or the whole state. A host that comes back with a
copy of three hundred journals would otherwise have all of them read and sent at once, beside the entries that somebody
waits for. The next one is drawn at random, so that no journal is always the last.
"""

import random
from dataclasses import dataclass

from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.timers import Timers

BURST_S = 0.25
"""What was not sent for longer does not add to what may be sent at once."""


@dataclass(frozen=True, slots=True)
class ReplayTimer:
    """This replica has its turn, or may get the next piece."""

    journal: JournalId
    replica: ReplicaId


class Replays:
    def __init__(self, at_once: int, bytes_a_second: int, timers: Timers, rng: random.Random) -> None:
        self._at_once = at_once
        self._bytes_a_second = bytes_a_second
        self._timers = timers
        self._rng = rng
        self._active: set[ReplayTimer] = set()
        self._waiting: dict[ReplayTimer, None] = {}
        self._paid_until = 0.0
        """When what was sent so far is paid for."""

    @property
    def active(self) -> int:
        return len(self._active)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def has_turn(self, replica: ReplayTimer) -> bool:
        """Whether this replica has a turn."""
        return replica in self._active

    def waits(self, replica: ReplayTimer) -> bool:
        """Whether this replica waits for a turn."""
        return replica in self._waiting

    def begin(self, replica: ReplayTimer) -> bool:
        """Whether this replica has a turn. If not, its timer says when it has."""
        if replica in self._active:
            return True
        if len(self._active) >= self._at_once:
            self._waiting[replica] = None
            return False
        self._waiting.pop(replica, None)
        self._active.add(replica)
        return True

    def end(self, replica: ReplayTimer, now: float) -> None:
        """This replica needs no turn (any more)."""
        self._waiting.pop(replica, None)
        if replica not in self._active:
            return
        self._active.remove(replica)
        self._timers.cancel(replica)
        if self._waiting:
            following = self._rng.choice([*self._waiting])
            del self._waiting[following]
            self._active.add(following)
            self._timers.set(following, now)

    def may_send(self, replica: ReplayTimer, now: float) -> bool:
        """Whether this replica may get something now. If not, its timer says when."""
        if self._paid_until <= now:
            return True
        self._timers.set(replica, self._paid_until)
        return False

    def sent(self, size_bytes: int, now: float) -> None:
        self._paid_until = max(self._paid_until, now - BURST_S) + size_bytes / self._bytes_a_second
