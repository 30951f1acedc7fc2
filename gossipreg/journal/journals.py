"""All journals of one sidecar: composes the replicas. Members, messages, completed writes, the time and commands come
in; effects go out.

Owns: which replicas are here, and which of them gets an input. Never knows: streams, files, clocks. Each input is
complete before the next one begins. A replica that was asked for and is not here is answered as lost: it never votes or
acknowledges under that id again.
"""

import random
from collections.abc import Callable, Iterable, Sequence

from gossipreg.journal.context import JournalContext
from gossipreg.journal.effects import JournalEffect, LogBase, RecordsFound, RemoveJournal, SendMessage
from gossipreg.journal.hosting import NOBODY, may_be_dismissed, refusal, why_not
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.lost_copies import ASKS, LostNotices, NoticeTimer, lost_answer
from gossipreg.journal.membership import JournalMembership
from gossipreg.journal.messages import (
    ReplicaDismissed,
    ReplicaHello,
    ReplicaMessage,
    ReplicaTaken,
    TakeReplica,
)
from gossipreg.journal.model import (
    JOURNAL_ID_BYTES,
    NO_BALLOT,
    REPLICA_ID_BYTES,
    START,
    Configuration,
    EntryKind,
    JournalId,
    LogEntry,
    ReplicaId,
    ReplicaPlace,
)
from gossipreg.journal.recovery import RecoveredJournal
from gossipreg.journal.replica import Replica
from gossipreg.journal.replica_data import StoredReplica
from gossipreg.journal.state import StateMachine
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import NodeId

MAX_ENDED = 1_024
"""Journals that have ended and are remembered: some hundred bytes each."""


