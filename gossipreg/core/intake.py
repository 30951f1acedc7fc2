"""Intake: merge the rows and claims that members send, and decide what follows from each.

Owns: the claims that this member makes itself: that a member is dead or has left, and that we live. Never knows: how a
merge decides (`table.py`), or how an update is retransmitted (`dissemination.py`).

    it is new here           gossip it on
    it leaves a gap          pull the rest
    the sender is behind     answer with what is known here
    it is about ourselves    send our row, refute the claim, or look for an identity conflict (`identity_conflict.py`)
"""

from gossipreg.core.context import Context
from gossipreg.core.failure.flap_damping import FlapDamping
from gossipreg.core.failure.prober import Prober
from gossipreg.core.gossip.dissemination import Dissemination, Topic
from gossipreg.core.gossip.join import Joining
from gossipreg.core.gossip.pulls import Pulls
from gossipreg.core.gossip.reconcile import AntiEntropy
from gossipreg.core.local.identity_conflict import IdentityConflict
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.table.membership import MembershipIndex
from gossipreg.core.table.table import MergeOutcome, Table
from gossipreg.generation import started_ms
from gossipreg.model import NOTHING, Liveness, NodeId, Rank, Version
from gossipreg.wire.messages import MAX_INCARNATION, Announce, Claim, Delta

_AHEAD_MS = 366 * 86_400_000
"""Whoever tells of a start of a member we know that is this far ahead of our clock is not believed, before the owner
has said so itself. Else one wrong word could claim the highest generation there is for it, and silence it for good."""


