"""A member that runs SWIM or Lifeguard: our node with the detector and the dissemination of `baselines`.

Owns: what follows from a claim. Each member holds a suspicion that is gossiped, and the suspect refutes it at once:
there is no flap damping. Never knows: how a suspicion ends (`suspicion.py`).
"""

from collections.abc import Iterable

from gossipreg.config import Config
from gossipreg.core.failure.facts import FailureFact
from gossipreg.core.gossip.dissemination import Topic
from gossipreg.core.node import Node
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.session.sessions import Peer
from gossipreg.model import Address, Liveness, NodeId, Rank
from gossipreg.wire.messages import Claim, Message
from simulations.baselines.config import BaselineConfig
from simulations.baselines.detector import BaselineDetector
from simulations.baselines.dissemination import BaselineDissemination
from simulations.baselines.suspicion import Suspected
from simulations.sharing import SharingNode


class FixedTimeout(RoundTrips):
    """The same timeout for every member, whatever was measured."""

    def bound_s(self, id: NodeId, zone: str, floor_s: float) -> float:  # noqa: ARG002 (it measures, and ignores it)
        return self._config.rtt_initial_s


class BaselineNode(SharingNode):
    """Made with a BaselineConfig."""

    _detector: BaselineDetector
    _dissemination: BaselineDissemination

    def _make_round_trips(self) -> FixedTimeout:
        return FixedTimeout(self.config)

    def _make_dissemination(self) -> BaselineDissemination:
        return BaselineDissemination(self._context, self.table, self._ring, self._channel, self._paths)

    def _make_detector(self) -> BaselineDetector:
        assert isinstance(self.config, BaselineConfig)
        return BaselineDetector(self._context, self.table, self._ring, self._channel, self.config)

    # -- claims ------------------------------------------------------------------------------------------------------

    def _follow_detector(self, facts: Iterable[FailureFact]) -> None:
        for fact in facts:
            if isinstance(fact, Suspected):
                self._claim(fact.claim)
                self._after_own(fact.claim)
            else:
                super()._follow_detector([fact])

    def _declare(self, id: NodeId, why: str) -> None:
        row = self.table.rows.get(id)
        if row is not None and row.active:
            super()._declare(id, why)
            self._after_own(Claim(id, *row.liveness, by=self.id))

    def _after_own(self, claim: Claim) -> None:
        """We have made this claim ourselves."""
        self._hold(claim)
        self._dissemination.at_once()  # memberlist piggybacks it on the next ack

    def _take(self, peer: Peer, message: Message, source: Address, counter: int) -> None:
        if type(message) is not Claim:
            super()._take(peer, message, source, counter)
        elif message.id == self.id:
            self._on_ourselves(peer.id, message)
        else:
            if message.rank is Rank.SUSPECT:
                self._on_suspicion(peer.id, message, counter)
            else:
                self._on_claim(peer.id, message, counter)
            self._hold(message)
            self._ping_if_quarantined(message.id)

    def _on_ourselves(self, peer: NodeId, claim: Claim) -> None:
        if claim.generation > self.table.generation:
            self._identity_conflict.on_generation(claim.generation)
        elif claim.rank is not Rank.ALIVE:
            self._about_us.refute_to(peer, claim)

    def _on_suspicion(self, peer: NodeId, claim: Claim, counter: int) -> None:
        """Merge a suspicion. A member that repeats an old one is not corrected: it receives the refutation from
        others."""
        row = self.table.rows.get(claim.id)
        level = Liveness(claim.generation, claim.incarnation, claim.rank)
        if row is None or row.dead or row.liveness <= level:
            self._merge_claim(peer, claim, counter)
        else:
            self._receipts.queue(peer, counter)
            self._dissemination.acked_by(peer, Topic(claim.id, True), level)

    def _hold(self, claim: Claim) -> None:
        """Wait for the refutation, as each member that knows of a suspicion does. Gossip a confirmation."""
        row = self.table.rows.get(claim.id)
        if row is not None and self._detector.on_claim(claim, row.liveness):
            self._dissemination.confirm(claim.id, claim.by)


def node_class(config: Config) -> type[Node]:
    """The class of the members that have this config."""
    return BaselineNode if isinstance(config, BaselineConfig) else SharingNode
