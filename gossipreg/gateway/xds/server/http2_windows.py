"""Flow control of HTTP/2 (RFC 9113, section 5.2): how much may be sent, and what a client may send again.

The library that keeps the rest of a connection sees neither DATA nor WINDOW_UPDATE, so it counts nothing here.

What a client sends is used up at once, so its windows are never a bound on memory: the bounds are on what has come in
part (`grpc_messages.py`, `grpc_connections.py`). They are opened again when half of them is used, and not with each
frame.
"""

from gossipreg.gateway.xds.server.http2_frames import FLOW_CONTROL_ERROR, WINDOW_MAX, Http2Fault

STREAM_WINDOW_BYTES = 256 * 1024
"""Several requests of an Envoy, of about 30 kB each."""
CONNECTION_WINDOW_BYTES = 1024 * 1024
FIRST_WINDOW_BYTES = 65_535
"""Of a connection, and of a stream without a setting: RFC 9113, section 6.9.2."""


class SendWindow:
    """The bytes that may be sent. Below 0 after a setting made it smaller than what is under way."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def grow(self, bytes_more: int) -> None:
        """Raises Http2Fault."""
        self.left += bytes_more
        if self.left > WINDOW_MAX:
            raise Http2Fault(
                "xds_bad_frame", FLOW_CONTROL_ERROR, f"a window of {self.left} bytes: at most {WINDOW_MAX}"
            )


class ReceiveWindow:
    """What a client has used of a window of this many bytes, and has not been given again."""

    __slots__ = ("_size", "_used")

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes
        self._used = 0

    def use(self, bytes_used: int) -> int:
        """The bytes to give again with a WINDOW_UPDATE; 0: none yet."""
        self._used += bytes_used
        if self._used * 2 < self._size:
            return 0
        given, self._used = self._used, 0
        return given
