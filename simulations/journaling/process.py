"""The journals of one process, beside its node: over the disk and the streams of its host.

Owns: how effects are carried out, how the database is opened again after an error, and when timers fire. Never knows:
what an entry means, or what must hold (`simulations/checkers/journals/`).

A process begins with what its disk holds, once an fsync of its own has made that durable. Before each write it looks at
the link count of its file, as the product does.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from math import inf

from gossipreg.core.journal_membership import RegistryMembership
from gossipreg.journal.announced import AnnouncedHost
from gossipreg.journal.effects import (
    ClaimLeadership,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    ReadLog,
    ReadRecords,
    RemoveJournal,
    SendMessage,
    WithdrawClaim,
    WriteJournal,
)
from gossipreg.journal.journals import Journals
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from gossipreg.journal.tuning import FOREIGN_SPACE_BYTES, JournalTuning
from gossipreg.model import NodeId
from gossipreg.retry import Retry
from simulations.host import Host
from simulations.journaling.follower import Follower
from simulations.journaling.observer import JournalObserver
from simulations.journaling.stored import StoredJournals
from simulations.world import World

OPENED = "opened"
"""The transaction by which a process makes durable what it has read."""
REOPEN = Retry(1.0, 5.0)
"""Seconds between attempts to open a database that failed."""


def host_of(host: Host) -> bytes:
    """Return the name of a machine, as journals know it."""
    return b"host" + host.number.to_bytes(4)


class JournalProcess:
    def __init__(
        self,
        world: World,
        host: Host,
        tuning: JournalTuning,
        watcher: JournalObserver,
        restored: dict[int, None],
        follow: Callable[["JournalProcess"], Follower] = lambda _: Follower(),
    ) -> None:
        """Open the database of the process that runs on this host now. `restored`: the hosts whose data directory is
        from an earlier time; a process on one of these learns that from the others' tables, and gives up its
        replicas. `follow` makes what stands on the journals of this process."""
        self.world = world
        self.host = host
        self.starts = host.starts
        self.membership = RegistryMembership(host.node, self.now)
        self._changed: dict[NodeId, None] = {}
        """Members that changed in the input that the node handles."""
        self._members_changed = False
        """Whether one of them changed otherwise than in what it announces."""
        self._incarnation = self.membership.incarnation
        self.journals: Journals | None = None
        """None until the database was opened for the first time."""
        self.established: dict[JournalId, Ballot] = {}
        self.disk = world.disk(host)
        self.stored = StoredJournals()
        """What the disk holds, as far as this process was told."""
        self.submitted = StoredJournals()
        """What the disk holds once all is on it that this process has asked for: what a read finds that is asked for
        now, since reads are done in order with the writes."""
        self.failed = False
        self.wakes = 0
        """Timers that fired."""
        self._tuning = tuning
        self._watcher = watcher
        self._restored = restored
        self._given_up: frozenset[ReplicaId] | None = None
        """Replicas that were here when it was learned that the disk is from an earlier time."""
        self._rng = world.randomness.of("journals", host.number, host.starts)
        self._wake_at = inf
        self._effects: deque[JournalEffect] = deque()
        self._asked = self._answered = 0
        """Writes of the database since it was opened: asked for, and done."""
        self._reads: deque[tuple[int, ReadRecords]] = deque()
        """Reads of records, each with the number of writes that it waits for."""
        self._acting = False
        self._again_s = 0.0
        self.follower = follow(self)
        self._open()

    @property
    def runs(self) -> bool:
        """Whether this process is the one that runs on its host."""
        return self.host.up and self.host.starts == self.starts

    @property
    def now(self) -> float:
        return self.host.local(self.world.now)

    # -- the database ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if self.runs:
            self._asked = self._answered = 0
            self._reads.clear()
            self.stored = StoredJournals(self.disk.open())
            self.submitted = self.stored.copy()
            self.disk.write(OPENED, self._opened, lambda _: self._open_later())

    def _open_later(self) -> None:
        self._again_s = REOPEN.after(self._again_s) if self._again_s else REOPEN.first_s
        self.world.after(self._again_s, lambda: self.world.to_process(self.host, self._open, network=False))

    def _opened(self) -> None:
        self._again_s, self.failed = 0.0, False
        self._watcher.on_opened(self)
        stored, host = self.stored.replicas(), self.host
        if self.journals is not None:
            self.act(self.journals.reopened(stored, self.now))
            self._given_up = None
            self._retire_if_restored()
            return
        self.world.connections.listen(host, self)
        announced = AnnouncedHost(host_of(host), takes_copies=host.durable)
        self.world.act(host, self.membership.announce_host(announced, self.now))
        self.journals = Journals(
            self._tuning, node=host.id, host=host_of(host), membership=self.membership,
            machine=self.follower.machine, stored=stored,
            foreign_space_bytes=FOREIGN_SPACE_BYTES if host.durable else 0, rng=self._rng,
            entropy=self._rng.randbytes, now=self.now,
        )  # fmt: skip
        self._retire_if_restored()
        self.input(lambda journals: journals.start(self.now))
        self.follower.begin()

    def _write(self, write: WriteJournal | RemoveJournal) -> None:
        if self.failed:
            return
        if not self.disk.links:
            self._on_failure()
            return
        self._asked += 1
        self.submitted.apply(write)
        self.disk.write(write, lambda: self._written(write), lambda _: self._on_failure())

    def _written(self, write: WriteJournal | RemoveJournal) -> None:
        self._answered += 1
        self.stored.apply(write)
        self._watcher.on_durable(self, write)
        if isinstance(write, WriteJournal) and not self.failed:
            self.input(lambda journals: journals.written(write.number, write.journal, self.now))
        self._look_whether_forgotten()
        self._read_records()

    def _on_failure(self) -> None:
        """Take no further part until the file was closed, opened and read."""
        if not self.failed:
            self.failed = True
            self.input(lambda journals: journals.write_failed(self.now))
            self._open_later()

    def _read(self, read: ReadLog) -> None:
        entries = self.stored.read(read.journal, read.first, read.limit_bytes)
        if not self.failed:
            self.input(lambda journals: journals.read(read.journal, entries, self.now))

    def _read_records(self) -> None:
        """Do the reads of records that wait for no write any more."""
        while self._reads and self._reads[0][0] <= self._answered and not self.failed:
            self._answer(self._reads.popleft()[1])

    def _answer(self, read: ReadRecords) -> None:
        values = self.stored.read_records(read)
        self.input(lambda journals: journals.records_read(read.journal, read.number, values, self.now))

    # -- streams -----------------------------------------------------------------------------------------------------

    def opened(self, peer: Host) -> None:
        """Nothing waits for a stream."""

    def closed(self, peer: Host, *, refused: bool) -> None:
        self.input(lambda journals: journals.closed(peer.id, self.now, refused=refused))
        self.follower.on_closed(peer.id)

    def received(self, peer: Host, message: object) -> None:
        if isinstance(message, ReplicaMessage):
            self.input(lambda journals: journals.receive(peer.id, message, self.now))
        else:
            self.follower.on_message(peer.id, message)

    def send(self, node: NodeId, message: object) -> None:
        """Send a message to the process of this member. A member that has another identity now has no stream: the
        message is lost, and `closed` tells."""
        peer = self.world.by_id.get(node)
        if peer is None or peer.id != node or peer is self.host:
            self.world.after(0.0, lambda: self.world.to_process(self.host, partial(self._closed, node), network=True))
        else:
            self.world.connections.send(self.host, peer, message)

    def _closed(self, node: NodeId) -> None:
        self.input(lambda journals: journals.closed(node, self.now))
        if self.runs:
            self.follower.on_closed(node)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def input(self, call: Callable[[Journals], list[JournalEffect]]) -> None:
        """Give the journals an input, if this process still runs, and carry out what follows."""
        if self.runs and self.journals is not None:
            self.act(call(self.journals))

    def on_members(self, ids: Iterable[NodeId], *, announced: bool) -> None:
        """The node of this process says that these members changed, or, with `announced`, only what they announce, in
        the input that it handles."""
        self._changed |= dict.fromkeys(ids)
        self._members_changed |= not announced

    def look(self) -> None:
        """The node of this process has handled an input. As in a sidecar, the journals look at their copies only where
        a copy may decide otherwise."""
        membership, changed = self.membership, self._changed
        refuted = membership.incarnation != self._incarnation
        synced = membership.synced_at is None and self.host.node.synced
        if not changed and not refuted and not synced:
            return
        look = self._members_changed or refuted or synced
        self._changed, self._members_changed, self._incarnation = {}, False, membership.incarnation
        look = membership.follow(changed, self.now) or look
        self._retire_if_restored()
        if look:
            self.input(lambda journals: journals.members_changed(self.now))
        if self.runs:
            self.follower.on_members(changed)

    def _retire_if_restored(self) -> None:
        """Give up all replicas once the others' tables show that this data directory is from an earlier time."""
        synced = self.membership.synced_at is not None
        if self.journals is None or not synced or self.host.number not in self._restored or self._given_up is not None:
            return
        self._given_up = frozenset(replica.data.replica for replica in self.journals.replicas.values())
        self.input(lambda journals: journals.retire(self.now))
        self._look_whether_forgotten()

    def _look_whether_forgotten(self) -> None:
        """They are forgotten once the disk has none of them. Until then the daemon has a note to do it again."""
        if self._given_up is not None and not self._given_up & {one.replica for one in self.stored.replicas()}:
            self._restored.pop(self.host.number, None)

    def _on_wake(self, due: float) -> None:
        if due != self._wake_at or self.journals is None or not self.runs:
            return
        self._wake_at = inf
        if self.journals.next_deadline() > due:
            self._set_timer()  # the timer was cancelled
            return
        self.wakes += 1
        self.act(self.journals.advance(max(self.now, due)))

    # -- effects -----------------------------------------------------------------------------------------------------

    def act(self, effects: list[JournalEffect]) -> None:
        """Carry out these effects, behind those that are being carried out: a claim changes our own row, and so causes
        another input."""
        self._effects.extend(effects)
        if self._acting:
            return
        self._acting = True
        while self._effects and self.runs:
            effect = self._effects.popleft()
            self._watcher.on_effect(self, effect)
            if self.runs:
                self._carry_out(effect)
                self.follower.on_journal(effect)
        self._acting = False
        if self.runs:
            self._watcher.after(self)
            self._set_timer()

    def _set_timer(self) -> None:
        assert self.journals is not None
        due = self.journals.next_deadline()
        if due < self._wake_at:
            self._wake_at = due
            wake = partial(self._on_wake, due)
            when = max(self.host.world_time(due), self.world.now)
            self.world.at(when, lambda: self.world.to_process(self.host, wake, network=False) if self.runs else None)

    def _carry_out(self, effect: JournalEffect) -> None:
        match effect:
            case SendMessage():
                self.send(effect.node, effect.message)
            case WriteJournal() | RemoveJournal():
                self._write(effect)
            case ReadLog():
                self.world.after(0.001, lambda: self._read(effect))
            case ReadRecords():
                self._reads.append((self._asked, effect))
                self.world.after(0.001, lambda: self.world.to_process(self.host, self._read_records, network=False))
            case ClaimLeadership():
                self.world.act(self.host, self.membership.claim(effect.journal, effect.ballot, self.now))
            case WithdrawClaim():
                self.world.act(self.host, self.membership.withdraw(effect.journal, self.now))
            case Established():
                self.established[effect.journal] = effect.ballot
            case Deposed():
                self.established.pop(effect.journal, None)
            case Confirmed():
                pass
