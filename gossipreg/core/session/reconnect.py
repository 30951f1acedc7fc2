"""Calling on seeds, and on the lost.

Owns: the seeds' addresses and those of the members lost last. Never knows: what follows from an answer.

A seed is called at once and again with backoff until some member answers; for ever, if need be. After that a seed that
nobody on the ring answered for, and each member lost (dead, `lost_max` of them, kept also when their rows are
forgotten), is called on: each period each member calls one of them with probability min(1, lost_calls / members), so
that the whole cluster together makes few calls and a partition of any length heals.
"""

from dataclasses import dataclass
from math import inf

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Outbox
from gossipreg.core.session.sessions import PeerSessions
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId
from gossipreg.retry import Retry

_SEEK = Retry(0.2, 5.0, growth=1.6)
"""Backoff of calls on seeds while nobody has answered."""

_SILENT_S = 1.0
"""Once the wait for the next try is longer than this, that nobody answers is said."""
_SEEDS_A_TRY = 16
_REMEMBERED_S = 5.0


@dataclass(frozen=True, slots=True)
class Seek:
    """Timer: call the seeds again."""


@dataclass(frozen=True, slots=True)
class Forsaken:
    """Timer: no seed was given, and none of the members remembered has answered."""


class Reconnect:
    def __init__(
        self, context: Context, table: Table, ring: Ring, sessions: PeerSessions, outbox: Outbox, channel: Channel
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._sessions = sessions
        self._outbox = outbox
        self._channel = channel
        self._seeds: dict[Address, NodeId | None] = {}
        """Seeds, and who answered last there."""
        self._members: dict[NodeId, Address] = {}
        """Lost members, the one lost last at the end."""
        self._wait_s = _SEEK.first_s
        self._reached = False
        self._owners_called_at: dict[NodeId, float] = {}
        """When the members were called whose generation others told, beyond reason."""
        self._silent: set[Address] = set()
        """Seeds that were reported as silent (`seed_silent`)."""
        self._patience_s = _REMEMBERED_S
        """How long to call remembered members before this member, if it has no seed but itself, becomes a cluster of
        its own. They are called after that, too."""

    def __len__(self) -> int:
        return len(self._members)

    # -- seeds -------------------------------------------------------------------------------------------------------

    def seek(self, addresses: tuple[Address, ...]) -> None:
        """These are the seeds now."""
        for address in addresses:
            if not self._context.speaks(address):
                self._context.event("seed_unusable", address=str(address))
        self._silent &= set(addresses)
        self._seeds = {address: self._seeds.get(address) for address in addresses if self._context.speaks(address)}
        self._wait_s = _SEEK.first_s
        if not self._reached and (self._seeds or self._members):
            self.on_seek()
            if not self._seeds:
                self.wait_for_remembered()

    def be_patient(self, seconds: float) -> None:
        """From now on, give the remembered members this time to answer; infinity: wait for ever."""
        self._patience_s = seconds

    def wait_in_words(self, now: float) -> str:
        """How long this member waits for remembered members before it is the first of its cluster; empty if it does
        not wait for them."""
        due = self._context.timers.due(Forsaken())
        if due is not None:
            return f"; without an answer within {max(0.0, due - now):.0f} s this sidecar is the first of its cluster"
        if self._reached or self._seeds or not self._members:
            return ""
        return "; it waits for the members of the last run without a limit: give --seed if they have other addresses"

    def wait_for_remembered(self) -> None:
        """Give the remembered members time to answer: there may be no seed but ourselves."""
        if self._patience_s < inf:
            self._context.timers.set_earlier(Forsaken(), self._context.now + self._patience_s)

    def on_seek(self) -> None:
        """Call some of the seeds, and set the next try."""
        if self._reached:
            return
        context = self._context
        seeds = list(dict.fromkeys([*self._seeds, *self._members.values()]))
        if self._wait_s > _SILENT_S:
            for address, id in self._seeds.items():
                if id is None:
                    self._silent.add(address)
                    context.event("seed_silent", address=str(address))
        for address in context.rng.sample(seeds, min(len(seeds), _SEEDS_A_TRY)):
            self.call(address)
        context.timers.set(Seek(), context.now + self._wait_s * (0.75 + context.rng.random() / 2))
        self._wait_s = _SEEK.after(self._wait_s)

    def reached(self, id: NodeId, address: Address | None) -> None:
        """A member answered; at `address`, where that is one that we called. Who was lost there is there no more."""
        self._reached = True
        self._context.timers.cancel(Seek())
        self._context.timers.cancel(Forsaken())
        for lost in [lost for lost, at in self._members.items() if at == address and lost != id]:
            del self._members[lost]
        if address in self._seeds:
            self._seeds[address] = id
        if address in self._silent:
            self._silent.discard(address)
            self._context.event("understood", address=str(address))

    def own_seed(self, address: Address) -> bool:
        """This seed is ourselves, it seems: a datagram of ours came from there. Anyone can send one back to us, so it
        stays a seed. True where every seed is this member, since the same list is given to all, and it remembers
        nobody: it is the first of its cluster. If it remembers members, they are given time to answer."""
        if address in self._seeds:
            self._seeds[address] = self._context.id
        if not self._seeds or any(id != self._context.id for id in self._seeds.values()):
            return False
        if self._members:
            self.wait_for_remembered()
        return not self._members

    # -- the lost ----------------------------------------------------------------------------------------------------

    def remember(self, peers: dict[NodeId, Address]) -> None:
        """Members known before a restart: not here yet, so they are lost."""
        for id, address in peers.items():
            if id != self._context.id and self._context.speaks(address):
                self.lose(id, address)

    def worth_remembering(self) -> dict[NodeId, Address]:
        """Who is to be called after a restart: those lost last, and members that follow on the ring; `lost_max` in
        all. It stays the same while nothing happens."""
        context = self._context
        most = context.config.lost_max
        found = dict(list(self._members.items())[-(most // 2) :])
        for id in [*self._ring.after(context.id, most), *self._ring.after(b"", most)]:
            address = self._channel.address(id)
            if id != context.id and address is not None and len(found) < most:
                found[id] = address
        return found

    def lose(self, id: NodeId, address: Address) -> None:
        """Call on it from now on; unless it was where we are now, as a former self of ours without a data directory."""
        self._members.pop(id, None)
        own = self._table.own.member
        if own is not None and address in own.addresses:
            return
        self._members[id] = address
        while len(self._members) > self._context.config.lost_max:
            del self._members[next(iter(self._members))]

    def found(self, id: NodeId) -> None:
        """Alive again, or departed on its own: not lost."""
        self._members.pop(id, None)

    def on_period(self) -> None:
        """Call on one of the lost, now and then."""
        context = self._context
        if not self._reached:
            return
        addresses = list(self._members.values())
        addresses += [address for address, id in self._seeds.items() if id is None or id not in self._ring]
        if addresses and context.rng.random() < context.config.lost_calls / len(self._ring):
            self.call(context.rng.choice(addresses))

    def call_owner(self, id: NodeId) -> None:
        """Call a member to hear its generation from itself, at most once a period."""
        context, address = self._context, self._channel.address(id)
        last = self._owners_called_at.get(id, -inf)
        if address is not None and context.now - last >= context.config.period_s:
            self._owners_called_at[id] = context.now
            self.call(address)

    def forget_owner(self, id: NodeId) -> None:
        self._owners_called_at.pop(id, None)

    def call(self, address: Address) -> None:
        """Say who we are, and ask who is there."""
        context = self._context
        context.count("calls")
        nonce = self._sessions.greet(address)
        self._outbox.put(address, self._channel.hello(nonce, 0))
