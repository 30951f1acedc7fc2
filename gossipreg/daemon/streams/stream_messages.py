"""What travels over streams: the bytes of each message, and how urgent it is.

Messages of replicas, of events and of sagas share the streams; the first byte tells them apart.
"""

from gossipreg.errors import BadDatagram
from gossipreg.events.codec import decode_event_message_untrusted, encode_event_message
from gossipreg.events.messages import (
    Deliveries,
    DeliveryOutcomes,
    EventMessage,
    EventsCall,
    EventsReply,
    WindowOpened,
)
from gossipreg.journal.codec import FIRST_FOREIGN_KIND, decode_message_untrusted, encode_message
from gossipreg.journal.messages import InstallState, ReplicaMessage
from gossipreg.sagas.saga_message_codec import FIRST_SAGA_KIND, decode_saga_message_untrusted, encode_saga_message
from gossipreg.sagas.saga_messages import CallAbandoned, ProgramHere, ProgramLost, SagaCall, SagaMessage, SagaReply
from gossipreg.streams.values import StreamClass, StreamFault

SentMessage = ReplicaMessage | EventMessage | SagaMessage

_CLASSES: dict[type[SentMessage], StreamClass] = {
    InstallState: StreamClass.STATE,
    Deliveries: StreamClass.DELIVERIES,
    **dict.fromkeys((DeliveryOutcomes, WindowOpened, EventsCall, EventsReply), StreamClass.EVENT_ACKS),
    **dict.fromkeys((SagaCall, SagaReply, CallAbandoned, ProgramHere, ProgramLost), StreamClass.EVENT_ACKS),
}


def class_of(message: SentMessage) -> StreamClass:
    """The state of a journal can be large and waits for everything else; its acks do not. What a publisher waits for is
    as urgent as what makes its event durable. A step of a saga is larger, and waits for that alone."""
    return _CLASSES.get(type(message), StreamClass.CONSENSUS)


def bytes_of(message: SentMessage) -> bytes:
    """ValueError where the message is larger than any may be."""
    match message:
        case EventMessage():
            return encode_event_message(message)
        case SagaMessage():
            return encode_saga_message(message)
        case _:
            return encode_message(message)


def message_untrusted(data: bytes) -> SentMessage | None:
    """The message; None where its kind is of a later release. StreamFault where it is none."""
    try:
        return _decode(data)
    except BadDatagram as error:
        raise StreamFault("stream_bad_message", str(error)) from None


def _decode(data: bytes) -> SentMessage | None:
    kind = data[0] if data else 0
    if kind >= FIRST_SAGA_KIND:
        return decode_saga_message_untrusted(data)
    return decode_event_message_untrusted(data) if kind >= FIRST_FOREIGN_KIND else decode_message_untrusted(data)
