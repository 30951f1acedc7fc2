"""Sidecars with journals in virtual time, from one seed: streams, disks, and a membership that comes late or is wrong.

The laboratory has the same with the real registry; this one is small, and fast enough for many seeds.
"""

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from gossipreg.journal.effects import (
    AppliedEntry,
    ClaimLeadership,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    ReadLog,
    ReadRecords,
    RemoveJournal,
    SendMessage,
    Settled,
    WithdrawClaim,
    WriteJournal,
)
from gossipreg.journal.journals import Journals
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import JournalHost, ProcessStanding, SeenMember
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import Ballot, EntryKind, JournalId, LogEntry
from gossipreg.journal.state import Records, StateMachine
from gossipreg.journal.tuning import FOREIGN_SPACE_BYTES, JournalTuning
from gossipreg.model import BootId, NodeId
from tests.journal.stored import Disk, apply_all, apply_write
from tests.journal.view import View


class Collects:
    """A state machine that remembers which data came at which index."""

    kinds = frozenset({EntryKind.DATA})

    def load(self, records: Records) -> None:
        """Nothing is derived from the records."""

    def is_empty(self, records: Records) -> bool:
        return not len(records)

    def apply(self, entry: LogEntry, records: Records) -> None:
        if entry.kind == EntryKind.DATA:
            records.put(entry.data, str(entry.index).encode())


@dataclass(slots=True)
class Sidecar:
    number: int
    node: NodeId
    host: bytes
    zone: str
    view: View = field(default_factory=View)
    disk: Disk = field(default_factory=Disk)
    writing: list[WriteJournal | RemoveJournal | ReadRecords] = field(default_factory=list)
    """Given to the disk and not completed, in order."""
    hung: bool = False
    up: bool = False
    space_bytes: int = FOREIGN_SPACE_BYTES
    refuses: bool = False
    """While it is not up: its machine answers that nobody listens."""
    starts: int = 0
    boot: BootId = BootId(b"")  # noqa: RUF009  a constant
    claims: dict[JournalId, Ballot] = field(default_factory=dict)
    established: dict[JournalId, Ballot] = field(default_factory=dict)
    settled: dict[int, Settled] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)
    journals: Journals = field(init=False)
    wake_at: float = float("inf")


