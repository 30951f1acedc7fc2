"""Which program takes the steps of which saga, at the sidecar that leads their journal.

Owns: the sidecar at which each saga's program is, and since when it is lost. Never knows: what becomes of the saga.

A saga that a program takes the steps of is leased to the process of the sidecar to which the program is connected. The
lease ends when that sidecar says so, when its process does, or when the stream to it breaks and it says nothing more:
then the program has `lost_s` to come back, by any sidecar. A new leader waits as long for the first word.

A sidecar says once where programs are, and its word may come before the registry has its row, or while the registry
holds it for dead. Such a word counts as soon as the process is seen to run, unless the stream to it breaks before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_membership import SagaMembership
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.timers import Timers

Holder = tuple[NodeId, bytes]
"""A sidecar, and the boot id of its process."""


@dataclass(frozen=True, slots=True)
class LeaseTimer:
    """The program of this saga did not come back."""

    journal: JournalId
    saga: str


class ProgramLeases:
    def __init__(self, tuning: SagaTuning, journal: JournalId, membership: SagaMembership, timers: Timers) -> None:
        self._tuning = tuning
        self._journal = journal
        self._membership = membership
        self._timers = timers
        self._holders: dict[str, Holder | None] = {}
        """None: the program is lost."""
        self._held: dict[Holder, dict[str, None]] = {}
        self._unseen: dict[str, NodeId] = {}
        """The member that said last that it has the program of this saga, where its process is not seen to run."""

    def __len__(self) -> int:
        return len(self._holders)

    def held(self) -> Iterator[tuple[NodeId, tuple[str, ...]]]:
        """The members that have programs, with the sagas of these."""
        for (node, _), sagas in self._held.items():
            yield node, tuple(sagas)
        for saga, node in self._unseen.items():
            yield node, (saga,)

    def begin(self, saga: str, now: float) -> None:
        """A program is to take the steps of this saga; where it is, it has yet to say."""
        self._holders[saga] = None
        self._timers.set(LeaseTimer(self._journal, saga), now + self._tuning.lost_s)

    def here(self, saga: str, node: NodeId) -> None:
        """Its program is connected to this member. Nothing for a saga that has no lease."""
        process = self._membership.process(node)
        if saga not in self._holders:
            return
        if not process:
            self._unseen[saga] = node
            return
        self._unseen.pop(saga, None)
        if self._holders[saga] == (node, process):
            return
        self._release(saga)
        self._holders[saga] = node, process
        self._held.setdefault((node, process), {})[saga] = None
        self._timers.cancel(LeaseTimer(self._journal, saga))

    def lost(self, saga: str, node: NodeId, now: float) -> None:
        """Its program was connected to this member, and is not any more."""
        if self._unseen.get(saga) == node:
            del self._unseen[saga]
        holder = self._holders.get(saga)
        if holder is not None and holder[0] == node:
            self._lose(saga, now)

    def end(self, saga: str) -> None:
        """It is decided."""
        if saga in self._holders:
            self._unseen.pop(saga, None)
            self._release(saga)
            del self._holders[saga]
            self._timers.cancel(LeaseTimer(self._journal, saga))

    def closed(self, node: NodeId, now: float) -> None:
        """The stream to this member broke: what it said last may be lost, so it says again what it has."""
        self._unseen = {saga: said for saga, said in self._unseen.items() if said != node}
        for holder in [holder for holder in self._held if holder[0] == node]:
            self._lose_all(holder, now)

    def members_changed(self, now: float) -> None:
        """A process that is not seen any more has lost its programs, until it is seen again. Where another one is seen,
        the stream says whose word it was: that of a process that ended is closed."""
        for node, process in [*self._held]:
            if self._membership.process(node) != process:
                self._unseen = dict.fromkeys(self._held[node, process], node) | self._unseen
                self._lose_all((node, process), now)
        for saga, node in [*self._unseen.items()]:
            self.here(saga, node)

    def clear(self) -> None:
        for saga in [*self._holders]:
            self.end(saga)

    def _lose_all(self, holder: Holder, now: float) -> None:
        for saga in [*self._held[holder]]:
            self._lose(saga, now)

    def _lose(self, saga: str, now: float) -> None:
        self._release(saga)
        self.begin(saga, now)

    def _release(self, saga: str) -> None:
        holder = self._holders[saga]
        if holder is None:
            return
        del self._held[holder][saga]
        if not self._held[holder]:
            del self._held[holder]
