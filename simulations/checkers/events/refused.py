"""Invariant: what a publisher was told not to be published is in no journal."""

from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess
from simulations.eventing.publication import Publication


class RefusedNotPublished(EventChecker):
    """Where all publishes of an event were refused so far, with codes that say that it is not published, no journal has
    it when it is published again."""

    name = "refused_not_published"

    def on_publish(self, process: EventProcess, publication: Publication) -> None:
        if publication.times == 1 or len(publication.known) > 1 or publication.conflicts_with is not None:
            return
        for journal in self.eventing.journaling.ids:
            committed = self.ledger.of_id.get((journal, publication.source, publication.id))
            if committed is not None:
                what = f"{publication.id} of {publication.source} was refused ({publication.code})"
                self.fail(f"{what}, and is at index {committed.index} of its journal", process.host)
