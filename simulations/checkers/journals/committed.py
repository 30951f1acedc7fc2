"""Invariant: nobody acts on what is not committed, and nobody says that an entry is committed before it is."""

from gossipreg.journal.effects import AppliedEntry, Established, JournalEffect, ProposalOutcome, Settled
from gossipreg.journal.model import JournalId, Position
from simulations.checkers.journals.checker import Disks, JournalChecker, data_of
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


class OnlyCommitted(JournalChecker):
    """Before a process applies or settles an entry, or says that it leads, a majority of the voters had the entry (its
    first one) on their disks, in the configuration that counts there. A leader counts only entries of its own
    ballot."""

    name = "only_committed"

    def __init__(self, journaling: Journaling, disks: Disks) -> None:
        super().__init__(journaling)
        self._disks = disks
        self._committed: dict[tuple[JournalId, int], Position] = {}
        self._highest: dict[JournalId, int] = {}
        """Up to which index the leaders of each journal have committed."""

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if isinstance(effect, AppliedEntry):
            self._check_counted(process, effect)
            self._check(process, effect.journal, effect.entry.position, "applies")
        elif isinstance(effect, Settled) and effect.outcome is ProposalOutcome.COMMITTED:
            data = data_of(process, effect.journal)
            position = None if data is None else data.log.position_at(effect.index)
            if position is not None:
                self._check(process, effect.journal, position, "says that it has committed")
        elif isinstance(effect, Established):
            self._check_first(process, effect)

    def _check_counted(self, process: JournalProcess, effect: AppliedEntry) -> None:
        """A leader commits by counting only up to an entry of its own ballot (Raft 5.4.2)."""
        replica = None if process.journals is None else process.journals.replicas.get(effect.journal)
        if replica is None or replica.leading is None or effect.entry.index <= self._highest.get(effect.journal, 0):
            return
        data, ballot = replica.data, replica.leading.ballot
        counted = data.log.position_at(data.committed)
        if counted is not None and counted.ballot != ballot:
            what = f"{process.host.name} leads with ballot {ballot} and commits by counting up to entry {counted.index}"
            self.fail(f"{what} of ballot {counted.ballot}", process.host)
        self._highest[effect.journal] = data.committed

    def _check_first(self, process: JournalProcess, effect: Established) -> None:
        data = data_of(process, effect.journal)
        if data is None:
            return
        first = data.log.first_of_run(data.log.last.index)
        self._check(process, effect.journal, Position(effect.ballot, first), "is established by")

    def _check(self, process: JournalProcess, journal: JournalId, position: Position, does: str) -> None:
        if self._committed.get((journal, position.index)) == position:
            return
        data = data_of(process, journal)
        if data is None or data.ended:
            return  # who voted is forgotten with the journal that ended
        log = data.log
        counted = (log.configuration, log.configuration_at(position.index))
        if not any(self._disks.majority_had(journal, configuration, position) for configuration in counted):
            what = f"{process.host.name} {does} entry {position.index} of ballot {position.ballot}"
            self.fail(f"{what}, which no majority of the voters had on their disks", process.host)
        self._committed[journal, position.index] = position
