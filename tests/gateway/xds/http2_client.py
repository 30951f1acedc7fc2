"""The other end of an HTTP/2 connection, as bytes: what a client of gRPC sends, and what it makes of the answers."""

from collections import defaultdict
from collections.abc import Iterable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    PingReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from gossipreg.gateway.xds.server.grpc_messages import MessageReader, framed
from tests.gateway.xds.fake_streams import ADS


class Http2Client:
    """Has what it received, by stream."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        """`acknowledges`: it opens its windows again as it receives."""
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.acknowledges = acknowledges
        self.headers: dict[int, dict[str, str]] = {}
        self.trailers: dict[int, dict[str, str]] = {}
        self.data: defaultdict[int, bytes] = defaultdict(bytes)
        self.messages: defaultdict[int, list[bytes]] = defaultdict(list)
        self.ended: set[int] = set()
        self.reset: dict[int, int] = {}
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.goaway: tuple[int, str] | None = None
        """The error code and the text."""
        self._readers: defaultdict[int, MessageReader] = defaultdict(MessageReader)

    # -- what it sends; each returns the bytes -------------------------------------------------------------------------

    def out(self) -> bytes:
        return self.h2.data_to_send()

    def call(self, path: str = ADS, *messages: bytes, **headers: str) -> tuple[int, bytes]:
        """Begin a call; returns its stream, and the bytes."""
        id = self.h2.get_next_available_stream_id()
        given = {
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": "127.0.0.1:18000", "te": "trailers",
            "content-type": "application/grpc", **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        if "method" in given:
            given[":method"] = given.pop("method")
        self.h2.send_headers(id, [(name, value) for name, value in given.items() if value])
        self._queue(id, messages)
        return id, self.out()

    def send(self, id: int, *messages: bytes) -> bytes:
        self._queue(id, messages)
        return self.out()

    def _queue(self, id: int, messages: Iterable[bytes]) -> None:
        data = framed(messages)
        while data:
            piece, data = data[: self.h2.max_outbound_frame_size], data[self.h2.max_outbound_frame_size :]
            self.h2.send_data(id, piece)

    # -- what it receives ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=int(id), headers=headers):
                self.headers[id] = _texts(headers)
                if "grpc-status" in self.headers[id]:
                    self.trailers[id] = self.headers[id]
            case TrailersReceived(stream_id=int(id), headers=headers):
                self.trailers[id] = _texts(headers)
            case DataReceived(stream_id=int(id), data=data, flow_controlled_length=int(length)):
                self.data[id] += data or b""
                if self.headers[id]["content-type"] == "application/grpc":
                    self.messages[id] += self._readers[id].feed_untrusted(data or b"")
                if self.acknowledges:
                    self.h2.acknowledge_received_data(length, id)
            case StreamEnded(stream_id=int(id)):
                self.ended.add(id)
            case StreamReset(stream_id=int(id), error_code=code):
                self.reset[id] = int(code or 0)
            case PingReceived(ping_data=data):
                self.pings.append(data or b"")
            case PingAckReceived(ping_data=data):
                self.pongs.append(data or b"")
            case ConnectionTerminated(error_code=code, additional_data=text):
                self.goaway = int(code or 0), (text or b"").decode()


def _texts(headers: object) -> dict[str, str]:
    assert isinstance(headers, list)
    return {str(name): str(value) for name, value in headers}
