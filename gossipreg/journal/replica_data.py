"""What all parts of one replica work on: its log, its promise, its state, and whom it takes for the leader.

Owns: how these change together. Never knows: who stands or leads, or what a message says; the parts decide.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gossipreg.journal.context import JournalContext
from gossipreg.journal.disk import ReplicaDisk
from gossipreg.journal.effects import AppliedEntry, LogBase, SendMessage
from gossipreg.journal.log import ReplicaLog
from gossipreg.journal.membership import LeaderClaim
from gossipreg.journal.messages import ReplicaDismissed, ReplicaMessage
from gossipreg.journal.model import (
    NO_BALLOT,
    START,
    Ballot,
    Configuration,
    EntryKind,
    JournalId,
    LogEntry,
    ReplicaId,
    ReplicaPlace,
)
from gossipreg.journal.reading import RecordReader
from gossipreg.journal.state import JournalState, Records, StateMachine
from gossipreg.model import NodeId


@dataclass(frozen=True, slots=True)
class StoredReplica:
    """What the disk holds of one replica."""

    journal: JournalId
    replica: ReplicaId
    owner: NodeId
    """The member whose journal it is."""
    promised: Ballot
    base: LogBase
    entries: tuple[LogEntry, ...]
    """Those above the base."""
    records: dict[bytes, bytes]
    """The small ones."""
    applied: int
    large: Mapping[bytes, int] = field(default_factory=dict)
    """The sizes of the large records."""


MAX_TAKEOVERS = 8
"""That are remembered: the wait for the owner's return is at its longest by then."""


KEPT_FOR_STATE = 8
"""How many times as long as otherwise a log may be while a replica gets a state."""


class OutOfService(Enum):
    """Why a replica takes no part."""

    DISK = "its disk failed"
    """It takes part again when the disk was closed, opened and read."""
    UNKNOWN_KIND = "a committed entry is of a newer release"
    GIVEN_UP = "it was given up"


@dataclass(frozen=True, slots=True)
class HeardLeader:
    """A leader that was heard from, or promised to, and whose row may be on its way."""

    claim: LeaderClaim
    until: float


