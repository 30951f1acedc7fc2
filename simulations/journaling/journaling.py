"""The journals of a whole world: which process runs on each host, who leads what, and what was proposed.

Owns: the processes, the tickets, and which entries were acknowledged. Never knows: faults, or what must hold.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import inf

from gossipreg.core.effects import AnnouncementsChanged, Effect, MembersChanged
from gossipreg.journal.effects import JournalEffect, ProposalOutcome, Settled
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.replica import Replica
from gossipreg.journal.tuning import JournalTuning
from simulations.host import Host
from simulations.journaling.follower import Follower
from simulations.journaling.observer import JournalObserver, JournalObservers
from simulations.journaling.process import JournalProcess
from simulations.observer import Observer
from simulations.world import World


@dataclass(frozen=True, slots=True)
class Acked:
    """An entry that its proposer was told to be committed."""

    journal: JournalId
    data: bytes
    index: int


class _Looking(Observer):
    """Has the journals of a process look whenever its node has handled an input that changed members."""

    def __init__(self, processes: dict[int, JournalProcess]) -> None:
        self._processes = processes

    def on_effect(self, host: Host, effect: Effect) -> None:
        process = self._processes.get(host.number)
        if process is not None and isinstance(effect, MembersChanged | AnnouncementsChanged):
            process.on_members(effect.ids, announced=isinstance(effect, AnnouncementsChanged))

    def after(self, host: Host) -> None:
        process = self._processes.get(host.number)
        if process is not None and process.runs:
            process.look()


class _Settling(JournalObserver):
    """Notes what became of proposals."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[JournalId, bytes]] = {}
        """By ticket."""
        self.acked: list[Acked] = []
        self.unknown = 0

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:  # noqa: ARG002  whoever proposed
        if isinstance(effect, Settled) and effect.ticket in self.waiting:
            journal, data = self.waiting.pop(effect.ticket)
            if effect.outcome is ProposalOutcome.COMMITTED:
                self.acked.append(Acked(journal, data, effect.index))
            else:
                self.unknown += 1


class Journaling:
    def __init__(
        self,
        world: World,
        tuning: JournalTuning,
        follow: Callable[[JournalProcess], Follower] = lambda _: Follower(),
    ) -> None:
        """`follow` makes what stands on the journals of a process."""
        self.world = world
        self._follow = follow
        self.tuning = tuning
        self.processes: dict[int, JournalProcess] = {}
        """By the number of the host: its last process."""
        self.restored: dict[int, None] = {}
        """Hosts that run on a copy of their data directory from an earlier time, and have not learned it yet."""
        self.ids: list[JournalId] = []
        """The journals that were opened."""
        self.observers = JournalObservers()
        self._settling = _Settling()
        self._numbers = count(1)
        self.observers.all.append(self._settling)
        world.watch(_Looking(self.processes))

    def start(self, host: Host) -> JournalProcess:
        """Open the journals of the process that the world has just started on this host."""
        process = JournalProcess(self.world, host, self.tuning, self.observers, self.restored, self._follow)
        self.processes[host.number] = process
        return process

    # -- journals ----------------------------------------------------------------------------------------------------

    def running(self) -> Iterator[JournalProcess]:
        """Yield the processes whose database is open."""
        for process in self.processes.values():
            if process.runs and process.journals is not None:
                yield process

    def open(self, host: Host) -> JournalId | None:
        """Open the journal of this member; None if it cannot now."""
        process = self.processes.get(host.number)
        if process is None or not process.runs or process.journals is None or process.failed:
            return None
        try:
            journal, effects = process.journals.open(process.now)
        except ProposalRefused:
            return None
        process.act(effects)
        if journal not in self.ids:
            self.ids.append(journal)
        return journal

    def leaders(self, journal: JournalId) -> list[JournalProcess]:
        """Return all that believe to lead, the one with the highest ballot last."""
        leading = [process for process in self.running() if journal in process.established]
        return sorted(leading, key=lambda process: process.established[journal])

    def leader(self, journal: JournalId) -> JournalProcess | None:
        return next(reversed(self.leaders(journal)), None)

    def replica(self, journal: JournalId) -> Replica | None:
        """Return the leader's replica."""
        leader = self.leader(journal)
        return None if leader is None or leader.journals is None else leader.journals.replicas[journal]

    def has_all_disks(self, journal: JournalId, voters: int = 3) -> bool:
        """Return whether this journal is led, has so many voters, and no replica that counts has lost its disk."""
        replica = self.replica(journal)
        if replica is None or replica.leading is None or replica.data.configuration.joint:
            return False
        configuration = replica.data.configuration
        hosts = [self.world.by_id.get(place.node) for place in configuration.places]
        return len(configuration.voters) == voters and all(
            host is not None and self._keeps(host, journal, place.replica)
            for host, place in zip(hosts, configuration.places, strict=True)
        )

    def _keeps(self, host: Host, journal: JournalId, replica: ReplicaId) -> bool:
        """Return whether this host has the replica on its disk, and has not given it up: it may be about to remove
        one that was restored from a backup."""
        process = self.processes[host.number]
        here = None if process.journals is None else process.journals.replicas.get(journal)
        given_up = process.journals is not None and (here is None or here.data.replica != replica)
        return process.stored.holds(journal, replica) and not given_up

    def is_whole(self, journal: JournalId, voters: int = 3) -> bool:
        """... and each of its voters holds all of it."""
        replica = self.replica(journal)
        if replica is None or replica.leading is None or not self.has_all_disks(journal, voters):
            return False
        data = replica.data
        last = data.log.last.index
        return data.committed == last and replica.leading.copies(last) == voters

    @property
    def has_timers(self) -> bool:
        """Whether any process has a timer set, has not opened its database, or is to open a broken stream again."""
        if self.world.connections.broken():
            return True
        processes = [process for process in self.processes.values() if process.runs]
        return any(process.journals is None or process.journals.next_deadline() != inf for process in processes)

    # -- proposals ---------------------------------------------------------------------------------------------------

    def propose(self, process: JournalProcess, journal: JournalId, size: int = 0) -> bool:
        """Propose an entry of this size to a process that believes to lead; return whether it was accepted."""
        if process.journals is None or not process.runs or journal not in process.established:
            return False
        ticket = next(self._numbers)
        data = b"%d" % ticket
        data = data.ljust(size, b".")
        self._settling.waiting[ticket] = journal, data
        self.observers.on_propose(process, journal, ticket)
        try:
            process.act(process.journals.propose(journal, data, ticket, process.now))
        except ProposalRefused:
            del self._settling.waiting[ticket]
            return False
        return True

    def confirm(self, process: JournalProcess, journal: JournalId) -> None:
        """Ask a process that believes to lead to prove it."""
        if process.journals is None or not process.runs or journal not in process.established:
            return
        number = next(self._numbers)
        self.observers.on_confirm(process, journal, number)
        with suppress(ProposalRefused):
            process.act(process.journals.confirm(journal, number, process.now))

    @property
    def acked(self) -> list[Acked]:
        """The entries whose proposer was told that they are committed."""
        return self._settling.acked

    @property
    def unknown(self) -> int:
        """The number of proposals whose proposer was told that the outcome is unknown."""
        return self._settling.unknown
