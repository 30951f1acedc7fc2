"""Streams of a control plane, as gRPC clients open them: each asks for the endpoints of a service of its own and of one
that all ask for, and acknowledges what it gets.

    python -m scripts.benchmarks.mesh.stream_load PORT STREAMS SERVICES

It prints `ready` when all have an answer. For each line `there PORT` or `gone PORT` on stdin it prints when the last of
the streams knew that the common service has an instance at this port, or none (`time.perf_counter`, which all processes
of a machine share).
"""

import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
COMMON = "svc-0"


class AdsStream:
    def __init__(self, port: int, number: int, services: int, told: threading.Condition) -> None:
        self._told = told
        self._names = [COMMON, f"svc-{1 + number % (services - 1)}"]
        self._requests: queue.Queue[Any] = queue.Queue()
        self.ports: set[int] = set()
        self.seen_at = 0.0
        self.answered: set[str] = set()
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1), ("bench.number", number)]
        )
        call = self._channel.stream_stream(
            METHOD, discovery_pb2.DiscoveryRequest.SerializeToString, discovery_pb2.DiscoveryResponse.FromString
        )
        first = discovery_pb2.DiscoveryRequest(type_url=ENDPOINTS, resource_names=self._names)
        first.node.id = f"bench-{number}"
        first.node.user_agent_name = "gRPC C-core linux Python"
        self._requests.put(first)
        self._answers = call(self._sent(), wait_for_ready=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _sent(self) -> Iterator[Any]:
        while True:
            yield self._requests.get()

    def _read(self) -> None:
        for answer in self._answers:
            seen_at = time.perf_counter()
            self._requests.put(
                discovery_pb2.DiscoveryRequest(
                    type_url=ENDPOINTS, resource_names=self._names, version_info=answer.version_info,
                    response_nonce=answer.nonce,
                )
            )  # fmt: skip
            for one in answer.resources:
                assignment = endpoint_pb2.ClusterLoadAssignment.FromString(one.value)
                if assignment.cluster_name == COMMON:
                    self._take(assignment, seen_at)
                self.answered.add(assignment.cluster_name)
            with self._told:
                self._told.notify()

    def _take(self, assignment: Any, seen_at: float) -> None:
        ports = {
            one.endpoint.address.socket_address.port_value
            for locality in assignment.endpoints
            for one in locality.lb_endpoints
        }
        if ports != self.ports:
            self.ports, self.seen_at = ports, seen_at


def main(port: int, count: int, services: int) -> None:
    told = threading.Condition()
    streams = [AdsStream(port, number, services, told) for number in range(count)]
    with told:
        told.wait_for(lambda: all(len(one.answered) == 2 for one in streams))
    print("ready", flush=True)
    for line in sys.stdin:
        what, wanted = line.split()
        with told:
            told.wait_for(lambda: all((int(wanted) in one.ports) == (what == "there") for one in streams))  # noqa: B023
        print(max(one.seen_at for one in streams), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
