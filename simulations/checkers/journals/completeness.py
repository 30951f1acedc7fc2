"""Invariant: who leads has every entry that was committed before (Raft 5.4, leader completeness)."""

from gossipreg.journal.effects import AppliedEntry, ClaimLeadership, JournalEffect
from gossipreg.journal.model import JournalId, Position
from simulations.checkers.journals.checker import JournalChecker, data_of
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


class LeaderCompleteness(JournalChecker):
    """A new leader's log has the last entry that any replica has applied (all before it too, by log matching)."""

    name = "leader_completeness"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._last: dict[JournalId, Position] = {}

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if isinstance(effect, AppliedEntry):
            last = self._last.get(effect.journal)
            if last is None or effect.entry.index > last.index:
                self._last[effect.journal] = effect.entry.position
        elif isinstance(effect, ClaimLeadership):
            self._check(process, effect)

    def _check(self, process: JournalProcess, claim: ClaimLeadership) -> None:
        last, data = self._last.get(claim.journal), data_of(process, claim.journal)
        if last is None or data is None or last.ballot > claim.ballot:
            return  # it cannot lead any more, and will be told
        if last.index > data.log.base.position.index and not data.log.matches(last):
            what = f"{process.host.name} leads with ballot {claim.ballot} and lacks entry {last.index}"
            self.fail(f"{what} of ballot {last.ballot}, which is committed", process.host)