class Cluster:
    def __init__(
        self,
        seed: int,
        members: int,
        tuning: JournalTuning | None = None,
        machine: Callable[[], StateMachine] = Collects,
    ) -> None:
        self.machine = machine
        self.rng = random.Random(seed)
        self.tuning = tuning or JournalTuning()
        self.now = 100.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._tickets = count(1)
        self.sidecars = [
            Sidecar(number, NodeId(self.rng.randbytes(16)), bytes([number]) * 8, f"z{number % 3}")
            for number in range(members)
        ]
        self.by_node = {sidecar.node: sidecar for sidecar in self.sidecars}
        self.streams: dict[tuple[int, int], int] = {}
        """Generation of the stream of each pair that is open."""
        self.cut: set[frozenset[int]] = set()
        """Pairs that cannot reach each other."""
        self.ballots: dict[tuple[JournalId, Ballot], int] = {}
        self.applied: dict[tuple[JournalId, int], LogEntry] = {}
        self.acked: dict[JournalId, dict[bytes, int]] = {}
        self.messages = 0
        self._broken: set[tuple[int, int]] = set()
        """(member, other): its stream to the other broke, and it was not told yet."""
        self._last_at: dict[tuple[int, int], float] = {}
        """When the last message from one to another arrives: streams keep the order."""
        for sidecar in self.sidecars:
            self.start(sidecar)

    # -- time --------------------------------------------------------------------------------------------------------

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), call))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, call = heapq.heappop(self._heap)
            call()
        self.now = end

    def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        end = self.now + limit_s
        while not condition():
            if self.now >= end:
                return False
            self.run(0.05)
        return True

    # -- processes ---------------------------------------------------------------------------------------------------

    def start(self, sidecar: Sidecar) -> None:
        sidecar.starts += 1
        sidecar.up, sidecar.boot = True, BootId(bytes([sidecar.number, sidecar.starts]) * 4)
        sidecar.view, sidecar.claims, sidecar.established = View(), {}, {}
        rng = random.Random(self.rng.random())
        sidecar.journals = Journals(
            self.tuning, node=sidecar.node, host=sidecar.host, membership=sidecar.view,
            machine=lambda _: self.machine(),
            stored=sidecar.disk.begin(), foreign_space_bytes=sidecar.space_bytes,
            rng=rng, entropy=rng.randbytes, now=self.now,
        )  # fmt: skip
        sidecar.wake_at = float("inf")
        self.act(sidecar, sidecar.journals.start(self.now))
        for other in self.sidecars:
            self._tell(sidecar, ProcessStanding.LIVES, [other])
        boot = sidecar.boot
        self.after(0.3, lambda: self._sync(sidecar, boot))

    def _sync(self, sidecar: Sidecar, boot: BootId) -> None:
        """A joiner gets the whole table."""
        if not sidecar.up or sidecar.boot != boot:
            return
        for other in self.sidecars:
            if other.up and not self.is_cut(sidecar, other):
                self._see(sidecar, other, ProcessStanding.LIVES)
                sidecar.view.rows[other.node] = other.boot, dict(other.claims)
        sidecar.view.synced_at = self.now
        self.act(sidecar, sidecar.journals.members_changed(self.now))

    def crash(
        self, sidecar: Sidecar, standing: ProcessStanding | None = ProcessStanding.REFUSED, *, refuses: bool = False
    ) -> None:
        """End the process. The others see this standing of it soon; None: they see nothing. `refuses`: its machine
        refuses streams from then on."""
        sidecar.up, sidecar.refuses = False, refuses or standing in (ProcessStanding.REFUSED, ProcessStanding.LEFT)
        apply_all(sidecar.disk, sidecar.writing[: self.rng.randint(0, len(sidecar.writing))])
        sidecar.writing = []
        for other in self.sidecars:
            self._break(sidecar, other)
        if standing is not None:
            self.tell_all(sidecar, standing)

    def lose_disk(self, sidecar: Sidecar) -> None:
        assert not sidecar.up
        sidecar.disk = Disk()

    def is_cut(self, one: Sidecar, other: Sidecar) -> bool:
        return frozenset((one.number, other.number)) in self.cut

    def partition(self, *sides: set[int]) -> None:
        """Only members of the same side reach each other from now on; no sides: all do."""
        before = self.cut
        side_of = {number: at for at, side in enumerate(sides) for number in side}
        pairs = [(one, other) for one in self.sidecars for other in self.sidecars if one.number < other.number]
        self.cut = {
            frozenset((one.number, other.number))
            for one, other in pairs
            if sides and side_of.get(one.number) != side_of.get(other.number)
        }
        for one, other in pairs:
            pair = frozenset((one.number, other.number))
            if pair in self.cut - before:
                self._break(one, other)
                self._tell(one, ProcessStanding.SILENT, [other], 1.0)
                self._tell(other, ProcessStanding.SILENT, [one], 1.0)
            elif pair in before - self.cut:
                self._tell(one, ProcessStanding.LIVES, [other])
                self._tell(other, ProcessStanding.LIVES, [one])

    def cut_streams(self, sidecar: Sidecar) -> None:
        """Its streams fail from now on, and nobody sees another member die: datagrams pass."""
        for other in self.sidecars:
            if other is not sidecar and not self.is_cut(sidecar, other):
                self.cut.add(frozenset((sidecar.number, other.number)))
                self._break(sidecar, other)

    def mend_streams(self) -> None:
        self.cut.clear()

    # -- what members see of each other ------------------------------------------------------------------------------

    def tell_all(self, about: Sidecar, standing: ProcessStanding) -> None:
        self._tell(about, standing, [other for other in self.sidecars if not self.is_cut(about, other)], 0.5)

    def _tell(self, about: Sidecar, standing: ProcessStanding, to: Iterable[Sidecar], least_s: float = 0.02) -> None:
        boot = about.boot
        for other in to:
            if other is not about:
                self.after(least_s + self.rng.random() * 0.3, partial(self._told, other, about, boot, standing))

    def _told(self, viewer: Sidecar, about: Sidecar, boot: BootId, standing: ProcessStanding) -> None:
        if not viewer.up or about.boot != boot:
            return
        if standing is ProcessStanding.LIVES and (not about.up or self.is_cut(viewer, about)):
            return
        if standing is ProcessStanding.SILENT and about.up and not self.is_cut(viewer, about):
            return
        self._see(viewer, about, standing)
        if standing is ProcessStanding.LIVES:
            viewer.view.rows[about.node] = about.boot, dict(about.claims)
        self.act(viewer, viewer.journals.members_changed(self.now))

    def _see(self, viewer: Sidecar, about: Sidecar, standing: ProcessStanding) -> None:
        viewer.view.places[about.node] = JournalHost(about.node, about.host, about.zone)
        before = viewer.view.members.get(about.node)
        if before is None or (before.standing, before.boot_id) != (standing, about.boot):
            viewer.view.members[about.node] = SeenMember(standing, about.boot, self.now)

    def slander(self, viewer: Sidecar, about: Sidecar, seconds: float) -> None:
        """A wrong verdict at one member, for a while."""
        self._see(viewer, about, ProcessStanding.SILENT)
        self.act(viewer, viewer.journals.members_changed(self.now))
        self.after(seconds, lambda: self._told(viewer, about, about.boot, ProcessStanding.LIVES))

    def _gossip(self, sidecar: Sidecar) -> None:
        self._tell(sidecar, ProcessStanding.LIVES, self.sidecars)

    # -- effects -----------------------------------------------------------------------------------------------------

    def act(self, sidecar: Sidecar, effects: list[JournalEffect]) -> None:
        for effect in effects:
            match effect:
                case SendMessage():
                    self._send(sidecar, self.by_node[effect.node], effect.message)
                case WriteJournal() | RemoveJournal() | ReadRecords():
                    sidecar.writing.append(effect)
                    if len(sidecar.writing) == 1:
                        self._write_later(sidecar)
                case ReadLog():
                    self.after(0.002, partial(self._read, sidecar, sidecar.boot, effect))
                case ClaimLeadership():
                    sidecar.claims[effect.journal] = effect.ballot
                    holder = self.ballots.setdefault((effect.journal, effect.ballot), sidecar.number)
                    assert holder == sidecar.number, "one leader a ballot"
                    self._gossip(sidecar)
                case WithdrawClaim():
                    sidecar.claims.pop(effect.journal, None)
                    self._gossip(sidecar)
                case Established():
                    sidecar.established[effect.journal] = effect.ballot
                case Deposed():
                    sidecar.established.pop(effect.journal, None)
                case AppliedEntry():
                    before = self.applied.setdefault((effect.journal, effect.entry.index), effect.entry)
                    assert before == effect.entry, f"two entries are committed at index {effect.entry.index}"
                case Settled():
                    sidecar.settled[effect.ticket] = effect
                case Confirmed():
                    sidecar.confirmed.add(effect.number)
        self._wake(sidecar)

    def _wake(self, sidecar: Sidecar) -> None:
        due = sidecar.journals.next_deadline()
        if due < sidecar.wake_at and due != float("inf"):
            sidecar.wake_at, boot = due, sidecar.boot
            self.after(max(0.0, due - self.now), lambda: self._on_wake(sidecar, boot, due))

    def _on_wake(self, sidecar: Sidecar, boot: BootId, due: float) -> None:
        if sidecar.up and sidecar.boot == boot and sidecar.wake_at == due:
            sidecar.wake_at = float("inf")
            self.act(sidecar, sidecar.journals.advance(max(self.now, due)))

    # -- disks -------------------------------------------------------------------------------------------------------

    def _write_later(self, sidecar: Sidecar) -> None:
        boot = sidecar.boot
        self.after(self.rng.uniform(0.0005, 0.006), lambda: self._write(sidecar, boot))

    def _write(self, sidecar: Sidecar, boot: BootId) -> None:
        if not sidecar.up or sidecar.boot != boot or not sidecar.writing:
            return
        if sidecar.hung:
            self._write_later(sidecar)
            return
        write = sidecar.writing.pop(0)
        if sidecar.writing:
            self._write_later(sidecar)
        if isinstance(write, ReadRecords):
            values = sidecar.disk.read(write)
            self.act(sidecar, sidecar.journals.records_read(write.journal, write.number, values, self.now))
            return
        apply_write(sidecar.disk, write)
        if isinstance(write, WriteJournal):
            self.act(sidecar, sidecar.journals.written(write.number, write.journal, self.now))

    def _read(self, sidecar: Sidecar, boot: BootId, read: ReadLog) -> None:
        if sidecar.up and sidecar.boot == boot and read.journal in sidecar.disk:
            entries = [entry for entry in sidecar.disk[read.journal].entries if entry.index >= read.first][:50]
            self.act(sidecar, sidecar.journals.read(read.journal, tuple(entries), self.now))

    # -- streams -----------------------------------------------------------------------------------------------------

    def _send(self, sender: Sidecar, receiver: Sidecar, message: ReplicaMessage) -> None:
        pair = (min(sender.number, receiver.number), max(sender.number, receiver.number))
        if not receiver.up or self.is_cut(sender, receiver):
            boot = sender.boot
            refused = receiver.refuses and not self.is_cut(sender, receiver)
            self.after(0.01 if refused else 0.2, lambda: self._failed(sender, boot, receiver, refused=refused))
            return
        self._closed(sender, sender.boot, receiver)
        generation = self.streams.setdefault(pair, next(self._order))
        self.messages += 1
        at = max(self._last_at.get((sender.number, receiver.number), 0.0), self.now + self.rng.uniform(0.0002, 0.003))
        self._last_at[sender.number, receiver.number] = at
        self.after(at - self.now, lambda: self._deliver(pair, generation, sender, receiver, message))

    def _closed(self, here: Sidecar, boot: BootId, there: Sidecar) -> None:
        """Tell a member that its stream broke, unless it was told: before anything comes over a new one."""
        if (here.number, there.number) in self._broken:
            self._broken.remove((here.number, there.number))
            self._failed(here, boot, there)

    def _failed(self, sidecar: Sidecar, boot: BootId, other: Sidecar, *, refused: bool = False) -> None:
        if sidecar.up and sidecar.boot == boot:
            self.act(sidecar, sidecar.journals.closed(other.node, self.now, refused=refused))

    def _deliver(
        self, pair: tuple[int, int], generation: int, sender: Sidecar, receiver: Sidecar, message: ReplicaMessage
    ) -> None:
        if self.streams.get(pair) == generation and receiver.up:
            self._closed(receiver, receiver.boot, sender)
            self.act(receiver, receiver.journals.receive(sender.node, message, self.now))

    def _break(self, one: Sidecar, other: Sidecar) -> None:
        pair = (min(one.number, other.number), max(one.number, other.number))
        if self.streams.pop(pair, None) is None:
            return
        for here, there in ((one, other), (other, one)):
            self._broken.add((here.number, there.number))
            tell = partial(self._closed, here, here.boot, there)
            self.after(self.rng.uniform(0.001, 0.5), tell)

    # -- commands ----------------------------------------------------------------------------------------------------

    def open(self, sidecar: Sidecar) -> JournalId:
        journal, effects = sidecar.journals.open(self.now)
        self.act(sidecar, effects)
        return journal

    def leader(self, journal: JournalId) -> Sidecar | None:
        """The member that is established with the highest ballot and lives."""
        leading = [sidecar for sidecar in self.sidecars if sidecar.up and journal in sidecar.established]
        return max(leading, key=lambda sidecar: sidecar.established[journal], default=None)

    def propose(self, sidecar: Sidecar, journal: JournalId, data: bytes) -> int | None:
        """The ticket; None if it was refused."""
        ticket = next(self._tickets)
        try:
            self.act(sidecar, sidecar.journals.propose(journal, data, ticket, self.now))
        except ProposalRefused:
            return None
        return ticket

    def voters(self, journal: JournalId) -> set[int]:
        """Of the configuration at the leader."""
        leader = self.leader(journal)
        if leader is None:
            return set()
        places = leader.journals.replicas[journal].data.configuration
        return {self.by_node[place.node].number for place in places.voters} if not places.joint else set()
