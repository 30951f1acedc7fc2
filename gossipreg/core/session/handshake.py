"""Handshake: find out which member sends under an unknown boot id, and whether it receives at its source address.

Owns: Hello, Mismatch, and the notice about keys, which is sent in the clear. Never knows: what members send to each
other after the handshake.

    caller -> called   Hello(nonce n)                      the called one is a seed or a dead member
    called -> caller   Hello(echo n, nonce m)              m is a keyed hash of boot id, source and time: no memory
    caller -> called   Hello(echo m), then other messages  now both are bound, and both addresses proven

The answer to a Hello also says if our row of the caller has a generation of which the caller's data directory does not
know: then that is a restored backup (`local/identity_conflict.py`).

A Hello of another cluster, or of a member that speaks no version of the protocol that we speak, is answered with a
Mismatch, and binds nobody. A Mismatch about versions is answered with another one, so that both operators are told:

    caller -> called   Hello(nonce n, range)
    called -> caller   Mismatch(echo n, range, nonce m)    the caller tells its operator
    caller -> called   Mismatch(echo m, range)              so does the called member

Any other message from an unbound boot id is dropped, and answered with a Hello that carries a nonce. A member that
sends from an address that is not in its row is also asked to echo a nonce from there. Until it does, we send at most
three times as many bytes to that address as came from it.
"""

from gossipreg.core.context import Context
from gossipreg.core.effects import Send
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.facts import AddressProven, HandshakeFact, OldGenerationHeld, OwnIdUsed, SessionMissing
from gossipreg.core.session.outbox import DatagramOutbox
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.session.sessions import Peer, PeerSessions
from gossipreg.core.session.token_bucket import TokenBucket
from gossipreg.core.table.table import Table
from gossipreg.errors import BadDatagram
from gossipreg.model import Address, BootId, ProtocolRange
from gossipreg.wire import seal
from gossipreg.wire.messages import Claim, Hello, Mismatch, Peers

_COMPLAINTS_MAX = 64
"""Addresses that are kept because they refused us. Beyond it the oldest is forgotten."""


