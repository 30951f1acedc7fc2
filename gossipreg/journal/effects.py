"""What the journals of a sidecar ask of the world, and what they tell. They return lists of these."""

from dataclasses import dataclass
from enum import Enum

from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import (
    Ballot,
    Configuration,
    JournalId,
    LogEntry,
    Position,
    ReplicaId,
)
from gossipreg.model import NodeId

COPIES_TO_COME = "copies_to_come"
"""The code of a refused proposal for want of copies that are being made: the same may be accepted in a moment."""


def code_for_members(code: str) -> str:
    """The code with which a member is told of a refused proposal: one that every release sends again after."""
    return "unavailable" if code == COPIES_TO_COME else code


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Send this over the stream to that member; open one if there is none. If it cannot be delivered, or if it may not
    have been, the stream is reported as closed."""

    node: NodeId
    message: ReplicaMessage


@dataclass(frozen=True, slots=True)
class LogBase:
    """What a log begins with: everything up to here is in the state, and its entries are gone."""

    position: Position
    led_ms: int
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class WriteJournal:
    """One transaction on the disk. It is reported as written once it will survive a loss of power, or as failed.
    Transactions of all journals are written in the order in which they were asked for; in this one, the steps are done
    in the order of the fields."""

    number: int
    """Counts up, over all journals of a sidecar."""
    journal: JournalId
    replica: ReplicaId
    owner: NodeId
    promised: Ballot | None = None
    reset: LogBase | None = None
    """Throw away log and state, and begin with this."""
    truncate_after: int | None = None
    """Remove the entries above this index."""
    entries: tuple[LogEntry, ...] = ()
    records: tuple[tuple[bytes, bytes | None], ...] = ()
    """Changes of the state; None removes."""
    applied: int | None = None
    """The index up to which `records` and those of earlier writes have the state."""
    base: LogBase | None = None
    """Remove the entries up to here."""
    staged: tuple[tuple[int, bytes, bytes], ...] = ()
    """Large records of states that are arriving: (stage, key, value). Done before the other steps. Nobody reads them
    until a reset makes them part of the state; after the next open of the database they are gone."""
    reset_stage: int | None = None
    """With `reset`: the new state begins with the records of this stage."""
    oldest_stage: int = 0
    """Throw away stages with lower numbers, as the last step."""

    @property
    def size_bytes(self) -> int:
        entries = sum(len(entry.data) + 64 for entry in self.entries)
        staged = sum(len(key) + len(value) for _, key, value in self.staged)
        return entries + staged + sum(len(key) + len(value or b"") for key, value in self.records)


@dataclass(frozen=True, slots=True)
class RemoveJournal:
    """Remove this replica from the disk, in the order of the other writes."""

    journal: JournalId
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class ReadLog:
    """Read entries of this journal from the disk: from this index on, at most so many bytes, at least one entry."""

    journal: JournalId
    first: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """Read the values of these records from the disk, in order with the writes: all writes that were asked for before
    are seen, later ones may be. None for a record that is not there."""

    journal: JournalId
    number: int
    """Counts up, over all journals of a sidecar."""
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ClaimLeadership:
    """Say in our row that we lead this journal with this ballot."""

    journal: JournalId
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class WithdrawClaim:
    """Take that claim out of our row."""

    journal: JournalId


@dataclass(frozen=True, slots=True)
class Established:
    """Our first entry with this ballot is committed: from now on we may act for this journal."""

    journal: JournalId
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Pausing:
    """We are about to hand this journal back to its owner: begin nothing new for it."""

    journal: JournalId
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Resumed:
    """The owner did not take over: go on."""

    journal: JournalId
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Deposed:
    """We do not act for this journal any more. Entries that were waiting have an unknown outcome."""

    journal: JournalId
    ballot: Ballot
    reason: str


@dataclass(frozen=True, slots=True)
class AppliedEntry:
    """This committed entry is in the state of our replica."""

    journal: JournalId
    entry: LogEntry
    result: object = None
    """What the state machine returned."""


class ProposalOutcome(Enum):
    COMMITTED = "committed"
    UNKNOWN = "unknown"
    """It may be committed later, or never."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a proposal. `ticket` is the one that it was made with."""

    journal: JournalId
    ticket: int
    outcome: ProposalOutcome
    index: int
    copies: int
    """Disks of voters that hold it now; 0 if it is not committed."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A majority had promised nothing above our ballot after this number was asked for: we led at that time."""

    journal: JournalId
    number: int


@dataclass(frozen=True, slots=True)
class RecordsFound:
    """The values of records that were asked for under this number, in the order of their keys; None for a record that
    is not there any more. All are None where this sidecar has no replica that takes part."""

    journal: JournalId
    number: int
    values: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """Something that an operator may want to read: one log line."""

    kind: str
    fields: tuple[tuple[str, str | int | float], ...] = ()


JournalEffect = (
    SendMessage | WriteJournal | RemoveJournal | ReadLog | ReadRecords | ClaimLeadership | WithdrawClaim | Established
    | Pausing | Resumed | Deposed | AppliedEntry | Settled | Confirmed | RecordsFound | JournalEvent
)  # fmt: skip
