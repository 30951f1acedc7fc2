"""Gossiped suspicion: SWIM's, and Lifeguard's.

Owns: the indirect pings under way, and the timers of the suspicions that all members hold. Never knows: which member is
probed when.

SWIM (section 4.2): after a probe without an ack, `helpers` members are asked to ping the target. If none reaches it
before the period ends, a claim that it is suspected is gossiped. Each member that receives the claim waits; the suspect
refutes it with a higher incarnation, or it is declared dead. Lifeguard, section 3.1: missing nacks worsen local health,
which lengthens the wait for acks, and so the period, since there is one probe at a time. Section 3.2: the time to
refute begins at its maximum and shrinks with the logarithm of the independent confirmations to its minimum.
"""

import math
from dataclasses import dataclass, field

from gossipreg.core.context import Context
from gossipreg.core.failure.facts import DeclaredDead, FailureFact, ProbeFailed, Suspicion
from gossipreg.core.failure.local_health import LocalHealth
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Liveness, NodeId, Rank
from gossipreg.wire.messages import Claim, PingReq
from simulations.baselines.config import BaselineConfig
from simulations.baselines.turns import ProbeTurns


@dataclass(frozen=True, slots=True)
class IndirectOver:
    """Timer: the time for indirect pings of this member is over."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class RefuteOver:
    """Timer: the time to refute this suspicion is over. Void once the liveness is another."""

    id: NodeId
    liveness: Liveness


@dataclass(frozen=True, slots=True)
class Suspected(FailureFact):
    """Neither this member nor a helper could reach the subject of this claim, so gossip that it is suspected."""

    claim: Claim


@dataclass(slots=True)
class _Held:
    liveness: Liveness
    since: float
    by: dict[NodeId, None] = field(default_factory=dict)
    """The members that suspect it: the first accuser and the confirmations."""


class GossipedSuspicions:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        channel: Channel,
        health: LocalHealth,
        turns: ProbeTurns,
        config: BaselineConfig,
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._health = health
        self._turns = turns
        self._config = config
        self._ping_reqs: dict[NodeId, dict[int, NodeId]] = {}
        """For each target of indirect pings, the helpers that have not answered, by the number of the ping-req."""
        self._with_helpers: dict[NodeId, None] = {}
        """The targets for which a helper was asked: only for those do missing nacks mean something."""
        self._held: dict[NodeId, _Held] = {}
        self._blocked = False
        self._put_off: dict[NodeId, None] = {}
        """The targets whose indirect pings would have ended if our sends were not blocked."""
        self._found: list[FailureFact] = []

    def __contains__(self, id: NodeId) -> bool:
        return id in self._held

    def take_found(self) -> list[FailureFact]:
        """Return what the node has to gossip since the last call: suspicions, and deaths."""
        found, self._found = self._found, []
        return found

    def suspicion(self, id: NodeId) -> Suspicion | None:
        """The suspicion of this member, for people."""
        held = self._held.get(id)
        return None if held is None else Suspicion(held.since, "suspected by members, and not refuted yet")

    # -- indirect pings ----------------------------------------------------------------------------------------------

    def on_failed(self, failed: ProbeFailed) -> None:
        """A probe of ours got no ack: ask helpers to ping the target."""
        context, id = self._context, failed.id
        if id in self._ping_reqs:
            return
        sent = self._ping_reqs[id] = {}
        for helper in self._ring.sample(context.rng, context.config.helpers, [id]):
            number = context.rng.getrandbits(32)
            if self._channel.to(helper, PingReq(number, id)):
                sent[number] = helper
                self._with_helpers[id] = None
        period_over = failed.sent_at + context.config.period_s * context.timeout_multiplier
        context.timers.set(IndirectOver(id), max(period_over, context.now + self._channel.bound_s(id)))

    def reached(self, id: NodeId) -> None:
        """The target acked a ping of ours, or of a helper."""
        self._turns.end(id)
        self._put_off.pop(id, None)
        self._with_helpers.pop(id, None)
        if self._ping_reqs.pop(id, None) is not None:
            self._context.timers.cancel(IndirectOver(id))

    def on_helper_answer(self, helper: NodeId, number: int, *, reached: bool) -> None:
        """A helper answers a ping-req by an ack (`reached`) or a nack."""
        id = next((id for id, sent in self._ping_reqs.items() if sent.get(number) == helper), None)
        if id is None:
            self._context.count("acks_unasked" if reached else "nacks_unasked")
        elif reached:
            self.reached(id)
        else:
            del self._ping_reqs[id][number]

    def on_timer(self, name: object) -> None:
        """Act if this is a timer of a suspicion."""
        match name:
            case IndirectOver(id):
                self._on_indirect_over(id)
            case RefuteOver(id, liveness):
                self._on_refute_over(id, liveness)

    def forget(self, id: NodeId) -> None:
        """The member is not on the ring any more."""
        self.reached(id)
        self._let_go(id)

    def blocked(self, now: float, *, blocked: bool) -> None:
        """Our sends block, or no longer do. memberlist's prober is a thread, and a blocked send stops it, so its probe
        ends only once sends go on. The timers of suspicions run on."""
        self._blocked = blocked
        if not blocked:
            for id in self._put_off:
                self._context.timers.set(IndirectOver(id), now)
            self._put_off.clear()

    def _on_indirect_over(self, id: NodeId) -> None:
        """Neither this member nor a helper reached the target in time: suspect it."""
        if self._blocked:
            self._put_off[id] = None
            return
        self._turns.end(id)
        missing_nacks = len(self._ping_reqs.pop(id, {}))
        counts_nacks = self._config.lifeguard and id in self._with_helpers
        self._health.worse(missing_nacks if counts_nacks else 1)
        self._with_helpers.pop(id, None)
        row = self._table.rows.get(id)
        if row is not None and row.active:
            suspect = Claim(id, *row.liveness._replace(rank=Rank.SUSPECT), by=self._context.id)
            self._found.append(Suspected(suspect))

    # -- suspicions, which all members hold ---------------------------------------------------------------------------

    def on_claim(self, claim: Claim, held: Liveness) -> bool:
        """A claim came, and `held` is what our table says now. Return whether the claim is an independent confirmation
        of a suspicion, which is gossiped on."""
        if held.rank is not Rank.SUSPECT:
            self._let_go(claim.id)  # refuted, or dead
            return False
        return held == (claim.generation, claim.incarnation, claim.rank) and self._on_suspect(claim, held)

    def _on_suspect(self, claim: Claim, liveness: Liveness) -> bool:
        held = self._held.get(claim.id)
        first = held is None or held.liveness != liveness
        if held is None or first:
            self._let_go(claim.id)
            held = self._held[claim.id] = _Held(liveness, self._context.now)
            self._context.count("suspicions")
        confirms = claim.by not in held.by and len(held.by) <= self._config.suspicion_confirmations
        if confirms:
            held.by[claim.by] = None
        self._context.timers.set(RefuteOver(claim.id, liveness), held.since + self._refute_s(len(held.by) - 1))
        return confirms and not first

    def _let_go(self, id: NodeId) -> None:
        held = self._held.pop(id, None)
        if held is not None:
            self._context.timers.cancel(RefuteOver(id, held.liveness))

    def _refute_s(self, confirmations: int) -> float:
        """The time to refute after this number of confirmations (Lifeguard 3.2). With a maximum multiplier of 1 it
        is SWIM's constant."""
        config = self._config
        members = len(self._ring)
        least = config.suspicion_multiplier * max(1.0, math.log10(max(members, 1))) * config.period_s
        most = config.suspicion_max_multiplier * least
        expected = config.suspicion_confirmations if members - 2 >= config.suspicion_confirmations else 0
        if expected == 0:
            return least
        part = math.log(max(confirmations, 0) + 1) / math.log(expected + 1)
        return max(least, most - (most - least) * part)

    def _on_refute_over(self, id: NodeId, liveness: Liveness) -> None:
        """The suspect has not refuted in time: it is dead, unless its announced restart is not over."""
        held = self._held.get(id)
        row = self._table.rows.get(id)
        if held is None or row is None or not row.liveness == liveness == held.liveness:
            return
        if row.hold_until > self._context.now:
            self._context.timers.set(RefuteOver(id, liveness), row.hold_until)
        else:
            self._found.append(DeclaredDead(id, f"suspected by {len(held.by)} and not refuted"))
