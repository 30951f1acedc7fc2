"""What a client costs: memory while it waits, and work for an update and its ACK. Neither is a time, so both are the
same on any machine."""

import gc
import sys
import tracemalloc
from collections import Counter
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

from gossipreg.gateway.xds.model import ResourceType
from gossipreg.gateway.xds.server.grpc_calls import GrpcConnection
from gossipreg.gateway.xds.streams.xds_streams import XdsStreams
from tests.gateway.xds.http2_client import Http2Client
from tests.gateway.xds.made_source import MadeSource

TYPES = (ResourceType.LISTENER, ResourceType.CLUSTER, ResourceType.ENDPOINTS)
MEMORY_MAX_BYTES = 32 * 1024
"""Of a stream, without its socket: 40 KiB in all."""
CALLS_MAX = 200
"""Calls of functions, those of C included, for an update of a client and its ACK: with them and the kernel's share an
update of 1,000 clients takes 62 ms of processor time."""


class Costly:
    """Some clients of a server, each with a connection of its own, as gRPC's are."""

    def __init__(self) -> None:
        self.source = MadeSource()
        self.streams = XdsStreams(self.source, Counter(), lambda _: None)
        self.connections: list[GrpcConnection] = []

    def connect(self) -> tuple[GrpcConnection, Http2Client]:
        client = Http2Client()
        one = GrpcConnection(self.streams, "c", 0.0, wake=lambda: None, counts=Counter(), bug=_raise)
        self.connections.append(one)
        id, data = client.call()
        one.receive_untrusted(data, 0.0)
        for type in TYPES:
            one.receive_untrusted(client.send(id, request(type)), 0.0)
            client.receive(one.output(0.0))
            one.receive_untrusted(ack_of(client) + client.out(), 0.0)
        return one, client


class Counted:
    """Counts the calls of functions while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        sys.setprofile(self._see)

    def __exit__(self, *_given: object) -> None:
        sys.setprofile(None)

    def _see(self, _frame: object, event: str, _given: object) -> None:
        self.count += event in ("call", "c_call")


def request(type: str, **fields: Any) -> bytes:
    node = {"id": "client-1", "user_agent_name": "gRPC C-core linux Python", "user_agent_version": "C-core 58.0.0"}
    return bytes(DiscoveryRequest(type_url=type, resource_names=["web"], node=node, **fields).SerializeToString())


def ack_of(client: Http2Client) -> bytes:
    """The ACK of the last response that it received."""
    answer = DiscoveryResponse.FromString(client.messages[1][-1])
    return client.send(1, request(answer.type_url, version_info=answer.version_info, response_nonce=answer.nonce))


def _raise(_where: str, error: Exception) -> None:
    raise error


def test_a_waiting_stream_takes_little_memory() -> None:
    costly = Costly()
    costly.connect()  # what all share
    gc.collect()
    tracemalloc.start()
    try:
        count = 20
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(count):
            costly.connect()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < MEMORY_MAX_BYTES


def test_an_update_and_its_ack_cost_few_calls() -> None:
    costly = Costly()
    one, client = costly.connect()
    costly.source.set(ResourceType.ENDPOINTS, "web", 1)
    client.receive(one.output(0.0))
    one.receive_untrusted(ack_of(client), 0.0)
    calls = Counted()
    with calls:
        costly.source.set(ResourceType.ENDPOINTS, "web", 2)
        data = one.output(0.0)
    client.receive(data)
    ack = ack_of(client)
    with calls:
        one.receive_untrusted(ack, 0.0)
        assert one.output(0.0) == b""
    assert 20 < calls.count < CALLS_MAX
