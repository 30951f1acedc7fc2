"""This member leaves: what one replica does first.

Owns: when this replica no longer holds up the departure. Never knows: how a journal is handed over (`handover.py`).

    leads                       hands over; to whoever votes, lives, and holds everything
    one of a bare majority      says so to the leader, which replaces it at once, and waits for 2 s
    otherwise                   nothing: the others go on without it

A majority is bare if it is none without this replica: then the journal stops with it, until another voter is back.
"""

from dataclasses import dataclass

from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.messages import ReplicaLeaving
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.replica_data import ReplicaData


@dataclass(frozen=True, slots=True)
class LeaveTimer:
    """The wait of a replica of a bare majority is over."""

    journal: JournalId


def is_needed(data: ReplicaData) -> bool:
    """Whether the voters that live are a majority only with this replica."""
    others = data.other_voters()
    living = {place.replica for place in others if data.context.membership.member(place.node).runs}
    return data.votes and bool(others) and not data.configuration.has_majority(living)


class JournalDeparture:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self.begun = False
        self._until: float | None = None
        """When it has waited long enough; None: it has not begun to wait."""
        self._told: ReplicaId | None = None
        """The leader that was told."""

    def look(self, leads: bool) -> None:
        """Members, rows, the configuration, or whether we lead, changed."""
        data, context = self._data, self._data.context
        if not self.begun or leads or data.out is not None or not is_needed(data):
            return
        leader = leader_of(data)
        place = None if leader is None else data.place_of(leader.ballot.replica)
        if place is not None and place.replica != self._told:
            self._told, self._until = place.replica, None
            data.send(place.node, ReplicaLeaving(journal=data.journal, sender=data.replica, receiver=place.replica))
        if self._until is None:
            self._until = context.now + context.tuning.leave_s
            context.timers.set(LeaveTimer(data.journal), self._until)

    def allows(self, leads: bool) -> bool:
        """Whether our member may leave, as far as this replica is concerned."""
        if not self.begun or self._data.out is not None:
            return self.begun
        waited = self._until is not None and self._data.context.now >= self._until
        return not leads and (waited or not is_needed(self._data))
