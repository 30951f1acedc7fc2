"""A real client of gRPC, grpcio, against the transport: the calls, the windows and the statuses as C-core has them."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
import trio

from gossipreg.gateway.xds.server.grpc_messages import MESSAGE_MAX_BYTES
from tests.gateway.xds.fake_streams import ADS
from tests.gateway.xds.served import ServedXds, serving

BOUND_S = 60.0
"""Nothing that works takes so long, on any machine."""


class GrpcioCall:
    """A bidirectional call of raw bytes."""

    def __init__(self, channel: grpc.Channel, path: str = ADS) -> None:
        self._asked: Queue[bytes | None] = Queue()
        self._call = channel.stream_stream(path)(iter(self._asked.get, None), timeout=BOUND_S)

    def send(self, message: bytes) -> None:
        self._asked.put(message)

    def receive(self) -> bytes:
        return bytes(next(self._call))

    def end(self) -> list[bytes]:
        self._asked.put(None)
        return [bytes(message) for message in self._call]

    def failure(self) -> tuple[Any, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self.receive()
        self._asked.put(None)
        return caught.value.code(), caught.value.details()

    def cancel(self) -> None:
        self._call.cancel()
        self._asked.put(None)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedXds]:
    """The server in a thread of its own, since the client blocks."""
    with in_thread(tmp_path) as served:
        yield served


@contextmanager
def in_thread(folder: Path) -> Iterator[ServedXds]:
    ready: Queue[ServedXds | BaseException] = Queue()
    ended = trio.Event()
    token: list[trio.lowlevel.TrioToken] = []

    async def serve() -> None:
        async with serving(folder) as served:
            token.append(trio.lowlevel.current_trio_token())
            ready.put(served)
            await ended.wait()

    thread = threading.Thread(target=partial(trio.run, serve))
    thread.start()
    one = ready.get(timeout=BOUND_S)
    assert isinstance(one, ServedXds)
    try:
        yield one
    finally:
        token[0].run_sync_soon(ended.set)
        thread.join(BOUND_S)


@contextmanager
def channel_to(served: ServedXds, *, unix: bool = False) -> Iterator[grpc.Channel]:
    target = f"unix:{served.path}" if unix else f"127.0.0.1:{served.port}"
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(target, options=options) as channel:
        yield channel


@pytest.mark.parametrize("unix", [False, True])
def test_grpcio_exchanges_messages_of_all_sizes(served: ServedXds, unix: bool) -> None:
    with channel_to(served, unix=unix) as channel:
        call = GrpcioCall(channel)
        for size in (0, 1, 16_379, 16_384, 70_000, 300_000, MESSAGE_MAX_BYTES):
            call.send(b"x" * size)
            assert call.receive() == b"x" * size
        assert call.end() == []


def test_grpcio_has_many_calls_on_one_connection(served: ServedXds) -> None:
    with channel_to(served) as channel:
        calls = [GrpcioCall(channel) for _ in range(300)]
        for number, call in enumerate(calls):
            call.send(b"%d" % number)
        assert [call.receive() for call in calls] == [b"%d" % number for number in range(300)]
        calls[0].cancel()
        for call in calls[1:]:
            call.send(b"again")
            assert call.receive() == b"again"
            call.end()
    assert served.counts["xds.connections"] == 1


def test_grpcio_reads_the_status_and_text_of_each_end(served: ServedXds) -> None:
    code = grpc.StatusCode
    with channel_to(served) as channel:
        assert GrpcioCall(channel, "/no.Such/Method").failure()[0] is code.UNIMPLEMENTED
        assert GrpcioCall(channel, "/full").failure() == (code.RESOURCE_EXHAUSTED, "too many streams")
        for message, status, text in [
            (b"bad", code.INVALID_ARGUMENT, "a request that cannot be used: 100 % bad"),
            (b"x" * 10_000_000, code.RESOURCE_EXHAUSTED, "a message of 10000000 bytes: at most 4194304"),
        ]:
            call = GrpcioCall(channel)
            call.send(message)
            assert call.failure() == (status, text)
        call = GrpcioCall(channel)
        call.send(b"and the channel goes on")
        assert call.receive() == b"and the channel goes on"
        call.end()
    assert served.counts["xds.connections"] == 1


def test_grpcio_that_compresses_is_told_so(served: ServedXds) -> None:
    gzip = grpc.Compression.Gzip
    with grpc.insecure_channel(f"127.0.0.1:{served.port}", compression=gzip) as channel:
        status, text = GrpcioCall(channel).failure()
    assert status is grpc.StatusCode.UNIMPLEMENTED
    assert "compression" in text


def test_a_stop_is_unavailable_to_grpcio(tmp_path: Path) -> None:
    with ExitStack() as stack:
        served = stack.enter_context(in_thread(tmp_path))
        channel = grpc.insecure_channel(f"127.0.0.1:{served.port}")
        call = GrpcioCall(channel)
        call.send(b"one")
        assert call.receive() == b"one"
        stack.close()
        assert call.failure() == (grpc.StatusCode.UNAVAILABLE, "this sidecar stops")
        channel.close()
