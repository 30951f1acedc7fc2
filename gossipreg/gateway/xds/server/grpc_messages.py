"""Messages of gRPC in a stream of bytes: each has a flag, its length in four bytes, and itself (PROTOCOL-HTTP2.md of
gRPC)."""

from collections.abc import Iterable
from struct import Struct

from gossipreg.gateway.xds.server.grpc_status import GrpcFault, GrpcStatus

MESSAGE_MAX_BYTES = 4 * 1024 * 1024
"""What gRPC takes by default, too. An Envoy's request has about 30 kB."""
_PREFIX = Struct(">BL")
PREFIX_BYTES = _PREFIX.size


class MessageReader:
    """Bytes of one call in, whole messages out."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: bytearray | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of a message that is not whole."""
        return len(self._held or b"")

    def feed_untrusted(self, data: bytes) -> list[bytes]:
        """The messages that are whole now. Raises GrpcFault for one that is too long, or compressed."""
        if self._held is None and len(data) >= PREFIX_BYTES and _length_untrusted(data, 0) + PREFIX_BYTES == len(data):
            return [data[PREFIX_BYTES:]]
        held = self._held or bytearray()
        held += data
        found: list[bytes] = []
        at = 0
        while len(held) - at >= PREFIX_BYTES:
            end = at + PREFIX_BYTES + _length_untrusted(held, at)
            if end > len(held):
                break
            found.append(bytes(held[at + PREFIX_BYTES : end]))
            at = end
        del held[:at]
        self._held = held or None
        return found


def _length_untrusted(data: bytes | bytearray, at: int) -> int:
    flag, length = _PREFIX.unpack_from(data, at)
    if flag:
        raise GrpcFault(
            GrpcStatus.INTERNAL, "a compressed message, and the call names no compression", "xds_bad_message"
        )
    if length > MESSAGE_MAX_BYTES:
        text = f"a message of {length} bytes: at most {MESSAGE_MAX_BYTES}"
        raise GrpcFault(GrpcStatus.RESOURCE_EXHAUSTED, text, "xds_long_message")
    return int(length)


def framed(messages: Iterable[bytes]) -> bytes:
    """The messages as a call carries them, not compressed."""
    return b"".join(part for message in messages for part in (_PREFIX.pack(0, len(message)), message))
