"""Invariant: per journal, a source and an id are one event, however often it is published; other content is told."""

from gossipreg.events.effects import PublishSettled
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess
from simulations.eventing.publication import Publication


class OneEvent(EventChecker):
    """What is acknowledged is in the journal, at the index that was told, alone with its id. The same event again gets
    the same index. Other content with the id of an event that was acknowledged is refused as a conflict."""

    name = "one_event"

    def on_settled(self, process: EventProcess, publication: Publication, settled: PublishSettled) -> None:
        first = publication.conflicts_with
        if first is not None and first.acked is not None and first.acked[0] == settled.journal and settled.code == "":
            self.fail(f"{_of(publication)} was taken for the event of other content that has its id", process.host)
        if first is None and settled.code == "conflict":
            self.fail(f"{_of(publication)} was refused as a conflict with itself", process.host)
        if settled.code == "":
            self._check(process, publication, settled)

    def _check(self, process: EventProcess, publication: Publication, settled: PublishSettled) -> None:
        told = f"{_of(publication)} was told to be at index {settled.index}"
        committed = self.ledger.of_id.get((settled.journal, publication.source, publication.id))
        if committed is None:
            self.fail(f"{told}, and is in no journal", process.host)
        if committed.index != settled.index:
            self.fail(f"{told}, and is at {committed.index}", process.host)
        before = publication.acked
        if before is not None and before[0] == settled.journal and before[1] != settled.index:
            self.fail(f"{told}, and at {before[1]} before", process.host)
        if before is not None and before[0] == settled.journal and not settled.duplicate:
            self.fail(f"{told}, once more as a new event", process.host)

    def at_rest(self) -> None:
        """The journal has one event with each id."""
        for event in self.ledger.events.values():
            first = self.ledger.of_id[event.journal, event.source, event.id]
            if first is not event:
                self.fail(f"{event.id} of {event.source} is at {first.index} and at {event.index}")


def _of(publication: Publication) -> str:
    return f"{publication.id} of {publication.source}"
