"""Invariant 4: once faults end, all tables are equal within the bound of the profile."""

import math

from gossipreg.config import Config
from gossipreg.model import Health, NodeId, RegisteredService
from simulations.checkers.checker import Checker
from simulations.host import Host


def bound_s(config: Config, members: int, longest_lag_s: float = 0.0) -> float:
    """Return the seconds after the last fault within which all running members must hold equal tables. The parts:

    - a suspicion that was open when the fault ended: the floor, multiplied for the worst local health; twice, if the
      member must first find out that it was declared dead
    - reconnecting: all members together greet `lost_calls` dead members a period; within 24 periods the probability
      that one was never greeted is one in a billion, even if most dead members are gone for good
    - spreading: a comparison takes a period at most; log2(n) rounds of them, twice (claims, then rows), and a
      refutation after each
    - the backoff of comparisons that changed nothing, which ends when either table changes: a few periods

    The sum is wide, since it adds the worst of all parts: the longest time in several hundred seeds of swarm was 7.6
    periods. `swarm` reports the time of each run.
    """
    verdict_s = 2 * config.floor_silent_s * (1 + config.local_health_max)
    rounds = 24 + 4 * math.ceil(math.log2(max(members, 2))) + 8
    return verdict_s + rounds * config.period_s + longest_lag_s


class EqualTables(Checker):
    """At rest the tables of all running members are equal: the same fingerprint, the same members alive, the same
    entries as the owners have, and the answers to lookups are exactly the registered services. If one member runs
    alone, it is isolated and declares no member dead, so it is not checked."""

    name = "equal_tables"
    also_for_swim = False

    def at_rest(self) -> None:
        up = [host for host, _ in self.running()]
        if len(up) == 1:
            return
        alive = sorted(host.id for host in up)
        for host in up:
            node = host.node
            if not node.synced:
                self.fail(f"{host.name} is not synced", host)
            if list(node.ring) != alive:
                missing = [self.called(id) for id in alive if id not in node.ring]
                extra = [self.called(id) for id in node.ring if id not in alive]
                also = [other for other in up if other.name in missing]
                self.fail(f"{host.name} lacks {missing} and has {extra} too many", host, *also)
            for other in up:
                self._compare(host, other)
        prints = {host.node.fingerprint: host for host in up}
        if len(prints) > 1:
            self.fail("equal tables have different fingerprints", *prints.values())
        self._look_at_answers(up)

    def _compare(self, host: Host, owner: Host) -> None:
        held, own = host.node.table.rows[owner.id].content, owner.node.table.own.content
        if held is own:
            return
        assert own is not None, "an owner has its own row"
        if held is None or (held.generation, held.counter) != (own.generation, own.counter):
            at = "nothing" if held is None else str(held.counter)
            what = f"{host.name} holds {owner.name} at {at}, and its owner is at {own.counter}"
            self.fail(what, host, owner)
        theirs = {key: entry for key, entry in held.entries.items() if entry[1] is not None}
        if theirs != {key: entry for key, entry in own.entries.items() if entry[1] is not None}:
            self.fail(f"{host.name} holds other entries of {owner.name} at {own.counter} than its owner", host, owner)

    def _look_at_answers(self, up: list[Host]) -> None:
        right: dict[tuple[NodeId, str], tuple[RegisteredService, Health]] = {}
        for host in up:
            right |= {(host.id, id): both for id, both in host.services.items()}
        for host in up:
            given = {(one.node, one.service.id): (one.service, one.health) for one in host.node.catalog.instances()}
            if given != right:
                wrong = sorted(
                    f"{id} of {self.called(node)}"
                    for node, id in {**given, **right}
                    if given.get((node, id)) != right.get((node, id))
                )
                self.fail(f"{host.name} gives other answers than what is registered: {wrong[:5]}", host)
            self._look_at_lookups(host, right)

    def _look_at_lookups(self, host: Host, right: dict[tuple[NodeId, str], tuple[RegisteredService, Health]]) -> None:
        """Check the answers that a client gets; they may come from the catalog's cache."""
        names: dict[str, list[tuple[NodeId, str]]] = {service.name: [] for service, _ in right.values()}
        for key, (service, health) in right.items():
            if health is Health.PASSING:
                names[service.name].append(key)
        for name, passing in names.items():
            given = [(one.node, one.service.id) for one in host.node.catalog.lookup(name)]
            if given != sorted(passing):
                self.fail(
                    f"{host.name} answers a lookup of {name} with {len(given)} instances, not as registered", host
                )
