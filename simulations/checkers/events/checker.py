"""A checker of events: an observer that knows one invariant and fails the run if it does not hold."""

from typing import ClassVar, NoReturn

from simulations.checkers.checker import Broken
from simulations.checkers.events.event_ledger import EventLedger
from simulations.eventing.eventing import Eventing
from simulations.eventing.observer import EventObserver
from simulations.host import Host
from simulations.world import START


class EventChecker(EventObserver):
    name: ClassVar[str]

    def __init__(self, eventing: Eventing, ledger: EventLedger) -> None:
        self.eventing = eventing
        self.ledger = ledger
        self.world = eventing.world

    def at_rest(self) -> None:
        """Called once faults have ended, and everything was handled."""

    def fail(self, what: str, *members: Host) -> NoReturn:
        raise Broken(self.name, tuple(host.name for host in members), self.world.now - START, what)
