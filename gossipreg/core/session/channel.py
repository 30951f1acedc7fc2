"""The channel: send messages to members by their ids. The other rooms use this room through it.

Owns: to which address the datagrams for a member go, and the timeout of its answer. Never knows: why a message is sent.
"""

from gossipreg.core.context import Context
from gossipreg.core.session.outbox import Class, DatagramOutbox, OnSent
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.session.sessions import Peer, PeerSessions
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId
from gossipreg.wire.messages import Ack, Hello, Message, Probe


class Channel:
    def __init__(
        self, context: Context, table: Table, sessions: PeerSessions, outbox: DatagramOutbox, round_trips: RoundTrips
    ) -> None:
        self._context = context
        self._table = table
        self._sessions = sessions
        self._outbox = outbox
        self._round_trips = round_trips
        self.large: dict[NodeId, None] = {}
        """Members that the current input sends more than fits the smallest datagram: see `path_mtu.py`."""

    # -- sending -----------------------------------------------------------------------------------------------------

    def address(self, id: NodeId) -> Address | None:
        """The address of a member: the one from which it last proved that it sends, else the first address in its row
        of a family that we have a socket of. None if neither is known."""
        peer = self._sessions.by_id.get(id)
        if peer is not None and peer.source is not None:
            return peer.source
        row = self._table.rows.get(id)
        if row is None or row.member is None:
            return None
        return next(filter(self._context.speaks, row.member.addresses), None)

    def to(self, id: NodeId, message: Message, on_sent: OnSent | None = None) -> bool:
        """Send `message` to a member at the end of this input. Returns False, and sends nothing, if its address is not
        known. `on_sent` is called with the counter of the datagram."""
        address = self.address(id)
        if address is None:
            return False
        if self._outbox.put(address, message, on_sent) > self._outbox.small_bytes:
            self.large[id] = None
        return True

    def sends_to(self, id: NodeId) -> bool:
        """Whether the current input sends this member anything."""
        return self._outbox.sends_to(self.address(id))

    def sends_large(self, id: NodeId) -> bool:
        """Whether the current input sends this member more than fits the smallest datagram."""
        return id in self.large

    def take_large(self) -> list[NodeId]:
        """Return the members for which `sends_large` is true, in order, and forget them. Call it at the end of each
        input."""
        large, self.large = self.large, {}
        return list(large)

    def put(self, address: Address, message: Message) -> None:
        """Send `message` to an address at the end of this input, whichever process is there."""
        self._outbox.put(address, message)

    def room(self, klass: Class) -> bool:
        """Whether the budget leaves room for a message of this class now."""
        return self._outbox.room(klass, self._context.now)

    def limit(self, id: NodeId) -> int:
        """The largest encoded message that a datagram to this member may carry, bytes."""
        return self._outbox.limit(self.address(id))

    @property
    def base_limit(self) -> int:
        """The largest encoded message that a datagram of the base size may carry, bytes."""
        return self._outbox.limit(None)

    def named_at(self, id: NodeId) -> tuple[str, str]:
        """The name and the address of a member, for people. The name is empty if its row never came here, and the
        address if it is not known."""
        row = self._table.rows.get(id)
        name = "" if row is None or row.member is None else row.member.name
        return name, str(self.address(id) or "")

    def session(self, id: NodeId) -> Peer | None:
        """The session of a member; None if none of its processes is known."""
        return self._sessions.of_id(id)

    def can_speak_with(self, id: NodeId) -> bool:
        """Whether this member speaks a version of the protocol that we speak, as far as its row says."""
        row = self._table.rows.get(id)
        return row is None or row.member is None or self._context.protocol.meets(row.member.protocol)

    # -- timeouts ----------------------------------------------------------------------------------------------------

    def measured(self, id: NodeId, rtt_s: float) -> None:
        """A member answered a probe after `rtt_s`. Pass only probes that no stall delayed (Karn's rule)."""
        self._round_trips.sample(id, self._table.zone(id), rtt_s)

    def rtt_s(self, id: NodeId) -> float | None:
        """The smoothed round-trip time of a member; None if it was never measured."""
        return self._round_trips.smoothed_s(id)

    def bound_s(self, id: NodeId) -> float:
        """The timeout of a probe of this member: its round-trip bound times the timeout multiplier."""
        context = self._context
        return (
            self._round_trips.bound_s(id, self._table.zone(id), context.config.rtt_floor_s) * context.timeout_multiplier
        )

    def repeat_s(self, id: NodeId) -> float:
        """The time that this member has to send a receipt. It may be shorter than the timeout of a probe, since a
        message that is retransmitted for nothing accuses no member."""
        context = self._context
        bound_s = self._round_trips.bound_s(id, self._table.zone(id), context.config.repeat_floor_s)
        return bound_s * context.timeout_multiplier + context.config.receipt_gather_s

    # -- messages that carry the state of this member ----------------------------------------------------------------

    def hello(self, nonce: int, echo: int, held: int = 0) -> Hello:
        """Make a Hello: it says who we are. `held` is for an answer: see Hello."""
        context = self._context
        return Hello(
            context.config.cluster,
            context.id,
            self._table.generation,
            nonce,
            echo,
            context.fully_synced,
            context.up_ms,
            context.protocol,
            context.generation_before,
            held,
        )

    def probe_of(self, number: int) -> Probe:
        """Make a Probe with this number."""
        return Probe(number, self._table.fingerprint)

    def ack_of(self, number: int, observed: Address | None = None) -> Ack:
        """Make the Ack of a Probe. `observed`: the address from which the probe came, if the row of its sender lacks
        it."""
        return Ack(number, self._table.fingerprint, observed)
