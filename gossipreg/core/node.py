"""One member: composes the parts of the core. Datagrams, the time and commands come in; effects go out.

Owns: the steps of one input. Never knows: sockets, clocks, threads. Each input (`receive`, `advance`, `refused`, a
command) is complete before the next one begins: it sets the time, lets one part act, updates the ring, the catalog and
the other parts that follow the table, packs the messages that were sent into datagrams, and returns the effects in the
order in which they came about.

    datagram -> seal -> replay window -> codec -> failure | gossip | session -> table -> membership -> effects
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from gossipreg.config import Config
from gossipreg.core.context import Context
from gossipreg.core.due import NodeTimers
from gossipreg.core.effects import Changed, Effect
from gossipreg.core.failure.detector import FailureDetector
from gossipreg.core.failure.flap_damping import FlapDamping
from gossipreg.core.failure.interface import Detector
from gossipreg.core.failure.isolation import Isolation
from gossipreg.core.failure.quarantine import Quarantine
from gossipreg.core.gossip.answered_requests import AnsweredRequests
from gossipreg.core.gossip.dissemination import Dissemination
from gossipreg.core.gossip.join import Joining
from gossipreg.core.gossip.pulls import Pulls
from gossipreg.core.gossip.receipts import Receipts
from gossipreg.core.gossip.reconcile import AntiEntropy
from gossipreg.core.gossip.row_acks import RowAcks
from gossipreg.core.local.about_us import AboutUs
from gossipreg.core.local.identity_conflict import IdentityConflict
from gossipreg.core.local.last_known import LastKnown
from gossipreg.core.local.leaving import Departure
from gossipreg.core.local.own_address import OwnAddress
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.handshake import Handshake
from gossipreg.core.session.outbox import DatagramOutbox
from gossipreg.core.session.path_mtu import PathMtu
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.session.sessions import Peer, PeerSessions
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.membership import MembershipIndex
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.errors import BadDatagram
from gossipreg.model import Address, Member, NodeId
from gossipreg.timers import Timers
from gossipreg.wire import codec
from gossipreg.wire.messages import (
    Claim,
    Delta,
    Hello,
    Mismatch,
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
        generation_before: int = 0,
        own_generations: frozenset[int] = frozenset(),
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
        `generation_before` is the last one before `generation` whose process is known to have met a member (0: none
        is), `own_generations` are those between that our data directory knows of.
        Without `address_fixed` we announce the address from which two other members see our datagrams come.
        `speaks(address)` says whether there is a socket of its family."""
        self.config = config
        self.id = id
        self.keyring = keyring
        self._boot_id = member.boot_id
        self._sealer = Sealer(keyring, member.boot_id)
        self._opener = Opener(keyring)
        self.table = table = self._make_table(generation, now, wall_ms)
        self._context = context = Context(
            config,
            id,
            Timers(),
            rng,
            now,
            heard_at=float("-inf"),
            protocol=member.protocol,
            speaks=speaks,
            generation_before=generation_before,
            own_generations=own_generations,
        )
        self._ring = ring = Ring(id)
        self._sessions = sessions = PeerSessions(entropy)
        self._outbox = outbox = DatagramOutbox(config, self._sealer, now)
        self._round_trips = round_trips = self._make_round_trips()
        self._channel = channel = Channel(context, table, sessions, outbox, round_trips)
        self.catalog = Catalog(id)
        self._reconnect = Reconnect(context, table, ring, sessions, outbox, channel)
        self._paths = paths = PathMtu(context, sessions, outbox, channel)
        self._dissemination = self._make_dissemination()
        self._receipts = Receipts(context, ring, channel)
        self._pulls = Pulls(context, table, ring, channel, AnsweredRequests(channel, paths))
        self._joining = Joining(
            context, table, ring, channel, self._dissemination, self._pulls, AnsweredRequests(channel, paths)
        )
        self._anti_entropy = AntiEntropy(context, table, ring, channel, self._dissemination, self._pulls, self._joining)
        self._detector = self._make_detector()
        self._membership = MembershipIndex(context, table, ring, self.catalog)
        self._isolation = Isolation(context, table, ring, self._membership)
        self._last_known = LastKnown(context, self.catalog, self._membership, self._reconnect)
        self._own_row = OwnRow(context, table, self._dissemination, member)
        self._own_address = OwnAddress(context, ring, self._own_row, fixed=address_fixed)
        self._identity_conflict = IdentityConflict(context, table, self._own_row, self._reconnect)
        damping = FlapDamping(context, table, ring, self._isolation)
        self._about_us = AboutUs(
            context, table, channel, self._own_row, self._identity_conflict, self._detector, damping
        )  # fmt: skip
        self._quarantine = Quarantine(context, table, channel, self._detector)
        self._handshake = Handshake(context, table, sessions, outbox, channel, self._reconnect)
        self._departure = Departure(context, ring, channel, self._dissemination, self._own_row)
        self._row_acks = RowAcks(context, table, ring, channel)
        self._death_sent_at: dict[NodeId, float] = {}
        self._follow_table()
        self._last_knowledge = self.knowledge

    # `simulations/` overrides these methods to put parts of its own in place of ours.

    def _make_table(self, generation: int, now: float, wall_ms: int) -> Table:
        return Table(self.config, self.id, generation, now, wall_ms)

    def _make_round_trips(self) -> RoundTrips:
        return RoundTrips(self.config)

    def _make_dissemination(self) -> Dissemination:
        return Dissemination(self._context, self.table, self._ring, self._channel, self._paths)

    def _make_detector(self) -> Detector:
        return FailureDetector(self._context, self.table, self._ring, self._round_trips, self._channel)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def receive(self, datagram: bytes, source: Address, now: float) -> list[Effect]:
        """A datagram came from `source`. No content of it makes this raise; each drop is counted with its reason."""
        self.take(datagram, source, now)
        return self._end()

    def finish(self, now: float) -> list[Effect]:
        """The effects of the datagrams taken since the last input, by `take`. What they send to one member goes in as
        few datagrams as hold it. Every other input does this too."""
        self._context.now = max(now, self._context.now)
        return self._end()

    def take(self, datagram: bytes, source: Address, now: float) -> None:
        """Receive a datagram, and leave its effects to `finish`: for a runtime that has read several at once."""
        context = self._begin(now)
        context.received_datagrams += 1
        context.received_bytes += len(datagram)
        try:
            opened = self._opener.open_untrusted(datagram)
        except BadDatagram as error:
            self._on_unopened(error.reason, datagram, source)
            return
        if opened.boot_id == self._boot_id:
            context.count("drop.own")
            if self._reconnect.own_seed(source) and not self.synced:
                context.event("own_seed", address=str(source))
                self._joining.start_alone()
            return
        peer = self._sessions.of_boot(opened.boot_id)
        if peer is not None and not peer.window.accept(opened.counter):
            context.count("drop.replay")
            return
        try:
            messages, unknown = codec.decode_untrusted(opened.body)
        except BadDatagram as error:
            context.count(f"drop.{error.reason}")
            return
        if unknown:
            context.counts["unknown_kinds"] = context.counts.get("unknown_kinds", 0) + unknown
        if peer is None:
            self._outbox.allow(source, len(datagram))
        else:
            self._heard(peer, source, len(datagram))
        for message in messages:
            if peer is None:
                if type(message) is Hello:
                    self._on_hello(opened.boot_id, source, message)
                elif type(message) is Mismatch:
                    self._handshake.on_mismatch(opened.boot_id, source, message)
                else:
                    context.count("drop.unbound")
                    self._handshake.challenge(opened.boot_id, source)
                    break
                peer = self._sessions.of_boot(opened.boot_id)
                if peer is not None:  # that message began its session: take the rest of the datagram as a member's
                    peer.window.accept(opened.counter)
                    self._heard(peer, source, len(datagram))
            else:
                self._take(peer, message, source, opened.counter)
            if self.table.changes.pending:  # the next message must find no member that this one took out
                self._follow_table()

    def advance(self, now: float) -> list[Effect]:
        """Fire the timers that are due. Call it after `receive` was called for all datagrams that have arrived."""
        context = self._begin(now)
        for name, due in context.timers.pop_due(now):
            self._on_due(name, due)
            if self.table.changes.pending:
                self._follow_table()
        return self._end()

    def next_deadline(self) -> float:
        """The time at which to call `advance`; infinity if no timer is set."""
        return self._context.timers.next_due()

    def refused(self, address: Address, now: float) -> list[Effect]:
        """Probe the member at this address: the kernel says that nobody listens on the port. That may be forged, so it
        is no proof that the member is dead."""
        self._begin(now)
        self._follow_detector(self._detector.on_refused(address))
        return self._end()

    def too_large(self, address: Address, now: float) -> list[Effect]:
        """Measure the path to this address: the kernel says that a datagram was too large for the interface, or a
        router says that it was too large for a link. The router's word may be forged."""
        self._begin(now)
        self._paths.too_large(address)
        return self._end()

    def seek(self, addresses: tuple[Address, ...], now: float) -> list[Effect]:
        """Greet these seeds until one answers. Without seeds and remembered members, this member is synced at once: it
        is the first of its cluster."""
        self._begin(now)
        if addresses or len(self._reconnect):
            self._reconnect.seek(addresses)
        else:
            self._joining.start_alone()
        return self._end()

    def remember(self, peers: dict[NodeId, Address], now: float) -> list[Effect]:
        """Note the members that were known before a restart, and their last addresses. Call it before `seek`, which
        greets them too."""
        self._begin(now)
        self._reconnect.remember(peers)
        return self._end()

    def recall(self, deltas: Iterable[Delta], counts_s: float, now: float) -> list[Effect]:
        """Answer from these pages of the table kept before a restart until this member is synced, for `counts_s` at
        most. Call it before `seek`."""
        self._begin(now)
        self._last_known.recall(deltas, counts_s)
        return self._end()

    def lag(self, seconds: float) -> None:
        """Note how late the runtime's loop was, in order to show it. No decision depends on it: the core itself
        measures how late its timers fire."""
        self._lag_s = seconds

    def rekey(self, keyring: Keyring, now: float) -> list[Effect]:
        """Seal with the first of these keys from now on, open with all of them, and announce their ids."""
        self._begin(now)
        self.keyring = keyring
        self._sealer.rekey(keyring)
        self._opener.rekey(keyring)
        self._own_row.update(replace(self._own_row.member, keys=keyring.ids()))
        return self._end()

    # -- within an input ---------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> Context:
        """Set the time, and find out whether this process was stalled: a timer was due, and there was no input since.
        This comes before the input itself: acks may have waited in the socket during the stall, and a probe must not
        time out because we read them late."""
        context = self._context
        if self.table.changes.rows:
            self.table.changes.begin_input()
        if now - context.now > self.config.stall_s:
            late_s = now - max(context.now, context.timers.next_due())
            context.now = now
            if late_s > self.config.stall_s:
                self._follow_detector(self._detector.on_stall(late_s))
                self._isolation.on_stall()
        if now > context.now:
            context.now = now
        return context

    def _end(self) -> list[Effect]:
        """End an input. A part that has nothing to do is not called: most inputs change nothing, and send a datagram at
        most."""
        context = self._context
        if self.table.changes.pending:
            self._follow_table()
        if self._followed:
            self._followed = False
            knowledge = self.knowledge
            if knowledge is not self._last_knowledge:
                self._last_knowledge = knowledge
                context.effects.append(Changed(()))
            self._membership.emit_members_changed()
        if self._departure.under_way:
            self._departure.check()
        if self._row_acks.goal is not None:
            self._row_acks.check()
        self._receipts.join_others()
        if self._channel.large:
            self._paths.check()  # last: it looks at the sizes of all that this input sends
        sends = self._outbox.flush(context.now)
        effects: list[Effect] = [*sends, *context.effects]
        context.effects = []
        return effects

    def _on_unopened(self, reason: str, datagram: bytes, source: Address) -> None:
        self._context.count(f"drop.{reason}")
        if reason in ("unknown_key", "clear_refused", "sealed_refused"):
            self._handshake.on_unknown_key(datagram, source)
        elif reason == "notice":
            self._handshake.on_notice(datagram, source)

    def _heard(self, peer: Peer, source: Address, size: int) -> None:
        """Note a fresh datagram of a known member. If its source address is not proven, have it prove it; if the member
        was declared dead, tell it so, so that it can refute."""
        context = self._context
        now = context.now
        row = self.table.rows.get(peer.id)
        if source != peer.source:
            if row is not None and row.member is not None and source in row.member.addresses:
                peer.source = source
            else:
                self._outbox.allow(source, size)
                if now - peer.heard_at >= self.config.rtt_floor_s or peer.source is None:
                    self._handshake.challenge(peer.boot_id, source)
        peer.heard_at = now
        heard_before, context.heard_at = context.heard_at, now
        silent_s = now - heard_before
        silent = silent_s > self.config.floor_silent_s or self._isolation.alone
        if silent and self._isolation.heard_after(silent_s):
            self._detector.on_silence_over()
        if row is not None and row.dead and row.liveness.generation == peer.generation:
            sent_at = self._death_sent_at.get(peer.id)
            if sent_at is None or now - sent_at >= self.config.period_s:
                self._death_sent_at[peer.id] = now
                self._outbox.put(source, Claim(peer.id, *row.liveness, by=row.reporter or self.id))
