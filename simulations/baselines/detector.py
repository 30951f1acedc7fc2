"""The failure detector of SWIM and Lifeguard, with the interface of our own (`core/failure/interface.py`).

Owns: the order in which its inner parts act: prober, turns, suspicions and local health. Never knows: how a suspicion
ends (`suspicion.py`), or how it is gossiped (`node.py`).

It ignores refused ports and its own isolation, and it reports no lossy pairs: the papers know none of these.
"""

from gossipreg.core.context import Context
from gossipreg.core.failure.facts import Acked, DeclaredDead, FailureFact, ProbeFailed, Reached, Replaced, Suspicion
from gossipreg.core.failure.local_health import LocalHealth
from gossipreg.core.failure.pairs import LossyPair
from gossipreg.core.failure.prober import Period, ProbeDue, Prober
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, Liveness, NodeId, Rank
from gossipreg.wire.messages import Ack, Claim, Nack, PingReq, Probe
from simulations.baselines.config import BaselineConfig
from simulations.baselines.prober import BaselineProber
from simulations.baselines.suspicion import GossipedSuspicions
from simulations.baselines.turns import ProbeTurns


class BaselineDetector:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel, config: BaselineConfig) -> None:
        self._context = context
        self._config = config
        self._health = LocalHealth(context)
        self._prober: Prober = BaselineProber(context, table, ring, channel, config)
        self._turns = ProbeTurns(context, ring)
        self._suspicions = GossipedSuspicions(context, table, ring, channel, self._health, self._turns, config)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def on_message(self, peer: NodeId, message: Probe | Ack | Nack | PingReq, source: Address) -> list[FailureFact]:
        match message:
            case Ack():
                return self._on_ack(peer, message, source)
            case Nack(number):
                self._suspicions.on_helper_answer(peer, number, reached=False)
            case PingReq():
                self._prober.on_ping_req(peer, message)
        return []

    def _on_ack(self, peer: NodeId, ack: Ack, source: Address) -> list[FailureFact]:
        match self._prober.on_ack(peer, ack, source):
            case Reached(id, in_time):
                if in_time:
                    self._health.better(1)
                self._suspicions.reached(id)
                return [Acked(id, ack, source)]
            case Replaced(id, by):
                return [DeclaredDead(id, f"member {by.hex()} answers at its address")]
            case None:
                self._suspicions.on_helper_answer(peer, ack.number, reached=True)
        return []

    def on_timer(self, name: object, due: float) -> list[FailureFact]:
        match name:
            case Period():
                self._on_period(due)
            case ProbeDue(number):
                failed = self._prober.on_probe_due(number)
                if failed is not None:
                    self._suspicions.on_failed(failed)
            case _:
                self._suspicions.on_timer(name)
        return self._suspicions.take_found()

    def _on_period(self, due: float) -> None:
        """Probe the member whose turn it is, unless the last probe has not ended yet. Lifeguard also tells that member
        if it is suspected (section 3.3)."""
        self._prober.on_period(due)
        target = None if self._turns.busy else self._turns.next()
        if target is not None:
            accuse = self._config.lifeguard and target in self._suspicions
            if self._prober.probe(target, accuse=accuse):
                self._turns.begin(target)
        self._prober.probe_at_random(target)

    def on_claim(self, claim: Claim, held: Liveness) -> bool:
        """Another member claims that this one is suspected, dead or alive; `held` is what our table says now. Return
        whether it is an independent confirmation of a suspicion, which is gossiped on."""
        return self._suspicions.on_claim(claim, held)

    def on_stall(self, late_s: float) -> list[FailureFact]:
        """Only a very long stall comes here (`config.py`). Send the probes under way again, as our own detector does;
        the suspicions run on."""
        for voided in self._prober.on_stall(late_s):
            if voided.ask_helpers:
                self._suspicions.on_failed(ProbeFailed(voided.id, self._context.now, refused=False))
            else:
                self._prober.probe(voided.id)
        return self._suspicions.take_found()

    def on_refused(self, address: Address) -> list[FailureFact]:  # noqa: ARG002 (of the interface)
        """SWIM ignores refused ports."""
        return []

    def on_silence_over(self) -> None:
        """SWIM does not notice its own isolation."""

    def on_row_changed(self, id: NodeId) -> list[FailureFact]:  # noqa: ARG002 (of the interface)
        """SWIM hides no member."""
        return []

    def on_accused(self, by: NodeId, rank: Rank) -> None:
        """A suspect refutes at once, and nothing else follows."""

    def on_refuted(self) -> None:
        self._health.worse(1)

    def blocked(self, now: float, *, blocked: bool) -> None:
        """Our sends block, or no longer do."""
        self._suspicions.blocked(now, blocked=blocked)

    # -- commands ----------------------------------------------------------------------------------------------------

    def probe(self, id: NodeId) -> bool:
        return self._prober.probe(id)

    def send_again(self, id: NodeId) -> None:
        self._prober.send_again(id)

    def forget(self, id: NodeId) -> list[FailureFact]:
        self._prober.forget(id)
        self._suspicions.forget(id)
        return []

    # -- for people --------------------------------------------------------------------------------------------------

    def suspicion(self, id: NodeId) -> Suspicion | None:
        return self._suspicions.suspicion(id)

    @property
    def at_fault(self) -> bool:
        """SWIM has no measure of its own fault."""
        return False

    @property
    def health_score(self) -> int:
        return self._health.score

    @property
    def lossy_pairs(self) -> list[LossyPair]:
        return []
