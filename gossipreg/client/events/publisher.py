"""Publishes the events of a registry, for threads.

Owns: the connections that publishes share. Never knows: what an event means. Each publish has a connection of its own
while it waits for its answer (the sidecar answers one request of a connection after the other), and 48 wait at once.
"""

from time import monotonic, sleep

from gossipreg.client.connection import Client
from gossipreg.client.events.published import Published
from gossipreg.client.events.publishing import EventToPublish
from gossipreg.client.pool import StreamPool
from gossipreg.client.stream import SidecarStream
from gossipreg.client.watching.link import CHOICE
from gossipreg.errors import Busy, GossipregError, RequestError, Unreachable

PUBLISHES_AT_ONCE = 48
"""Publishes that wait for their answer, of the threads of a registry, and as many of its loops. A sidecar takes 128
connections of a process."""


class RegistryClient(Client):
    """The connections of a registry's events."""

    choice = CHOICE

    def open(self, deadline: float | None) -> SidecarStream:
        """A new connection by `deadline` (of `monotonic`). Raises Unreachable, ChooseSocket."""
        return self._open(deadline)


class EventPublisher:
    def __init__(self, client: RegistryClient) -> None:
        self._pool = StreamPool(client.open, open_max=PUBLISHES_AT_ONCE, idle_max=PUBLISHES_AT_ONCE)

    def publish(self, event: EventToPublish) -> Published:
        """Publish, and return when the event is durable. Raises GossipregError."""
        while True:
            try:
                loan = self._pool.lend(event.deadline)
            except (Unreachable, Busy) as error:
                sleep(event.unsent(error, monotonic()))
                continue
            try:
                request = event.request(monotonic())
                return Published.read(loan.stream.call("publish", request, event.deadline, event.timeout_s))
            except GossipregError as error:
                wait_s = wait_after(event, error)
            finally:
                loan.end()
            sleep(wait_s)

    def close(self) -> None:
        """Close the connections; a later publish opens others."""
        self._pool.close()


def wait_after(event: EventToPublish, error: GossipregError) -> float:
    """How long to wait after an attempt that was sent. Raises where there is no other attempt."""
    if isinstance(error, Unreachable):
        return event.unanswered(error, monotonic())
    if isinstance(error, RequestError):
        return event.refused(error, monotonic())
    raise error
