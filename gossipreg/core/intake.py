"""Intake: merge the rows and claims that members send, and decide what follows from each.

Owns: the claims that this member makes itself: that a member is dead or has left, and that we live. Never knows: how a
merge decides (`replica.py`), or how an update is retransmitted (`rumours.py`).

    it is new here           gossip it on
    it leaves a gap          pull the rest
    the sender is behind     answer with what is known here
    it is about ourselves    send our row, refute the claim, or look for an identity conflict (`twins.py`)
"""

from gossipreg.core.commons import Commons
from gossipreg.core.detector import Detector
from gossipreg.core.fetch import Fetch
from gossipreg.core.join import Joining
from gossipreg.core.lost import Lost
from gossipreg.core.own import Own
from gossipreg.core.reconcile import Reconcile
from gossipreg.core.replica import MergeOutcome
from gossipreg.core.returning import Returning
from gossipreg.core.roster import Roster
from gossipreg.core.rumours import Rumours, Topic
from gossipreg.core.twins import Twins
from gossipreg.model import NOTHING, Liveness, NodeId, Rank, Version
from gossipreg.wire.messages import MAX_INCARNATION, Announce, Claim, Delta

_AHEAD_MS = 366 * 86_400_000
"""Whoever tells of a start of a member we know that is this far ahead of our clock is not believed, before the owner
has said so itself. Else one wrong word could claim the highest generation there is for it, and silence it for good."""


