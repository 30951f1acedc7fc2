"""Invariant 6: no healthy member is held dead for longer than a refutation takes."""

from math import inf

from gossipreg.config import Config
from gossipreg.wire.seal import TAG_BYTES
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.network import ANY_SIZE, IP_BYTES, Hole, Rule
from simulations.world import World

_LOSS = 0.05
"""If the network loses more than this, no member counts as healthy."""


def refuted_within_s(config: Config) -> float:
    """Return the seconds from the time at which both members are healthy: a dead member is greeted within a few
    periods, learns that it is held dead, refutes, and the refutation spreads by gossip or anti-entropy, a period a
    round. The longest time in several hundred seeds of swarm was 7.25 periods."""
    return 12 * config.period_s


class TakenForDead(Checker):
    """A member that is healthy, and has been for a while, is not held dead by another such member for longer than a
    refutation takes; and no such member declares another one dead at all.

    Healthy: up, not slow in any way, not damped for repeated faults of its own (`core/failure/flap_damping.py`), no
    rule of the network between it and any running member, and no fault of the whole network. `longest_s` is the longest
    time that a healthy member was held dead by a healthy one, from the time at which both were healthy.
    """

    name = "taken_for_dead"
    also_for_swim = False

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._healthy_since: dict[int, float] = {}
        """By member; infinity: it is not healthy."""
        self._dead_since: dict[tuple[int, int], float] = {}
        """By (observer, dead member): since when."""
        self._limit_s = refuted_within_s(world.config)
        self.longest_s = 0.0
        self.declared = 0

    def on_fault(self, what: str, hosts: tuple[Host, ...]) -> None:  # noqa: ARG002 (every fault counts)
        for host in hosts:
            self._healthy_since[host.number] = inf

    def after(self, host: Host) -> None:
        for id in self.declared_dead(host):
            self.declared += 1
            other, why = self.world.by_id[id], host.node.inspect().why_dead(id)
            if other.id == id and self._long_healthy(host) and self._long_healthy(other) and "its address" not in why:
                self.fail(f"{host.name} declares {other.name} dead, and both are healthy: {why}", host, other)

    def _long_healthy(self, host: Host) -> bool:
        """Return whether the member has been healthy for so long that earlier faults do not matter."""
        since = max(self._healthy_since.get(host.number, inf), host.since)
        return self._is_healthy(host) and self.world.now - since > self._limit_s

    def _is_healthy(self, host: Host) -> bool:
        network = self.world.network
        slow = host.stalled or host.blocked or host.processing_s or host.inbox
        if not host.up or host.node.out or slow or network.loss > _LOSS or network.link is not None:
            return False
        if network.mtu < self.world.config.datagram_bytes + TAG_BYTES + IP_BYTES:
            return False
        if any(self._narrow(hole, host) for hole in network.holes.values()):
            return False
        return not any(self._cut(rule, host) for rule in network.rules.values())

    def _narrow(self, hole: Hole, host: Host) -> bool:
        return any(min(hole(host, other), hole(other, host)) < ANY_SIZE for other in self.world.up if other is not host)

    def _cut(self, rule: Rule, host: Host) -> bool:
        return any(rule(host, other) or rule(other, host) for other in self.world.up if other is not host)

    def tick(self) -> None:
        now = self.world.now
        healthy: list[Host] = []
        for host in self.world.hosts:
            if not self._is_healthy(host):
                self._healthy_since[host.number] = inf
                continue
            if self._healthy_since.get(host.number, inf) == inf:
                self._healthy_since[host.number] = now
            healthy.append(host)
        dead: dict[tuple[int, int], float] = {}
        for holder in healthy:
            rows = holder.node.table.rows
            for other in healthy:
                row = rows.get(other.id)
                if row is None or not row.dead:
                    continue
                pair = holder.number, other.number
                both = max(self._healthy_since[holder.number], self._healthy_since[other.number])
                dead[pair] = since = max(self._dead_since.get(pair, now), both)
                self.longest_s = max(self.longest_s, now - since)
                if now - since > self._limit_s:
                    what = f"{holder.name} has held {other.name} dead for {now - since:.1f} s, and both are healthy"
                    self.fail(what, holder, other)
        self._dead_since = dead
