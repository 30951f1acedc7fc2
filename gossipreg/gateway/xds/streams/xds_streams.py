"""The seam between the transport and the streams: one call of the aggregated discovery service, and all of them.

It owns nothing of HTTP/2: it gets the messages of a call, and is asked for the messages to send.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from gossipreg.callers import Caller
from gossipreg.gateway.xds.model import ResourceSource
from gossipreg.gateway.xds.streams.ads_stream import AdsStream
from gossipreg.gateway.xds.streams.delta_stream import DeltaStream
from gossipreg.gateway.xds.streams.discovery_requests import BadRequest
from gossipreg.gateway.xds.streams.shown_streams import Shape, shown_streams
from gossipreg.gateway.xds.streams.sotw_stream import SotwStream
from gossipreg.gateway.xds.streams.stream_context import StreamContext

__all__ = ["BadRequest", "XdsStream", "XdsStreams"]

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService"
METHODS: dict[str, type[AdsStream]] = {
    f"{SERVICE}/StreamAggregatedResources": SotwStream,
    f"{SERVICE}/DeltaAggregatedResources": DeltaStream,
}
STREAMS = 4096
"""Streams at once. A gRPC program in Python or C++ has one for each name that it calls."""


class XdsStream(Protocol):
    """One call of StreamAggregatedResources or DeltaAggregatedResources."""

    def receive_untrusted(self, message: bytes) -> None:
        """Take one gRPC message. Raises BadRequest; then the call ends."""

    def take(self) -> list[bytes]:
        """The messages to send now, oldest first; empty if there are none. They are made when they are asked for, so
        a client that reads slowly gets the newest state, once. Raises BadRequest; then the call ends."""

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
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        """`counts` is for `gossipreg info`, `note` writes a line of the log, `now` is the time in seconds, `refused` is
        called when a client refuses a response."""
        self.context = StreamContext(source, counts, note, now, refused)

    def open(self, path: str, peer: str, wake: Callable[[], None], caller: Caller | None = None) -> XdsStream | None:
        """Begin a call of the method at this HTTP path; None: there is no such method (UNIMPLEMENTED). `peer` is the
        client's address, for people; `caller` its user, if it came over a unix socket. `wake` is called when `take` has
        something; it must be cheap. Raises BadRequest if there are too many streams."""
        method = METHODS.get(path)
        if method is None:
            return None
        if len(self.context.streams) >= STREAMS:
            self.context.count("drop.xds_too_many_streams")
            raise BadRequest("xds_too_many_streams", f"{STREAMS} streams are open already: close some")
        return method(self.context, peer, wake, caller)

    @property
    def refusing(self) -> int:
        """How many clients refuse something now."""
        return len(self.context.refusing)

    def shown(self, given: Shape) -> list[Shape]:
        """For `gossipreg xds show`; `given` has the parameters of `shown_streams`."""
        return shown_streams(self.context.streams, self.context.now(), **given)
