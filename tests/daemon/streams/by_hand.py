"""Streams whose bytes a test moves by hand, to and from the streams of a member."""

import os

import trio

from gossipreg.streams.connection import StreamConnection, StreamState
from gossipreg.streams.stream_seal import key_for
from gossipreg.streams.values import StreamSelf
from tests.daemon.streams.members import GENEROUS_S, StreamSide
from tests.streams.ends import RING, all_to_send


async def connected(side: StreamSide) -> trio.SocketStream:
    return await trio.open_tcp_stream(*side.address[0])


async def rest_of(stream: trio.SocketStream) -> bytes:
    """What comes until the other end closes."""
    received = b""
    with trio.fail_after(GENEROUS_S):
        try:
            while data := await stream.receive_some(65536):
                received += data
        except trio.BrokenResourceError:
            pass  # closed with a reset
    return received


async def answered_by(side: StreamSide, own: StreamSelf) -> tuple[trio.SocketStream, StreamConnection]:
    """A stream to this side by a member whose bytes the test moves: it has the answer, and has not sent its proof."""
    stream = await connected(side)
    ours = StreamConnection.opening(
        own, side.id, key_for(RING, None), os.urandom, trio.current_time()
    )  # fmt: skip
    await stream.send_all(all_to_send(ours))
    with trio.fail_after(GENEROUS_S):
        while ours.state is not StreamState.OPEN:
            ours.receive_bytes(await stream.receive_some(65536), trio.current_time())
    return stream, ours


async def open_by_hand(side: StreamSide, own: StreamSelf) -> tuple[trio.SocketStream, StreamConnection]:
    """The same; the stream is open."""
    stream, ours = await answered_by(side, own)
    await stream.send_all(all_to_send(ours))
    return stream, ours
