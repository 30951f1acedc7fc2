"""Invariant: a group gets every event whose publisher knew of it."""

from gossipreg.events.effects import PublishSettled
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess
from simulations.eventing.publication import Publication


class KnownGroups(EventChecker):
    """An event that is acknowledged belongs to all groups that its publisher's sidecar knew for its type when it was
    published first."""

    name = "known_groups"

    def on_settled(self, process: EventProcess, publication: Publication, settled: PublishSettled) -> None:
        if settled.code or publication.conflicts_with is not None:
            return
        committed = self.ledger.of_id.get((settled.journal, publication.source, publication.id))
        missing = set() if committed is None else (publication.known or frozenset()) - committed.groups
        if missing:
            named = " and ".join(sorted(missing))
            what = f"{publication.id} of {publication.source}, of type {publication.type}, is not for {named}"
            self.fail(f"{what}, which its publisher knew", process.host)
