"""The order in which the parts of a node act: on each message of a member, and on each fact that the table, the failure
detector or a handshake found.

Owns: the table from messages and facts to parts, and our own claim that another member is dead. Never knows: how a part
decides, how a merge decides (`table/table.py`), or what an input does before and after a message (`node.py`).

What follows from a row or a claim of another member:

    it is about ourselves    `local/about_us.py` answers
    it is not believed       the member itself is asked
    the sender is behind     answer with what is known here
    it is new here           gossip it
    it leaves a gap          pull the rest
    it is quarantined        ping its owner
"""

from collections.abc import Iterable

from gossipreg.core.commands import NodeCommands
from gossipreg.core.failure.facts import Acked, CutOff, DeclaredDead, FailureFact, Hidden
from gossipreg.core.failure.quarantine import Quarantine
from gossipreg.core.gossip.dissemination import Topic
from gossipreg.core.gossip.receipts import Receipts
from gossipreg.core.gossip.reconcile import AntiEntropy
from gossipreg.core.local.about_us import AboutUs
from gossipreg.core.local.identity_conflict import IdentityConflict
from gossipreg.core.local.last_known import LastKnown
from gossipreg.core.local.own_address import OwnAddress
from gossipreg.core.session.facts import AddressProven, OldGenerationHeld, OwnIdUsed, SessionMissing
from gossipreg.core.session.handshake import Handshake
from gossipreg.core.session.sessions import Peer
from gossipreg.core.table.facts import (
    FoundIncompatible,
    HiddenRowChanged,
    LeftRing,
    LeftTable,
    Merged,
    MergeOutcome,
    ProcessNamed,
    StateChanged,
)
from gossipreg.model import NOTHING, Address, BootId, Liveness, NodeId, Rank, Version
from gossipreg.wire.messages import (
    Ack,
    Announce,
    Buckets,
    Claim,
    Delta,
    Hashes,
    Hello,
    List,
    Message,
    Mismatch,
    Nack,
    Peers,
    PingReq,
    Probe,
    Pull,
    Receipt,
    Versions,
    Want,
)


