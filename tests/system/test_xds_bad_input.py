"""What strangers and broken clients do to the xDS gateway of a real sidecar: each has an end, a counter with its name,
and no effect on a client that behaves."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from struct import pack
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from gossipreg.gateway.xds.model import ResourceType
from gossipreg.gateway.xds.server import http2_frames as frames
from gossipreg.gateway.xds.server.grpc_messages import framed
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.gateway.xds.http2_client import Http2Client
from tests.system.test_xds_doors import ADS, Subscriber, subscriber

GROWTH_MAX_KIB = 32 * 1024
"""Of the sidecar's memory by all that is done here: messages of 4 MiB are under way."""


@pytest.fixture(scope="module")
def sidecar() -> Iterator[Sidecar]:
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0", "--service", "web", "--port", "1").wait_ready()
        yield one
        counters = one.call("info")["counters"]
        assert one.end() == 0
        assert counters.get("bugs", 0) == 0
        assert " bug " not in one.log.read_text()


@pytest.fixture
def good(sidecar: Sidecar) -> Iterator[Subscriber]:
    with subscriber(sidecar.ready["xds"], "web") as client:
        assert client.ports()
        yield client


def counter(sidecar: Sidecar, name: str) -> int:
    return int(sidecar.call("info")["counters"].get(name, 0))


