"""Streams of ADS that cost this process little: HTTP/2 frames by hand, a connection a stream as gRPC clients have them.

Each asks for the listener, cluster and endpoints of one service, and acknowledges whatever comes. h2 makes the request
once, and every connection sends its bytes.
"""

import resource
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2
from h2.config import H2Configuration
from h2.connection import H2Connection

from scripts.benchmarks.mesh.stream_load import METHOD

PREFIX = "type.googleapis.com/envoy.config."
LISTENER, CLUSTER = PREFIX + "listener.v3.Listener", PREFIX + "cluster.v3.Cluster"
ENDPOINTS = PREFIX + "endpoint.v3.ClusterLoadAssignment"
NEXT = {LISTENER: CLUSTER, CLUSTER: ENDPOINTS}
DATA, SETTINGS, PING, WINDOW_UPDATE, ACK = 0, 4, 6, 8, 1
BOUND_S = 30.0


def frame(kind: int, payload: bytes, *, stream: int = 1, flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def hello() -> bytes:
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", METHOD), (":authority", "bench"), ("te", "trailers"),
               ("content-type", "application/grpc")]  # fmt: skip
    connection.send_headers(1, headers)
    return bytes(connection.data_to_send()) + frame(SETTINGS, b"", stream=0, flags=ACK)


class RawStream:
    def __init__(self, port: int, name: str, begin: bytes) -> None:
        self.name = name
        self._bytes = self._message = b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.ask(LISTENER, begin=begin)

    def ask(self, type: str, version: str = "", nonce: str = "", begin: bytes = b"") -> None:
        request = discovery_pb2.DiscoveryRequest(
            type_url=type, resource_names=[self.name], version_info=version, response_nonce=nonce
        )
        request.node.user_agent_name = "gRPC C-core linux Python"
        message = request.SerializeToString()
        self.socket.sendall(begin + frame(DATA, struct.pack(">BI", 0, len(message)) + message))

    def read(self, on_answer: Callable[["RawStream", Any], None]) -> None:
        """Read what is there, acknowledge each answer, and hand it on."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"the sidecar ended the stream of {self.name}")
        self._bytes += data
        while len(self._bytes) >= 9 + (size := int.from_bytes(self._bytes[:3])):
            kind, flags, payload = self._bytes[3], self._bytes[4], self._bytes[9 : 9 + size]
            self._bytes = self._bytes[9 + size :]
            if kind == PING and not flags & ACK:
                self.socket.sendall(frame(PING, payload, stream=0, flags=ACK))
            elif kind == DATA:
                self._message += payload
                self._take(on_answer)

    def _take(self, on_answer: Callable[["RawStream", Any], None]) -> None:
        while len(self._message) >= 5 + (size := int.from_bytes(self._message[1:5] or b"\xff" * 4)):
            answer = discovery_pb2.DiscoveryResponse.FromString(self._message[5 : 5 + size])
            self._message = self._message[5 + size :]
            read = struct.pack(">I", size + 5)
            self.socket.sendall(frame(WINDOW_UPDATE, read, stream=0) + frame(WINDOW_UPDATE, read))
            self.ask(answer.type_url, answer.version_info, answer.nonce)
            on_answer(self, answer)


class RawStreams:
    """Open streams, service after service in turn; each has its endpoints once `__init__` returns."""

    def __init__(self, port: int, count: int, names: list[str]) -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, count + 256), most))
        begin = hello()
        self._by_descriptor: dict[int, RawStream] = {}
        self._poll = select.epoll()
        for number in range(count):
            stream = RawStream(port, names[number % len(names)], begin)
            self._by_descriptor[stream.socket.fileno()] = stream
            self._poll.register(stream.socket, select.EPOLLIN)
        self.wait(count, self._ask_next)

    @staticmethod
    def _ask_next(stream: RawStream, answer: Any) -> None:
        if (type := NEXT.get(answer.type_url)) is not None:
            stream.ask(type)

    def wait(self, count: int, on_answer: Callable[[RawStream, Any], None] | None = None) -> None:
        """Until so many assignments have come."""
        came = 0

        def note(stream: RawStream, answer: Any) -> None:
            nonlocal came
            came += answer.type_url == ENDPOINTS
            if on_answer is not None:
                on_answer(stream, answer)

        while came < count:
            found = self._poll.poll(BOUND_S)
            if not found:
                raise TimeoutError(f"{came} of {count} assignments came within {BOUND_S:g} s")
            for descriptor, _ in found:
                self._by_descriptor[descriptor].read(note)

    def close(self) -> None:
        self._poll.close()
        for stream in self._by_descriptor.values():
            stream.socket.close()
