"""How a call of gRPC ends: its status and its text, as HTTP/2 trailers carry them."""

from enum import IntEnum
from urllib.parse import quote

from gossipreg.gateway.xds.server.http2_connection import Headers

_TEXT_MAX = 1_000
"""Characters of a status text: clients bound the headers that they take, some at 8 KiB."""
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class GrpcStatus(IntEnum):
    """The codes that the gateway gives (statuscodes.md of gRPC)."""

    OK = 0
    INVALID_ARGUMENT = 3
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class GrpcFault(Exception):
    """A call ends with this status. The client is at fault, unless the status is INTERNAL or UNAVAILABLE. `reason` is
    counted as a drop, if there is one."""

    def __init__(self, status: GrpcStatus, text: str, reason: str = "", *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.headers = headers


def trailers(status: GrpcStatus, text: str = "") -> Headers:
    found = [(b"grpc-status", b"%d" % status)]
    if text:
        found.append((b"grpc-message", quote(text[:_TEXT_MAX], safe=_PRINTABLE).encode()))
    return found