class Intake:
    def __init__(
        self,
        context: Context,
        table: Table,
        channel: Channel,
        own: OwnRow,
        twins: IdentityConflict,
        rumours: Dissemination,
        fetch: Pulls,
        joining: Joining,
        reconcile: AntiEntropy,
        lost: Reconnect,
        detector: Prober,
        roster: MembershipIndex,
        returning: FlapDamping,
    ) -> None:
        self._context = context
        self._table = table
        self._channel = channel
        self._own_row = own
        self._identity_conflict = twins
        self._dissemination = rumours
        self._pulls = fetch
        self._joining = joining
        self._anti_entropy = reconcile
        self._reconnect = lost
        self._prober = detector
        self._membership = roster
        self._flap_damping = returning
        self._called_at: dict[NodeId, float] = {}
        """When we last asked a member itself for its generation."""

    # -- rows --------------------------------------------------------------------------------------------------------

    def on_delta(self, peer: NodeId, delta: Delta, counter: int) -> None:
        """A page of a row, as a rumour or because we pulled it."""
        context = self._context
        reached = Version(delta.generation, delta.reached)
        self._dissemination.row_acked_by(peer, delta.id, reached)
        pulled = self._pulls.pulling(delta.id)
        if not pulled:
            self._dissemination.queue_receipt(peer, counter)
        if delta.id == context.id:
            self._about_ourselves(peer, Version(delta.generation, delta.head))
            return
        if not self._believes(peer, delta.id, delta.generation):
            return
        row = self._table.rows.get(delta.id)
        if row is not None and row.dead and peer != delta.id and delta.generation <= row.liveness.generation:
            self._anti_entropy.answer_gone(peer, delta.id, reached)
        from_owner = peer == delta.id
        gossip_on = from_owner or self._pulls.gossips_on(delta.id)
        merged = self._table.merge_delta(delta, from_owner=from_owner, in_step=self._joining.synced, now=context.now)
        row = self._table.rows.get(delta.id)
        have = NOTHING if row is None else row.pull_from
        goal = Version(delta.generation, delta.head)
        if merged.news and gossip_on and row is not None and not row.unproven:
            self._dissemination.queue_row(delta.id, merged.before, received_from=peer)
        if merged.outcome is MergeOutcome.REFUSED:
            context.event("table_full", id=delta.id.hex())
            self._pulls.done(delta.id)
        elif pulled:
            self._pulls.progressed(delta.id)
        elif have < goal or merged.outcome is MergeOutcome.GAP:
            self._pulls.pull(delta.id, peer, goal, have, gossip_on=gossip_on)
        self._joining.on_row(delta.id)

    def on_announce(self, peer: NodeId, announce: Announce, counter: int) -> None:
        """News that did not fit: pull what we lack."""
        context = self._context
        self._dissemination.queue_receipt(peer, counter)
        head = Version(announce.generation, announce.head)
        self._dissemination.row_acked_by(peer, announce.id, head)
        if announce.id == context.id:
            self._about_ourselves(peer, head)
            return
        if not self._believes(peer, announce.id, announce.generation):
            return
        row = self._table.rows.get(announce.id)
        if row is not None and (row.dead or row.left) and head.generation <= row.liveness.generation:
            self._anti_entropy.answer_gone(peer, announce.id, head)
        elif row is None or row.pull_from < head:
            have = NOTHING if row is None else row.pull_from
            self._pulls.pull(announce.id, peer, head, have, gossip_on=True)

    def _about_ourselves(self, peer: NodeId, told: Version) -> None:
        """Somebody tells us our own row: it is behind, or somebody else writes in our name."""
        own = self._table.own.version
        if told.generation > own.generation:
            self._identity_conflict.on_generation(told.generation)
        elif told < own:
            page = self._table.page(self._context.id, told, self._channel.limit(peer))
            if page is not None:
                self._channel.to(peer, page)

    def _believes(self, peer: NodeId, id: NodeId, generation: int) -> bool:
        """Whether a generation told by others is within reason. One that is not may still be true (our clock or the
        owner's is wrong): then the owner, called now, says it itself, and comparing brings the rest."""
        context = self._context
        row, owner = self._table.rows.get(id), self._channel.session(id)
        newest = 0 if row is None else row.liveness.generation
        if owner is not None:
            newest = max(newest, owner.generation)
        ahead_ms = started_ms(generation) - self._table.wall_at_0_ms - context.now * 1000
        if peer == id or row is None or generation <= newest or ahead_ms <= _AHEAD_MS:
            return True
        context.count("drop.generation_ahead")
        address = self._channel.address(id)
        if address is not None and context.now - self._called_at.get(id, float("-inf")) >= context.config.period_s:
            self._called_at[id] = context.now
            self._reconnect.call(address)
        return False

    def forget(self, id: NodeId) -> None:
        self._called_at.pop(id, None)

    # -- lives -------------------------------------------------------------------------------------------------------

    def on_claim(self, peer: NodeId, claim: Claim, counter: int) -> None:
        """What somebody says of a member's life."""
        context = self._context
        if claim.id == context.id:
            self._on_ourselves(peer, claim)
            return
        if claim.rank is Rank.SUSPECT:
            context.count("drop.suspect_of_another")
            return
        self.merge_claim(peer, claim, counter)

    def merge_claim(self, peer: NodeId, claim: Claim, counter: int) -> None:
        """A claim about another member: into our table, and on to others if it is news here."""
        context = self._context
        self._dissemination.queue_receipt(peer, counter)
        if not self._believes(peer, claim.id, claim.generation):
            return
        level = Liveness(claim.generation, claim.incarnation, claim.rank)
        merged = self._table.merge_claim(claim, context.now)
        self._dissemination.acked_by(peer, Topic(claim.id, True), level)
        row = self._table.rows.get(claim.id)
        if merged.claim is not None:
            self._dissemination.queue_claim(claim.id, received_from=peer)
        elif row is not None and row.left and claim.rank is Rank.DEAD:
            pass  # that it left is no contradiction: nobody need hear it
        elif row is not None and row.liveness > level:
            self._channel.to(peer, Claim(claim.id, *row.liveness, by=row.reporter or context.id))
        if claim.rank is Rank.DEAD and (row is None or row.dead):
            self._pulls.died(claim.id, claim.generation)
            self._joining.on_row(claim.id)

    def _on_ourselves(self, peer: NodeId, claim: Claim) -> None:
        """A claim about ourselves. A private suspicion is answered by the ack alone."""
        if claim.generation > self._table.generation:
            self._identity_conflict.on_generation(claim.generation)
            return
        if claim.rank is Rank.ALIVE:
            return
        self._prober.health.accused()
        if claim.rank is Rank.SUSPECT:
            self._prober.pairs.accused(peer)
            return
        if not self._flap_damping.puts_off(claim, at_fault=self._prober.health.at_fault):
            self.contradict(peer, claim)

    def contradict(self, peer: NodeId, claim: Claim) -> None:
        """Refute this claim about ourselves, and answer the member that sent it."""
        context = self._context
        self._refute(claim)
        own = self._table.own
        if own.liveness > (claim.generation, claim.incarnation, claim.rank):
            self._channel.to(peer, Claim(context.id, *own.liveness, by=context.id))
        elif own.left:  # a claim of ours would only be answered with theirs, for ever
            self._about_ourselves(peer, NOTHING)

    def _refute(self, claim: Claim) -> None:
        """Rise above it, where we do not stand above it already."""
        context = self._context
        refuted = self._table.refute(claim.generation, claim.incarnation, context.now)
        if refuted is not None:
            context.count("refutations")
            self._prober.health.worse(1)
            by = self._table.rows.get(claim.by)
            name = by.member.name if by is not None and by.member is not None else claim.by.hex()
            context.event("refuted", by=name, incarnation=refuted.incarnation)
            self._dissemination.queue_claim(context.id)
        exhausted = claim.incarnation == MAX_INCARNATION and claim.generation == self._table.generation
        if exhausted and not self._table.own.left:
            self._own_row.raise_above(self._table.generation)  # nothing in this one is above what is claimed of us

    def on_return(self) -> None:
        """We were out for long enough."""
        claim = self._flap_damping.on_return()
        if claim is not None:
            self._refute(claim)

    # -- our own word ------------------------------------------------------------------------------------------------

    def declare(self, id: NodeId, why: str) -> None:
        """Our verdict: dead."""
        row = self._table.rows.get(id)
        if row is None or not row.active:
            return
        self._context.count("verdicts")
        self._membership.why[id] = why
        self.claim(Claim(id, row.liveness.generation, row.liveness.incarnation, Rank.DEAD, self._context.id))

    def declare_left(self, id: NodeId) -> None:
        """Claim that this member, dead or suspected here, has left for good, as an operator says. For a dead member the
        claim has a higher incarnation, so that members that know of the death gossip it too."""
        generation, incarnation, rank = self._table.rows[id].liveness
        higher = incarnation + (rank is Rank.DEAD)
        self.claim(Claim(id, generation, min(higher, MAX_INCARNATION), Rank.DEAD, by=id))

    def claim(self, claim: Claim) -> None:
        """A claim of our own: into our table, and told."""
        merged = self._table.merge_claim(claim, self._context.now)
        if merged.claim is not None:
            self._dissemination.queue_claim(claim.id)