class ReplicaData:
    def __init__(self, context: JournalContext, stored: StoredReplica, machine: StateMachine) -> None:
        self.context = context
        self.journal = stored.journal
        self.replica = stored.replica
        self.owner = stored.owner
        self.promised = stored.promised
        self.log = ReplicaLog(stored.base, stored.entries)
        self.log.forget_in_memory(stored.applied)
        self.state = JournalState(machine, Records(dict(stored.records), stored.large), stored.applied)
        self.committed = stored.applied
        """Known to be committed up to this index."""
        self.disk = ReplicaDisk(
            context, stored.journal, stored.replica, stored.owner, self.log.last.index, stored.applied
        )
        self.reader = RecordReader(context, stored.journal, self.state, self.disk)
        self.takeovers: deque[int] = deque(maxlen=MAX_TAKEOVERS)
        """The led times at which another member than the owner began to lead."""
        self.heard: HeardLeader | None = None
        self.out: OutOfService | None = None
        self.over = False
        """The end of the journal is committed, or a replica that knows of it said so: `end` follows."""
        self.unneeded = False
        """It is removed from the disk: it holds nothing, and nobody leads its journal (`empty_copy.py`)."""

    # -- the configuration -------------------------------------------------------------------------------------------

    @property
    def configuration(self) -> Configuration:
        return self.log.configuration

    @property
    def ended(self) -> bool:
        """Whether this is all that is left of a journal: that it has ended."""
        base = self.log.base
        return not base.configuration.voters and base.position != START

    @property
    def holds_nothing(self) -> bool:
        """Whether this is a new copy that no leader has sent anything: it does not even know who votes."""
        return self.log.last == START and not self.configuration.voters

    @property
    def size_bytes(self) -> int:
        """What log and state take, about, on the disk."""
        return self.log.size_bytes + self.state.records.size_bytes

    @property
    def space_bytes(self) -> int:
        """The same, with what has arrived of a state that is none yet."""
        return self.size_bytes + self.disk.staged_bytes

    @property
    def fill(self) -> float:
        """Which part of what it may have at most the journal takes."""
        return self.size_bytes / self.context.tuning.journal_bytes

    @property
    def survives_one(self) -> bool:
        """Whether the others can go on without any one of the voters: those of now, and those of the last configuration
        that is committed, since others may not have a later one."""
        return self.configuration.survives_one and self.log.configuration_at(self.committed).survives_one

    @property
    def votes(self) -> bool:
        """Whether this replica is a voter."""
        return self.configuration.has_voter(self.replica)

    def others(self) -> tuple[ReplicaPlace, ...]:
        """The other replicas that get entries."""
        return tuple(place for place in self.configuration.places if place.replica != self.replica)

    def other_voters(self) -> tuple[ReplicaPlace, ...]:
        return tuple(place for place in self.configuration.all_voters if place.replica != self.replica)

    def place_of(self, replica: ReplicaId) -> ReplicaPlace | None:
        return self.configuration.find(replica)

    # -- the promise -------------------------------------------------------------------------------------------------

    def promise(self, ballot: Ballot) -> None:
        """Promise nothing lower. An answer that says so must be held until it is on the disk."""
        if ballot > self.promised:
            self.promised = ballot
            self.disk.promise(ballot)

    def hear(self, ballot: Ballot, node: NodeId) -> None:
        """Take this member for the leader for a while: it appends with this ballot, or was promised it."""
        boot_id = self.context.membership.member(node).boot_id
        until = self.context.now + self.context.tuning.heard_s
        self.heard = HeardLeader(LeaderClaim(ballot, node, boot_id), until)

    # -- the log -----------------------------------------------------------------------------------------------------

    def append(self, entry: LogEntry) -> None:
        self.log.append(entry)
        self.disk.append(entry)

    def commit(self, index: int) -> None:
        """The log is committed up to this index: put it into the state."""
        if index <= self.committed:
            return
        self.committed = index
        self.apply()

    def apply(self) -> None:
        """Apply what is committed and was not applied yet."""
        log, state = self.log, self.state
        while state.applied < self.committed and self.out is None and not self.over:
            entries = log.slice(state.applied + 1, 1)
            assert entries, "what is not applied stays in memory"
            entry = entries[0]
            if not state.understands(entry.kind):
                self.out = OutOfService.UNKNOWN_KIND
                self.context.event("journal_unknown_kind", journal=self.journal.hex(), entry_kind=entry.kind)
                return
            result = state.apply(entry)
            if entry.kind == EntryKind.BALLOT:
                self._note_leader(entry)
            self.over = entry.kind == EntryKind.END
            self.context.effects.append(AppliedEntry(self.journal, entry, result))
        self.disk.record(state.records.take_changes(state.applied), state.applied)
        self._forget()

    def written(self, sending: int | None) -> None:
        """The disk holds more: let go of what is not needed any more. `sending`: the index of a state that is being
        sent to a replica."""
        self.state.records.on_disk(self.disk.applied)
        self._forget()
        self._cut(sending)

    def _forget(self) -> None:
        self.log.forget_in_memory(min(self.disk.applied, self.disk.durable))

    def note_end(self, dismissed_by: Ballot) -> bool:
        """We are dismissed by a leader with this ballot; none: the journal has ended, as a replica that knows it says.
        Returns whether that is kept: whoever was told that an entry of this journal is durable may ask for it."""
        if dismissed_by == NO_BALLOT and self.out is None and self.log.last != START:
            self.over = True
        return self.over

    def end(self) -> None:
        """Keep of the journal only that it has ended. Nothing follows its last entry, if that is here."""
        position = self.log.last
        base = LogBase(position, self.log.last_led_ms, Configuration(()))
        self.over, self.log, self.committed = False, ReplicaLog(base), position.index
        self.state.install(Records({}), position.index)
        self.disk.reset(base, {})
        self.context.event("journal_ended", journal=self.journal.hex(), owner=self.owner.hex())

    def _note_leader(self, entry: LogEntry) -> None:
        place = self.place_of(entry.ballot.replica)
        if place is None or place.node != self.owner:
            self.takeovers.append(entry.led_ms)

    def _cut(self, sending: int | None) -> None:
        """Cut a long log, as far as its entries are in the state on the disk. What a replica needs that gets a state
        now stays, up to a bound: else it would need the next state, and so for ever while there are many entries."""
        index, limit = self.disk.applied, self.context.tuning.cut_bytes
        if sending is not None and self.log.size_bytes <= limit * KEPT_FOR_STATE:
            index = min(index, sending)
        if self.log.size_bytes <= limit or index <= self.log.base.position.index:
            return
        if not self.log.configuration_at(index).voters:
            return  # a new copy, before the entry that names the voters: cut here, it would look like an ended journal
        if self.log.led_ms_at(index) is not None:
            self.disk.cut(self.log.cut(index))

    # -- messages ----------------------------------------------------------------------------------------------------

    def send(self, node: NodeId, message: ReplicaMessage) -> None:
        self.context.effects.append(SendMessage(node, message))

    def send_when_written(self, node: NodeId, message: ReplicaMessage) -> None:
        """Send it when everything that was written so far is on the disk."""
        self.disk.hold(SendMessage(node, message))

    def dismissal(self, replica: ReplicaId, ballot: Ballot) -> ReplicaDismissed:
        """What lets this replica go. `ballot`: with which we lead; none: the journal has ended."""
        return ReplicaDismissed(journal=self.journal, sender=self.replica, receiver=replica, ballot=ballot)
