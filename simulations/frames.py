"""What is in a datagram that is not sealed, by kind and size; nothing is decoded that needs not be."""

from collections.abc import Iterator

from gossipreg.errors import BadDatagram
from gossipreg.model import NodeId
from gossipreg.wire import codec, messages
from gossipreg.wire.messages import Delta
from gossipreg.wire.seal import HEADER_BYTES

KINDS = {
    number: name.lower()
    for name, number in vars(messages).items()
    if isinstance(number, int) and name.title() in vars(messages)
}
"""hello, probe, ... by the number of the kind."""


def sizes(datagram: bytes) -> Iterator[tuple[str, int]]:
    """Each message's kind, and its bytes with kind and length."""
    at = HEADER_BYTES
    while at < len(datagram):
        kind, length, head = datagram[at], datagram[at + 1], 2
        if length >= 0x80:
            length, head = (length & 0x7F) << 8 | datagram[at + 2], 3
        yield KINDS[kind], head + length
        at += head + length


def deltas_of(datagram: bytes, id: NodeId) -> list[Delta]:
    """The pages of this member's row in it."""
    if datagram.find(id) < 0:
        return []
    try:
        found, _ = codec.decode_untrusted(datagram[HEADER_BYTES:])
    except BadDatagram:
        return []
    return [message for message in found if type(message) is Delta and message.id == id]
