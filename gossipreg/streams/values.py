"""What everything about streams speaks of: who is at an end, the classes of messages, and why a stream ended."""

from dataclasses import dataclass, field
from enum import IntEnum

from gossipreg import drops
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


WORN, KEY_LEFT, GONE, BY_PEER, STOPPED = "worn", "key_left", "gone", "by_peer", "stopped"
BROKE = "broke"
MEMBER_GONE = "member_gone"
ENDS = {
    WORN: "it was a day old, or had used up its frames",
    KEY_LEFT: "its key was taken out of the keys of the cluster",
    GONE: "the connection ended: the other process ended",
    BROKE: "the connection broke: the network failed, a firewall reset it, or the other process ended",
    BY_PEER: "the other end closed it",
    STOPPED: "the sidecar at one end stopped",
    "idle": "it was not used, and another stream needed its place",
    "crossed": "both members opened one at the same time, and the other one stayed",
    MEMBER_GONE: "the member was declared dead, or has left",
    "replaced": "a newer stream of the same member took its place",
    "crowded": "it had not proven anything, and too many others came",
    "no_address": "the member has announced no address",
    "off_loopback": "the member is on another machine, and without a key streams are for this machine only",
    "connect_timeout": "nothing answered: a firewall may let UDP through, and not TCP",
    "ECONNREFUSED": "nothing listens on TCP there: an earlier release, or one that takes no streams",
}
"""Why a stream ends, or does not open, though nobody broke a rule; what does break one is in `drops.py`."""

ONE_SIDED = frozenset((BROKE, "stream_stalled", "stream_late"))
"""Ends of open streams that the other end may not know: it has said none itself, and ours may not arrive."""
TOLD = frozenset((BY_PEER, GONE, "crossed", "replaced"))
"""Ends that the other end knows: it has closed the stream, or has another one to us. It is told of all others."""


def meaning_of_end(reason: str) -> str:
    """What a reason says to a person; empty where it is the name of another system error, or of a newer member."""
    return ENDS.get(reason) or drops.meaning(reason)


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
