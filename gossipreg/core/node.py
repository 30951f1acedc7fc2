"""One member: composes the parts; bytes and time in, effects out.

Owns: the order of things within one input. Never knows: sockets, clocks, threads. Every input (`receive`, `advance`,
`refused`, a command) runs to its end: it sets the time, lets the part concerned act, lets the roster follow what the
table changed, packs what is to be said into datagrams, and returns the effects in order.

    datagram -> seal -> replay window -> codec -> detector | rumours | fetch | reconcile -> replica -> roster -> effects
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from gossipreg.config import Config
from gossipreg.core.catalog import Catalog
from gossipreg.core.commons import Commons
from gossipreg.core.contact import Contact
from gossipreg.core.departure import Departure
from gossipreg.core.detector import Detector
from gossipreg.core.due import NodeTimers
from gossipreg.core.effects import Changed, Effect
from gossipreg.core.fetch import Fetch
from gossipreg.core.intake import Intake
from gossipreg.core.isolation import Isolation
from gossipreg.core.join import Joining
from gossipreg.core.last_known import LastKnown
from gossipreg.core.lost import Lost
from gossipreg.core.outbox import Outbox
from gossipreg.core.own import Own
from gossipreg.core.own_address import OwnAddress
from gossipreg.core.path_mtu import PathMtu
from gossipreg.core.peers import Peer, PeerSessions
from gossipreg.core.reconcile import Reconcile
from gossipreg.core.replica import Replica
from gossipreg.core.returning import Returning
from gossipreg.core.ring import Ring
from gossipreg.core.roster import Roster
from gossipreg.core.row_acks import RowAcks
from gossipreg.core.rtt import RoundTrips
from gossipreg.core.rumours import Rumours
from gossipreg.core.suspicion import PrivateSuspicions
from gossipreg.core.swim import GossipedSuspicions
from gossipreg.core.timers import Timers
from gossipreg.core.twins import Twins
from gossipreg.core.unproven import Unproven
from gossipreg.errors import BadDatagram
from gossipreg.model import Address, Member, NodeId, Version
from gossipreg.wire import codec
from gossipreg.wire.messages import (
    Ack,
    Announce,
    Ask,
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
    Probe,
    Pull,
    Receipt,
    Versions,
    Want,
)
from gossipreg.wire.seal import Keyring, Opener, Sealer


class Node(NodeTimers):
    def __init__(
        self,
        config: Config,
        *,
        member: Member,
        id: NodeId,
        generation: int,
        keyring: Keyring | None,
        rng: random.Random,
        entropy: Callable[[int], bytes],
        now: float,
        wall_ms: int,
        address_fixed: bool = True,
        speaks: Callable[[Address], bool] = lambda _: True,
    ) -> None:
        """`member` is our own entry as it is announced; its boot id also stands in every header. `now` is the core's
        clock (CLOCK_BOOTTIME, seconds), `wall_ms` the wall clock at that moment; `entropy(n)` gives n random bytes.
        With `address_fixed` off, our address follows what two other members see of us. `speaks` says whether there is
        a socket of an address's family."""
        self.config = config
        self.id = id
        self.keyring = keyring
        self._boot_id = member.boot_id
        self._sealer = Sealer(keyring, member.boot_id)
        self._opener = Opener(keyring)
        self.replica = replica = Replica(config, id, generation, now, wall_ms)
        outbox = Outbox(config, self._sealer, now)
        self._commons = commons = Commons(
            config, id, replica, Ring(id), PeerSessions(entropy), outbox, Timers(), RoundTrips(config), rng, now,
            heard_at=float("-inf"), speaks=speaks,
        )  # fmt: skip
        self.catalog = Catalog(id)
        self._lost = Lost(commons)
        self._paths = PathMtu(commons)
        commons.doubt = self._paths.doubt
        self._rumours = Rumours(commons)
        self._fetch = Fetch(commons)
        self._joining = Joining(commons, self._rumours, self._fetch)
        self._reconcile = Reconcile(commons, self._rumours, self._fetch, self._joining)
        self._joining.has_joined = self._reconcile.has_joined
        self._detector = Detector(commons)
        self._roster = Roster(commons, self.catalog, self._lost, self._gone)
        self._isolation = Isolation(commons, self._roster)
        self._last_known = LastKnown(commons, self.catalog, self._roster, self._lost)
        self._last_known.first_was_synced = lambda: self._joining.first_was_synced
        self._own = Own(commons, self._rumours, member)
        self._own_address = OwnAddress(commons, self._own, fixed=address_fixed)
        self._twins = Twins(commons, self._own, self._lost.call)
        self._intake = Intake(
            commons, self._own, self._twins, self._rumours, self._fetch, self._joining, self._reconcile, self._lost,
            self._detector, self._roster, Returning(commons, self._isolation),
        )  # fmt: skip
        if config.suspicion == "private":
            self._suspicions = PrivateSuspicions(
                commons, self._detector, self._intake.declare, self._roster.hide, self._isolation.cut_off
            )
        else:
            self._suspicions = GossipedSuspicions(commons, self._detector, self._intake.claim, self._intake.declare)
        self._detector.suspicions = self._suspicions
        self._roster.observed, self._roster.hidden_changed = self._suspicions.why, self._suspicions.look_at
        self._detector.declare = self._intake.declare
        self._unproven = Unproven(commons, self._detector)
        self._contact = Contact(commons, self._lost, self._met, self._not_understood, self._twins.met_process)
        self._departure = Departure(commons, self._rumours, self._own)
        self._row_acks = RowAcks(commons)
        self._told_dead_at: dict[NodeId, float] = {}
        self._detector.start()
        self._roster.refresh()
        self._told_knowledge = self.knowledge

    # -- inputs ------------------------------------------------------------------------------------------------------

    def receive(self, datagram: bytes, source: Address, now: float) -> list[Effect]:
        """A datagram came from `source`. Whatever is in it, nothing is raised; each drop is counted with its reason."""
        commons = self._begin(now)
        commons.received_datagrams += 1
        commons.received_bytes += len(datagram)
        try:
            opened = self._opener.open_untrusted(datagram)
        except BadDatagram as error:
            self._on_unopened(error.reason, datagram, source)
            return self._end()
        if opened.boot_id == self._boot_id:
            commons.count("drop.own")
            if self._lost.own_seed(source) and not self.synced:
                commons.event("own_seed", address=str(source))
                self._joining.without_others()
            return self._end()
        peer = commons.peers.of_boot(opened.boot_id)
        if peer is not None and not peer.window.accept(opened.counter):
            commons.count("drop.replay")
            return self._end()
        try:
            messages, unknown = codec.decode_untrusted(opened.body)
        except BadDatagram as error:
            commons.count(f"drop.{error.reason}")
            return self._end()
        if unknown:
            commons.counts["unknown_kinds"] = commons.counts.get("unknown_kinds", 0) + unknown
        if peer is None:
            commons.outbox.allow(source, len(datagram))
        else:
            self._heard(peer, source, len(datagram))
        for message in messages:
            if peer is None:
                if type(message) is Hello:
                    self._contact.on_hello(opened.boot_id, source, message)
                elif type(message) is Mismatch:
                    self._contact.on_mismatch(source, message)
                else:
                    commons.count("drop.unbound")
                    self._contact.ask_who(opened.boot_id, source)
                    break
                peer = commons.peers.of_boot(opened.boot_id)
                if peer is not None:  # it has just proven itself: what follows in the same datagram counts
                    peer.window.accept(opened.counter)
                    self._heard(peer, source, len(datagram))
            else:
                self._take(peer, message, source, opened.counter)
            self._roster.refresh()  # what one message took out, the next one of the same datagram must not find
        return self._end()

    def advance(self, now: float) -> list[Effect]:
        """Fire what is due. The caller has taken in what had arrived before."""
        commons = self._begin(now)
        for name, due in commons.timers.pop_due(now):
            self._on_due(name, due)
            self._roster.refresh()
        return self._end()

    def next_deadline(self) -> float:
        """When `advance` wants to be called next; infinity where nothing is due."""
        return self._commons.timers.next_due()

    def refused(self, address: Address, now: float) -> list[Effect]:
        """The kernel says that no one listens on that port: perhaps true, so it makes us look."""
        self._begin(now)
        self._detector.refused(address)
        return self._end()

    def too_large(self, address: Address, now: float) -> list[Effect]:
        """Measure the path to this address: the kernel says that a datagram was too large for the interface, or a
        router says that it was too large for a link. The router's word may be forged."""
        self._begin(now)
        self._paths.too_large(address)
        return self._end()

    def seek(self, addresses: tuple[Address, ...], now: float) -> list[Effect]:
        """Call these seeds until somebody answers. With none, and nobody remembered, it is in step from the start."""
        self._begin(now)
        if addresses or len(self._lost):
            self._lost.seek(addresses)
        else:
            self._joining.without_others()
        return self._end()

    def remember(self, peers: dict[NodeId, Address], now: float) -> list[Effect]:
        """Members known before a restart, where they were last. Before `seek`, which calls them too."""
        self._begin(now)
        self._lost.remember(peers)
        return self._end()

    def recall(self, deltas: Iterable[Delta], counts_s: float, now: float) -> list[Effect]:
        """Answer from these pages of the table kept before a restart until this member is synced, for `counts_s` at
        most. Call it before `seek`."""
        self._begin(now)
        self._last_known.recall(deltas, counts_s)
        return self._end()

    def lag(self, seconds: float) -> None:
        """How late the runtime's loop was: kept for the operator; the core sees its late timers by itself."""
        self._lag_s = seconds

    def rekey(self, keyring: Keyring, now: float) -> list[Effect]:
        """Seal with the first of these keys from now on, open with all of them, and announce their ids."""
        self._begin(now)
        self.keyring = keyring
        self._sealer.rekey(keyring)
        self._opener.rekey(keyring)
        self._own.update(replace(self._own.member, keys=keyring.ids()))
        return self._end()

    # -- within an input ---------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> Commons:
        """Set the time. Whoever missed a deadline, and took in nothing since, was asleep: that is noticed before
        anything is taken in, for what lies in the queue must not be judged by a clock that ran while nobody looked."""
        commons = self._commons
        if self._roster.touched:
            self._roster.touched = []
        late_s = now - max(commons.now, commons.timers.next_due())
        commons.now = max(now, commons.now)
        if late_s > self.config.stall_s:
            self._detector.slept(late_s)
            self._isolation.slept()
        return commons

    def _end(self) -> list[Effect]:
        commons = self._commons
        self._roster.refresh()
        knowledge = self.knowledge
        if knowledge is not self._told_knowledge:
            self._told_knowledge = knowledge
            commons.effects.append(Changed(()))
        self._departure.look()
        self._row_acks.look()
        self._paths.look()
        sends = commons.outbox.flush(commons.now)
        effects: list[Effect] = [*sends, *commons.effects]
        commons.effects = []
        return effects

    def _on_unopened(self, reason: str, datagram: bytes, source: Address) -> None:
        self._commons.count(f"drop.{reason}")
        if reason in ("unknown_key", "clear_refused", "sealed_refused"):
            self._contact.on_unknown_key(datagram, source)
        elif reason == "notice":
            self._contact.on_notice(datagram, source)

    def _heard(self, peer: Peer, source: Address, size: int) -> None:
        """A fresh datagram of a known member: is its source proven, and does it know that it is taken for dead?"""
        commons = self._commons
        now = commons.now
        row = commons.replica.rows.get(peer.id)
        if source != peer.source:
            if row is not None and row.member is not None and source in row.member.addresses:
                peer.source = source
            else:
                commons.outbox.allow(source, size)
                if now - peer.heard_at >= self.config.rtt_floor_s or peer.source is None:
                    self._contact.ask_who(peer.boot_id, source)
        peer.heard_at = now
        if self._isolation.heard():
            self._suspicions.heard_again()
        if row is not None and row.dead and row.liveness.generation == peer.generation:
            told = self._told_dead_at.get(peer.id)
            if told is None or now - told >= self.config.period_s:
                self._told_dead_at[peer.id] = now
                commons.outbox.put(source, Claim(peer.id, *row.liveness, by=row.reporter or self.id))

    def _gone(self, id: NodeId) -> None:
        """No longer on the ring."""
        self._detector.forget(id)
        self._rumours.forget(id)
        self._joining.forget(id)
        self._reconcile.forget(id)
        self._intake.forget(id)
        self._paths.forget(id)
        self._fetch.forget(id)
        self._told_dead_at.pop(id, None)

    def _met(self, id: NodeId, first: bool) -> None:
        """A member has proven where it is, after a Hello."""
        commons = self._commons
        if first:
            own = commons.replica.page(self.id, Version(0, 0), commons.limit(id))
            if own is not None:
                commons.to(id, own)
        elif self.synced:
            self._reconcile.soon(id)
        self._joining.list_from(id)

    def _not_understood(self, id: NodeId) -> None:
        """A member had to ask who we are: what we said to it just now was dropped."""
        self._rumours.on_not_understood(id)
        self._detector.on_not_understood(id)
        self._fetch.on_not_understood(id)
        self._joining.on_not_understood(id)

    def _take(self, peer: Peer, message: Message, source: Address, counter: int) -> None:
        """One message of a bound peer."""
        commons, id = self._commons, peer.id
        match message:
            case Probe():
                row = commons.replica.rows.get(id)
                at_home = row is None or row.member is None or source in row.member.addresses
                commons.outbox.put(source, commons.ack_of(message.number, None if at_home else source))
                self._detector.pairs.pinged(id)
                self._reconcile.seen_fingerprint(id, message.fingerprint, may_compare=False)
            case Ack():
                self._contact.understood(source)
                if self._paths.on_ack(id, message.number):
                    self._reconcile.seen_fingerprint(id, message.fingerprint, may_compare=False)
                elif self._detector.on_ack(id, message, source):
                    self._unproven.acked(id)
                    if message.fingerprint == commons.replica.fingerprint:
                        self._row_acks.equal_fingerprint(id)
                    self._reconcile.seen_fingerprint(id, message.fingerprint, may_compare=True)
                    if self._own_address.seen_at(id, message.observed, source):
                        for other in commons.ring.sample(commons.rng, 1, [id]):
                            self._detector.probe(other)  # else a second witness may take many periods
            case Delta():
                if message.id == self.id:
                    self._row_acks.acked(id, Version(message.generation, message.reached))
                self._intake.on_delta(id, message, counter)
                self._prove_if_in_doubt(message.id)
            case Claim():
                self._intake.on_claim(id, message, counter)
                self._prove_if_in_doubt(message.id)
            case Receipt():
                self._rumours.on_receipt(id, message.counters)
            case Announce():
                self._intake.on_announce(id, message, counter)
            case Pull():
                self._fetch.on_pull(id, message)
            case Ask():
                self._detector.on_ask(id, message)
            case Nack():
                self._detector.on_nack(id, message)
            case Versions():
                self._reconcile.on_versions(id, message)
            case Buckets():
                self._reconcile.on_buckets(id, message)
            case Hashes():
                self._reconcile.on_hashes(id, message)
            case Want():
                self._reconcile.on_want(id, message)
            case List():
                self._joining.on_list(id, message)
            case Hello():
                self._contact.on_hello(peer.boot_id, source, message)
            case Mismatch():
                self._contact.on_mismatch(source, message)
            case Peers():
                self._on_peers(message)

    def _on_peers(self, message: Peers) -> None:
        """A busy member names others: one of them will do as well. Or somebody says where another has our id."""
        for id, address in message.peers:
            if id == self.id:
                self._twins.told_where(address)
                return
        if self._joining.seeks:
            self._joining.on_peers()
            for _, address in message.peers[:2]:
                self._lost.call(address)
