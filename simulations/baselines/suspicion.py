"""Gossiped suspicion: SWIM's, and Lifeguard's.

Owns: indirect probes under way and the timers of suspicions that all members hold. Never knows: who is probed when.
What it finds it leaves in `found`, for the node to gossip.

SWIM (4.2): a missed probe asks `helpers` members; if none reaches the target before the period ends, SUSPECT is told to
all. Everybody who hears it waits; the suspect refutes with a higher incarnation, else it is declared dead.
Lifeguard: 3.1, missing nacks count against our own health and stretch the wait for an answer, and as there is one probe
at a time, the period with it; 3.2, the wait for a refutation starts at its maximum and shrinks with each independent
confirmation, log-shaped, to its minimum.
"""

import math
from dataclasses import dataclass, field

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Liveness, NodeId, Rank
from gossipreg.wire.messages import Claim, PingReq
from simulations.baselines.config import BaselineConfig
from simulations.baselines.prober import RandomOrderProber


@dataclass(frozen=True, slots=True)
class IndirectOver:
    """Timer: the period of this missed probe is over."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class RefuteOver:
    """Timer: the time to refute this suspicion is over. Void once the liveness is another."""

    id: NodeId
    liveness: Liveness


@dataclass(frozen=True, slots=True)
class DeclaredDead:
    id: NodeId
    why: str


@dataclass(slots=True)
class _Held:
    liveness: Liveness
    since: float
    by: dict[NodeId, None] = field(default_factory=dict)
    """Who suspects it, the first one and the confirmations."""


class GossipedSuspicions:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        channel: Channel,
        prober: RandomOrderProber,
        config: BaselineConfig,
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._prober = prober
        self._config = config
        self.found: list[Claim | DeclaredDead] = []
        """What the node has to gossip: a suspicion, or its end."""
        self._asks: dict[NodeId, dict[int, NodeId]] = {}
        """By suspect the questions without an answer: number -> helper."""
        self._asked: dict[NodeId, None] = {}
        """Suspects for whose sake anybody was asked: only then do missing nacks say something."""
        self._held: dict[NodeId, _Held] = {}
        self._blocked = False
        self._put_off: dict[NodeId, None] = {}
        """Targets of probes that would have come to an end, were our sends not blocked."""

    def suspects(self, id: NodeId) -> bool:
        return id in self._held

    def held(self) -> int:
        """SWIM puts no bound to it: what others suspect is held too."""
        return 0

    def since(self, id: NodeId) -> float | None:
        held = self._held.get(id)
        return None if held is None else held.since

    def why(self, id: NodeId) -> str:
        """In words, for the operator; empty where it is not suspected."""
        return "suspected by members, and not refuted yet" if id in self._held else ""

    def missed(self, id: NodeId, since: float, *, refused: bool, own_report: bool = True) -> None:  # noqa: ARG002 (one protocol for both)
        context = self._context
        if id in self._asks:
            return
        asks = self._asks[id] = {}
        for helper in self._ring.sample(context.rng, context.config.helpers, [id]):
            number = context.rng.getrandbits(32)
            if self._channel.to(helper, PingReq(number, id)):
                asks[number] = helper
                self._asked[id] = None
        over = max(
            since + context.config.period_s * context.timeout_multiplier, context.now + self._channel.bound_s(id)
        )
        context.timers.set(IndirectOver(id), over)

    def refused(self, id: NodeId) -> None:
        """SWIM has no ear for refused ports."""

    def reached(self, id: NodeId) -> None:
        self._prober.over(id)
        self._put_off.pop(id, None)
        self._asked.pop(id, None)
        if self._asks.pop(id, None) is not None:
            self._context.timers.cancel(IndirectOver(id))

    def on_answer(self, helper: NodeId, number: int, *, reached: bool, refused: bool) -> bool:  # noqa: ARG002 (one protocol for both)
        id = next((id for id, asks in self._asks.items() if asks.get(number) == helper), None)
        if id is None:
            return False
        if reached:
            self.reached(id)
        else:
            del self._asks[id][number]
        return True

    def on_timer(self, name: object) -> bool:
        match name:
            case IndirectOver(id=id):
                self._on_indirect_over(id)
            case RefuteOver(id=id, liveness=liveness):
                self._on_refute_over(id, liveness)
            case _:
                return False
        return True

    def slept(self, late_s: float) -> None:
        """Plain SWIM does not know that it slept."""

    def heard_again(self) -> None:
        """Nor that it heard nobody."""

    def look_at(self, id: NodeId) -> None:
        """Nobody is out of our answers for a suspicion of this kind."""

    def forget(self, id: NodeId) -> None:
        self.reached(id)
        self._let_go(id)

    def blocked(self, now: float, *, blocked: bool) -> None:
        """Our sends block, or no longer do. A prober that is a thread stands still in its send, as
        memberlist's does, so its probe comes to an end only once that goes on; the timers of suspicions run."""
        self._blocked = blocked
        if not blocked:
            for id in self._put_off:
                self._context.timers.set(IndirectOver(id), now)
            self._put_off.clear()

    def _on_indirect_over(self, id: NodeId) -> None:
        if self._blocked:
            self._put_off[id] = None
            return
        context = self._context
        self._prober.over(id)
        asks = self._asks.pop(id, {})
        anybody_asked = id in self._asked
        self._prober.health.worse(len(asks) if self._config.lifeguard and anybody_asked else 1)
        self._asked.pop(id, None)
        row = self._table.rows.get(id)
        if row is not None and row.active:
            self.found.append(Claim(id, *row.liveness._replace(rank=Rank.SUSPECT), by=context.id))

    # -- everybody's part --------------------------------------------------------------------------------------------

    def on_claim(self, claim: Claim, held: Liveness) -> bool:
        """A claim was merged, or not; `held` is what our table says now. True where it is an independent confirmation
        of a suspicion, worth telling on."""
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
        """Lifeguard 3.2; with a maximum multiplier of 1 it is SWIM's constant."""
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
        held = self._held.get(id)
        row = self._table.rows.get(id)
        if held is None or row is None or not row.liveness == liveness == held.liveness:
            return
        if row.hold_until > self._context.now:
            self._context.timers.set(RefuteOver(id, liveness), row.hold_until)
        else:
            self.found.append(DeclaredDead(id, f"suspected by {len(held.by)} and not refuted"))
