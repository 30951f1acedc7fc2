"""What the parts of one node have in common: the table, the ring, the bindings, timers, round trips and the outbox.

It is handed to all of them, so that each says whom it speaks to by id and leaves addresses to one place. Decides
nothing: what it says of this member (`heard_at`, `stretch`, `out`, `in_step`) is set by one part each and read by many.
`now` is the time of the current input, set by the node before anything else runs.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gossipreg.config import Config
from gossipreg.core.effects import Effect, Event
from gossipreg.core.session.outbox import OnSent, Outbox
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.session.sessions import PeerSessions
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.core.timers import Timers
from gossipreg.model import Address, NodeId
from gossipreg.wire.messages import Ack, Hello, Message, Probe


@dataclass(slots=True)
class Context:
    config: Config
    id: NodeId
    table: Table
    ring: Ring
    peers: PeerSessions
    outbox: Outbox
    timers: Timers
    round_trips: RoundTrips
    rng: random.Random
    now: float
    heard_at: float
    """When a datagram was last opened from any member: see `isolation.py`."""
    effects: list[Effect] = field(default_factory=list)
    """What the current input has led to so far."""
    counts: dict[str, int] = field(default_factory=dict)
    """Named counters: drops by reason, probes, suspicions, refutations, comparisons, ..."""
    received_datagrams: int = 0
    """Whatever was in them."""
    received_bytes: int = 0
    stretch: int = 1
    """Bounds and floors are multiplied by this: 1 plus the local health score of `prober.py`."""
    speaks: Callable[[Address], bool] = lambda _: True
    """Whether we have a socket of this address's family."""
    out: bool = False
    """Taken for dead for a fault of our own, and not back yet: see `flap_damping.py`."""
    in_step: bool = False
    """This member holds what its first peer listed, or there was nobody to list: see `join.py`."""
    large: dict[NodeId, None] = field(default_factory=dict)
    """Members that the current input sends more than the smallest datagram carries: see `path_mtu.py`."""
    doubt: Callable[[NodeId], None] = lambda _: None
    """To be called when a large message to this member seems not to have arrived: see `path_mtu.py`."""
    settling: bool = False
    """This member is synced with one that was not synced itself, and waits for others: see `last_known.py`."""
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.now

    @property
    def generation(self) -> int:
        """Of this start; raised where somebody else uses our identity."""
        return self.table.own.liveness.generation

    @property
    def settled(self) -> bool:
        """Whether we tell others that we are synced."""
        return self.in_step and not self.settling

    @property
    def up_ms(self) -> int:
        """For how long this process has run."""
        return int((self.now - self.started_at) * 1000)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def event(self, kind: str, **fields: str | int | float) -> None:
        self.effects.append(Event(kind, tuple(fields.items())))

    def address(self, id: NodeId) -> Address | None:
        """Where to reach a member: where it last spoke from, else the first address in its row that we can
        speak to."""
        source = self.peers.source_of(id)
        if source is not None:
            return source
        row = self.table.rows.get(id)
        if row is None or row.member is None:
            return None
        return next(filter(self.speaks, row.member.addresses), None)

    def to(self, id: NodeId, message: Message, on_sent: OnSent | None = None) -> bool:
        """Say something to a member; False where nobody knows its address."""
        address = self.address(id)
        if address is None:
            return False
        if self.outbox.put(address, message, on_sent) > self.outbox.small_bytes:
            self.large[id] = None
        return True

    def limit(self, id: NodeId) -> int:
        """The largest encoded message that a datagram to this member may carry, bytes."""
        address = self.address(id)
        return self.outbox.message_limit if address is None else self.outbox.limit(address)

    def name(self, id: NodeId) -> str:
        """For people; the id of who has none here."""
        row = self.table.rows.get(id)
        return id.hex() if row is None or row.member is None else row.member.name

    def named_at(self, id: NodeId) -> tuple[str, str]:
        """The name and the address of a member, for people. The name is empty if its row never came here, the address
        if nobody knows it."""
        row = self.table.rows.get(id)
        name = "" if row is None or row.member is None else row.member.name
        return name, str(self.address(id) or "")

    def zone(self, id: NodeId) -> str:
        row = self.table.rows.get(id)
        return "" if row is None or row.member is None else row.member.zone

    def bound_s(self, id: NodeId) -> float:
        """How long to wait for this member's answer to a probe, stretched by local health."""
        return self.round_trips.bound_s(id, self.zone(id), self.config.rtt_floor_s) * self.stretch

    def repeat_s(self, id: NodeId) -> float:
        """How long to wait for this member's receipt, likewise: a repeat for nothing accuses nobody, so it may come
        sooner than a probe is given up."""
        bound_s = self.round_trips.bound_s(id, self.zone(id), self.config.repeat_floor_s)
        return bound_s * self.stretch + self.config.receipt_gather_s

    def hello(self, number: int, echo: int) -> Hello:
        """Who we are; see `Hello`."""
        return Hello(self.config.cluster, self.id, self.generation, number, echo, self.settled, self.up_ms)

    def probe_of(self, number: int) -> Probe:
        return Probe(number, self.table.fingerprint)

    def ack_of(self, number: int, observed: Address | None = None) -> Ack:
        return Ack(number, self.table.fingerprint, observed)

    def alive_members(self) -> int:
        """Members on the ring, ourselves included."""
        return len(self.ring)
