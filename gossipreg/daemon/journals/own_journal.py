"""The journal of this sidecar: opened when something is to be kept, but no other one while its own may come back.

Owns: the journals whose copy here was lost, of which one may be this sidecar's own. Never knows: how a copy comes back;
a leader gives one to each voter that has lost its disk (`journal/replacing.py`).

An id counts once in the journal of the sidecar where it began, so a sidecar that lost its copy opens no other journal
at once. If other members have copies, one of them leads, and this sidecar has a copy again within seconds.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gossipreg.errors import NoDataDirectory
from gossipreg.journal.effects import JournalEffect
from gossipreg.journal.journals import Journals
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId

if TYPE_CHECKING:
    from gossipreg.daemon.journals.runtime import JournalRuntime

BACK_S = 60.0
"""For how long a copy is waited for. It takes an election, a second until the leader asks, and a copy of the state."""
NOBODY_S = 10.0
"""For how long if nobody leads the journal or says to have a copy: then there was probably no other one. An election
takes less."""


class OwnJournal:
    def __init__(self, runtime: "JournalRuntime", node: NodeId) -> None:
        self._runtime = runtime
        self._node = node
        self._lost: dict[JournalId, float] = {}
        """The journals whose copy was lost, and when."""

    def lose(self, journals: Iterable[JournalId]) -> None:
        """The copies of these were lost. One of them may be our own: the files that are left do not say."""
        self._lost |= dict.fromkeys(journals, self._runtime.now())

    async def open_waiting(self) -> JournalId:
        """Wait for the disk, then `open`. Raises NoDataDirectory, ProposalRefused."""
        runtime = self._runtime
        if runtime.disk is None:
            raise NoDataDirectory("this sidecar keeps nothing, so it has no journal: start it with --data-dir")
        runtime.disk.need()
        await runtime.begun.wait()
        return self.open()

    def open(self) -> JournalId:
        """The journal of this sidecar, opened if there is none. Raises ProposalRefused."""
        return self._runtime.command(self._open)

    def _open(self, journals: Journals, now: float) -> tuple[JournalId, list[JournalEffect]]:
        if journals.own is not None:
            self._lost.clear()
        waits = {id: self._waits_s(id, journals, now) for id in self._lost}
        self._lost = {id: at for id, at in self._lost.items() if waits[id] > 0}
        if self._lost:
            raise ProposalRefused("unavailable", _why_not(min(self._lost), max(waits.values())))
        return journals.open(now)

    def _waits_s(self, journal: JournalId, journals: Journals, now: float) -> float:
        """How long to wait at most until this journal has a copy here again; 0 or less: not any more."""
        membership = self._runtime.membership
        if journal in journals.replicas:
            return 0.0
        holders = {*membership.leaderless_at(journal)} - {self._node}
        known = membership.is_led(journal) or any(membership.member(node).runs for node in holders)
        lost_at, synced_at = self._lost[journal], membership.synced_at
        if known or synced_at is None:
            return lost_at + BACK_S - now
        return max(lost_at, synced_at) + NOBODY_S - now


def _why_not(journal: JournalId, wait_s: float) -> str:
    return (
        f"this sidecar lost its copy of journal {journal.hex()[:12]}, which may be its own, and what was begun there"
        f" must not begin again: wait until another member gives it back, for {max(1.0, wait_s):.0f} s at most"
    )
