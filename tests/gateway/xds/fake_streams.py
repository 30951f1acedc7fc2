"""The streams part as the transport sees it: a fake that keeps what it is given, and sends what a test tells it to."""

from collections.abc import Callable

from gossipreg.callers import Caller
from gossipreg.gateway.xds.streams.xds_streams import BadRequest, XdsStream, XdsStreams

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"


class FakeCall:
    """It answers each message with the same one, if it echoes."""

    def __init__(self, path: str, peer: str, wake: Callable[[], None]) -> None:
        self.path = path
        self.peer = peer
        self.caller: Caller | None = None
        self.wake = wake
        self.echoes = True
        self.received: list[bytes] = []
        self.waiting: list[bytes] = []
        self.taken = 0
        self.closed = 0

    def receive_untrusted(self, message: bytes) -> None:
        self.received.append(message)
        if message == b"bad":
            raise BadRequest("xds_not_protobuf", "a request that cannot be used: 100 % bad")
        if message == b"bug":
            raise ZeroDivisionError
        if self.echoes:
            self.send(message)

    def send(self, *messages: bytes) -> None:
        self.waiting += messages
        self.wake()

    def take(self) -> list[bytes]:
        self.taken += 1
        found, self.waiting = self.waiting, []
        if found == [b"bug later"]:
            raise ZeroDivisionError
        if found == [b"give way"]:
            raise BadRequest("xds_names_given_way", "others needed some")
        return found

    def close(self) -> None:
        self.closed += 1


class FakeStreams(XdsStreams):
    def __init__(self) -> None:
        self.calls: list[FakeCall] = []

    @property
    def last(self) -> FakeCall:
        return self.calls[-1]

    def open(self, path: str, peer: str, wake: Callable[[], None], caller: Caller | None = None) -> XdsStream | None:
        if path == "/bug":
            wake()
            raise ZeroDivisionError
        if path == "/full":
            raise BadRequest("xds_too_many_streams", "too many streams")
        if path != ADS:
            return None
        self.calls.append(FakeCall(path, peer, wake))
        self.last.caller = caller
        return self.last
