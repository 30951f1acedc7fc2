"""The facts that a handshake finds about another process.

Owns: the facts, as values. Never knows: what follows from them. The node hands each fact to the parts that have to act
on it, in the order that stands in `core/order.py`.
"""

from gossipreg.model import Address, BootId, NodeId
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Hello


@dataclass(frozen=True, slots=True)
class SessionMissing:
    """This member asks who we are, so it has no session with us: it dropped what we have just sent."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class AddressProven:
    """This member has proven that it receives at its source address."""

    id: NodeId
    first: bool
    """It had no session with us before."""


@dataclass(frozen=True, slots=True)
class OwnIdUsed:
    """Another living process has proven, in a handshake from this address, that it uses our node id."""

    boot_id: BootId
    address: Address
    hello: Hello


@dataclass(frozen=True, slots=True)
class OldGenerationHeld:
    """A member holds our row at this generation, which is older than ours."""

    generation: int


HandshakeFact = SessionMissing | AddressProven | OwnIdUsed | OldGenerationHeld
