"""What travels over streams: the bytes of each message, and how urgent it is.

So far these are the messages of replicas. Whoever sends others over the same streams adds their kinds here, from
`codec.FIRST_FOREIGN_KIND` on.
"""

from gossipreg.errors import BadDatagram
from gossipreg.journal.codec import decode_message_untrusted, encode_message
from gossipreg.journal.messages import InstallState, ReplicaMessage
from gossipreg.streams.values import StreamClass, StreamFault


def class_of(message: ReplicaMessage) -> StreamClass:
    """The state of a journal can be large and waits for everything else; its acks do not."""
    return StreamClass.STATE if isinstance(message, InstallState) else StreamClass.CONSENSUS


def bytes_of(message: ReplicaMessage) -> bytes:
    """ValueError where the message is larger than any may be."""
    return encode_message(message)


def message_untrusted(data: bytes) -> ReplicaMessage | None:
    """The message; None where its kind is of a later release. StreamFault where it is none."""
    try:
        return decode_message_untrusted(data)
    except BadDatagram as error:
        raise StreamFault("stream_bad_message", str(error)) from None
