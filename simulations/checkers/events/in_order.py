"""Invariant: per journal, key and group an event is delivered only after those before it were acknowledged or set
aside."""

from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import Deliveries
from gossipreg.journal.effects import Established, JournalEffect
from gossipreg.journal.model import Ballot, JournalId
from simulations.checkers.events.checker import EventChecker
from simulations.checkers.events.event_ledger import LedgerDelivery
from simulations.eventing.process import EventProcess
from simulations.eventing.subscriber import Subscriber


class HighestBallots(EventChecker):
    """Base class: knows what the leader with the highest ballot delivers. (A leader that was replaced, and does not
    know it, may be behind.)"""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._highest: dict[JournalId, Ballot] = {}
        self._ballots: dict[tuple[str, int, LedgerDelivery], Ballot] = {}
        """By the process (name and start) and what it got: the highest ballot with which it came."""

    def on_journal(self, process: EventProcess, effect: JournalEffect) -> None:  # noqa: ARG002  whoever leads
        if isinstance(effect, Established):
            highest = self._highest.get(effect.journal)
            self._highest[effect.journal] = effect.ballot if highest is None else max(effect.ballot, highest)

    def on_deliveries(self, process: EventProcess, message: Deliveries) -> None:
        for delivery in message.deliveries:
            key = process.host.name, process.process.starts, (message.journal, delivery.group, delivery.index)
            self._ballots[key] = max(message.ballot, self._ballots.get(key, message.ballot))

    def was_sent(self, process: EventProcess, handed: HandleEvent) -> bool:
        """Whether it came from another member."""
        return (
            process.host.name,
            process.process.starts,
            (handed.journal, handed.group, handed.index),
        ) in self._ballots

    def is_of_the_highest(self, process: EventProcess, handed: HandleEvent) -> bool:
        return self._ballot(process, handed) == self._highest.get(handed.journal)

    def _ballot(self, process: EventProcess, handed: HandleEvent) -> Ballot | None:
        """The one with which it came; what we lead ourselves came with ours."""
        told = self._ballots.get(
            (process.host.name, process.process.starts, (handed.journal, handed.group, handed.index))
        )
        own = process.process.established.get(handed.journal)
        if told is None or own is None:
            return own if told is None else told
        return max(own, told)


class KeysInOrder(HighestBallots):
    """Whatever the leader with the highest ballot hands to a program: all earlier events of its key and group were
    acknowledged by a program, or set aside."""

    name = "keys_in_order"

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:  # noqa: ARG002
        journal, group = handed.journal, handed.group
        event = self.ledger.events.get((journal, handed.index))
        if event is None or not event.key or not self.is_of_the_highest(process, handed):
            return
        same = self.ledger.of_key.get((journal, group, event.key), [])
        while same and self.ledger.is_done((journal, group, same[0].index)):
            del same[0]
        if same and same[0].index < event.index:
            what = f"{process.host.name} gets event {event.index} of key {event.key} for {group}, while {same[0].index}"
            self.fail(f"{what} is neither acknowledged nor set aside", process.host)
