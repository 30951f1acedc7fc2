"""What replicas of one journal say to each other. They travel over a stream between two processes: in order, and until
it breaks; each names its journal, its sender's replica and the receiver's.

    pre-vote       PreVote -> PreVoteAnswer; before that the asked may ask its leader: AskLeader -> LeaderAnswer
    election       RequestVote -> Vote
    replication    Append -> AppendAnswer; InstallState -> StateInstalled, to who is behind what the log still has
    leadership     ConfirmLeader -> LeaderConfirmed (a majority has promised nothing higher); HandOver
    coming back    ReplicaHello (how far this replica is), ReplicaLost (there is no such replica here any more)
    leaving        ReplicaLeaving (its member leaves), ReplicaDismissed
    a new copy     TakeReplica -> ReplicaTaken, ReplicaRefused
"""

from dataclasses import dataclass

from gossipreg.journal.model import Ballot, Configuration, JournalId, LogEntry, Position, ReplicaId
from gossipreg.model import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMessage:
    journal: JournalId
    sender: ReplicaId
    receiver: ReplicaId


@dataclass(frozen=True, slots=True, kw_only=True)
class PreVote(ReplicaMessage):
    """Would you vote for me? Nobody promises anything yet."""

    attempt: int
    position: Position
    """Where the sender's log ends."""
    promised: Ballot
    """A leader below this cannot have the sender's acknowledgement any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreVoteAnswer(ReplicaMessage):
    attempt: int
    granted: bool
    promised: Ballot
    """The highest that the sender has promised: the candidate needs a higher round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVote(ReplicaMessage):
    ballot: Ballot
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote(ReplicaMessage):
    ballot: Ballot
    """The one that was asked for."""
    granted: bool
    promised: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class Append(ReplicaMessage):
    ballot: Ballot
    before: Position
    """The position of the entry before `entries`: the receiver must have it."""
    entries: tuple[LogEntry, ...]
    commit: int
    """The index up to which the log is committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendAnswer(ReplicaMessage):
    ballot: Ballot
    """That of the append."""
    matches: bool
    index: int
    """If it matches: how far the sender's disk holds the leader's log. If not: an index at which it may match."""
    promised: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallState(ReplicaMessage):
    """A piece of the state that a log begins with. Pieces are numbered from 0 and sent one after the other."""

    ballot: Ballot
    base: Position
    led_ms: int
    configuration: Configuration
    number: int
    records: tuple[tuple[bytes, bytes], ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInstalled(ReplicaMessage):
    ballot: Ballot
    base: Position
    number: int
    """The piece that is answered. After the last one, the state is on the sender's disk."""
    promised: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class AskLeader(ReplicaMessage):
    """Do you lead?"""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderAnswer(ReplicaMessage):
    number: int
    leads: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmLeader(ReplicaMessage):
    ballot: Ballot
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderConfirmed(ReplicaMessage):
    ballot: Ballot
    number: int
    promised: Ballot
    """Equal to `ballot` if the sender has promised nothing higher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver(ReplicaMessage):
    """Stand now, without a pre-vote: your log is complete and the sender accepts nothing more."""

    ballot: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaHello(ReplicaMessage):
    """Sent to the leader by a replica that has started, whose disk works again, or whose member was held for dead; once
    more until the leader has reached it, or dismissed it."""

    promised: Ballot
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLost(ReplicaMessage):
    """The replica that was spoken to is not here any more: it votes and acknowledges nothing, for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaDismissed(ReplicaMessage):
    """The receiver is removed from the disk: it is in no configuration any more, and that is committed; or it has lost
    entries that it had acknowledged, so it must not vote."""

    ballot: Ballot
    """With which the sender leads. None: the journal has ended, whoever says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLeaving(ReplicaMessage):
    """Sent to the leader by a voter of a bare majority whose member is about to leave: replace it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReplica(ReplicaMessage):
    """Begin a copy of this journal. `receiver` is empty: it has no replica yet."""

    number: int
    owner: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTaken(ReplicaMessage):
    """`sender` is the id of the new copy, which is on the disk."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRefused(ReplicaMessage):
    number: int
    reason: str