class NodeOrder(NodeCommands):
    _handshake: Handshake
    _anti_entropy: AntiEntropy
    _receipts: Receipts
    _quarantine: Quarantine
    _own_address: OwnAddress
    _about_us: AboutUs
    _identity_conflict: IdentityConflict
    _last_known: LastKnown
    _death_sent_at: dict[NodeId, float]
    """When we last sent a member that we hold dead, and that still sends datagrams, the claim that it is dead."""
    _was_synced = False
    """Whether the parts know already that this member is synced."""
    _followed = False
    """Whether this input has changed something that the parts followed."""

    # -- messages ----------------------------------------------------------------------------------------------------

    def _take(self, peer: Peer, message: Message, source: Address, counter: int) -> None:
        """One message of a bound peer."""
        id = peer.id
        match message:
            case Probe():
                row = self.table.rows.get(id)
                at_home = row is None or row.member is None or source in row.member.addresses
                self._outbox.put(source, self._channel.ack_of(message.number, None if at_home else source))
                self._follow_detector(self._detector.on_message(id, message, source))
                self._anti_entropy.on_fingerprint(id, message.fingerprint, may_compare=False)
            case Ack():
                self._handshake.understood(source)
                if self._paths.on_ack(id, message.number):
                    self._anti_entropy.on_fingerprint(id, message.fingerprint, may_compare=False)
                else:
                    self._follow_detector(self._detector.on_message(id, message, source))
            case Delta():
                if message.id == self.id:
                    self._row_acks.acked(id, Version(message.generation, message.reached))
                self._on_delta(id, message, counter)
                self._ping_if_quarantined(message.id)
            case Claim():
                self._on_claim(id, message, counter)
                self._ping_if_quarantined(message.id)
            case Receipt():
                self._dissemination.on_receipt(id, message.counters)
            case Announce():
                self._on_announce(id, message, counter)
            case Pull():
                self._pulls.on_pull(id, message)
            case PingReq() | Nack():
                self._follow_detector(self._detector.on_message(id, message, source))
            case Versions():
                self._look_for_ourselves(message)
                self._anti_entropy.on_versions(id, message)
            case Buckets():
                self._anti_entropy.on_buckets(id, message)
            case Hashes():
                self._anti_entropy.on_hashes(id, message)
            case Want():
                self._anti_entropy.on_want(id, message)
            case List():
                self._joining.on_list(id, message)
            case Hello():
                self._on_hello(peer.boot_id, source, message)
            case Mismatch():
                self._handshake.on_mismatch(peer.boot_id, source, message)
            case Peers():
                self._on_peers(message)

    def _look_for_ourselves(self, message: Versions) -> None:
        """Note a generation of our row that we did not issue, before this list makes us synced."""
        for id, generation, _ in message.rows:
            if id == self.id:
                self._identity_conflict.note_generation(generation)

    def _on_peers(self, message: Peers) -> None:
        """Greet other members that a busy member names, to list the table from one of them. If our own id is among
        them, its address is that of another process with our id: an identity conflict."""
        for id, address in message.peers:
            if id == self.id:
                self._identity_conflict.on_address(address)
                return
        if self._joining.wants_another:
            self._joining.on_peers()
            for _, address in message.peers[:2]:
                self._reconnect.greet(address)

    # -- handshakes --------------------------------------------------------------------------------------------------

    def _on_hello(self, boot_id: BootId, source: Address, hello: Hello) -> None:
        """A greeting came, or the answer to ours: act on what it shows."""
        for fact in self._handshake.on_hello(boot_id, source, hello):
            match fact:
                case SessionMissing(id):
                    self._send_again(id)
                case AddressProven(id, first):
                    self._on_proven(id, first)
                case OldGenerationHeld(generation):
                    self._identity_conflict.note_held(generation)
                case OwnIdUsed():
                    self._identity_conflict.on_process(fact.boot_id, fact.address, fact.hello)

    def _on_proven(self, id: NodeId, first: bool) -> None:
        """A member has proven its address. `first`: it had no session with us before, so send it our row."""
        self._context.has_met = True
        if first:
            own = self.table.page(self.id, Version(0, 0), self._channel.limit(id))
            if own is not None:
                self._channel.to(id, own)
        elif self.synced:
            self._anti_entropy.compare_soon(id)
        self._joining.list_from(id)

    def _send_again(self, id: NodeId) -> None:
        """Send again what we have just sent to this member: it had no session with us, so it dropped it."""
        self._dissemination.on_dropped(id)
        self._detector.send_again(id)
        self._pulls.on_dropped(id)
        self._joining.on_dropped(id)

    # -- rows --------------------------------------------------------------------------------------------------------

    def _on_delta(self, peer: NodeId, delta: Delta, counter: int) -> None:
        """A page of a row came, gossiped or pulled: merge it, bring the answers up to date, then gossip it and pull
        what is missing."""
        id = delta.id
        reached = Version(delta.generation, delta.reached)
        row = self.table.rows.get(id)
        joins = peer == id and (row is None or not row.active or row.member is None)
        pulled = self._pulls.pulling(id)
        merged: Merged | None = None
        if id != self.id and not self._too_far_ahead(peer, id, delta.generation):
            if row is not None and row.dead and peer != id and delta.generation <= row.liveness.generation:
                self._anti_entropy.answer_gone(peer, id, reached)
            merged = self.table.merge_delta(
                delta, from_owner=peer == id, synced=self._context.synced, now=self._context.now
            )
            if self.table.changes.pending:
                self._follow_table()
        crossed = self._dissemination.acked_by(peer, Topic(id, False), reached)
        if not crossed and not pulled:
            row = self.table.rows.get(id)
            self._receipts.queue(peer, counter, joins=joins, urgent=peer == id and row is not None and row.left)
        if id == self.id:
            self._about_us.on_version(peer, Version(delta.generation, delta.head))
        elif merged is not None:
            self._on_merged_delta(peer, delta, merged, pulled=pulled)

    def _on_merged_delta(self, peer: NodeId, delta: Delta, merged: Merged, *, pulled: bool) -> None:
        """Gossip what was new in this page, and pull what it shows to be missing. `pulled`: the row is being pulled."""
        id, row = delta.id, self.table.rows.get(delta.id)
        gossip_on = peer == id or not pulled or self._pulls.gossips_on(id)
        have = NOTHING if row is None else row.pull_from
        goal = Version(delta.generation, delta.head)
        if merged.after > merged.before and gossip_on and row is not None and not row.quarantined:
            self._dissemination.queue_row(id, merged.before, received_from=peer)
        if merged.outcome in (MergeOutcome.REFUSED, MergeOutcome.FULL):
            if merged.outcome is MergeOutcome.FULL:
                self._context.event("table_full", id=id.hex())
            self._pulls.done(id)
        elif pulled:
            self._pulls.progressed(id)
        elif have < goal or merged.outcome is MergeOutcome.GAP:
            self._pulls.pull(id, peer, goal, have, gossip_on=gossip_on)
        if not self._context.synced:
            self._joining.on_row(id)

    def _on_announce(self, peer: NodeId, announce: Announce, counter: int) -> None:
        """A member has a version of a row that is too large for a datagram: pull what we lack."""
        id, head = announce.id, Version(announce.generation, announce.head)
        if not self._dissemination.acked_by(peer, Topic(id, False), head):
            self._receipts.queue(peer, counter)
        if id == self.id:
            self._about_us.on_version(peer, head)
            return
        if self._too_far_ahead(peer, id, announce.generation):
            return
        row = self.table.rows.get(id)
        if row is not None and (row.dead or row.left) and head.generation <= row.liveness.generation:
            self._anti_entropy.answer_gone(peer, id, head)
        elif row is None or row.pull_from < head:
            self._pulls.pull(id, peer, head, NOTHING if row is None else row.pull_from, gossip_on=True)

    def _too_far_ahead(self, peer: NodeId, id: NodeId, generation: int) -> bool:
        """Whether another member sent a generation so far in the future that we do not believe it. It may be true if
        our clock or the owner's is wrong. So the owner is greeted: if it announces that generation itself, we believe
        it, and anti-entropy brings the rest."""
        row = self.table.rows.get(id)
        rises = row is not None and generation > row.liveness.generation
        if peer == id or not rises or not self.table.too_far_ahead(generation, self._context.now):
            return False
        session = self._sessions.of_id(id)
        if session is not None and generation <= session.generation:
            return False
        self._context.count("drop.generation_ahead")
        self._reconnect.greet_owner(id)
        return True

    def _ping_if_quarantined(self, id: NodeId) -> None:
        """Ping the owner of this row if the row is quarantined and not dead: only an ack of the owner admits it."""
        row = self.table.rows.get(id)
        if row is not None and row.quarantined and not row.dead:
            self._quarantine.add(id)

    # -- failure detection -------------------------------------------------------------------------------------------

    def _follow_detector(self, facts: Iterable[FailureFact]) -> None:
        """Act on what the failure detector found, in its order."""
        for fact in facts:
            match fact:
                case Acked():
                    self._on_acked(fact.id, fact.ack, fact.source)
                case DeclaredDead(id, why):
                    self._declare(id, why)
                case Hidden(id, why, hidden):
                    self._membership.hide(id, why, hidden)
                case CutOff(since):
                    self._isolation.cut_off(since)

    def _on_acked(self, id: NodeId, ack: Ack, source: Address) -> None:
        """A member acked a probe of ours: it lives, and it tells us its fingerprint and the address that it sees us
        at."""
        self._quarantine.acked(id)
        if ack.fingerprint == self.table.fingerprint:
            self._row_acks.equal_fingerprint(id)
        self._anti_entropy.on_fingerprint(id, ack.fingerprint, may_compare=True)
        if self._own_address.on_observed(id, ack.observed, source):
            for other in self._ring.sample(self._context.rng, 1, [id]):
                self._detector.probe(other)  # else a second witness may take many periods

    # -- claims ------------------------------------------------------------------------------------------------------

    def _on_claim(self, peer: NodeId, claim: Claim, counter: int) -> None:
        """A claim about the life of a member came."""
        id = claim.id
        if id == self.id:
            self._about_us.on_claim(peer, claim)
            return
        if claim.rank is Rank.SUSPECT:
            self._context.count("drop.suspect_of_another")
            return
        self._merge_claim(peer, claim, counter)

    def _merge_claim(self, peer: NodeId, claim: Claim, counter: int) -> None:
        """Merge a claim about another member, and gossip it if it is new here."""
        id = claim.id
        if self._too_far_ahead(peer, id, claim.generation):
            self._receipts.queue(peer, counter)
            return
        level = Liveness(claim.generation, claim.incarnation, claim.rank)
        merged = self.table.merge_claim(claim, self._context.now)
        if not self._dissemination.acked_by(peer, Topic(id, True), level):
            self._receipts.queue(peer, counter)
        row = self.table.rows.get(id)
        if merged.claim is not None:
            if claim.rank is Rank.DEAD and (suspicion := self._detector.suspicion(id)):
                self._membership.why.setdefault(id, suspicion.reason)
            self._dissemination.queue_claim(id, received_from=peer)
        elif row is not None and row.left and claim.rank is Rank.DEAD:
            pass  # it left and is dead now: we need not correct the sender
        elif row is not None and row.liveness > level:
            self._channel.to(peer, Claim(id, *row.liveness, by=row.reporter or self.id))
        if claim.rank is Rank.DEAD and (row is None or row.dead):
            self._pulls.died(id, claim.generation)
            self._joining.on_row(id)

    def _declare(self, id: NodeId, why: str) -> None:
        """Declare a member dead, and gossip that claim of ours. `why` is shown to the operator."""
        row = self.table.rows.get(id)
        if row is None or not row.active:
            return
        self._context.count("verdicts")
        self._membership.why[id] = why
        self._claim(Claim(id, row.liveness.generation, row.liveness.incarnation, Rank.DEAD, self.id))

    def _claim(self, claim: Claim) -> None:
        """Put a claim of our own into the table, and gossip it."""
        if self.table.merge_claim(claim, self._context.now).claim is not None:
            self._dissemination.queue_claim(claim.id)

    # -- what follows from a change of the table ---------------------------------------------------------------------

    def _follow_table(self) -> None:
        """Update ring, sessions and catalog after the table has changed, then the other parts. Called after each
        message and each timer that has changed something: see `changes.pending`."""
        self._followed = True
        if self._context.synced and not self._was_synced:
            self._was_synced = True
            self._anti_entropy.on_synced()
        for fact in self._membership.refresh():
            match fact:
                case ProcessNamed(id, boot_id, generation, addresses):
                    self._sessions.bind_by_row(boot_id, id, generation, addresses)
                case FoundIncompatible(id, protocol):
                    name, address = self._channel.named_at(id)
                    self._context.incompatible(protocol, id=id.hex(), name=name, address=address)
                case StateChanged():
                    self._on_state(fact)
                case LeftTable(id):
                    self._sessions.forget(id)
                    self._round_trips.forget(id)
                case LeftRing(id):
                    self._forget(id)
                case HiddenRowChanged(id):
                    self._follow_detector(self._detector.on_row_changed(id))
        if self._context.synced and self.catalog.recalled:
            self._last_known.on_synced(first_was_synced=self._joining.first_was_synced)
        self._membership.emit_changed()

    def _on_state(self, fact: StateChanged) -> None:
        """Greet a member that died now and then, so that partitions heal, and no other one."""
        address = self._channel.address(fact.id)
        if fact.state != "dead":
            self._reconnect.not_dead(fact.id)
        elif address is not None:
            self._reconnect.died(fact.id, address)
        if fact.to_log:
            self._context.event(
                f"member_{fact.state}",
                id=fact.id.hex(),
                name=fact.name,
                address=str(address or ""),
                reason=fact.reason,
            )

    def _forget(self, id: NodeId) -> None:
        """Let every part forget this member, which is not on the ring any more."""
        self._follow_detector(self._detector.forget(id))
        self._dissemination.forget(id)
        self._joining.forget(id)
        self._anti_entropy.forget(id)
        self._reconnect.forget_owner(id)
        self._paths.forget(id)
        self._pulls.forget(id)
        self._death_sent_at.pop(id, None)