def memory_kib(sidecar: Sidecar) -> int:
    with open(f"/proc/{sidecar.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


class Attacker:
    """A client whose bytes a test chooses."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.http2 = Http2Client()

    def call(self, *messages: bytes) -> None:
        self.sock.sendall(self.http2.call(ADS, *messages)[1])

    def send_forever(self, data: bytes | Callable[[], bytes]) -> None:
        """Until the sidecar closes the connection."""
        with suppress(ConnectionError):
            while True:
                self.sock.sendall(data if isinstance(data, bytes) else data())

    def wait_for_end(self) -> None:
        with suppress(ConnectionError):
            while self.sock.recv(65_536):
                pass

    def send_frames(self, data: bytes) -> None:
        """These bytes of the first stream."""
        for begin in range(0, len(data), frames.FRAME_MAX_BYTES):
            piece = data[begin : begin + frames.FRAME_MAX_BYTES]
            self.sock.sendall(frames.frame(frames.DATA, 0, 1, piece))

    def read_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.http2.receive(self.sock.recv(65_536))


@contextmanager
def attacking(sidecar: Sidecar) -> Iterator[Attacker]:
    with socket.create_connection(("127.0.0.1", sidecar.port("xds")), timeout=BOUND_S) as sock:
        yield Attacker(sock)


def asking(*names: str, **fields: Any) -> bytes:
    request = DiscoveryRequest(type_url=ResourceType.ENDPOINTS, resource_names=names, **fields)
    return bytes(request.SerializeToString())


def data_frame(*messages: bytes) -> bytes:
    return frames.frame(frames.DATA, 0, 1, framed(messages))


_PORTS = count(10_000)


def assert_served(sidecar: Sidecar, good: Subscriber) -> None:
    """The good client still follows its service, and nothing of the others is left."""
    port = next(_PORTS)
    sidecar.call("register", name="web", id="web-1", port=port)
    assert good.ports() == {port}
    wait_for(lambda: counter(sidecar, "xds_connections") == 1)


FLOODS: dict[str, bytes] = {
    "pings": frames.frame(frames.PING, 0, 0, b"12345678") * 500,
    "settings": frames.frame(frames.SETTINGS, 0, 0, pack(">HL", 4, 70_000)) * 500,
    "settings that nobody knows": frames.frame(
        frames.SETTINGS, 0, 0, b"".join(pack(">HL", number, 1) for number in range(1_000, 3_500))
    ),
    "windows": frames.window_update(0, 1) * 500,
    "empty data": frames.frame(frames.DATA, 0, 1, b"") * 500,
    "the same request": data_frame(asking("web")) * 50,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_ends_its_connection_alone(sidecar: Sidecar, good: Subscriber, flood: bytes) -> None:
    before = counter(sidecar, "drop.xds_flood") + counter(sidecar, "drop.xds_too_many_requests")
    with attacking(sidecar) as attacker:
        attacker.call(asking("web"))
        attacker.send_forever(flood)
    wait_for(lambda: counter(sidecar, "drop.xds_flood") + counter(sidecar, "drop.xds_too_many_requests") > before)
    assert_served(sidecar, good)


def test_calls_that_are_reset_at_once_end_their_connection(sidecar: Sidecar, good: Subscriber) -> None:
    before = counter(sidecar, "drop.xds_flood")
    with attacking(sidecar) as attacker:

        def call_and_reset() -> bytes:
            id, data = attacker.http2.call(ADS)
            attacker.http2.h2.reset_stream(id)
            return data + attacker.http2.out()

        attacker.send_forever(call_and_reset)
    wait_for(lambda: counter(sidecar, "drop.xds_flood") == before + 1)
    assert_served(sidecar, good)


def test_a_node_of_10_mb_ends_its_call_and_no_memory_is_kept(sidecar: Sidecar, good: Subscriber) -> None:
    before = memory_kib(sidecar)
    for _ in range(5):
        with grpc.insecure_channel(sidecar.ready["xds"], options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            message = asking("web", node={"id": "n", "metadata": {"fields": {"a": {"string_value": "x" * 10_000_000}}}})
            call = channel.stream_stream(ADS)(iter([message]), timeout=BOUND_S)
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "at most 4194304" in caught.value.details()
    assert counter(sidecar, "drop.xds_long_message") == 5
    assert memory_kib(sidecar) - before < GROWTH_MAX_KIB
    assert_served(sidecar, good)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([b"\xff\xff\xff"], "xds_not_protobuf"),
        ([asking("web"), asking("web", response_nonce="999", version_info="of the future")], "xds_unknown_nonce"),
        ([asking(*(f"name-{number}" for number in range(100_000)))], "xds_too_many_names"),
    ],
    ids=["no protobuf", "an ACK of the future", "too many names"],
)
def test_a_bad_request_ends_its_call_alone(
    sidecar: Sidecar, good: Subscriber, messages: list[bytes], reason: str
) -> None:
    before = counter(sidecar, f"drop.{reason}")
    with attacking(sidecar) as attacker:
        attacker.call()
        for number, message in enumerate(messages):
            attacker.read_until(lambda number=number: len(attacker.http2.messages[1]) == number)  # type: ignore[misc]
            attacker.send_frames(framed([message]))
        attacker.read_until(lambda: 1 in attacker.http2.trailers)
        trailers = attacker.http2.trailers[1]
        assert trailers["grpc-status"] == "3"
        assert trailers["grpc-message"]
        id, opening = attacker.http2.call(ADS, asking("web"))
        attacker.sock.sendall(opening)
        attacker.read_until(lambda: bool(attacker.http2.messages[id]))
    assert counter(sidecar, f"drop.{reason}") == before + 1
    assert_served(sidecar, good)


def test_a_client_that_never_acks_or_reads_holds_up_nobody(sidecar: Sidecar, good: Subscriber) -> None:
    with attacking(sidecar) as attacker:
        attacker.call(asking("web"))
        before = memory_kib(sidecar)
        for _ in range(200):
            sidecar.call("register", name="web", id="web-1", port=next(_PORTS))
        last = next(_PORTS)
        sidecar.call("register", name="web", id="web-1", port=last)
        while good.ports() != {last}:
            pass
        assert memory_kib(sidecar) - before < GROWTH_MAX_KIB
    assert_served(sidecar, good)


@pytest.mark.parametrize("seed", range(5))
def test_bytes_of_chance_end_their_connection_alone(sidecar: Sidecar, good: Subscriber, seed: int) -> None:
    noise = bytes((seed * 7919 + number * number * 31) % 256 for number in range(5_000))
    with attacking(sidecar) as attacker:
        attacker.call(asking("web"))
        attacker.send_forever(noise)
    with attacking(sidecar) as attacker:
        attacker.send_forever(noise)
    assert_served(sidecar, good)


def test_a_goaway_ends_the_calls_of_its_client(sidecar: Sidecar, good: Subscriber) -> None:
    with attacking(sidecar) as attacker:
        attacker.call(asking("web"))
        attacker.sock.sendall(frames.goaway(0, 0, "bye") + data_frame(asking("web")) * 10)
        attacker.wait_for_end()
    assert_served(sidecar, good)
