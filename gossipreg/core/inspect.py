"""What goes on inside a node, as facts: for tests and the laboratory.

Owns: nothing. It reads the private parts of a node at the moment it is asked, so tests need not know them, and a part
can change without its tests. Every answer is a value or a copy: nobody changes a node through what is found here.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

from gossipreg.core.failure.detector import FailureDetector
from gossipreg.core.table.shown_row import slot_of
from gossipreg.model import Address, BootId, CatalogInstance, Member, NodeId

if TYPE_CHECKING:
    from gossipreg.core.view import View


class Session(NamedTuple):
    """A process that has proven which member it is."""

    boot_id: BootId
    source: Address | None
    """Where it was last proven to speak from."""


class PendingProbe(NamedTuple):
    """A ping of ours without an ack."""

    target: NodeId
    sent_at: float
    missed: bool
    """Its timeout is over. A late ack still clears the target."""


class TableListing(NamedTuple):
    """The table of a member that this joiner asks for, page by page."""

    peer: NodeId
    after: bytes
    """The next page begins after this id."""


class Inspection:
    __slots__ = ("_view",)

    def __init__(self, view: "View") -> None:
        self._view = view

    @property
    def now(self) -> float:
        """The time of the last input."""
        return self._view._context.now

    @property
    def timers(self) -> tuple[Hashable, ...]:
        """The names of all timers that are set."""
        return tuple(self._view._context.timers._due)

    # -- ourselves ---------------------------------------------------------------------------------------------------

    @property
    def boot_id(self) -> BootId:
        return self.own_member.boot_id

    @property
    def generation(self) -> int:
        """Of our own row."""
        return self._view.table.generation

    @property
    def own_member(self) -> Member:
        """Our own entry as we announce it."""
        return self._view._own_row.member

    @property
    def at_fault(self) -> bool:
        """Whether this member takes its own link or its own slowness for the fault."""
        return self._view._detector.at_fault

    # -- sessions ----------------------------------------------------------------------------------------------------

    @property
    def sessions(self) -> int:
        """How many processes are known as members, those from rows included."""
        return len(self._view._sessions)

    def session(self, id: NodeId) -> Session | None:
        peer = self._view._sessions.of_id(id)
        return None if peer is None else Session(peer.boot_id, peer.source)

    def member_of(self, boot_id: BootId) -> NodeId | None:
        """The member that this process has proven to be."""
        peer = self._view._sessions.of_boot(boot_id)
        return None if peer is None else peer.id

    def address(self, id: NodeId) -> Address | None:
        """Where datagrams to this member are sent."""
        return self._view._channel.address(id)

    def datagram_bytes(self, id: NodeId) -> int:
        """The size of the largest datagram that is sent to this member."""
        return self._view._channel.limit(id) + self._view._outbox._sealer.overhead

    @property
    def measured_paths(self) -> tuple[NodeId, ...]:
        """The members to which the size of datagrams is measured."""
        return tuple(self._view._paths._paths)

    @property
    def greeted(self) -> dict[NodeId, Address]:
        """The dead members that are greeted, so that partitions heal."""
        return self._view._reconnect._dead.copy()

    @property
    def seeds(self) -> dict[Address, NodeId | None]:
        """The seeds, with the member that was last met there."""
        return self._view._reconnect._seeds.copy()

    # -- gossip ------------------------------------------------------------------------------------------------------

    @property
    def not_acked(self) -> int:
        """How many updates sent to neighbours are not acked."""
        return self._view._dissemination.unacked()

    @property
    def pulls(self) -> tuple[NodeId, ...]:
        """The rows that are being pulled."""
        return tuple(self._view._pulls._pulling)

    @property
    def pulls_waiting(self) -> int:
        """How many rows are to be pulled once others have come."""
        return len(self._view._pulls._waiting)

    @property
    def listing(self) -> TableListing | None:
        listing = self._view._joining._listing
        return None if listing is None else TableListing(listing.peer, listing.after)

    # -- failure detection -------------------------------------------------------------------------------------------

    @property
    def _detector(self) -> FailureDetector:
        """Our own detector, whose inner parts are known here. A baseline of the laboratory has others."""
        detector = self._view._detector
        assert isinstance(detector, FailureDetector), f"{type(detector).__name__} does not show this"
        return detector

    @property
    def suspicions(self) -> int:
        """How many members are suspected here."""
        return len(self._detector._suspicions)

    def suspects(self, id: NodeId) -> bool:
        return self._view._detector.suspicion(id) is not None

    def helpers_asked(self, id: NodeId) -> tuple[NodeId, ...]:
        """The members that were asked to ping this suspect."""
        suspicion = self._detector._suspicions._suspicions.get(id)
        return () if suspicion is None else tuple(suspicion.asked)

    @property
    def helpers_that_reached(self) -> tuple[NodeId, ...]:
        """The last members that reached a suspect of ours, the latest last."""
        return tuple(self._detector._suspicions._reaching)

    @property
    def probes(self) -> tuple[PendingProbe, ...]:
        probes = self._view._detector._prober._probes.values()
        return tuple(PendingProbe(one.target, one.sent_at, one.missed) for one in probes)

    @property
    def noted_pairs(self) -> int:
        """How many members are noted because datagrams between them and us seem to be lost."""
        return len(self._detector._pairs._pairs)

    @property
    def quarantine(self) -> tuple[NodeId, ...]:
        """The quarantined members that are to be pinged."""
        return tuple(self._view._quarantine._tries)

    def why_dead(self, id: NodeId) -> str:
        """The reason that was given when this member was declared dead, as far as it is known."""
        return self._view._membership.why.get(id, "")

    # -- answers -----------------------------------------------------------------------------------------------------

    def instances(self, id: NodeId) -> dict[int, CatalogInstance]:
        """The instances of this member that lookups give out, by their slot in its row."""
        shown = self._view.catalog._shown.get(id)
        return {} if shown is None else {slot_of(handle): one for handle, one in shown.instances.items()}
