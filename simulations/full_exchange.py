"""memberlist's push/pull: now and then two members exchange the states of all members that they know, over TCP.

Owns: which members exchange and when, and the exchanges that wait until neither member is slow. Never knows: how a
member handles the states.

An exchange bypasses the socket in which a slow member's datagrams queue, so its claims are fresh while those in the
queue may be a minute old. The Lifeguard paper measured memberlist, with SWIM's and with Lifeguard's suspicion; both use
this exchange. As in memberlist (state.go, util.go): each member starts one every 30 s (in a cluster of more than 32
members, 1 + log2(n / 32), rounded up, times as long), at a random offset, with a random member that it holds alive; an
exchange is given up after 10 s; a member that the other side holds dead is suspected only.
"""

import math
from collections.abc import Sequence

from gossipreg.model import Rank
from gossipreg.wire.messages import Claim
from simulations import inside
from simulations.host import Host
from simulations.world import World

EVERY_S = 30.0
SCALE_FROM = 32
TIMEOUT_S = 10.0


class FullExchange:
    def __init__(self, world: World, hosts: Sequence[Host]) -> None:
        """Start the exchanges of these members, each at a random time within the first interval."""
        self._world = world
        self._rng = world.randomness.of("full exchange")
        self._waiting: list[tuple[float, Host, Host]] = []
        scale = math.ceil(math.log2(len(hosts) / SCALE_FROM)) + 1 if len(hosts) > SCALE_FROM else 1
        self._every_s = EVERY_S * scale
        for host in hosts:
            world.after(self._rng.random() * self._every_s, lambda host=host: self._begin(host))  # type: ignore[misc]

    def go_on(self) -> None:
        """Carry out the exchanges that waited for a slow member, except those that have waited for too long."""
        waiting, self._waiting = self._waiting, []
        for since, one, other in waiting:
            if self._world.now - since <= TIMEOUT_S:
                self._exchange(since, one, other)

    def _begin(self, host: Host) -> None:
        self._world.after(self._every_s, lambda: self._begin(host))
        rows = host.node.table.rows
        alive = [id for id in host.node.ring if id != host.id and rows[id].liveness.rank is Rank.ALIVE]
        if alive:
            self._exchange(self._world.now, host, self._world.by_id[self._rng.choice(alive)])

    def _exchange(self, since: float, one: Host, other: Host) -> None:
        if any(host.stalled or host.blocked for host in (one, other)):
            self._waiting.append((since, one, other))
            return
        self._send_claims(one, other)
        self._send_claims(other, one)

    def _send_claims(self, sender: Host, receiver: Host) -> None:
        """Give the receiver the states of all members, as the sender holds them, in datagrams without delay."""
        claims = [
            Claim(id, *row.liveness._replace(rank=Rank.SUSPECT), by=sender.id)
            if row.dead
            else Claim(id, *row.liveness, by=row.reporter or sender.id)
            for id, row in sender.node.table.rows.items()
        ]
        for send in inside.send(sender.node, receiver.address, claims, sender.local(self._world.now)):
            self._world.hand_over(receiver, send.datagram, sender.address)
