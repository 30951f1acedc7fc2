"""What a client says of itself in the first request of a stream. Only this is kept: Envoy's node has 30 kB."""

from dataclasses import dataclass
from typing import Any

from gossipreg.gateway.xds.model import Audience, ClientKind
from gossipreg.gateway.xds.streams.discovery_requests import printable
from gossipreg.model import fold_name

CHARACTERS = 256
"""Kept of each text."""


@dataclass(frozen=True, slots=True)
class ClientNode:
    id: str
    cluster: str
    region: str
    zone: str
    kind: ClientKind
    agent: str
    """The program, in its own words."""
    version: str
    service: str = ""
    """The service whose Envoy it says it is, in lower case; only of Envoy."""

    @property
    def audience(self) -> Audience:
        return Audience(self.kind, self.zone, self.service)


UNNAMED = ClientNode("", "", "", "", ClientKind.GRPC, "", "")
"""A client that sent no node."""


def read_node_untrusted(node: Any) -> ClientNode:
    """From the protobuf `envoy.config.core.v3.Node`."""
    agent = _kept(node.user_agent_name)
    locality = node.locality
    kind = kind_of(agent)
    return ClientNode(
        id=_kept(node.id),
        cluster=_kept(node.cluster),
        region=_kept(locality.region),
        zone=_kept(locality.zone),
        kind=kind,
        agent=agent,
        version=_version(node),
        service=_service(node) if kind is ClientKind.ENVOY else "",
    )


def kind_of(agent: str) -> ClientKind:
    """By the `user_agent_name` of a node."""
    if agent.startswith("envoy"):
        return ClientKind.ENVOY
    if agent.startswith("gRPC C-core"):
        return ClientKind.GRPC_CORE
    if agent.startswith("gRPC Node"):
        return ClientKind.GRPC_JS
    return ClientKind.GRPC


def _version(node: Any) -> str:
    if node.user_agent_version:
        return _kept(node.user_agent_version)
    if not node.HasField("user_agent_build_version"):
        return ""
    number = node.user_agent_build_version.version
    return f"{number.major_number}.{number.minor_number}.{number.patch}"


def _service(node: Any) -> str:
    """From the metadata that `gossipreg xds bootstrap --service` writes."""
    fields = node.metadata.fields
    ours = fields["gossipreg"].struct_value.fields if "gossipreg" in fields else {}
    return fold_name(_kept(ours["service"].string_value)) if "service" in ours else ""


def _kept(text: str) -> str:
    return printable(text, CHARACTERS)
