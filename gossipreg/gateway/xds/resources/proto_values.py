"""Values of protobuf that several resources are made of, and the bytes of a resource. Equal values have equal bytes."""

from typing import Any

from envoy.config.core.v3 import config_source_pb2
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2

from gossipreg.blake2 import blake2b
from gossipreg.gateway.xds.model import Resource, ResourceType

VERSION_BYTES = 8
PLAIN_MATCH, PLAIN = "envoy.transport_socket_match", "gossipreg-plain"
"""The metadata of endpoints that take no TLS, where all others are called by mutual TLS."""


def packed(message: Any) -> Any:
    """This message in a `google.protobuf.Any`."""
    return any_pb2.Any(
        type_url=f"type.googleapis.com/{message.DESCRIPTOR.full_name}",
        value=message.SerializeToString(deterministic=True),
    )


def duration(seconds: float) -> Any:
    """To the millisecond. Rounded as a whole: clients refuse a fraction that makes a second."""
    whole_s, rest_ms = divmod(round(seconds * 1000), 1000)
    return duration_pb2.Duration(seconds=whole_s, nanos=rest_ms * 1_000_000)


def number(value: int) -> Any:
    return wrappers_pb2.UInt32Value(value=value)


def by_ads() -> Any:
    """That a resource comes by the stream that brought the one that names it."""
    config = config_source_pb2.ConfigSource(resource_api_version=config_source_pb2.ApiVersion.V3)
    config.ads.SetInParent()
    return config


def resource_from(type: ResourceType, name: str, value: bytes) -> Resource:
    """The resource with these bytes."""
    wrapped = any_pb2.Any(type_url=type, value=value).SerializeToString(deterministic=True)
    return Resource(name, blake2b(value, digest_size=VERSION_BYTES).hexdigest(), wrapped)
