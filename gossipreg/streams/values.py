"""What everything about streams speaks of: who is at an end, the classes of messages, and why a stream ended."""

from dataclasses import dataclass, field
from enum import IntEnum

from gossipreg.model import PROTOCOL, BootId, NodeId, ProtocolRange


class StreamClass(IntEnum):
    """What a message is for, in the order of sending. A message waits for one frame of lower classes at most."""

    CONSENSUS = 1
    """Votes, appends, their answers: what decides whether an entry is durable."""
    EVENT_ACKS = 2
    """Acknowledgements of delivered events."""
    DELIVERIES = 3
    """Events on their way to subscribers; the receiver grants credits for them."""
    STATE = 4
    """Pieces of the state of a journal, for a replica that is far behind."""


@dataclass(frozen=True, slots=True)
class StreamMember:
    """One end of a stream: a process of a member."""

    id: NodeId
    public_key: bytes
    """Ed25519, 32 bytes; the id is its hash, so the key proves the id."""
    boot_id: BootId
    generation: int
    cluster: str
    protocol: ProtocolRange = PROTOCOL


@dataclass(frozen=True, slots=True)
class StreamSelf:
    """Our own end."""

    member: StreamMember
    private_key: bytes = field(repr=False)
    """The seed of the Ed25519 key pair, 32 bytes."""


class StreamFault(Exception):
    """A stream, or the attempt to open one, ends. `reason` is the name under which it is counted (`drops.py`), `detail`
    a text for people. Never leaves this package and the daemon's streams."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