class Journals:
    def __init__(
        self,
        tuning: JournalTuning,
        *,
        node: NodeId,
        host: bytes,
        membership: JournalMembership,
        machine: Callable[[JournalId], StateMachine],
        stored: Iterable[StoredReplica],
        foreign_space_bytes: int,
        rng: random.Random,
        entropy: Callable[[int], bytes],
        now: float,
    ) -> None:
        """`stored` is what the disk holds; `machine` makes the state machine of a journal; `host` says which machine
        this is; `foreign_space_bytes`: what copies of other members' journals may take here, 0: none are taken."""
        self._context = JournalContext(tuning, node, membership, rng, entropy, now)
        self._host = host
        self._machine = machine
        self._foreign_space_bytes = foreign_space_bytes
        self._at_work: set[JournalId] = set()
        self._leaves = False
        self._lost_notices = LostNotices(self._context)
        self.replicas: dict[JournalId, Replica] = {}
        for replica in stored:
            self._add(replica)

    def _add(self, stored: StoredReplica) -> Replica:
        replica = Replica(self._context, stored, self._machine(stored.journal), self._at_work)
        self.replicas[stored.journal] = replica
        return replica

    # -- what is known -----------------------------------------------------------------------------------------------

    def machine(self, journal: JournalId) -> StateMachine | None:
        """The state machine of our replica, with what it keeps; None if there is no replica here. Another one after
        `reopened`."""
        replica = self.replicas.get(journal)
        return None if replica is None else replica.data.state.machine

    def has_takeover(self, journal: JournalId) -> bool:
        """Whether another member can go on if this one is lost: the journal has three voters."""
        replica = self.replicas.get(journal)
        return replica is not None and replica.data.survives_one

    def led_ms(self, journal: JournalId, now: float) -> int:
        """The led time of a journal that is led here; of its last entry where it is not."""
        self._context.now = now
        replica = self.replicas.get(journal)
        if replica is None:
            return 0
        return replica.data.log.last_led_ms if replica.leading is None else replica.leading.led_ms

    @property
    def own(self) -> JournalId | None:
        """The journal of this sidecar, if it was opened."""
        mine = (id for id, replica in self.replicas.items() if replica.data.owner == self._context.node)
        return next((id for id in mine if not self.replicas[id].data.ended), None)

    def fill(self, journal: JournalId) -> float | None:
        """Which part of what it may have at most this journal takes: from 0.8 on that is a trouble. None: it is not
        here."""
        replica = self.replicas.get(journal)
        return None if replica is None else replica.data.fill

    @property
    def foreign_bytes(self) -> int:
        """What the copies of other members' journals take here."""
        node, every = self._context.node, self.replicas.values()
        return sum(replica.data.space_bytes for replica in every if replica.data.owner != node)

    @property
    def electing(self) -> frozenset[JournalId]:
        """The journals for which we stand now."""
        return frozenset(self._context.electing)

    @property
    def replays(self) -> tuple[int, int]:
        """How many replicas are caught up from far behind now, and how many wait for that."""
        return self._context.replays.active, self._context.replays.waiting

    @property
    def counts(self) -> dict[str, int]:
        return self._context.counts

    def next_deadline(self) -> float:
        return self._context.timers.next_due()

    # -- inputs ------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> list[JournalEffect]:
        return self.members_changed(now)

    def members_changed(self, now: float) -> list[JournalEffect]:
        """The answers of the membership changed."""
        self._context.now = now
        for replica in self.replicas.values():
            replica.look()
        return self._settle()

    def receive(self, node: NodeId, message: ReplicaMessage, now: float) -> list[JournalEffect]:
        """A message from the process of this member."""
        self._context.now = now
        replica = self.replicas.get(message.journal)
        if replica is not None and replica.data.ended:
            self._on_ended(node, replica, message)
        elif isinstance(message, TakeReplica):
            self._on_take(node, message)
        elif replica is not None and replica.data.replica == message.receiver:
            if not isinstance(message, ReplicaDismissed):
                replica.receive(node, message)
            elif may_be_dismissed(replica, node, message.ballot) and not replica.data.note_end(message.ballot):
                self._remove(message.journal)
        elif isinstance(message, ASKS):
            self._send(node, lost_answer(message))
        return self._settle(message.journal)

    def closed(self, node: NodeId, now: float, *, refused: bool = False) -> list[JournalEffect]:
        """The stream to this member broke, or could not be opened; `refused`: its machine said that nobody listens
        there."""
        self._context.now = now
        for replica in self.replicas.values():
            replica.closed(node, refused)
        self._lost_notices.on_closed(node)
        return self._settle()

    def written(self, number: int, journal: JournalId, now: float) -> list[JournalEffect]:
        self._context.now = now
        if (replica := self.replicas.get(journal)) is not None:
            replica.written(number)
        return self._settle()

    def write_failed(self, now: float) -> list[JournalEffect]:
        """The database failed: no replica takes part until `reopened`."""
        self._context.now = now
        for replica in self.replicas.values():
            replica.write_failed()
        return self._settle()

    def reopened(self, stored: Iterable[StoredReplica], now: float) -> list[JournalEffect]:
        """The database was closed, opened and read: begin again with what it holds."""
        self._context.now = now
        before = [*self.replicas.values()]
        self.replicas.clear()
        for replica in stored:
            self._add(replica)
        self._tell_lost(before)
        return self.members_changed(now)

    def read(self, journal: JournalId, entries: tuple[LogEntry, ...], now: float) -> list[JournalEffect]:
        self._context.now = now
        if (replica := self.replicas.get(journal)) is not None:
            replica.read(entries)
        return self._settle()

    def records_read(
        self, journal: JournalId, number: int, values: Sequence[bytes | None], now: float
    ) -> list[JournalEffect]:
        """A `ReadRecords` with this number is done."""
        self._context.now = now
        if (replica := self.replicas.get(journal)) is not None:
            replica.records_read(number, values)
        return self._settle()

    def advance(self, now: float) -> list[JournalEffect]:
        """Fire the timers that are due."""
        self._context.now = now
        for name, _ in self._context.timers.pop_due(now):
            if isinstance(name, NoticeTimer):
                self._lost_notices.on_timer(name.node)
                continue
            replica = self.replicas.get(name.journal)  # type: ignore[attr-defined]  # all others name theirs
            if replica is not None:
                replica.on_timer(name)
                self._settle_all(replica.data.journal)
        return self._settle()

    # -- commands ----------------------------------------------------------------------------------------------------

    def open(self, now: float) -> tuple[JournalId, list[JournalEffect]]:
        """The journal of this sidecar; opens it if there is none. It has one voter at first, and gets the others as
        soon as there are members that take copies. Raises ProposalRefused if this sidecar is not in sync."""
        self._context.now = now
        if (own := self.own) is not None:
            return own, self._settle()
        if self._context.membership.synced_at is None:
            raise ProposalRefused("not_synced", "this sidecar is not in sync yet: try again in a moment")
        entropy = self._context.entropy
        journal, id = JournalId(entropy(JOURNAL_ID_BYTES)), ReplicaId(entropy(REPLICA_ID_BYTES))
        place = ReplicaPlace(id, self._context.node, self._host)
        base = LogBase(START, 0, Configuration((place,)))
        self._create(journal, id, self._context.node, base).look()
        return journal, self._settle()

    def propose(
        self, journal: JournalId, data: bytes, ticket: int, now: float, *, kind: int = EntryKind.DATA,
        ends: bool = False,
    ) -> list[JournalEffect]:  # fmt: skip
        """Append an entry of a kind that the state machine understands to a journal that is led here; `Settled` says
        what became of it. `ends`: it ends something (an acknowledgement, a result, a decision), so it is taken where
        others are refused for want of copies. Raises ProposalRefused."""
        self._context.now = now
        replica = self.replicas.get(journal)
        if replica is None or replica.caring is None:
            raise ProposalRefused("unavailable", "this sidecar does not lead that journal")
        replica.caring.propose(data, ticket, kind, ends=ends)
        return self._settle()

    def confirm(self, journal: JournalId, number: int, now: float) -> list[JournalEffect]:
        """Prove that we lead this journal: `Confirmed` with this number follows if we do. Raises ProposalRefused."""
        self._context.now = now
        replica = self.replicas.get(journal)
        if replica is None or replica.leading is None or not replica.leading.established:
            raise ProposalRefused("unavailable", "this sidecar does not lead that journal")
        replica.leading.confirmations.begin(number)
        return self._settle(journal)

    def acts(self, journal: JournalId, count: int, now: float) -> list[JournalEffect]:
        """Note how many acts for this journal (deliveries, commands) are under way: it is handed over after them."""
        self._context.now = now
        if (replica := self.replicas.get(journal)) is not None:
            replica.acts(count)
        return self._settle()

    def read_records(self, journal: JournalId, keys: Sequence[bytes], number: int, now: float) -> list[JournalEffect]:
        """Find the values of records of our replica: one `RecordsFound` with this number follows, at once where they
        are in memory, and whatever becomes of the replica. All values that are asked for under one number are in memory
        then. Raises ProposalRefused: too much waits for the disk."""
        self._context.now = now
        replica = self.replicas.get(journal)
        if replica is None:
            self._context.effects.append(RecordsFound(journal, number, (None,) * len(keys)))
        else:
            replica.read_records(keys, number)
        return self._settle()

    def retire(self, now: float) -> list[JournalEffect]:
        """Give up all replicas: this data directory was used by another process of ours."""
        self._context.now = now
        before = [*self.replicas.values()]
        for journal in [*self.replicas]:
            self._remove(journal)
        self._tell_lost(before)
        return self._settle()

    def _tell_lost(self, before: Iterable[Replica]) -> None:
        """Tell others which of these replicas are not here any more."""
        here = {replica.data.replica for replica in self.replicas.values()}
        for replica in before:
            if replica.data.replica not in here and not replica.data.ended:
                self._lost_notices.tell(replica.data)

    def recover(
        self, journal: JournalId, now: float, *, sure: bool = True
    ) -> tuple[RecoveredJournal, list[JournalEffect]]:  # fmt: skip
        """Make our replica the only voter of a journal whose other voters are gone for good: unsafe by design; if not
        `sure`, only look. Returns what may be missing. Raises ProposalRefused where it is led, or can be."""
        self._context.now = now
        replica = self.replicas.get(journal)
        if replica is None or replica.data.ended:
            raise ProposalRefused("not_here", "this sidecar has no copy of that journal: ask one that has")
        done = replica.recover(self._host, sure=sure)
        return done, self._settle()

    def ask_voters(self, journal: JournalId, now: float) -> list[JournalEffect]:
        """Ask the voters of a journal whether they have their copies still, before our replica is recovered."""
        self._context.now = now
        if (replica := self.replicas.get(journal)) is not None:
            replica.by_hand.ask()
        return self._settle(journal)

    def leaving(self, now: float) -> list[JournalEffect]:
        """This member is about to leave: hand over what we lead, and say so where we are needed. Leave once
        `may_leave`; it is so within 10 s. There is no way back."""
        self._context.now = now
        self._leaves = True
        for replica in self.replicas.values():
            replica.leave()
        return self._settle()

    @property
    def may_leave(self) -> bool:
        """Whether no journal needs this member any more, or each that does has had its time."""
        return self._leaves and all(replica.may_leave for replica in self.replicas.values())

    # -- copies ------------------------------------------------------------------------------------------------------

    def _create(self, journal: JournalId, id: ReplicaId, owner: NodeId, base: LogBase) -> Replica:
        replica = self._add(StoredReplica(journal, id, owner, NO_BALLOT, base, (), {}, 0))
        replica.data.disk.reset(base, {})
        return replica

    def _on_take(self, node: NodeId, message: TakeReplica) -> None:
        """Begin a copy, and say so when it is on the disk. Asked twice: the same copy, as long as it is empty."""
        replica = self.replicas.get(message.journal)
        reason = why_not(
            None if replica is None else replica.data, leaves=self._leaves,
            is_ours=message.owner == self._context.node, used_bytes=self.foreign_bytes,
            space_bytes=self._foreign_space_bytes,
        )  # fmt: skip
        if reason:
            self._send(node, refusal(message, reason))
            if replica is not None:
                replica.greet()  # from an earlier time, perhaps: then it is let go, and this member can take a new one
            return
        if replica is None:
            id = ReplicaId(self._context.entropy(REPLICA_ID_BYTES))
            replica = self._create(message.journal, id, message.owner, NOBODY)
            replica.greeting.wait()
        taken = ReplicaTaken(
            journal=message.journal, sender=replica.data.replica, receiver=message.sender, number=message.number
        )
        replica.data.send_when_written(node, taken)

    def _on_ended(self, node: NodeId, replica: Replica, message: ReplicaMessage) -> None:
        """A journal that has ended: whoever asks for it may remove its replica."""
        if isinstance(message, (*ASKS, ReplicaHello, TakeReplica)) and message.sender:
            data = replica.data
            data.send_when_written(node, data.dismissal(message.sender, NO_BALLOT))

    def _forget_ended(self) -> None:
        """Remember as many journals that have ended as there is room for, the last ones; and remove unneeded copies."""
        unneeded = [id for id, replica in self.replicas.items() if replica.data.unneeded]
        ended = [id for id, replica in self.replicas.items() if replica.data.ended]
        for journal in unneeded + ended[: max(0, len(ended) - MAX_ENDED)]:
            self._remove(journal)

    def _remove(self, journal: JournalId) -> None:
        replica = self.replicas.pop(journal)
        replica.end()
        self._context.effects.append(RemoveJournal(journal, replica.data.replica))

    def _send(self, node: NodeId, message: ReplicaMessage) -> None:
        self._context.effects.append(SendMessage(node, message))

    # -- the end of an input -----------------------------------------------------------------------------------------

    def _settle_all(self, journal: JournalId | None = None) -> None:
        """`journal`: no other one had an input. With 1,000 of them, a look at all after each message takes too long."""
        some = [*self.replicas] if journal is None else [journal] if journal in self.replicas else []
        over = [id for id in some if self.replicas[id].data.over or self.replicas[id].data.unneeded]
        for id in some:
            self.replicas[id].settle()
        for id in over:
            self.replicas[id] = self.replicas.pop(id)  # those that have ended stand in that order
        if over:
            self._forget_ended()

    def _settle(self, journal: JournalId | None = None) -> list[JournalEffect]:
        self._settle_all(journal)
        effects, self._context.effects = self._context.effects, []
        return effects
