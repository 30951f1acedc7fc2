"""Discovery requests: bytes -> protobufs, and what is wrong with them. What a client says of itself in its first
request is in `client_node.py`.
"""

from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from google.protobuf.message import DecodeError

from gossipreg.errors import GossipregError
from gossipreg.gateway.xds.model import ResourceType

SERVED: dict[str, ResourceType] = {type.value: type for type in ResourceType}
"""The types that are answered, by their URLs, in the order in which a client must get them."""
NAME_CHARACTERS = 4096
"""More than any name that can be answered has, and its authority and type in an xdstp URL: a program that calls a wrong
name must not lose the stream on which it follows the others."""
TEXT_KEPT = 1024
"""Characters that are kept of the reason of a NACK: it holds the first errors, which tell what is wrong."""


class BadRequest(GossipregError):
    """A client sent a discovery request that cannot be used. The client is at fault; its call ends with
    INVALID_ARGUMENT and this text. `reason` is a short fixed name, under which it is counted."""

    code = "bad_discovery_request"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def read_sotw_untrusted(message: bytes) -> Any:
    """A DiscoveryRequest (state of the world). Raises BadRequest."""
    return _read(DiscoveryRequest, message)


def read_delta_untrusted(message: bytes) -> Any:
    """A DeltaDiscoveryRequest. Raises BadRequest."""
    return _read(DeltaDiscoveryRequest, message)


def _read(form: Any, message: bytes) -> Any:
    try:
        return form.FromString(message)
    except DecodeError:
        raise BadRequest("xds_not_protobuf", f"{len(message)} bytes are no {form.__name__} of xDS v3") from None


def check_names(names: list[str]) -> None:
    """Raises BadRequest if one is too long."""
    for name in names:
        if len(name) > NAME_CHARACTERS:
            raise BadRequest(
                "xds_name_too_long",
                f"resource name {name[:60]!r}... has {len(name)} characters: ask for at most {NAME_CHARACTERS}",
            )


def printable(text: str, characters: int) -> str:
    """The beginning of a text of a client, fit for a line of the log."""
    cut = text[:characters]
    return cut if cut.isprintable() else "".join(char if char.isprintable() else " " for char in cut)
