"""Voters of one journal whose messages and disks a test moves by hand: for histories that need one exact order."""

import random
from collections import deque
from collections.abc import Callable

from gossipreg.journal.effects import (
    AppliedEntry,
    ClaimLeadership,
    Confirmed,
    Established,
    JournalEffect,
    LogBase,
    ReadRecords,
    RecordsFound,
    RemoveJournal,
    SendMessage,
    Settled,
    WriteJournal,
)
from gossipreg.journal.journals import Journals
from gossipreg.journal.membership import ProcessStanding, SeenMember
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import (
    NO_BALLOT,
    START,
    Ballot,
    Configuration,
    EntryKind,
    JournalId,
    ReplicaId,
    ReplicaPlace,
)
from gossipreg.journal.replica_data import ReplicaData, StoredReplica
from gossipreg.journal.state import StateMachine
from gossipreg.journal.tuning import FOREIGN_SPACE_BYTES, JournalTuning
from gossipreg.model import BootId, NodeId
from tests.journal.cluster import Collects
from tests.journal.stored import Disk, apply_write
from tests.journal.view import View

JOURNAL = JournalId(b"j" * 16)
TUNING = JournalTuning(append_bytes=4096, tell_s=0.0)
BIG = b"x" * 5000
"""Data of an entry that has an append of its own."""


class Voter:
    def __init__(self, bench: "Bench", number: int) -> None:
        self.bench = bench
        self.number = number
        self.node = NodeId(bytes([number]) * 16)
        self.replica = ReplicaId(bytes([number]) * 16)
        self.disk = Disk()
        self.writes: deque[WriteJournal | RemoveJournal | ReadRecords] = deque()
        self.established: set[Ballot] = set()
        self.claimed: set[Ballot] = set()
        self.settled: dict[int, Settled] = {}
        self.applied: list[AppliedEntry] = []
        self.found: dict[int, tuple[bytes | None, ...]] = {}
        self.confirmed: set[int] = set()
        self.view = View()
        self.journals: Journals

    @property
    def data(self) -> ReplicaData:
        return self.journals.replicas[JOURNAL].data

    def start(self) -> None:
        """Begin with what the disk holds."""
        bench = self.bench
        self.writes.clear()
        bench.forget_messages_of(self)
        rng = random.Random(self.number)
        self.journals = Journals(
            TUNING, node=self.node, host=self.node, membership=self.view, machine=lambda _: bench.machine(),
            stored=self.disk.begin(), foreign_space_bytes=FOREIGN_SPACE_BYTES,
            rng=rng, entropy=rng.randbytes, now=bench.now,
        )  # fmt: skip

    def stand(self) -> None:
        self.journals.replicas[JOURNAL]._candidacy.stand_at_once()
        self.act(self.journals.members_changed(self.bench.now))

    def propose(self, data: bytes, ticket: int, kind: int = EntryKind.DATA) -> None:
        self.act(self.journals.propose(JOURNAL, data, ticket, self.bench.now, kind=kind))

    def see(self, other: "Voter", standing: ProcessStanding) -> None:
        """The registry says this of another member's process."""
        self.view.members[other.node] = SeenMember(standing, BootId(bytes([other.number]) * 8), self.bench.now)
        self.act(self.journals.members_changed(self.bench.now))

    def write(self) -> None:
        """Complete all writes and reads."""
        while self.writes:
            self.write_one()

    def write_one(self) -> None:
        """Complete the oldest write or read."""
        asked, now = self.writes.popleft(), self.bench.now
        if isinstance(asked, ReadRecords):
            self.act(self.journals.records_read(JOURNAL, asked.number, self.disk.read(asked), now))
        else:
            apply_write(self.disk, asked)
            if isinstance(asked, WriteJournal):
                self.act(self.journals.written(asked.number, JOURNAL, now))

    def act(self, effects: list[JournalEffect]) -> None:
        for effect in effects:
            match effect:
                case SendMessage():
                    self.bench.sent.append((self, self.bench.by_node[effect.node], effect.message))
                case WriteJournal() | RemoveJournal() | ReadRecords():
                    self.writes.append(effect)
                case Established():
                    self.established.add(effect.ballot)
                case ClaimLeadership():
                    self.claimed.add(effect.ballot)
                case Confirmed():
                    self.confirmed.add(effect.number)
                case RecordsFound():
                    self.found[effect.number] = effect.values
                case AppliedEntry():
                    self.applied.append(effect)
                case Settled():
                    self.settled[effect.ticket] = effect


class Bench:
    def __init__(self, voters: int, machine: Callable[[], StateMachine] = Collects) -> None:
        self.now = 100.0
        self.machine = machine
        """Makes the state machine of each voter that starts."""
        self.sent: list[tuple[Voter, Voter, ReplicaMessage]] = []
        self.voters = [Voter(self, number + 1) for number in range(voters)]
        self.by_node = {voter.node: voter for voter in self.voters}
        places = tuple(ReplicaPlace(voter.replica, voter.node, voter.node) for voter in self.voters)
        base = LogBase(START, 0, Configuration(places))
        for voter in self.voters:
            voter.view.synced_at = 0.0
            voter.view.members = {
                other.node: SeenMember(ProcessStanding.LIVES, BootId(bytes([other.number]) * 8), 0.0)
                for other in self.voters
            }
            owner = self.voters[0].node
            voter.disk[JOURNAL] = StoredReplica(JOURNAL, voter.replica, owner, NO_BALLOT, base, (), {}, 0)
            voter.start()

    def forget_messages_of(self, voter: Voter) -> None:
        self.sent = [message for message in self.sent if voter not in message[:2]]

    def deliver(self, sender: Voter, receiver: Voter, at_most: int = 1000) -> list[ReplicaMessage]:
        """Deliver what this one has sent to that one so far, oldest first; the others stay on their way."""
        chosen = [message for message in self.sent if message[:2] == (sender, receiver)][:at_most]
        for message in chosen:
            self.sent.remove(message)
            receiver.act(receiver.journals.receive(sender.node, message[2], self.now))
        return [message for _, _, message in chosen]

    def drop(self, sender: Voter, receiver: Voter) -> None:
        self.sent = [message for message in self.sent if message[:2] != (sender, receiver)]

    def elect(self, candidate: Voter, *electors: Voter) -> None:
        """This voter stands, and these promise: all of it written and delivered; nothing else is."""
        candidate.stand()
        candidate.write()
        for elector in electors:
            self.deliver(candidate, elector)
            elector.write()
            self.deliver(elector, candidate)

    def exchange(self, leader: Voter, *followers: Voter, rounds: int = 8) -> None:
        """Everything between these is delivered and written, several times."""
        for _ in range(rounds):
            leader.write()
            for follower in followers:
                self.deliver(leader, follower)
                follower.write()
                self.deliver(follower, leader)
