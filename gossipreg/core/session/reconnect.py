"""Reconnect: greet the seeds until a member answers, and greet dead members now and then, so that partitions heal.

Owns: the addresses of the seeds and of the members that died last. Never knows: what follows from an answer.

The seeds are greeted at once, and again at growing intervals until some member answers, without a limit. After that,
these addresses are greeted now and then:

- a seed, unless it is that of a member on the ring;
- a dead member: the `lost_max` that died last, also after their rows are forgotten.

They are also greeted while the members that have answered are not synced themselves (`join.py`).

In each period each member greets one of these addresses with probability min(1, lost_calls / members). So the whole
cluster together sends few greetings, whatever its size, and a partition of any length heals.
"""

from math import inf

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import DatagramOutbox
from gossipreg.core.session.sessions import PeerSessions
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId
from gossipreg.quick_dataclass import dataclass
from gossipreg.retry import Retry


@dataclass(frozen=True, slots=True)
class GreetSeeds:
    """Timer: greet the seeds again."""


@dataclass(frozen=True, slots=True)
class RememberedSilent:
    """Timer: no seed was given, and none of the remembered members has answered in time."""


class Reconnect:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        sessions: PeerSessions,
        outbox: DatagramOutbox,
        channel: Channel,
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._sessions = sessions
        self._outbox = outbox
        self._channel = channel
        self._seeds: dict[Address, NodeId | None] = {}
        """The seeds, each with the member that answered there last."""
        self._dead: dict[NodeId, Address] = {}
        """Dead members, and members remembered from the last run. The one that died last comes last."""
        self._tuning = tuning = context.config.session
        self._waits = Retry(tuning.reconnect_first_s, tuning.reconnect_max_s, growth=tuning.reconnect_growth)
        """Between two greetings of the seeds, until a member answers."""
        self._wait_s = self._waits.first_s
        self._reached = False
        """Whether any member has answered since the start."""
        self._owners_greeted_at: dict[NodeId, float] = {}
        """When we greeted a member of which others sent a generation that is too far ahead."""
        self._silent: set[Address] = set()
        """Seeds that were reported as silent (`seed_silent`)."""
        self._remembered_s = tuning.remembered_s
        """If this member has no seed but itself, it waits for this time for the members that it remembers, and then is
        the first of a cluster. It goes on greeting them after that."""

    def __len__(self) -> int:
        """The number of dead and remembered members."""
        return len(self._dead)

    # -- seeds -------------------------------------------------------------------------------------------------------

    def seek(self, addresses: tuple[Address, ...]) -> None:
        """Use these seeds from now on. If no member has answered yet, greet them at once."""
        for address in addresses:
            if not self._context.speaks(address):
                self._context.event("seed_unusable", address=str(address))
        self._silent &= set(addresses)
        self._seeds = {address: self._seeds.get(address) for address in addresses if self._context.speaks(address)}
        self._wait_s = self._waits.first_s
        if not self._reached and (self._seeds or self._dead):
            self.on_greet_seeds()
            if not self._seeds:
                self._await_remembered()

    def wait_for_remembered(self, seconds: float) -> None:
        """Give the remembered members this time to answer, from when they are greeted; infinity: no limit."""
        self._remembered_s = seconds

    def waiting_in_words(self, now: float) -> str:
        """How long this member waits for remembered members before it is the first of its cluster, to append to a
        sentence. Empty if it does not wait for them."""
        due = self._context.timers.due(RememberedSilent())
        if due is not None:
            return f"; without an answer within {max(0.0, due - now):.0f} s this sidecar is the first of its cluster"
        if self._reached or self._seeds or not self._dead:
            return ""
        return "; it waits for the members of the last run without a limit: give --seed if they have other addresses"

    def _await_remembered(self) -> None:
        """Set the timer after which this member stops waiting for the remembered ones."""
        if self._remembered_s < inf:
            self._context.timers.set_earlier(RememberedSilent(), self._context.now + self._remembered_s)

    def on_greet_seeds(self) -> None:
        """Greet some of the seeds and remembered members, and set the timer for the next time."""
        if self._reached:
            return
        context = self._context
        addresses = list(dict.fromkeys([*self._seeds, *self._dead.values()]))
        if self._wait_s > self._tuning.reconnect_report_s:
            for address, id in self._seeds.items():
                if id is None:
                    self._silent.add(address)
                    context.event("seed_silent", address=str(address))
        for address in context.rng.sample(addresses, min(len(addresses), self._tuning.seeds_at_once)):
            self.greet(address)
        context.timers.set(GreetSeeds(), context.now + self._wait_s * (0.75 + context.rng.random() / 2))
        self._wait_s = self._waits.after(self._wait_s)

    def answered(self, id: NodeId, address: Address | None) -> None:
        """A member answered. `address`: the one that we greeted, if any. A dead member that had it is greeted there no
        more, because another member has the address now."""
        self._reached = True
        self._context.timers.cancel(GreetSeeds())
        self._context.timers.cancel(RememberedSilent())
        for dead in [dead for dead, at in self._dead.items() if at == address and dead != id]:
            del self._dead[dead]
        if address in self._seeds:
            self._seeds[address] = id
        if address in self._silent:
            self._silent.discard(address)
            self._context.event("understood", address=str(address))

    def own_seed(self, address: Address) -> bool:
        """Note that a datagram of ours came from this address: if it is a seed, that is probably this member itself.
        Anybody can send a datagram back to us, so the address stays a seed.

        Returns whether this member is the first of its cluster: all seeds are this member (often all members are given
        the same list), and it remembers no other one. If it does, it waits for those first."""
        if address in self._seeds:
            self._seeds[address] = self._context.id
        if not self._seeds or any(id != self._context.id for id in self._seeds.values()):
            return False
        if self._dead:
            self._await_remembered()
        return not self._dead

    # -- dead members ------------------------------------------------------------------------------------------------

    def remember(self, peers: dict[NodeId, Address]) -> None:
        """Greet the members that were known before a restart, like dead ones."""
        for id, address in peers.items():
            if id != self._context.id and self._context.speaks(address):
                self.died(id, address)

    def worth_remembering(self) -> dict[NodeId, Address]:
        """The members to greet after a restart: those that died last, and those that follow us on the ring, `lost_max`
        in all. The result stays the same while nothing happens."""
        context = self._context
        most = context.config.lost_max
        found = dict(list(self._dead.items())[-(most // 2) :])
        for id in [*self._ring.after(context.id, most), *self._ring.after(b"", most)]:
            address = self._channel.address(id)
            if id != context.id and address is not None and len(found) < most:
                found[id] = address
        return found

    def died(self, id: NodeId, address: Address) -> None:
        """Greet this dead member from now on. Not if it had an address of ours: then it was this sidecar before a
        restart without a data directory."""
        self._dead.pop(id, None)
        own = self._table.own.member
        if own is not None and address in own.addresses:
            return
        self._dead[id] = address
        while len(self._dead) > self._context.config.lost_max:
            del self._dead[next(iter(self._dead))]

    def not_dead(self, id: NodeId) -> None:
        """Do not greet this member any more: it lives again, or it left."""
        self._dead.pop(id, None)

    def on_period(self) -> None:
        """Greet one of the dead members and silent seeds, with a small probability."""
        context = self._context
        if not self._reached:
            return
        addresses = self._silent_addresses()
        if addresses and context.rng.random() < context.config.lost_calls / len(self._ring):
            self.greet(context.rng.choice(addresses))

    def greet_silent(self) -> None:
        """Greet some of the dead members and silent seeds at once: those that answered are not synced themselves."""
        addresses = self._silent_addresses()
        for address in self._context.rng.sample(addresses, min(len(addresses), self._tuning.seeds_at_once)):
            self.greet(address)

    def _silent_addresses(self) -> list[Address]:
        seeds = (address for address, id in self._seeds.items() if id is None or id not in self._ring)
        return [*self._dead.values(), *seeds]

    def greet_owner(self, id: NodeId) -> None:
        """Greet a member so that it announces its generation itself, at most once a period."""
        context, address = self._context, self._channel.address(id)
        last = self._owners_greeted_at.get(id, -inf)
        if address is not None and context.now - last >= context.config.period_s:
            self._owners_greeted_at[id] = context.now
            self.greet(address)

    def forget_owner(self, id: NodeId) -> None:
        self._owners_greeted_at.pop(id, None)

    def greet(self, address: Address) -> None:
        """Send a Hello to this address: it says who we are, and asks who is there."""
        context = self._context
        context.count("calls")
        nonce = self._sessions.greet(address)
        self._outbox.put(address, self._channel.hello(nonce, 0))
