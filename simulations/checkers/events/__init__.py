"""The checkers of events, one invariant a file.

`EventCheckers` has all of them; `checker.py` defines one, `event_ledger.py` has what several need to know.
"""

from simulations.checkers.events.at_rest import EventsBounded, EventSilence
from simulations.checkers.events.broadcast import BroadcastOnce
from simulations.checkers.events.checker import EventChecker
from simulations.checkers.events.event_ledger import EventLedger
from simulations.checkers.events.handled import EveryGroupHandles
from simulations.checkers.events.in_order import KeysInOrder
from simulations.checkers.events.kept import KeptEvents
from simulations.checkers.events.known_groups import KnownGroups
from simulations.checkers.events.letters import LettersDecided
from simulations.checkers.events.meant import OnlyMeant
from simulations.checkers.events.one_event import OneEvent
from simulations.checkers.events.one_handler import OneHandler
from simulations.checkers.events.refused import RefusedNotPublished
from simulations.checkers.events.remembered import GroupsRemembered
from simulations.eventing.eventing import Eventing

__all__ = ["EventCheckers"]


class EventCheckers:
    def __init__(self, eventing: Eventing) -> None:
        """Watch these events. Create it before the first process starts."""
        self.ledger = ledger = EventLedger()
        self.silence = EventSilence(eventing, ledger)
        self.handled = EveryGroupHandles(eventing, ledger)
        self.broadcast = BroadcastOnce(eventing, ledger)
        self.all: list[EventChecker] = [
            OneEvent(eventing, ledger),
            KnownGroups(eventing, ledger),
            GroupsRemembered(eventing, ledger),
            RefusedNotPublished(eventing, ledger),
            OnlyMeant(eventing, ledger),
            KeysInOrder(eventing, ledger),
            LettersDecided(eventing, ledger),
            KeptEvents(eventing, ledger),
            self.broadcast,
            OneHandler(eventing, ledger),
            EventsBounded(eventing, ledger),
            self.handled,
        ]
        eventing.observers.all += [ledger, *self.all]

    def at_rest(self) -> None:
        """Check what must hold once faults have ended, and everything was handled."""
        for checker in self.all:
            checker.at_rest()
