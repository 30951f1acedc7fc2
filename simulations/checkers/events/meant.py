"""Invariant: no group handles an event that none of its patterns means."""

from gossipreg.events.cloud_event import event_head
from gossipreg.events.effects import HandleEvent
from gossipreg.events.patterns import matches
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess
from simulations.eventing.subscriber import Subscriber


class OnlyMeant(EventChecker):
    """A program gets events of its group that one of its own patterns means, as they were published."""

    name = "only_meant"

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:
        head = event_head(handed.event)
        gets = f"an instance of {subscriber.group} at {process.host.name} gets {head.id} of {head.source}"
        committed = self.ledger.events.get((handed.journal, handed.index))
        if committed is None or (committed.id, committed.source) != (head.id, head.source):
            self.fail(f"{gets} as event {handed.index}, which it is not", process.host)
        if handed.group != subscriber.group or (handed.group and handed.group not in committed.groups):
            self.fail(f"{gets}, which is not for its group", process.host)
        tokens = tuple(head.type.split("."))
        if not any(matches(tuple(pattern.split(".")), tokens) for pattern in subscriber.patterns):
            self.fail(f"{gets}, whose type {head.type} it does not mean", process.host)
