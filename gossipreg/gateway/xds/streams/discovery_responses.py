"""Discovery responses as bytes. What all streams share of a response is made once; the nonce, which is each stream's
own, is appended to it, since the fields of a protobuf may stand in any order.

The form is that of `envoy/service/discovery/v3/discovery.proto`; the numbers below are those of its fields. A resource
comes serialised already, so a response is made by joining bytes.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gossipreg.blake2 import blake2b
from gossipreg.gateway.xds.model import Resource, ResourceType

KEPT_BYTES = 8 << 20
KEPT_RESPONSES = 4096
"""What is kept of shared responses until the next change. Beyond, they are made again: this costs a copy of their
bytes."""
_VERSION_TAG, _RESOURCE_TAG, _TYPE_TAG, _NONCE_TAG, _REMOVED_TAG = b"\x0a", b"\x12", b"\x22", b"\x2a", b"\x32"
"""Fields 1, 2, 4, 5 of both responses, and 6 of the delta one, each of a length and bytes."""
_IN_RESOURCE_VERSION, _IN_RESOURCE_ANY, _IN_RESOURCE_NAME = b"\x0a", b"\x12", b"\x1a"
"""Fields 1, 2, 3 of `Resource`."""


class SentResponse(NamedTuple):
    """What is remembered of a response until the client has answered it. Not its bytes: a client that never answers
    would keep those of many responses."""

    version: str
    """Equal content has an equal version, also in another sidecar and after a restart."""
    names: tuple[str, ...]


class SharedResponse(NamedTuple):
    sent: SentResponse
    """One for all streams."""
    body: bytes
    """The response without its nonce."""

    def with_nonce(self, nonce: str) -> bytes:
        return self.body + _NONCE_TAG + _sized(nonce.encode())


class SharedResponses:
    """Those that were made since the last change of any resource."""

    def __init__(self) -> None:
        self._made: dict[tuple[bool, ResourceType, tuple[Resource, ...]], SharedResponse] = {}
        self.kept_bytes = 0

    def __len__(self) -> int:
        return len(self._made)

    def clear(self) -> None:
        self._made.clear()
        self.kept_bytes = 0

    def sotw(self, type: ResourceType, resources: tuple[Resource, ...]) -> SharedResponse:
        """A DiscoveryResponse with these resources."""
        key = (False, type, resources)
        return self._made.get(key) or self._keep(key, _sotw(type, resources))

    def delta(self, type: ResourceType, resources: tuple[Resource, ...], removed: Sequence[str]) -> SharedResponse:
        """A DeltaDiscoveryResponse with these resources and removed names."""
        key = (True, type, resources)
        made = self._made.get(key) or self._keep(key, _delta(type, resources))
        if not removed:
            return made
        names = b"".join(_REMOVED_TAG + _sized(name.encode()) for name in removed)
        return made._replace(body=made.body + names)

    def _keep(self, key: tuple[bool, ResourceType, tuple[Resource, ...]], made: SharedResponse) -> SharedResponse:
        if self.kept_bytes + len(made.body) > KEPT_BYTES or len(self._made) >= KEPT_RESPONSES:
            self.clear()
        if len(made.body) <= KEPT_BYTES:
            self._made[key] = made
            self.kept_bytes += len(made.body)
        return made


def _sotw(type: ResourceType, resources: tuple[Resource, ...]) -> SharedResponse:
    return _joined(type, resources, (one.any for one in resources))


def _delta(type: ResourceType, resources: tuple[Resource, ...]) -> SharedResponse:
    return _joined(type, resources, (_wrapped(one) for one in resources))


def _joined(type: ResourceType, resources: tuple[Resource, ...], encoded: Iterable[bytes]) -> SharedResponse:
    version = version_of(resources)
    parts = [_VERSION_TAG, _sized(version.encode()), _TYPE_TAG, _sized(type.encode())]
    for one in encoded:
        parts += (_RESOURCE_TAG, _sized(one))
    return SharedResponse(SentResponse(version, tuple([one.name for one in resources])), b"".join(parts))


def _wrapped(resource: Resource) -> bytes:
    version, name = resource.version.encode(), resource.name.encode()
    return b"".join((
        *(_IN_RESOURCE_VERSION, _sized(version)),
        *(_IN_RESOURCE_NAME, _sized(name)),
        *(_IN_RESOURCE_ANY, _sized(resource.any)),
    ))  # fmt: skip


def version_of(resources: Sequence[Resource]) -> str:
    """The version of a response with these resources."""
    if len(resources) == 1:
        return resources[0].version
    return blake2b("\n".join(one.version for one in resources).encode(), digest_size=8).hexdigest()


def _sized(data: bytes) -> bytes:
    """With its length before it, as a varint of base 128."""
    size = len(data)
    if size < 0x80:
        return bytes((size,)) + data
    head = bytearray()
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + data