class Handshake:
    def __init__(
        self,
        context: Context,
        table: Table,
        sessions: PeerSessions,
        outbox: DatagramOutbox,
        channel: Channel,
        reconnect: Reconnect,
    ) -> None:
        self._context = context
        self._table = table
        self._sessions = sessions
        self._outbox = outbox
        self._channel = channel
        self._reconnect = reconnect
        tuning = context.config.session
        self._nonces = TokenBucket(tuning.strangers_at_once, tuning.strangers_per_s, context.now)
        """For the answers to senders that have proven nothing."""
        self._notices = TokenBucket(tuning.notices_per_s, tuning.notices_per_s, context.now)
        """For notices about keys. They do not draw on `_nonces`: a sender without the key can cause any number of them,
        and must not use up the answers for members."""
        self._noticed_at = float("-inf")
        self._complained: dict[Address, None] = {}
        """Addresses that refused us by a Mismatch or a notice about keys, the oldest first."""

    # -- greetings ---------------------------------------------------------------------------------------------------

    def on_hello(self, boot_id: BootId, source: Address, hello: Hello) -> list[HandshakeFact]:
        """Answer a greeting, or the answer to ours. Return what other parts have to act on, in order."""
        context, sessions = self._context, self._sessions
        if hello.cluster != context.config.cluster:
            context.count("drop.wrong_cluster")
            if hello.nonce and self._may_answer(self._nonces):
                self._outbox.put(source, Mismatch(context.config.cluster, hello.nonce))
            return []
        if not context.protocol.meets(hello.protocol):
            self._refuse(boot_id, source, hello)
            return []
        peer = sessions.of_boot(boot_id)
        if peer is not None and peer.id != hello.id:
            context.count("drop.other_id")
            return []
        first = peer is None
        proven = sessions.proves(boot_id, source, hello.echo, context.now)
        if proven:
            self.understood(source)
            if hello.id == context.id:
                return self._own_id_used(boot_id, source, hello)
            peer = self._bind(boot_id, source, hello)
            if peer is None:
                context.count("drop.old_generation")
                return []
        facts: list[HandshakeFact] = []
        if hello.nonce:
            self._answer_hello(boot_id, source, hello, known=peer is not None and peer.source == source)
            if peer is not None and not hello.echo and context.now - peer.asked_at >= context.config.rtt_floor_s:
                peer.asked_at = context.now  # it sends one Hello for each datagram of ours: react to the first one
                facts.append(SessionMissing(hello.id))
        if proven and hello.held:
            facts.append(OldGenerationHeld(hello.held))
        if proven:
            facts.append(AddressProven(hello.id, first))
        return facts

    def _own_id_used(self, boot_id: BootId, source: Address, hello: Hello) -> list[HandshakeFact]:
        """Another process has proven that it uses our node id. Prove our address too if it asks for that."""
        if hello.nonce and self._sessions.greeted(hello.echo) is not None:
            self._answer_hello(boot_id, source, hello, known=True)
        self._sessions.answered(hello.echo)
        return [OwnIdUsed(boot_id, source, hello)]

    def _refuse(self, boot_id: BootId, source: Address, hello: Hello) -> None:
        """Refuse a member that speaks no version of the protocol that we speak: answer with a Mismatch, and bind
        nobody. Our operator is told once the member has proven its address."""
        context, sessions = self._context, self._sessions
        context.count("drop.incompatible_version")
        proven = sessions.proves(boot_id, source, hello.echo, context.now)
        if proven:
            sessions.answered(hello.echo)
            self._incompatible(source, hello.protocol)
        if hello.nonce and self._may_answer(self._nonces):
            nonce = 0 if proven else sessions.challenge(boot_id, source, context.now)
            self._outbox.put(source, self._mismatch(hello.nonce, nonce))

    def _bind(self, boot_id: BootId, source: Address, hello: Hello) -> Peer | None:
        """Begin or renew the session of this member. None if a newer process of it is known: that is answered here."""
        context = self._context
        row = self._table.rows.get(hello.id)
        if row is not None and hello.generation < row.liveness.generation:
            # The claim names the newer generation, and Peers its address, so that this process can greet the other one.
            self._outbox.put(source, Claim(row.id, *row.liveness, row.reporter or context.id))
            newer_at = self._channel.address(row.id)
            if newer_at is not None and newer_at != source:
                self._outbox.put(source, Peers(((row.id, newer_at),)))
            return None
        peer = self._sessions.bind(boot_id, hello.id, hello.generation, guest=row is None)
        if peer is not None:
            self._outbox.proven(source)
            peer.source = source
            peer.synced = hello.synced
            peer.heard_at = context.now
            self._reconnect.answered(hello.id, self._sessions.greeted(hello.echo))
            self._sessions.answered(hello.echo)
        return peer

    def _answer_hello(self, boot_id: BootId, source: Address, hello: Hello, *, known: bool) -> None:
        """Echo its nonce. Send a nonce of ours too, unless the address is `known` to be that of the member."""
        context = self._context
        if not known and not self._may_answer(self._nonces):
            return
        challenge = 0 if known else self._sessions.challenge(boot_id, source, context.now)
        self._outbox.put(source, self._channel.hello(challenge, hello.nonce, self._held(hello)))

    def _held(self, hello: Hello) -> int:
        """The generation of the sender's row here, if it is one of a start that the sender has forgotten; else 0."""
        row = self._table.rows.get(hello.id)
        if row is None or not hello.before or hello.id == self._context.id:
            return 0
        held = row.liveness.generation
        return held if hello.before < held < hello.generation else 0

    def challenge(self, boot_id: BootId, source: Address) -> None:
        """Send a nonce to a sender that is not bound, or whose address is not proven. It has to echo the nonce from
        there."""
        if self._may_answer(self._nonces):
            context = self._context
            nonce = self._sessions.challenge(boot_id, source, context.now)
            self._outbox.put(source, self._channel.hello(nonce, 0))

    def on_mismatch(self, boot_id: BootId, source: Address, mismatch: Mismatch) -> None:
        """Report that the sender belongs to another cluster, or speaks no version of the protocol that we speak. We
        believe that only if the message echoes a nonce of ours: that of a greeting, or of our own Mismatch."""
        context, sessions = self._context, self._sessions
        of_versions = mismatch.cluster == context.config.cluster
        if sessions.greeted(mismatch.echo) is None and not (
            of_versions and sessions.proves(boot_id, source, mismatch.echo, context.now)
        ):
            context.count("drop.mismatch_unasked")
        elif not of_versions:
            sessions.answered(mismatch.echo)
            self._complains(source)
            context.event("wrong_cluster", cluster=mismatch.cluster, address=str(source))
        elif not context.protocol.meets(mismatch.protocol):
            sessions.answered(mismatch.echo)
            self._incompatible(source, mismatch.protocol)
            if mismatch.nonce and self._may_answer(self._nonces):
                self._outbox.put(source, self._mismatch(mismatch.nonce, 0))

    def _mismatch(self, echo: int, nonce: int) -> Mismatch:
        context = self._context
        return Mismatch(context.config.cluster, echo, context.protocol, nonce)

    def _incompatible(self, source: Address, theirs: ProtocolRange) -> None:
        self._complains(source)
        self._context.incompatible(theirs, address=str(source))

    def _complains(self, source: Address) -> None:
        """Note that this address refused us, so that `understood` reports when that is over."""
        self._complained[source] = None
        if len(self._complained) > _COMPLAINTS_MAX:
            del self._complained[next(iter(self._complained))]

    def understood(self, source: Address) -> None:
        """Note that a member at this address has answered us, so that it does not refuse us any more."""
        if source in self._complained:
            del self._complained[source]
            self._context.event("understood", address=str(source))

    # -- keys --------------------------------------------------------------------------------------------------------

    def on_unknown_key(self, datagram: bytes, source: Address) -> None:
        """Answer a datagram whose sealing does not fit our keys: another key, or none while we have one, or sealed
        while we have none. The answer is in the clear, and never longer than the datagram."""
        if self._may_answer(self._notices):
            self._context.effects.append(Send(seal.notice_for(datagram), source))

    def on_notice(self, datagram: bytes, source: Address) -> None:
        """Report a notice: its sender lacks our key. Anybody can forge one. So it must name a datagram that we have
        sent, and it changes nothing but what the operator sees."""
        context = self._context
        try:
            key_id, boot_id, counter = seal.read_notice_untrusted(datagram)
        except BadDatagram:
            return
        if not self._outbox.sealed(key_id, boot_id, counter):
            context.count("drop.notice_unasked")
        elif context.now - self._noticed_at >= context.config.session.notice_report_s:
            self._noticed_at = context.now
            self._complains(source)
            context.event("key_needed" if key_id == seal.NO_KEY else "not_our_key", address=str(source))

    def _may_answer(self, bucket: TokenBucket) -> bool:
        """Take a token of this bucket; False, and counted, if there is none."""
        if bucket.take(self._context.now):
            return True
        self._context.count("drop.strangers_throttled")
        return False
