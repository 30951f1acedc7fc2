"""What sidecars say to each other about events. They travel over the same streams as the messages of replicas.

    publishing   ForwardPublish -> PublishAnswers: the owner's sidecar to whoever leads its journal now
    delivery     Deliveries -> DeliveryOutcomes; WindowOpened, once there is room again
    questions    EventsCall -> EventsReply: groups, dead letters, traces, and what a person decides about them

Delivery has no timer at the sender: the receiver answers each delivery, however long its handler takes, and when the
stream breaks everything that was not answered is delivered once more. The receiver joins it to the handler that runs.
"""

from dataclasses import dataclass
from enum import IntEnum

from gossipreg.events.membership import KnownGroup
from gossipreg.journal.model import Ballot, JournalId

MAX_BATCH_BYTES = 256 * 1024
"""Of the events of one message, unless a single one is larger."""
MAX_REPLY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMessage:
    """Base class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPublish(EventMessage):
    journal: JournalId
    number: int
    """Counts up at the sender; the answer has it."""
    event: bytes
    keep_ms: int
    groups: tuple[KnownGroup, ...] = ()
    """Those that mean the event, as the publisher's sidecar knew them when it was published: the leader may not have
    heard of one yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishAnswers(EventMessage):
    journal: JournalId
    number: int
    code: str
    """Empty: it is durable. Otherwise the code of the error."""
    text: str
    """The error for people."""
    index: int
    copies: int
    takeover: bool
    duplicate: bool
    groups: int


@dataclass(frozen=True, slots=True)
class Delivery:
    group: str
    """Empty: broadcast, which nobody answers."""
    index: int
    attempt: int
    """From 1 on."""
    event: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries(EventMessage):
    journal: JournalId
    ballot: Ballot
    deliveries: tuple[Delivery, ...]


class DeliveryResult(IntEnum):
    ACKED = 0
    REJECTED = 1
    """The handler does not want it, ever: a dead letter."""
    FAILED = 2
    """Try again; this was an attempt."""
    DIED = 3
    """The handler's process ended or hung up meanwhile; an attempt."""
    NO_SUBSCRIBER = 4
    """Nobody here takes it now; no attempt."""
    NO_ROOM = 5
    """The window is full; no attempt. WindowOpened follows."""
    UNREACHABLE = 6
    """The handler's port refuses connections; no attempt."""
    OLD_BALLOT = 7
    """A newer leader has delivered already."""


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    group: str
    index: int
    attempt: int
    result: DeliveryResult
    text: str
    """Why, for people."""
    after_ms: int
    """Not before this; 0: as the backoff says."""
    hold: bool
    """A dead letter holds its key (the subscription's `on_dead`)."""
    max_attempts: int
    """Of the subscription that handled it; 0: the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcomes(EventMessage):
    journal: JournalId
    ballot: Ballot
    outcomes: tuple[DeliveryOutcome, ...]
    windows: tuple[tuple[str, int], ...]
    """(group, how many deliveries to it this leader may leave unanswered from now on)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOpened(EventMessage):
    """There is room, or a subscriber, again for these groups."""

    journal: JournalId
    windows: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsCall(EventMessage):
    number: int
    method: str
    params: bytes
    """A msgpack map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsReply(EventMessage):
    number: int
    code: str
    """Empty: it is the result. Otherwise the code of the error, and `result` its text."""
    result: bytes
    """A msgpack value."""
