"""Invariant: at most one process leads with a ballot."""

from gossipreg.journal.effects import ClaimLeadership, JournalEffect
from gossipreg.journal.model import Ballot, JournalId
from simulations.checkers.journals.checker import JournalChecker
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


class OneLeader(JournalChecker):
    """No two processes claim one ballot, and a replica never claims one ballot twice, not even after it has forgotten
    the first time."""

    name = "one_leader"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._claimed: dict[tuple[JournalId, Ballot], JournalProcess] = {}

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if not isinstance(effect, ClaimLeadership):
            return
        before = self._claimed.setdefault((effect.journal, effect.ballot), process)
        if before is not process:
            what = f"ballot {effect.ballot} is claimed by start {process.starts} of {process.host.name}, and was by"
            self.fail(f"{what} start {before.starts} of {before.host.name}", process.host, before.host)