class Intake:
    def __init__(
        self,
        commons: Commons,
        own: Own,
        twins: Twins,
        rumours: Rumours,
        fetch: Fetch,
        joining: Joining,
        reconcile: Reconcile,
        lost: Lost,
        detector: Detector,
        roster: Roster,
        returning: Returning,
    ) -> None:
        self._commons = commons
        self._own = own
        self._twins = twins
        self._rumours = rumours
        self._fetch = fetch
        self._joining = joining
        self._reconcile = reconcile
        self._lost = lost
        self._detector = detector
        self._roster = roster
        self._returning = returning
        self._called_at: dict[NodeId, float] = {}
        """When we last asked a member itself for its generation."""

    # -- rows --------------------------------------------------------------------------------------------------------

    def on_delta(self, peer: NodeId, delta: Delta, counter: int) -> None:
        """A page of a row, as a rumour or because we pulled it."""
        commons = self._commons
        reached = Version(delta.generation, delta.reached)
        self._rumours.shown_row(peer, delta.id, reached)
        pulled = self._fetch.pulling(delta.id)
        if not pulled:
            self._rumours.owe_receipt(peer, counter)
        if delta.id == commons.id:
            self._about_ourselves(peer, Version(delta.generation, delta.head))
            return
        if not self._believes(peer, delta.id, delta.generation):
            return
        row = commons.replica.rows.get(delta.id)
        if row is not None and row.dead and peer != delta.id and delta.generation <= row.liveness.generation:
            self._reconcile.answer_gone(peer, delta.id, reached)
        from_owner = peer == delta.id
        told_on = from_owner or self._fetch.told_on(delta.id)
        merged = commons.replica.merge_delta(
            delta, from_owner=from_owner, in_step=self._joining.synced, now=commons.now
        )
        row = commons.replica.rows.get(delta.id)
        have = NOTHING if row is None else row.pull_from
        goal = Version(delta.generation, delta.head)
        if merged.news and told_on and row is not None and not row.unproven:
            self._rumours.tell_row(delta.id, merged.before, told_by=peer)
        if merged.outcome is MergeOutcome.REFUSED:
            commons.event("table_full", id=delta.id.hex())
            self._fetch.done(delta.id)
        elif pulled:
            self._fetch.progressed(delta.id)
        elif have < goal or merged.outcome is MergeOutcome.GAP:
            self._fetch.want(delta.id, peer, goal, have, rumour=told_on)
        self._joining.arrived(delta.id)

    def on_announce(self, peer: NodeId, announce: Announce, counter: int) -> None:
        """News that did not fit: pull what we lack."""
        commons = self._commons
        self._rumours.owe_receipt(peer, counter)
        head = Version(announce.generation, announce.head)
        self._rumours.shown_row(peer, announce.id, head)
        if announce.id == commons.id:
            self._about_ourselves(peer, head)
            return
        if not self._believes(peer, announce.id, announce.generation):
            return
        row = commons.replica.rows.get(announce.id)
        if row is not None and (row.dead or row.left) and head.generation <= row.liveness.generation:
            self._reconcile.answer_gone(peer, announce.id, head)
        elif row is None or row.pull_from < head:
            have = NOTHING if row is None else row.pull_from
            self._fetch.want(announce.id, peer, head, have, rumour=True)

    def _about_ourselves(self, peer: NodeId, told: Version) -> None:
        """Somebody tells us our own row: it is behind, or somebody else writes in our name."""
        own = self._commons.replica.own.version
        if told.generation > own.generation:
            self._twins.met_generation(told.generation)
        elif told < own:
            page = self._commons.replica.page(self._commons.id, told, self._commons.limit(peer))
            if page is not None:
                self._commons.to(peer, page)

    def _believes(self, peer: NodeId, id: NodeId, generation: int) -> bool:
        """Whether a generation told by others is within reason. One that is not may still be true (our clock or the
        owner's is wrong): then the owner, called now, says it itself, and comparing brings the rest."""
        commons = self._commons
        row, owner = commons.replica.rows.get(id), commons.peers.of_id(id)
        newest = 0 if row is None else row.liveness.generation
        if owner is not None:
            newest = max(newest, owner.generation)
        ahead_ms = (generation >> 16) - commons.replica.wall_at_0_ms - commons.now * 1000
        if peer == id or row is None or generation <= newest or ahead_ms <= _AHEAD_MS:
            return True
        commons.count("drop.generation_ahead")
        address = commons.address(id)
        if address is not None and commons.now - self._called_at.get(id, float("-inf")) >= commons.config.period_s:
            self._called_at[id] = commons.now
            self._lost.call(address)
        return False

    def forget(self, id: NodeId) -> None:
        self._called_at.pop(id, None)

    # -- lives -------------------------------------------------------------------------------------------------------

    def on_claim(self, peer: NodeId, claim: Claim, counter: int) -> None:
        """What somebody says of a member's life."""
        commons = self._commons
        if claim.id == commons.id:
            self._on_ourselves(peer, claim)
            return
        if claim.rank is Rank.SUSPECT and commons.config.suspicion == "private":
            commons.count("drop.suspect_of_another")
            return
        self._rumours.owe_receipt(peer, counter)
        if not self._believes(peer, claim.id, claim.generation):
            return
        level = Liveness(claim.generation, claim.incarnation, claim.rank)
        merged = commons.replica.merge_claim(claim, commons.now)
        self._rumours.shown(peer, Topic(claim.id, True), level)
        row = commons.replica.rows.get(claim.id)
        if merged.claim is not None:
            self._rumours.tell_claim(claim.id, told_by=peer)
        elif row is not None and row.left and claim.rank is Rank.DEAD:
            pass  # that it left is no contradiction: nobody need hear it
        elif row is not None and row.liveness > level and (row.dead or claim.rank is not Rank.SUSPECT):
            commons.to(peer, Claim(claim.id, *row.liveness, by=row.reporter or commons.id))
        if claim.rank is Rank.DEAD and (row is None or row.dead):
            self._fetch.died(claim.id, claim.generation)
            self._joining.arrived(claim.id)
        self._hold_gossiped(claim)

    def _on_ourselves(self, peer: NodeId, claim: Claim) -> None:
        """A claim about ourselves. A private suspicion is answered by the ack alone."""
        commons = self._commons
        if claim.generation > commons.generation:
            self._twins.met_generation(claim.generation)
            return
        if claim.rank is Rank.ALIVE:
            return
        self._detector.own_fault.accused()
        if claim.rank is Rank.SUSPECT and commons.config.suspicion == "private":
            self._detector.pairs.accused(peer)
            return
        if self._returning.puts_off(claim, at_fault=self._detector.own_fault.at_fault):
            return
        self._refute(claim)
        own = commons.replica.own
        if own.liveness > (claim.generation, claim.incarnation, claim.rank):
            commons.to(peer, Claim(commons.id, *own.liveness, by=commons.id))
        elif own.left:  # a claim of ours would only be answered with theirs, for ever
            self._about_ourselves(peer, NOTHING)

    def _refute(self, claim: Claim) -> None:
        """Rise above it, where we do not stand above it already."""
        commons = self._commons
        refuted = commons.replica.refute(claim.generation, claim.incarnation, commons.now)
        if refuted is not None:
            commons.count("refutations")
            self._detector.unhealthier(1)
            by = commons.replica.rows.get(claim.by)
            name = by.member.name if by is not None and by.member is not None else claim.by.hex()
            commons.event("refuted", by=name, incarnation=refuted.incarnation)
            self._rumours.tell_claim(commons.id)
        exhausted = claim.incarnation == MAX_INCARNATION and claim.generation == commons.generation
        if exhausted and not commons.replica.own.left:
            self._own.raise_above(commons.generation)  # nothing in this one is above what is claimed of us

    def on_return(self) -> None:
        """We were out for long enough."""
        claim = self._returning.on_return()
        if claim is not None:
            self._refute(claim)

    # -- our own word ------------------------------------------------------------------------------------------------

    def declare(self, id: NodeId, why: str) -> None:
        """Our verdict: dead."""
        row = self._commons.replica.rows.get(id)
        if row is None or not row.active:
            return
        self._commons.count("verdicts")
        self._roster.why[id] = why
        self.claim(Claim(id, row.liveness.generation, row.liveness.incarnation, Rank.DEAD, self._commons.id))

    def declare_left(self, id: NodeId) -> None:
        """Claim that this member, dead or suspected here, has left for good, as an operator says. For a dead member the
        claim has a higher incarnation, so that members that know of the death gossip it too."""
        generation, incarnation, rank = self._commons.replica.rows[id].liveness
        higher = incarnation + (rank is Rank.DEAD)
        self.claim(Claim(id, generation, min(higher, MAX_INCARNATION), Rank.DEAD, by=id))

    def claim(self, claim: Claim) -> None:
        """A claim of our own: into our table, and told."""
        merged = self._commons.replica.merge_claim(claim, self._commons.now)
        if merged.claim is not None:
            self._rumours.tell_claim(claim.id)
        self._hold_gossiped(claim)
        if self._commons.config.suspicion == "gossiped":
            self._rumours.at_once()  # in memberlist it rides on the next ack

    def _hold_gossiped(self, claim: Claim) -> None:
        """Where suspicion is gossiped: every member that knows of it waits for the refutation."""
        row = self._commons.replica.rows.get(claim.id)
        if row is not None and self._detector.suspicions.on_claim(claim, row.liveness):
            self._rumours.tell_claim(claim.id, by=claim.by)
