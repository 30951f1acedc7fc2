"""What all journals of one sidecar share: who we are, the time of the current input, timers, randomness, the members,
and the effects of the current input. It decides nothing."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from gossipreg.journal.effects import JournalEffect, JournalEvent
from gossipreg.journal.membership import JournalMembership
from gossipreg.journal.model import JournalId
from gossipreg.journal.replays import Replays
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import NodeId
from gossipreg.timers import Timers


@dataclass(slots=True)
class JournalContext:
    tuning: JournalTuning
    node: NodeId
    membership: JournalMembership
    rng: random.Random
    entropy: Callable[[int], bytes]
    """Gives n random bytes that nobody can guess: for ids."""
    now: float
    """Monotonic seconds of the current input."""
    timers: Timers = field(default_factory=Timers)
    electing: set[JournalId] = field(default_factory=set)
    """The journals for which we stand now."""
    effects: list[JournalEffect] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    replays: Replays = field(init=False)
    """The replicas that are caught up from far behind now."""
    _writes: "count[int]" = field(default_factory=lambda: count(1))
    _reads: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        tuning = self.tuning
        self.replays = Replays(tuning.replays_at_once, tuning.replay_bytes_a_second, self.timers, self.rng)

    def next_write(self) -> int:
        return next(self._writes)

    def next_read(self) -> int:
        return next(self._reads)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def event(self, kind: str, **fields: str | int | float) -> None:
        self.effects.append(JournalEvent(kind, tuple(fields.items())))

    def around(self, seconds: float) -> float:
        """This long, give or take a quarter, so that members do not act together."""
        return seconds * (0.75 + self.rng.random() / 2)
