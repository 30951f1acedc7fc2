"""What a client says of itself in the first request of a stream. Only this is kept: Envoy's node has 30 kB."""

from dataclasses import dataclass
from typing import Any

from gossipreg.gateway.xds.discovery_requests import printable
from gossipreg.gateway.xds.model import Audience, ClientKind

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

    @property
    def audience(self) -> Audience:
        return Audience(self.kind, self.zone)


UNNAMED = ClientNode("", "", "", "", ClientKind.GRPC, "", "")
"""A client that sent no node."""


def read_node_untrusted(node: Any) -> ClientNode:
    """From the protobuf `envoy.config.core.v3.Node`."""
    agent = _kept(node.user_agent_name)
    locality = node.locality
    return ClientNode(
        id=_kept(node.id),
        cluster=_kept(node.cluster),
        region=_kept(locality.region),
        zone=_kept(locality.zone),
        kind=kind_of(agent),
        agent=agent,
        version=_version(node),
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


def _kept(text: str) -> str:
    return printable(text, CHARACTERS)
