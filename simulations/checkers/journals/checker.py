"""A checker of journals: an observer that knows one invariant and fails the run if it does not hold.

Owns: what all of them need to know: which entries each replica ever had on its disk. Never knows: any one invariant.
"""

from typing import ClassVar, NoReturn

from gossipreg.journal.effects import RemoveJournal, WriteJournal
from gossipreg.journal.model import Ballot, Configuration, JournalId, Position, ReplicaId
from gossipreg.journal.replica_data import ReplicaData
from simulations.checkers.checker import Broken
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.world import START


class JournalChecker(JournalObserver):
    name: ClassVar[str]

    def __init__(self, journaling: Journaling) -> None:
        self.journaling = journaling
        self.world = journaling.world

    def at_rest(self) -> None:
        """Called once faults have ended and the bounds have passed."""

    def fail(self, what: str, *members: Host) -> NoReturn:
        raise Broken(self.name, tuple(host.name for host in members), self.world.now - START, what)


def data_of(process: JournalProcess, journal: JournalId) -> ReplicaData | None:
    """Return the replica of this journal that the process has now."""
    replica = None if process.journals is None else process.journals.replicas.get(journal)
    return None if replica is None else replica.data


class Disks(JournalObserver):
    """Remembers which ballot each replica ever had on its disk at each index: a disk counts as it was when it
    acknowledged."""

    def __init__(self) -> None:
        self._ever: dict[tuple[JournalId, ReplicaId], dict[int, set[Ballot]]] = {}
        self._whole_up_to: dict[tuple[JournalId, ReplicaId], int] = {}
        """A replica that got the state has everything up to there."""

    def on_durable(self, process: JournalProcess, write: WriteJournal | RemoveJournal) -> None:  # noqa: ARG002
        if isinstance(write, RemoveJournal):
            return
        key = write.journal, write.replica
        held = self._ever.setdefault(key, {})
        for entry in write.entries:
            held.setdefault(entry.index, set()).add(entry.ballot)
        if write.reset is not None:
            self._whole_up_to[key] = max(self._whole_up_to.get(key, 0), write.reset.position.index)

    def on_opened(self, process: JournalProcess) -> None:
        """What a process reads at its start is on the disk too, once it has completed an fsync."""
        for stored in process.stored.replicas():
            held = self._ever.setdefault((stored.journal, stored.replica), {})
            for entry in stored.entries:
                held.setdefault(entry.index, set()).add(entry.ballot)

    def majority_had(self, journal: JournalId, configuration: Configuration, position: Position) -> bool:
        """Return whether a majority of these voters ever had this entry on their disks."""
        return configuration.has_majority(
            {place.replica for place in configuration.all_voters if self._had(journal, place.replica, position)}
        )

    def _had(self, journal: JournalId, replica: ReplicaId, position: Position) -> bool:
        key = journal, replica
        if position.index <= self._whole_up_to.get(key, 0):
            return True
        return position.ballot in self._ever.get(key, {}).get(position.index, ())
