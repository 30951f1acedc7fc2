"""The attempts to open a stream to one member, and the messages that wait for it.

Owns: the order of addresses, the waits between attempts, the bound of what waits. Never knows: what happens to a stream
once it is open.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import trio

from gossipreg.daemon.streams.link import Link
from gossipreg.model import NodeId
from gossipreg.retry import Retry
from gossipreg.streams.values import StreamClass, StreamFault

RETRY = Retry(0.1, 2.0)
"""Between attempts to reach a member, with something to send. Not longer: a member that is back is needed soon."""
FORGET_S = 60.0
"""After this time without an attempt a failure says nothing any more."""
MAX_WAITING_BYTES = 4 * 1024 * 1024
MAX_WAITING_MESSAGES = 4096
"""For one member, while its stream is being opened."""


@dataclass(slots=True)
class Opening:
    """A stream that is being opened."""

    node: NodeId
    link: Link | None = None
    """The present attempt."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    asked: bool = False
    """Whether there was a message for it: else nobody has to be told that it failed."""
    _waiting: list[tuple[StreamClass, bytes]] = field(default_factory=list)
    _waiting_bytes: int = 0

    def put(self, klass: StreamClass, message: bytes) -> None:
        """StreamFault if too much waits already."""
        self.asked = True
        waiting = self._waiting_bytes + len(message)
        if waiting > MAX_WAITING_BYTES or len(self._waiting) >= MAX_WAITING_MESSAGES:
            raise StreamFault("stream_queue_full", f"{self._waiting_bytes} bytes wait for a stream")
        self._waiting.append((klass, message))
        self._waiting_bytes = waiting

    def take(self) -> Iterator[tuple[StreamClass, bytes]]:
        """What waits, in order; nothing waits then."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        yield from waiting

    def abandon(self, reason: str) -> None:
        """End the present attempt, and begin no other."""
        self.scope.cancel()
        if self.link is not None:
            self.link.end(reason)


@dataclass(frozen=True, slots=True)
class FailedOpening:
    """Gossip comes from this member, and no stream to it opens."""

    reason: str
    since: float
    """When it failed first, by trio's clock."""
    at: float
    """When it failed last."""
    wait_s: float
    """Before the next attempt."""

    def again(self, reason: str, now: float) -> "FailedOpening":
        return FailedOpening(reason, self.since, now, RETRY.after(self.wait_s))


def first_failure(reason: str, now: float) -> FailedOpening:
    return FailedOpening(reason, now, now, RETRY.first_s)
