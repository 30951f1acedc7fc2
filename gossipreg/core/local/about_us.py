"""Messages of other members about this member: the version of our row that they hold, and claims about our life.

Owns: the answer to each. Never knows: what is sent about other members.

    they hold an older version of our row     send what they lack
    they know a later start of ours           look for an identity conflict (`identity_conflict.py`)
    they suspect us                           the ack of their ping is the answer
    they declared us dead                     refute it, unless flap damping delays that
"""

from gossipreg.core.context import Context
from gossipreg.core.failure.flap_damping import FlapDamping
from gossipreg.core.failure.interface import Detector
from gossipreg.core.local.identity_conflict import IdentityConflict
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING, NodeId, Rank, Version
from gossipreg.wire.messages import Claim


class AboutUs:
    def __init__(
        self, context: Context, table: Table, channel: Channel, own: OwnRow, conflict: IdentityConflict,
        detector: Detector, damping: FlapDamping,
    ) -> None:  # fmt: skip
        self._context = context
        self._table = table
        self._channel = channel
        self._own_row = own
        self._identity_conflict = conflict
        self._detector = detector
        self._flap_damping = damping

    def on_version(self, peer: NodeId, held: Version) -> None:
        """A member holds our row at this version: send it what it lacks."""
        own = self._table.own.version
        if held.generation > own.generation:
            self._identity_conflict.on_generation(held.generation)
        elif held < own:
            page = self._table.page(self._context.id, held, self._channel.limit(peer))
            if page is not None:
                self._channel.to(peer, page)

    def on_claim(self, peer: NodeId, claim: Claim) -> None:
        """A member sends a claim about us."""
        if claim.generation > self._table.generation:
            self._identity_conflict.on_generation(claim.generation)
            return
        if claim.rank is Rank.ALIVE:
            return
        self._detector.on_accused(peer, claim.rank)
        if claim.rank is Rank.SUSPECT:
            return
        if not self._flap_damping.delays(claim, at_fault=self._detector.at_fault):
            self.refute_to(peer, claim)

    def refute_to(self, peer: NodeId, claim: Claim) -> None:
        """Refute a claim about us, and answer the member that sent it with our own claim."""
        self._refute(claim)
        own, id = self._table.own, self._context.id
        if own.liveness > (claim.generation, claim.incarnation, claim.rank):
            self._channel.to(peer, Claim(id, *own.liveness, by=id))
        elif own.left:  # send our row, which says so: a claim of ours would be answered with theirs, without end
            self.on_version(peer, NOTHING)

    def on_return(self) -> None:
        """If flap damping is over, refute the claim that it delayed."""
        claim = self._flap_damping.on_return()
        if claim is not None:
            self._refute(claim)

    def _refute(self, claim: Claim) -> None:
        refuted = self._own_row.refute(claim)
        if refuted is not None:
            self._detector.on_refuted()
            self._context.event("refuted", by=self._table.name(claim.by), incarnation=refuted.incarnation)
        self._own_row.rise_above_exhausted(claim)
