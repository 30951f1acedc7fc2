"""Invariants of dead letters: one that holds its key lets nothing of it pass, and one that was dropped is gone."""

from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import Deliveries
from gossipreg.journal.model import JournalId
from simulations.checkers.events.in_order import HighestBallots
from simulations.eventing.process import EventProcess
from simulations.eventing.subscriber import Subscriber


class LettersDecided(HighestBallots):
    """Whatever the leader with the highest ballot delivers: no earlier dead letter of its group and key holds that key,
    and no person has dropped it. It counts when it is sent: a stalled process gets it much later."""

    name = "letters_decided"

    def on_send_deliveries(self, process: EventProcess, message: Deliveries) -> None:
        if message.ballot == self._highest.get(message.journal):
            for delivery in message.deliveries:
                self._check(process, message.journal, delivery.group, delivery.index)

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:  # noqa: ARG002
        if not self.was_sent(process, handed) and self.is_of_the_highest(process, handed):
            self._check(process, handed.journal, handed.group, handed.index)

    def _check(self, process: EventProcess, journal: JournalId, group: str, at: int) -> None:
        event = self.ledger.events.get((journal, at))
        if event is None or not group:
            return
        delivers = f"event {at} goes to {group}"
        if (journal, group, at) in self.ledger.dropped:
            self.fail(f"{delivers}, and a person has dropped it", process.host)
        for (of, name, index), holds in self.ledger.letters.items():
            same = (of, name) == (journal, group) and event.key and self.ledger.events[of, index].key == event.key
            if holds and same and index < at:
                self.fail(f"{delivers}, while the dead letter {index} holds its key {event.key}", process.host)
