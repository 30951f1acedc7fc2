"""The failure detector: which member is probed when, and what follows if a member does not ack.

Owns: whose turn it is, and the order in which its inner parts act: prober, suspicions, local health and lossy pairs. No
other part of the node calls those. Never knows: how a ping is matched with its ack (`prober.py`), how a suspicion ends
(`suspicion.py`), or how other members learn of a death (`core/order.py`).

In each period this member probes its nearest ring successor that it does not suspect, so every member is probed once a
period (SWIM probes in random order). A probe without an ack in time, or a refused port, begins a suspicion, and the
next successor is probed at once. Once in `random_compare_periods` a random member is probed too, in order to compare
fingerprints.

The calls go one way: the prober returns facts, the detector gives them to the suspicions, which ping suspects by the
prober. What other parts of the node have to do is returned as facts too.

If this process stood still, its probes under way are void, and it sends new ones. After `voided_probes` voided probes
of one member in a row it asks helpers to ping that member.
"""

from gossipreg.core.context import Context
from gossipreg.core.failure.facts import Acked, DeclaredDead, FailureFact, ProbeFailed, Reached, Replaced, Suspicion
from gossipreg.core.failure.local_health import LocalHealth
from gossipreg.core.failure.pairs import LossyPair, Pairs
from gossipreg.core.failure.prober import Period, ProbeDue, Prober
from gossipreg.core.failure.suspicion import LocalSuspicions
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId, Rank
from gossipreg.wire.messages import Ack, Nack, PingReq, Probe

CHECKS_MAX = 64
"""Addresses that are checked in one period because something other than a probe was refused there. It need not be a
member's: a greeting from a spoofed address is answered too, and each check walks the ring."""


