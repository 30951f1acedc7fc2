"""Invariants of dead letters: one that holds its key lets nothing of it pass, and one that was dropped is gone."""

from gossipreg.events.effects import HandleEvent
from simulations.checkers.events.in_order import HighestBallots
from simulations.eventing.process import EventProcess
from simulations.eventing.subscriber import Subscriber


class LettersDecided(HighestBallots):
    """Whatever the leader with the highest ballot hands to a program: no dead letter of its group, earlier and with its
    key, holds that key, and no person has dropped it."""

    name = "letters_decided"

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:  # noqa: ARG002
        journal, group = handed.journal, handed.group
        event = self.ledger.events.get((journal, handed.index))
        if event is None or not group or not self.is_of_the_highest(process, handed):
            return
        gets = f"{process.host.name} gets event {event.index} for {group}"
        if (journal, group, event.index) in self.ledger.dropped:
            self.fail(f"{gets}, which a person has dropped", process.host)
        for (of, name, index), holds in self.ledger.letters.items():
            same = (of, name) == (journal, group) and event.key and self.ledger.events[of, index].key == event.key
            if holds and same and index < event.index:
                self.fail(f"{gets}, while the dead letter {index} holds its key {event.key}", process.host)
