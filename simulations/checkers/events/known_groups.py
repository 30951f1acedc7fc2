"""Invariant: a group gets every event whose publisher knew of it."""

from gossipreg.events.effects import PublishSettled
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess
from simulations.eventing.publication import Publication


class KnownGroups(EventChecker):
    """An event that is acknowledged belongs to all groups that its publisher's sidecar knew for its type when the
    publish came that counted. That is the one that is answered, unless it was a duplicate: then it may also be one
    before it, by this process or an earlier one, whose outcome was not known. A publish that was refused for certain
    did not count."""

    name = "known_groups"

    def on_settled(self, process: EventProcess, publication: Publication, settled: PublishSettled) -> None:
        if settled.code or publication.conflicts_with is not None:
            return
        committed = self.ledger.of_id.get((settled.journal, publication.source, publication.id))
        if committed is None:
            return  # `one_event` says so
        counted = publication.known if settled.duplicate else publication.known[-1:]
        missing = min((known - committed.groups for known in counted), key=len)
        if missing:
            named = " and ".join(sorted(missing))
            what = f"{publication.id} of {publication.source}, of type {publication.type}, is not for {named}"
            self.fail(f"{what}, which its publisher knew", process.host)
