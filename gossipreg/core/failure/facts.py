"""The facts that failure detection finds.

Owns: these facts, as values: those that the prober gives the detector, and those that the detector gives the node.
Never knows: what follows from them. The node hands each fact to the parts that have to act on it, in the order that
stands in `core/order.py`.
"""

from typing import NamedTuple

from gossipreg.model import Address, NodeId
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Ack

# -- from the prober to the detector -----------------------------------------------------------------------------------


class Reached(NamedTuple):
    """This member acked a probe."""

    id: NodeId
    in_time: bool
    """It was a probe of our own, and its timeout was not over."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another member acked a probe at the address to which it was sent, so the target is not there any more."""

    id: NodeId
    by: NodeId


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """A probe of our own got no ack: its timeout is over, or its port is refused."""

    id: NodeId
    sent_at: float
    refused: bool


@dataclass(frozen=True, slots=True)
class PortRefused:
    """The port to which this member's probe was sent is refused."""

    id: NodeId
    in_time: bool
    """The probe was still waiting for its ack."""
    failed: ProbeFailed | None
    """If it was a probe of our own that was still waiting."""


@dataclass(frozen=True, slots=True)
class ProbeVoided:
    """This process stood still while it waited for the ack of a probe of its own, so a missing ack means nothing."""

    id: NodeId
    ask_helpers: bool
    """`voided_probes` probes of this member were voided in a row, so helpers have to ping it."""


class Suspicion(NamedTuple):
    """A member that is suspected here, as people see it."""

    since: float
    """When the first probe without an ack was sent."""
    reason: str


# -- from the detector to the node -------------------------------------------------------------------------------------


class FailureFact:
    """A fact that other parts of the node act on. No dataclass: those that extend one are made slowly."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Acked(FailureFact):
    """A member acked a probe that we sent, from this address."""

    id: NodeId
    ack: Ack
    source: Address


@dataclass(frozen=True, slots=True)
class DeclaredDead(FailureFact):
    """This member is dead: its suspicion has ended so, or another member answers at its address. Gossip that."""

    id: NodeId
    why: str
    """For people."""


@dataclass(frozen=True, slots=True)
class Hidden(FailureFact):
    """Take this member out of our own answers for this reason; with `hidden` False, the reason is over. Other members
    are not told."""

    id: NodeId
    why: str
    hidden: bool


@dataclass(frozen=True, slots=True)
class CutOff(FailureFact):
    """Since this time no datagram came from any member, and a probe of ours was missed: this member is isolated."""

    since: float
