"""The head of a call: an HTTP/2 request as gRPC makes it (PROTOCOL-HTTP2.md of gRPC), or what is wrong with it.

`te: trailers` is not asked for: it says that no proxy on the way takes trailers out, and h2 admits no other value.
"""

from gossipreg.gateway.xds.server.grpc_status import GrpcFault, GrpcStatus
from gossipreg.gateway.xds.server.http2_connection import Headers

_GRPC = b"application/grpc"
_OF_GRPC = (b"", b"+proto")
"""What may follow, before parameters: messages are protobufs."""
ACCEPTED = (b"grpc-accept-encoding", b"identity")
NO_GRPC_TEXT = "this is xDS, for gRPC clients and Envoy: send calls of gRPC (gossipreg docs mesh)\n"


class NoGrpc(Exception):
    """An HTTP/2 request that is no call of gRPC: it gets this status of HTTP."""

    def __init__(self, http_status: int) -> None:
        super().__init__(NO_GRPC_TEXT)
        self.http_status = http_status


def call_path_untrusted(headers: Headers) -> str:
    """The method that is called. Raises NoGrpc or GrpcFault."""
    given = dict(headers)
    content_type = given.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if not content_type.startswith(_GRPC) or content_type.removeprefix(_GRPC)[:1] not in (b"", b"+"):
        raise NoGrpc(415)
    if given.get(b":method") != b"POST":
        raise NoGrpc(405)
    if content_type.removeprefix(_GRPC) not in _OF_GRPC:
        text = f"content-type {content_type.decode('latin-1')}: messages here are protobufs, application/grpc"
        raise GrpcFault(GrpcStatus.UNIMPLEMENTED, text, "xds_encoding")
    encoding = given.get(b"grpc-encoding", b"identity")
    if encoding != b"identity":
        text = f"grpc-encoding {encoding.decode('latin-1')}: send messages without compression"
        raise GrpcFault(GrpcStatus.UNIMPLEMENTED, text, "xds_encoding", ACCEPTED)
    return given.get(b":path", b"").decode("latin-1")
