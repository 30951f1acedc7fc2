"""Invariant: nothing that is acknowledged is lost: each of its groups handles it, or it is a dead letter of that group,
within a bound once faults have ended."""

from collections.abc import Iterator

from gossipreg.events.machine import EventsMachine
from gossipreg.journal.combined import part_of
from simulations.checkers.events.checker import EventChecker
from simulations.checkers.events.event_ledger import LedgerDelivery
from simulations.eventing.publication import Publication


class EveryGroupHandles(EventChecker):
    """An event whose publisher was told that it is durable, for each group that its journal had or its publisher knew:
    a program of the group has acknowledged it, or it is a dead letter. Nothing else settles it."""

    name = "every_group_handles"

    def waiting(self) -> Iterator[tuple[Publication, LedgerDelivery]]:
        """Yield what is still to be handled."""
        for publication in self.eventing.publications:
            if publication.acked is None:
                continue
            journal, index = publication.acked
            for group in sorted(self.ledger.events[journal, index].groups):
                if not self.ledger.is_done((journal, group, index)):
                    yield publication, (journal, group, index)

    def at_rest(self) -> None:
        for publication, (journal, group, index) in self.waiting():
            leader = self.eventing.journaling.leader(journal)
            led = None if leader is None or leader.journals is None else leader.journals.machine(journal)
            machine = part_of(led, EventsMachine)
            event = None if machine is None else machine.events.get(index)
            has = "it waits there" if event is not None and event.waiting else "it is gone"
            what = (
                f"{publication.id} of {publication.source}, acknowledged at index {index}, was not handled by {group}"
            )
            self.fail(f"{what}: {has}", *([] if leader is None else [leader.host]))
