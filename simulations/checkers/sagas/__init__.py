"""The checkers of sagas, one invariant a file.

`SagaCheckers` has all of them; `checker.py` defines one, `saga_ledger.py` has what several need to know.
"""

from simulations.checkers.sagas.abandoned import AbandonedForgotten
from simulations.checkers.sagas.abort_first import AbortFirst
from simulations.checkers.sagas.answers import TruthTold
from simulations.checkers.sagas.at_rest import SagasBounded, SagaSilence
from simulations.checkers.sagas.attempts import AttemptsProven
from simulations.checkers.sagas.checker import SagaChecker
from simulations.checkers.sagas.decisions import OneDecision
from simulations.checkers.sagas.ends import SagasEnd
from simulations.checkers.sagas.in_time import NothingEarly
from simulations.checkers.sagas.refusals import RefusalsCertain
from simulations.checkers.sagas.saga_ledger import SagaLedger
from simulations.checkers.sagas.whole import WholeOrNothing
from simulations.orchestrating.orchestrating import Orchestrating

__all__ = ["SagaCheckers"]


class SagaCheckers:
    def __init__(self, orchestrating: Orchestrating) -> None:
        """Watch these sagas. Create it before the first process starts."""
        world = orchestrating.world
        self.ledger = ledger = SagaLedger(lambda: world.now)
        self.silence = SagaSilence(orchestrating, ledger)
        self.ends = SagasEnd(orchestrating, ledger)
        self.all: list[SagaChecker] = [
            OneDecision(orchestrating, ledger),
            AttemptsProven(orchestrating, ledger),
            AbortFirst(orchestrating, ledger),
            RefusalsCertain(orchestrating, ledger),
            WholeOrNothing(orchestrating, ledger),
            NothingEarly(orchestrating, ledger),
            TruthTold(orchestrating, ledger),
            AbandonedForgotten(orchestrating, ledger),
            SagasBounded(orchestrating, ledger),
            self.ends,
        ]
        orchestrating.observers.all += [ledger, *self.all]

    def at_rest(self) -> None:
        """Check what must hold once faults have ended, and every saga has."""
        for checker in self.all:
            checker.at_rest()
