"""A copy that was asked for and holds nothing: it is given up once no member has led its journal for long.

Owns: since when no member has. Never knows: how a copy begins, or is removed.

A leader that dies before it has added the copy leaves it behind. No other leader knows of it, it never stands, and it
knows no voter that it could ask. It has acknowledged nothing, so nobody counts on it: a leader that comes back hears
that it is lost, and asks for another one.
"""

from dataclasses import dataclass

from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.model import JournalId
from gossipreg.journal.replica_data import ReplicaData


@dataclass(frozen=True, slots=True)
class EmptyTimer:
    """A copy that holds nothing was not led for long."""

    journal: JournalId


class EmptyCopy:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self._due: float | None = None
        """When it is given up; None: it holds something, or somebody leads."""

    def look(self) -> None:
        """Members, rows, or what it holds changed, or the timer is due."""
        data, context = self._data, self._data.context
        waits = data.holds_nothing and data.out is None and context.membership.synced_at is not None
        if not waits or leader_of(data) is not None:
            if self._due is not None:
                self._due = None
                context.timers.cancel(EmptyTimer(data.journal))
        elif self._due is None:
            self._due = context.now + context.tuning.orphan_s
            context.timers.set(EmptyTimer(data.journal), self._due)
        elif context.now >= self._due:
            data.unneeded = True
            context.event("journal_copy_unneeded", journal=data.journal.hex(), owner=data.owner.hex())
