"""Invariant: a leader that was replaced commits nothing new, and cannot prove that it leads."""

from gossipreg.journal.effects import Confirmed, Established, JournalEffect, ProposalOutcome, Settled
from gossipreg.journal.model import Ballot, JournalId
from simulations.checkers.journals.checker import JournalChecker
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


class Fenced(JournalChecker):
    """What was proposed to a process, or asked of it, after another had been established with a higher ballot, is
    neither committed nor confirmed by it."""

    name = "fenced"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._highest: dict[JournalId, tuple[Ballot, JournalProcess]] = {}
        self._proposed: dict[int, tuple[Ballot, Ballot]] = {}
        """By ticket or number: the ballot of who was asked, and the highest that was established then."""

    def on_propose(self, process: JournalProcess, journal: JournalId, ticket: int) -> None:
        self._proposed[ticket] = process.established[journal], self._highest[journal][0]

    def on_confirm(self, process: JournalProcess, journal: JournalId, number: int) -> None:
        self.on_propose(process, journal, number)

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if isinstance(effect, Established):
            known = self._highest.get(effect.journal)
            if known is None or known[0] < effect.ballot:
                self._highest[effect.journal] = effect.ballot, process
        elif isinstance(effect, Settled):
            asked = self._proposed.pop(effect.ticket, None)
            if effect.outcome is ProposalOutcome.COMMITTED and asked is not None:
                self._check(process, effect.journal, asked, f"commits entry {effect.index}")
        elif isinstance(effect, Confirmed):
            asked = self._proposed.pop(effect.number, None)
            if asked is not None:
                self._check(process, effect.journal, asked, "proves that it leads")

    def _check(self, process: JournalProcess, journal: JournalId, asked: tuple[Ballot, Ballot], does: str) -> None:
        own, highest = asked
        if own < highest:
            leader = self._highest[journal][1]
            what = f"{process.host.name} {does} with ballot {own}, asked when {leader.host.name} or another"
            self.fail(f"{what} was established with {highest}", process.host, leader.host)
