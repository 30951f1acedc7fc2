"""Invariants: of a leaderless journal with a majority of living, reaching voters, somebody leads within a bound; who is
behind is caught up, also when idle; and journals at rest are silent."""

from math import inf

from gossipreg.journal.model import JournalId
from simulations.checkers.journals.checker import JournalChecker
from simulations.journaling.journaling import Journaling


class JournalLiveness(JournalChecker):
    """Once faults have ended and the bound has passed, each journal is led, and no process believes to lead one that
    another leads."""

    name = "journal_liveness"

    def at_rest(self) -> None:
        for journal in self.journaling.ids:
            leaders = self.journaling.leaders(journal)
            if not leaders:
                holders = [
                    process.host
                    for process in self.journaling.running()
                    if process.journals is not None and journal in process.journals.replicas
                ]
                self.fail(f"nobody leads journal {journal.hex()[:8]}", *holders)
            if len(leaders) > 1:
                names = " and ".join(process.host.name for process in leaders)
                self.fail(f"{names} believe to lead journal {journal.hex()[:8]}", *(one.host for one in leaders))

    def settled(self) -> None:
        """Check that nobody waits for what does not come: where nothing is sent any more, each voter holds all that is
        committed, and its leader knows that; and whoever is in no configuration any more has heard of it."""
        for journal in self.journaling.ids:
            self._check_strays(journal)
            replica = self.journaling.replica(journal)
            if replica is None or replica.leading is None:
                continue  # `at_rest` tells
            voters, joint = len(replica.data.configuration.voters), replica.data.configuration.joint
            holders = replica.leading.copies(replica.data.committed)
            if joint:
                self.fail(f"at rest the voters of journal {journal.hex()[:8]} are still being changed")
            if holders != voters:
                self.fail(f"at rest {holders} of {voters} voters are known to hold all of journal {journal.hex()[:8]}")

    def _check_strays(self, journal: JournalId) -> None:
        replica = self.journaling.replica(journal)
        for process in self.journaling.running():
            assert process.journals is not None
            own = process.journals.replicas.get(journal)
            if replica is not None and own is not None and replica.data.place_of(own.data.replica) is None:
                self.fail(f"at rest {process.host.name} keeps a replica that journal {journal.hex()[:8]} has let go")


class JournalSilence(JournalChecker):
    """Journals at rest send nothing and have no timer, and nor have streams."""

    name = "journal_silence"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._before = 0, 0

    def begin(self) -> None:
        self._before = self._count()

    def at_rest(self) -> None:
        for process in self.journaling.running():
            assert process.journals is not None
            due = process.journals.next_deadline()
            if due != inf:
                self.fail(f"{process.host.name} has a timer at rest, due in {due - process.now:.1f} s", process.host)
        if broken := self.world.connections.broken():
            self.fail(f"at rest {broken} streams are still to be opened again")
        segments, wakes = (now - before for now, before in zip(self._count(), self._before, strict=True))
        if segments or wakes:
            self.fail(f"at rest journals have sent {segments} segments, and {wakes} timers have fired")

    def _count(self) -> tuple[int, int]:
        wakes = sum(process.wakes for process in self.journaling.processes.values())
        return self.world.connections.segments, wakes
