"""Read a datagram that is not sealed: the kind and size of each message, decoding no more than needed."""

from collections.abc import Iterator

from gossipreg.errors import BadDatagram
from gossipreg.model import NodeId
from gossipreg.wire import codec, messages
from gossipreg.wire.messages import Delta
from gossipreg.wire.seal import HEADER_BYTES

KINDS = {
    number: name.lower()
    for name, number in vars(messages).items()
    if isinstance(number, int) and name.title().replace("_", "") in vars(messages)
}
"""The names of the kinds (hello, probe, ...) by their numbers."""


def sizes(datagram: bytes) -> Iterator[tuple[str, int]]:
    """Yield each message's kind, and its size with the bytes for kind and length."""
    at = HEADER_BYTES
    while at < len(datagram):
        kind, length, head = datagram[at], datagram[at + 1], 2
        if length >= 0x80:
            length, head = (length & 0x7F) << 8 | datagram[at + 2], 3
        yield KINDS[kind], head + length
        at += head + length


def deltas_of(datagram: bytes, id: NodeId) -> list[Delta]:
    """Return the deltas of this member's row in the datagram."""
    if datagram.find(id) < 0:
        return []
    try:
        found, _ = codec.decode_untrusted(datagram[HEADER_BYTES:])
    except BadDatagram:
        return []
    return [message for message in found if type(message) is Delta and message.id == id]
