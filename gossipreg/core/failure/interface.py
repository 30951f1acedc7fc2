"""The interface of failure detection: what the node and the other rooms may ask of a detector.

Owns: nothing. `FailureDetector` (`detector.py`) is the detector that ships; the laboratory has a second one, which runs
SWIM and Lifeguard. A method that returns facts returns them in the order in which the node has to act on them.
"""

from collections.abc import Sequence
from typing import Protocol

from gossipreg.core.failure.facts import FailureFact, Suspicion
from gossipreg.core.failure.pairs import LossyPair
from gossipreg.core.failure.prober import Prober
from gossipreg.model import Address, NodeId, Rank
from gossipreg.wire.messages import Ack, Nack, PingReq, Probe


class Detector(Protocol):
    _prober: Prober
    """Read by `core/inspect.py` alone."""

    # -- inputs ------------------------------------------------------------------------------------------------------

    def on_message(self, peer: NodeId, message: Probe | Ack | Nack | PingReq, source: Address) -> Sequence[FailureFact]:
        """A member sent this message from this address. An ack of a size probe must not come here."""

    def on_timer(self, name: object, due: float) -> Sequence[FailureFact]:
        """This timer was due at `due`. A timer of another part is ignored."""

    def on_refused(self, address: Address) -> Sequence[FailureFact]:
        """The kernel says that nobody listens on this port. It may be forged."""

    def on_stall(self, late_s: float) -> Sequence[FailureFact]:
        """This process stood still for `late_s` seconds."""

    def on_silence_over(self) -> None:
        """A datagram came from a member, after a silence of all members that was longer than `floor_silent_s`."""

    def on_row_changed(self, id: NodeId) -> Sequence[FailureFact]:
        """The row of a hidden member has changed: it may have started again."""

    def on_accused(self, by: NodeId, rank: Rank) -> None:
        """This member sent us a claim that we are suspected, or dead."""

    def on_refuted(self) -> None:
        """We have refuted such a claim."""

    # -- commands ----------------------------------------------------------------------------------------------------

    def probe(self, id: NodeId) -> bool:
        """Probe this member now. Returns False if no address of it is known."""

    def send_again(self, id: NodeId) -> None:
        """Send our pings to this member again, since it dropped them: it had no session with us."""

    def forget(self, id: NodeId) -> Sequence[FailureFact]:
        """Forget this member, which is not on the ring any more."""

    # -- for people, and for flap damping ----------------------------------------------------------------------------

    def suspicion(self, id: NodeId) -> Suspicion | None:
        """The suspicion of this member; None if it is not suspected here."""

    @property
    def at_fault(self) -> bool:
        """Whether lost probes are this member's own fault."""

    @property
    def health_score(self) -> int:
        """Lifeguard's local health; 0 is healthy."""

    @property
    def lossy_pairs(self) -> list[LossyPair]:
        """The members that other members reach, while datagrams between them and us are lost."""
