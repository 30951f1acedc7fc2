"""A journal whose owner does not come back: the leader ends it if it holds nothing, and says so if it does.

Owns: since when the owner is away, and when the journal is ended. Never knows: how an entry is committed.

An entry of kind END ends a journal, and only once it is committed. So a leader that was replaced without knowing ends
nothing: its END is not committed, and the next leader removes it, or commits it with its own first entry. Nothing that
was acknowledged is lost: the leader appends END when its state holds everything that is committed and is empty, and
nothing is accepted behind it. Each replica that has applied END keeps that on its disk, in place of log and state, and
answers whoever asks for the journal that it may be removed (`ReplicaDismissed`). So a voter that was away meanwhile,
the owner's too, does not wait for ever for others that are gone.
"""

from dataclasses import dataclass

from gossipreg.journal.leading import Leading
from gossipreg.journal.model import Ballot, JournalId
from gossipreg.journal.replica_data import ReplicaData


@dataclass(frozen=True, slots=True)
class OrphanTimer:
    journal: JournalId
    ballot: Ballot


class OwnerAway:
    def __init__(self, data: ReplicaData, leading: Leading) -> None:
        self._data = data
        self._leading = leading
        self._timer = OrphanTimer(data.journal, leading.ballot)
        self._due: float | None = None
        """When the owner has been away for too long; None while it is not away."""

    @property
    def orphaned(self) -> bool:
        """Whether the owner has been away for so long that the journal is ended as soon as it holds nothing."""
        return self._due is not None and self._data.context.now >= self._due

    def look(self) -> None:
        """The members, or what is committed, changed."""
        data, context = self._data, self._data.context
        if data.owner == context.node or context.membership.member(data.owner).runs:
            self.end()
        elif self._due is None:
            self._due = context.now + context.tuning.orphan_s
            context.timers.set(self._timer, self._due)
        elif self.orphaned and self._holds_nothing():
            self._leading.end_journal()

    def _holds_nothing(self) -> bool:
        leading = self._leading
        return leading.may_change and not leading.acting and leading.is_empty

    def end(self) -> None:
        self._due = None
        self._data.context.timers.cancel(self._timer)
