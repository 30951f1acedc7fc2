"""One stream under test, spoken to in few words."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

from gossipreg.gateway.xds.model import ResourceType
from gossipreg.gateway.xds.streams.xds_streams import METHODS, XdsStreams
from tests.gateway.xds.made_client import name_and_version
from tests.gateway.xds.made_source import MadeSource

SOTW, DELTA = METHODS
PY = "gRPC C-core linux Python"
"""grpcio 1.85.3."""
JS = "gRPC Node Pure JS"
"""@grpc/grpc-js-xds 1.14.1."""
ENVOY = "envoy"
"""1.40.0."""
PEER = "127.0.0.1:40000"


class StreamsUnderTest:
    """All streams of a gateway, their source, the log and the counters."""

    def __init__(self, source: MadeSource | None = None) -> None:
        self.source = source or MadeSource()
        self.counts: Counter[str] = Counter()
        self.log: list[str] = []
        self.time = 0.0
        self.streams = XdsStreams(self.source, self.counts, self.log.append, lambda: self.time)

    def sotw(self, agent: str, *, zone: str = "", id: str = "client-1", peer: str = PEER) -> "SotwTalk":
        return SotwTalk(self, SOTW, agent, zone, id, peer)

    def delta(self, agent: str = ENVOY, *, zone: str = "", id: str = "client-1", peer: str = PEER) -> "DeltaTalk":
        return DeltaTalk(self, DELTA, agent, zone, id, peer)


class Talk:
    response: Any

    def __init__(self, all: StreamsUnderTest, path: str, agent: str, zone: str, id: str, peer: str) -> None:
        self.all = all
        self.agent, self.zone, self.id = agent, zone, id
        self.wakes = 0
        self._is_new = True
        stream = all.streams.open(path, peer, self._wake)
        assert stream is not None
        self.stream = stream

    def _wake(self) -> None:
        self.wakes += 1

    def send(self, request: Any) -> None:
        if self._is_new:
            request.node.id, request.node.user_agent_name, request.node.locality.zone = self.id, self.agent, self.zone
        self._is_new = False
        self.stream.receive_untrusted(request.SerializeToString())

    def take(self) -> list[Any]:
        return [self.response.FromString(message) for message in self.stream.take()]

    def take_one(self) -> Any:
        [response] = self.take()
        return response


class SotwTalk(Talk):
    response = DiscoveryResponse

    def ask(self, type: ResourceType, *names: str, nonce: str = "", version: str = "") -> list[Any]:
        """Send a request, and return what is answered."""
        self.send(
            DiscoveryRequest(type_url=type.value, resource_names=names, response_nonce=nonce, version_info=version)
        )
        return self.take()

    def ack(self, response: Any, *names: str) -> list[Any]:
        return self.ask(ResourceType(response.type_url), *names, nonce=response.nonce, version=response.version_info)

    def nack(self, response: Any, *names: str, text: str = "bad", version: str = "") -> list[Any]:
        request = DiscoveryRequest(
            type_url=response.type_url, resource_names=names, response_nonce=response.nonce, version_info=version
        )
        request.error_detail.code, request.error_detail.message = 3, text
        self.send(request)
        return self.take()


class DeltaTalk(Talk):
    response = DeltaDiscoveryResponse

    def ask(
        self, type: ResourceType, *subscribe: str, unsubscribe: Sequence[str] = (), has: dict[str, str] | None = None,
        nonce: str = "", error: str = "",
    ) -> list[Any]:  # fmt: skip
        request = DeltaDiscoveryRequest(
            type_url=type.value, resource_names_subscribe=subscribe, resource_names_unsubscribe=unsubscribe,
            initial_resource_versions=has or {}, response_nonce=nonce,
        )  # fmt: skip
        if error:
            request.error_detail.message = error
        self.send(request)
        return self.take()

    def ack(self, response: Any) -> list[Any]:
        return self.ask(ResourceType(response.type_url), nonce=response.nonce)

    def nack(self, response: Any, text: str = "bad") -> list[Any]:
        return self.ask(ResourceType(response.type_url), nonce=response.nonce, error=text)


def type_of(response: Any) -> ResourceType:
    return ResourceType(response.type_url)


def names(response: Any) -> list[str]:
    """Of the resources in it."""
    return [one.name for one in response.resources if one.DESCRIPTOR.name == "Resource"] or [
        name_and_version(one)[0] for one in response.resources
    ]


def versions(response: Any) -> list[str]:
    return [name_and_version(one)[1] for one in response.resources]


def shape(responses: list[Any]) -> list[tuple[str, list[str]]]:
    """The types and names of responses, in their order."""
    return [(type_of(one).name, names(one)) for one in responses]
