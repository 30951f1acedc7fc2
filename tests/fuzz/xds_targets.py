"""The fuzz target of the xDS gateway: bytes of a client to HTTP/2, to calls of gRPC, to discovery requests."""

from collections import Counter
from typing import NoReturn

from gossipreg.gateway.xds.model import ResourceType
from gossipreg.gateway.xds.server import http2_frames as frames
from gossipreg.gateway.xds.server.grpc_calls import ConnectionEnds, GrpcConnection
from gossipreg.gateway.xds.server.grpc_messages import framed
from gossipreg.gateway.xds.server.grpc_status import GrpcStatus
from gossipreg.gateway.xds.server.http2_frames import Http2Fault
from gossipreg.gateway.xds.streams.xds_streams import METHODS, XdsStreams
from tests.gateway.xds.http2_client import Http2Client
from tests.gateway.xds.made_source import MadeSource

ANSWERS_MAX_BYTES = 1_000_000
"""Of some kB of requests for small resources."""
PIECE_BYTES = 4_000
"""Of a message in frames: shorter than a frame may be."""


def xds(data: bytes) -> None:
    """The first byte selects what comes before the rest: nothing, an opened connection, one with a call, or one with a
    call of which the rest is one message; its higher bits where the bytes are cut. For any bytes: nothing is raised but
    what ends the connection, no bug is reported, what is held is no more than was sent, what is sent is whole frames,
    and after the end nothing is left."""
    how, rest = (data[0], data[1:]) if data else (0, b"")
    source = MadeSource(wild=("a", "b"))
    streams = XdsStreams(source, Counter(), lambda _: None)
    calls = GrpcConnection(streams, "fuzz", 0.0, wake=lambda: None, counts=Counter(), bug=_raise)
    sent = opening(how) + (message(rest) if how % 4 == 3 else rest)
    cut = (how >> 3) * len(sent) // 32
    answers = b""
    try:
        for piece in (sent[:cut], sent[cut:]):
            calls.receive_untrusted(piece, 0.0)
            assert calls.held_bytes <= len(sent)
            source.set(ResourceType.CLUSTER, "a", cut)
            while more := calls.output(0.0):
                answers += more
    except Http2Fault as fault:
        answers += calls.fail(fault) if calls.opened else b""
    except ConnectionEnds:
        calls.close()
    else:
        answers += calls.stop(GrpcStatus.UNAVAILABLE, "the end")
    assert_frames(answers)
    assert not streams.context.streams
    assert (calls.calls, calls.held_bytes, calls.waiting_bytes) == (0, 0, 0)


def opening(how: int) -> bytes:
    client = Http2Client()
    if how % 4 == 0:
        return b""
    if how % 4 == 1:
        return client.out()
    return client.call(list(METHODS)[how >> 2 & 1])[1]


def message(data: bytes) -> bytes:
    whole = framed([data])
    pieces = (whole[begin : begin + PIECE_BYTES] for begin in range(0, len(whole), PIECE_BYTES))
    return b"".join(frames.frame(frames.DATA, 0, 1, piece) for piece in pieces)


def assert_frames(data: bytes) -> None:
    assert len(data) < ANSWERS_MAX_BYTES
    while data:
        high, low, kind, _, stream_id = frames.FRAME_HEAD.unpack_from(data)
        length = high << 8 | low
        assert kind <= frames.CONTINUATION
        assert length <= frames.FRAME_MAX_BYTES
        assert stream_id <= frames.WINDOW_MAX
        assert len(data) >= frames.HEAD_BYTES + length
        data = data[frames.HEAD_BYTES + length :]


def _raise(_where: str, error: Exception) -> NoReturn:
    raise error
