"""The paths at which a service takes events: a POST with a CloudEvent in binary mode.

The first pattern that means the event's topic names the path. The number of the attempt, and the event's place in its
journal as a fencing token, are in headers of our own.
"""

from gossipreg.daemon.deliveries.verdicts import Verdict, route_verdict
from gossipreg.events.binary_form import to_binary
from gossipreg.events.cloud_event import CloudEvent
from gossipreg.events.effects import HandleEvent
from gossipreg.events.patterns import check_pattern, check_type, matches
from gossipreg.net.http_client import HttpAnswer, OutgoingCall


class ServiceRoutes:
    """See `http_subscriber.EventRoutes`."""

    def __init__(self, routes: tuple[tuple[str, str], ...]) -> None:
        """(pattern, path), in the order in which they were given."""
        self.patterns = tuple(pattern for pattern, _ in routes)
        self._routes = [(check_pattern(pattern), path) for pattern, path in routes]

    def call(self, handed: HandleEvent, event: CloudEvent) -> OutgoingCall | None:
        topic = check_type(event.topic)
        path = next((path for pattern, path in self._routes if matches(pattern, topic)), None)
        if path is None:
            return None
        headers, body = to_binary(event)
        return OutgoingCall("POST", path, [*headers.items(), *delivery_headers(handed)], body)

    async def judge(self, handed: HandleEvent, event: CloudEvent, answer: HttpAnswer) -> Verdict:
        del handed, event
        return route_verdict(answer)

    async def failed(self, handed: HandleEvent, event: CloudEvent, verdict: Verdict) -> Verdict:
        del handed, event
        return verdict

    def lost(self) -> None:
        """It has the same paths when it is back."""


def delivery_headers(handed: HandleEvent) -> list[tuple[str, str]]:
    return [
        ("Gossipreg-Event-Attempt", str(handed.attempt)),
        ("Gossipreg-Event-Journal", handed.journal.hex()),
        ("Gossipreg-Event-Index", str(handed.index)),
    ]
