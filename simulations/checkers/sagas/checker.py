"""A checker of sagas: an observer that knows one invariant and fails the run if it does not hold."""

from typing import ClassVar, NoReturn

from simulations.checkers.checker import Broken
from simulations.checkers.sagas.saga_ledger import SagaLedger
from simulations.host import Host
from simulations.orchestrating.observer import SagaObserver
from simulations.orchestrating.orchestrating import Orchestrating
from simulations.world import START


class SagaChecker(SagaObserver):
    name: ClassVar[str]

    def __init__(self, orchestrating: Orchestrating, ledger: SagaLedger) -> None:
        self.orchestrating = orchestrating
        self.ledger = ledger
        self.world = orchestrating.world

    def at_rest(self) -> None:
        """Called once faults have ended, and every saga has."""

    def fail(self, what: str, *members: Host) -> NoReturn:
        raise Broken(self.name, tuple(host.name for host in members), self.world.now - START, what)
