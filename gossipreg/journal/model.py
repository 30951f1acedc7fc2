"""The values of a journal: ballots, entries, replicas and configurations. Frozen, and without behaviour beyond their
own rules.

A ballot stands where Raft has a term (Ongaro and Ousterhout 2014): each replica stands only with ballots of its own, so
two candidates never share one and no vote is split. The order of the tuples Ballot and Position *is* the protocol's
precedence: the larger wins.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, NewType

from gossipreg.model import NodeId

JournalId = NewType("JournalId", bytes)
"""16 random bytes, drawn when the journal is opened. Names it for ever."""

ReplicaId = NewType("ReplicaId", bytes)
"""16 random bytes, drawn when a sidecar begins a copy of a journal, kept with it and lost with it."""

JOURNAL_ID_BYTES = REPLICA_ID_BYTES = 16
MAX_ENTRY_BYTES = 256 * 1024
"""Of one entry's data."""


ROUNDS_OF_ERA = 1 << 32
"""Elections do not get so far. A recovery by hand begins an era, above all rounds that others may have reached without
the recovered copy: so its ballots are later than the end of the journal, if that was before."""


class Ballot(NamedTuple):
    """The right to lead, of one replica. To vote for it is to promise nothing lower."""

    round: int
    replica: ReplicaId

    @property
    def era(self) -> int:
        """How often the journal had been recovered by hand, as far as this replica knew."""
        return self.round // ROUNDS_OF_ERA

    def __str__(self) -> str:
        return f"{self.round}.{self.replica.hex()[:8]}" if self.replica else "none"


NO_BALLOT = Ballot(0, ReplicaId(b""))


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a log ends. A log is at least as new as another if its position is not lower (Raft 5.4.1)."""

    ballot: Ballot
    """Of the leader that appended the entry."""
    index: int


START = Position(NO_BALLOT, 0)
"""Before the first entry, whose index is 1."""


class EntryKind(IntEnum):
    """What an entry is for. A replica that has to apply a kind that it does not know takes no part any more."""

    BALLOT = 0
    """The first entry of a leader. Once it is committed, so is all before it."""
    CONFIGURATION = 1
    DATA = 2
    """Whatever the state machine understands. It may have more kinds, from 16 on."""
    END = 3
    """The journal holds nothing and its owner is gone: nothing follows."""


JOURNAL_KINDS = frozenset({EntryKind.BALLOT, EntryKind.CONFIGURATION, EntryKind.END})
"""Those that every journal has, whatever its state machine."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    index: int
    ballot: Ballot
    led_ms: int
    """Led time: for how long leaders led this journal until then, by their monotonic clocks. It never goes back."""
    kind: int
    data: bytes

    @property
    def position(self) -> Position:
        return Position(self.ballot, self.index)


class ReplicaPlace(NamedTuple):
    """A replica, and the member that holds it."""

    replica: ReplicaId
    node: NodeId
    host: bytes
    """Which machine that is: members of one host are lost together."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The voters. A change of them is two entries (joint consensus, Raft 6): the first has the voters of before as
    well, and what is decided meanwhile needs a majority of both; the second, which follows once the first is committed,
    ends that. So what counts stands in the log of each replica, and none has to know what is committed: an idle leader
    tells nobody."""

    voters: tuple[ReplicaPlace, ...]
    learners: tuple[ReplicaPlace, ...] = ()
    """They get all entries, and do not vote."""
    before: tuple[ReplicaPlace, ...] = ()
    """The voters that these replace, while both count."""

    @property
    def joint(self) -> bool:
        return bool(self.before)

    @property
    def all_voters(self) -> tuple[ReplicaPlace, ...]:
        """Those that vote now, each once."""
        return tuple(dict.fromkeys(self.voters + self.before))

    @property
    def places(self) -> tuple[ReplicaPlace, ...]:
        """All that get entries, each once."""
        return tuple(dict.fromkeys(self.voters + self.before + self.learners))

    def has_voter(self, replica: ReplicaId) -> bool:
        return any(place.replica == replica for place in self.all_voters)

    def find(self, replica: ReplicaId) -> ReplicaPlace | None:
        return next((place for place in self.places if place.replica == replica), None)

    def has_majority(self, replicas: Collection[ReplicaId]) -> bool:
        """Whether these replicas decide: a majority of the voters, and of those before while both count."""
        return all(
            sum(place.replica in replicas for place in voters) >= _majority(voters) for voters in self._electorates
        )

    def held_by_majority(self, index_of: Callable[[ReplicaId], int]) -> int:
        """The highest index up to which those that decide hold the log, given how far each one does."""
        return min(
            sorted((index_of(place.replica) for place in voters), reverse=True)[_majority(voters) - 1]
            for voters in self._electorates
        )

    @property
    def survives_one(self) -> bool:
        """Whether the others can decide without any one of the voters."""
        return all(len(voters) > 2 for voters in self._electorates)

    @property
    def _electorates(self) -> tuple[tuple[ReplicaPlace, ...], ...]:
        return (self.voters, self.before) if self.before else (self.voters,)


def _majority(voters: tuple[ReplicaPlace, ...]) -> int:
    return len(voters) // 2 + 1
