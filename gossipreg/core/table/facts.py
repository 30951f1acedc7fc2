"""What the table found when it merged, and what the membership index saw when it followed the table.

Owns: the facts, as values. Never knows: what follows from them. The node hands each fact to the parts that have to act
on it, in the order that stands in `core/order.py`.
"""

from enum import Enum

from gossipreg.model import Address, BootId, Liveness, NodeId, ProtocolRange, Version
from gossipreg.quick_dataclass import dataclass


class MergeOutcome(Enum):
    NOTHING = "nothing"
    """Not new."""
    APPLIED = "applied"
    GAP = "gap"
    """It begins after what we have, or the owner has thrown away tombstones that we have not seen: pull."""
    REFUSED = "refused"
    """It would exceed a limit of its row; counted."""
    FULL = "full"
    """It would exceed a limit of the table, and no row can make room; counted."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a delta or claim. The versions are of the content: what can be gossiped of the row."""

    outcome: MergeOutcome
    before: Version
    after: Version
    """If it is above `before`, there is something of the content to gossip."""
    claim: Liveness | None = None
    """The liveness, if it rose."""


@dataclass(frozen=True, slots=True)
class ProcessNamed:
    """The row of a member says which process it is now, and at which addresses it is reached, best first."""

    id: NodeId
    boot_id: BootId
    generation: int
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A member has another state than before; see `membership.state_of`."""

    id: NodeId
    state: str
    name: str
    reason: str
    """Of its death, for people."""
    to_log: bool
    """Whether an operator wants to read it."""


@dataclass(frozen=True, slots=True)
class FoundIncompatible:
    """This member speaks no version of the protocol that we speak: its row is kept, and no answer names it."""

    id: NodeId
    protocol: ProtocolRange


@dataclass(frozen=True, slots=True)
class LeftTable:
    """The row of this member was forgotten."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class LeftRing:
    """This member is not on the ring any more, or its row was forgotten: nothing is asked of it or sent to it."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class HiddenRowChanged:
    """The row of a member that is out of our own answers has changed: the reason may be over."""

    id: NodeId


MembershipFact = ProcessNamed | FoundIncompatible | StateChanged | LeftTable | LeftRing | HiddenRowChanged
