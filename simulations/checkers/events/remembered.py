"""Invariant: a sidecar knows every group that ever ran beside it."""

from gossipreg.events.patterns import matches
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess
from simulations.eventing.publication import Publication


class GroupsRemembered(EventChecker):
    """When a program publishes, its sidecar knows each group of that type that ever subscribed there, and remembers
    those of which no program subscribes there now: they have ended, or have not subscribed again since a restart. No
    group is forgotten in a run."""

    name = "groups_remembered"

    def on_publish(self, process: EventProcess, publication: Publication) -> None:
        type = tuple(publication.type.split("."))
        remembered = process.events.remembered.groups()
        here = {(one.group, pattern) for one in process.subscribers.values() for pattern in one.patterns}
        for subscriber in self.eventing.subscribers:
            if subscriber.host != process.host.number or not subscriber.ran or not subscriber.group:
                continue
            for pattern in subscriber.patterns:
                if (subscriber.group, pattern) not in here and pattern not in remembered.get(subscriber.group, ()):
                    self.fail(f"{subscriber.group} ran here with {pattern}, and is not remembered", process.host)
                if matches(tuple(pattern.split(".")), type) and subscriber.group not in publication.known[-1]:
                    what = f"{subscriber.group} ran here, and is not known when {publication.id} is published"
                    self.fail(what, process.host)