class FailureDetector:
    """Implements `interface.Detector`, where each method is described."""

    def __init__(self, context: Context, table: Table, ring: Ring, round_trips: RoundTrips, channel: Channel) -> None:
        self._context = context
        self._ring = ring
        self._channel = channel
        self._health = LocalHealth(context)
        self._pairs = Pairs(context, table, ring, channel)
        self._prober = Prober(context, table, ring, channel)
        self._suspicions = LocalSuspicions(context, table, ring, round_trips, channel, self._prober, self._health)
        self._checked: dict[Address, None] = {}
        """The addresses whose member was probed in this period because something was refused there."""
        self._suspicions_max = context.config.failure.suspicions_max

    # -- for people, and for flap damping ----------------------------------------------------------------------------

    def suspicion(self, id: NodeId) -> Suspicion | None:
        return self._suspicions.suspicion(id)

    @property
    def at_fault(self) -> bool:
        return self._health.at_fault

    @property
    def health_score(self) -> int:
        return self._health.score

    @property
    def lossy_pairs(self) -> list[LossyPair]:
        return self._pairs.lossy()

    # -- messages ----------------------------------------------------------------------------------------------------

    def on_message(self, peer: NodeId, message: Probe | Ack | Nack | PingReq, source: Address) -> list[FailureFact]:
        match message:
            case Probe():
                self._pairs.pinged(peer)
            case Ack():
                return self._on_ack(peer, message, source)
            case Nack(number, refused):
                self._on_helper_answer(peer, number, reached=False, refused=refused)
            case PingReq():
                self._prober.on_ping_req(peer, message)
        return self._suspicions.take_found()

    def _on_ack(self, peer: NodeId, ack: Ack, source: Address) -> list[FailureFact]:
        """A member acked a probe of ours, or a helper acks that it reached a suspect."""
        match self._prober.on_ack(peer, ack, source):
            case Reached() as reached:
                self._on_reached(reached)
                return [*self._suspicions.take_found(), Acked(peer, ack, source)]
            case Replaced(id, by):  # if it lives elsewhere, it will refute this
                return [DeclaredDead(id, f"member {by.hex()} answers at its address")]
            case None:
                self._on_helper_answer(peer, ack.number, reached=True, refused=False)
        return self._suspicions.take_found()

    def _on_reached(self, reached: Reached) -> None:
        self._pairs.answered(reached.id)
        if reached.in_time:
            self._health.better(1)
            if reached.id not in self._suspicions:
                self._health.probe_of_living(in_time=True)
        self._suspicions.reached(reached.id)

    def _on_helper_answer(self, helper: NodeId, number: int, *, reached: bool, refused: bool) -> None:
        suspect = self._suspicions.on_helper_answer(helper, number, reached=reached, refused=refused)
        if suspect is not None:
            self._pairs.helper_reached(suspect, helper)
            self._prober.stop_waiting_for(suspect)
            self._suspicions.reached(suspect)

    def on_accused(self, by: NodeId, rank: Rank) -> None:
        self._health.accused()
        if rank is Rank.SUSPECT:
            self._pairs.accused(by)

    def on_refuted(self) -> None:
        self._health.worse(1)

    # -- timers ------------------------------------------------------------------------------------------------------

    def on_timer(self, name: object, due: float) -> list[FailureFact]:
        match name:
            case Period():
                self._on_period(due)
            case ProbeDue(number):
                failed = self._prober.on_probe_due(number)
                if failed is not None:
                    self._pairs.missed(failed.id)
                    self._on_failed(failed)
            case _:
                self._suspicions.on_timer(name)
        return self._suspicions.take_found()

    def _on_period(self, due: float) -> None:
        self._prober.on_period(due)
        self._checked.clear()
        target = self._next_target()
        if target is not None:
            self._prober.probe(target, accuse=target in self._suspicions)
        recheck = self._pairs.on_period()
        if recheck is not None:
            self._prober.probe(recheck)
        self._prober.probe_at_random(target)

    def _next_target(self) -> NodeId | None:
        """The member whose turn it is. With too many suspects it is any member: an ack of one shows that we are not
        isolated."""
        if len(self._suspicions) >= self._suspicions_max:
            return next(iter(self._ring.sample(self._context.rng, 1)), None)
        return next((id for id in self._ring.successors() if id not in self._suspicions), None)

    # -- probes without an ack ---------------------------------------------------------------------------------------

    def _on_failed(self, failed: ProbeFailed) -> None:
        """Begin a suspicion, unless there are too many, and then probe the next successor at once. Or continue the
        suspicion that there is."""
        suspected = failed.id in self._suspicions
        if not suspected and len(self._suspicions) >= self._suspicions_max:
            self._context.count("suspicions_put_off")
            return
        self._suspicions.on_failed(failed)
        following = None if suspected else self._next_target()
        if following is not None:
            self._prober.probe(following)

    def on_refused(self, address: Address) -> list[FailureFact]:
        """Let the probes under way to this port fail. If there is none, probe the member that has this address."""
        targets: dict[NodeId, None] = {}
        in_time = False
        for number in self._prober.sent_to(address):
            refused = self._prober.refuse(number)
            if refused is not None:
                targets[refused.id] = None
                in_time = in_time or refused.in_time
                if refused.failed is not None:
                    self._on_failed(refused.failed)
        for target in targets:
            self._suspicions.on_refused(target)
        if not in_time and not any(target in self._suspicions for target in targets):
            self._check(address)
        return self._suspicions.take_found()

    def _check(self, address: Address) -> None:
        """Probe the member that has this address, at most once a period: something else than a probe was refused
        there."""
        if address in self._checked or len(self._checked) >= CHECKS_MAX:
            return
        self._checked[address] = None
        for id in (*self._ring.neighbours(self._context.config.fanout_ring), *self._ring.successors()):
            if self._channel.address(id) == address:
                self._prober.probe(id)
                return

    # -- our own state -----------------------------------------------------------------------------------------------

    def on_stall(self, late_s: float) -> list[FailureFact]:
        """Void the probes under way, and send new ones."""
        voided_probes = self._prober.on_stall(late_s)
        self._suspicions.on_stall(late_s)
        for voided in voided_probes:
            if voided.ask_helpers:
                self._suspicions.ask_helpers(voided.id)
            else:
                self._prober.probe(voided.id)
        return self._suspicions.take_found()

    def on_silence_over(self) -> None:
        self._suspicions.on_silence_over()

    # -- members -----------------------------------------------------------------------------------------------------

    def probe(self, id: NodeId) -> bool:
        return self._prober.probe(id)

    def send_again(self, id: NodeId) -> None:
        self._prober.send_again(id)

    def on_row_changed(self, id: NodeId) -> list[FailureFact]:
        self._suspicions.on_row_changed(id)
        return self._suspicions.take_found()

    def forget(self, id: NodeId) -> list[FailureFact]:
        self._prober.forget(id)
        self._pairs.forget(id)
        self._suspicions.forget(id)
        return self._suspicions.take_found()
