"""The seam between the transport and the streams: one call of the aggregated discovery service, and all of them.

It owns nothing of HTTP/2: it gets the messages of a call, and is asked for the messages to send.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from gossipreg.errors import GossipregError
from gossipreg.gateway.xds.model import ResourceSource


class BadRequest(GossipregError):
    """A client sent a discovery request that cannot be used. The client is at fault; its call ends with
    INVALID_ARGUMENT and this text."""

    code = "bad_discovery_request"


class XdsStream(Protocol):
    """One call of StreamAggregatedResources or DeltaAggregatedResources."""

    def receive_untrusted(self, message: bytes) -> None:
        """Take one gRPC message. Raises BadRequest; then the call ends."""

    def take(self) -> list[bytes]:
        """The messages to send now, oldest first; empty if there are none. They are made when they are asked for, so
        a client that reads slowly gets the newest state, once."""

    def close(self) -> None:
        """The call has ended."""


class XdsStreams:
    """All calls of the aggregated discovery service."""

    def __init__(
        self,
        source: ResourceSource,
        counts: Counter[str],
        note: Callable[[str], None],
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`counts` is for `gossipreg info`, `note` writes a line of the log, `now` is the time in seconds."""
        self._source = source
        self._counts = counts
        self._note = note
        self._now = now

    def open(self, path: str, peer: str, wake: Callable[[], None]) -> XdsStream | None:  # noqa: ARG002
        """Begin a call of the method at this HTTP path; None: there is no such method (UNIMPLEMENTED). `peer` is the
        client's address, for people. `wake` is called when `take` has something; it must be cheap. Raises BadRequest
        if there are too many streams."""
        return None
