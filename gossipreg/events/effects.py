"""What the events of a sidecar ask of the world, and what they tell. Their parts return lists of these."""

from dataclasses import dataclass
from typing import NamedTuple

from gossipreg.events.entries import EventEntryKind
from gossipreg.events.messages import EventMessage
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId


@dataclass(frozen=True, slots=True)
class ProposeEntry:
    """Append this to a journal that is led here: `Journals.propose`. What was refused comes back at once."""

    journal: JournalId
    kind: EventEntryKind
    data: bytes
    ticket: int
    ends: bool
    """It ends something, and so may use the room that is kept for that."""


@dataclass(frozen=True, slots=True)
class OpenOwnJournal:
    """Open the journal of this sidecar: `Journals.open`. What comes of it comes back at once."""


@dataclass(frozen=True, slots=True)
class ActsUnderWay:
    """The number of unanswered deliveries of a journal that is about to be handed over: `Journals.acts`."""

    journal: JournalId
    count: int


@dataclass(frozen=True, slots=True)
class ConfirmLead:
    """`Journals.confirm` with this number; `Confirmed` follows, or never: then it is asked for again."""

    journal: JournalId
    number: int


@dataclass(frozen=True, slots=True)
class ReadPayloads:
    """Read these events of a journal from its state: `Journals.read_records` with `payload_key` of each."""

    journal: JournalId
    number: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendEventMessage:
    """Send this to that member, which may be ourselves. If it cannot be delivered, the stream is reported as closed."""

    node: NodeId
    message: EventMessage


@dataclass(frozen=True, slots=True)
class HandleEvent:
    """Hand this event to a subscription here; its outcome comes back with this number."""

    subscription: int
    number: int
    """Of this handling; 0: nobody waits for an outcome (broadcast, tail). `Receiving.done` makes room then, too."""
    group: str
    journal: JournalId
    index: int
    attempt: int
    event: bytes


@dataclass(frozen=True, slots=True)
class DropHandling:
    """Nobody waits for the outcome of this handling any more."""

    subscription: int
    number: int


@dataclass(frozen=True, slots=True)
class PublishSettled:
    """What became of a publish. `code` is empty where the event is durable."""

    ticket: int
    code: str
    text: str
    journal: JournalId
    index: int
    copies: int
    takeover: bool
    duplicate: bool
    groups: int


@dataclass(frozen=True, slots=True)
class AnnounceSubscription:
    """Say in our row that this sidecar has a subscription, or knows a group (`announced.py`); None takes it out."""

    kind: int
    slot: int
    value: bytes | None


class RanGroup(NamedTuple):
    """A pattern of a group that ran beside this sidecar."""

    group: str
    pattern: str
    idle_s: float = 0.0
    """For how long no subscription here had it, as far as a sidecar counted."""


@dataclass(frozen=True, slots=True)
class KeepGroups:
    """Keep these over a restart, in place of what was kept: soon, and nobody waits for it."""

    groups: tuple[RanGroup, ...]


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The answer to a question that was asked of a member; `code` and `result` as in EventsReply."""

    number: int
    code: str
    result: bytes


@dataclass(frozen=True, slots=True)
class LogEvents:
    """Something that an operator may want to read: one log line, and a counter of this name."""

    kind: str
    fields: tuple[tuple[str, str | int | float], ...] = ()


EventEffect = (
    ProposeEntry | OpenOwnJournal | ActsUnderWay | ConfirmLead | ReadPayloads | SendEventMessage | HandleEvent
    | DropHandling | PublishSettled | AnnounceSubscription | KeepGroups | CallAnswered | LogEvents
)  # fmt: skip
