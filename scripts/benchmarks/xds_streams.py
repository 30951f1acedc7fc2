"""`python -m scripts.benchmarks.xds_streams [--profile]`: what a change costs the streams of xDS alone.

Many clients follow one service by state of the world; the transport and the making of resources are left out. Prints
microseconds of CPU time a stream (the best of some rounds): to be told of the change, to make the response, and to read
the client's answer; and the bytes that a stream takes. With `--profile` a round is profiled too.
"""

import argparse
import cProfile
import gc
import pstats
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from google.protobuf.any_pb2 import Any as AnyMessage

from gossipreg.gateway.xds.model import Audience, Resource, ResourceKey, ResourceType
from gossipreg.gateway.xds.streams.discovery_requests import SERVED
from gossipreg.gateway.xds.streams.xds_streams import METHODS, XdsStream, XdsStreams

STREAMS = 1000
ROUNDS = 7
VALUE_BYTES = 300
"""Of a resource: an assignment of five instances."""
SOTW = next(iter(METHODS))


class OneService:
    """A source whose resources change on demand; see `xds.model.ResourceSource`."""

    known = True

    def __init__(self) -> None:
        self._version = 0
        self._made: dict[ResourceKey, Resource] = {}
        self._changed: Callable[[frozenset[ResourceKey]], None] = lambda _keys: None

    def resource(self, key: ResourceKey, audience: Audience) -> Resource | None:  # noqa: ARG002  # all get the same
        made = self._made.get(key)
        if made is None:
            value = AnyMessage(type_url=key.type, value=bytes(VALUE_BYTES)).SerializeToString()
            made = self._made[key] = Resource(key.name, f"{self._version:016x}", value)
        return made

    def wildcard(self, type: ResourceType, audience: Audience) -> tuple[str, ...] | None:  # noqa: ARG002
        return ()

    def why_not(self, key: ResourceKey, audience: Audience) -> str:  # noqa: ARG002  # nothing is withheld
        return ""

    def forget(self, key: ResourceKey) -> None: ...

    def follow(self, changed: Callable[[frozenset[ResourceKey]], None]) -> None:
        self._changed = changed

    def change(self, key: ResourceKey) -> None:
        self._version += 1
        self._made.pop(key, None)
        self._changed(frozenset((key,)))


class Crowd:
    """Clients that follow one service, each with all it asked for acknowledged."""

    def __init__(self) -> None:
        self.source = OneService()
        self.woken: list[XdsStream] = []
        self._all = XdsStreams(self.source, Counter(), print, time.monotonic)
        self.streams = [self._follower(number) for number in range(STREAMS)]

    def _follower(self, number: int) -> XdsStream:
        opened: list[XdsStream] = []
        stream = self._all.open(SOTW, f"127.0.0.1:{number}", lambda: self.woken.extend(opened))
        assert stream is not None
        opened.append(stream)
        for url in SERVED:
            request = DiscoveryRequest(type_url=url, resource_names=["web"])
            request.node.id, request.node.user_agent_name = f"client-{number}", "gRPC C-core linux Python"
            stream.receive_untrusted(request.SerializeToString())
            [message] = stream.take()
            stream.receive_untrusted(answer(message))
        return stream

    def round(self) -> tuple[float, float, float]:
        """One change, and the CPU time of its three parts, in microseconds a stream."""
        self.woken.clear()
        began = time.process_time()
        self.source.change(ResourceKey(ResourceType.ENDPOINTS, "web"))
        told = time.process_time()
        messages = [stream.take() for stream in self.woken]
        made = time.process_time()
        assert len(messages) == STREAMS
        answers = [answer(message) for [message] in messages]
        ready = time.process_time()
        for stream, one in zip(self.woken, answers, strict=True):
            stream.receive_untrusted(one)
        read = time.process_time()
        each = 1e6 / STREAMS
        return (told - began) * each, (made - told) * each, (read - ready) * each


def answer(message: bytes) -> bytes:
    """The client's ACK of a response."""
    response = DiscoveryResponse.FromString(message)
    acked: bytes = DiscoveryRequest(
        type_url=response.type_url,
        resource_names=["web"],
        version_info=response.version_info,
        response_nonce=response.nonce,
    ).SerializeToString()
    return acked


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="xds_streams", description=__doc__)
    parser.add_argument("--profile", action="store_true", help="profile one more round")
    given = parser.parse_args(arguments)
    tracemalloc.start()
    crowd = Crowd()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] / STREAMS
    tracemalloc.stop()
    told, made, read = (min(times) for times in zip(*(crowd.round() for _ in range(ROUNDS)), strict=True))
    print(f"{told:.1f} us told, {made:.1f} us to make, {read:.1f} us to read: {told + made + read:.1f} us a stream")
    print(f"{size / 1024:.1f} KiB a stream")
    if given.profile:
        with cProfile.Profile() as profile:
            crowd.round()
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
