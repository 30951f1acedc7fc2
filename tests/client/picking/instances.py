"""Instances, snapshots and balancers for the tests of picking."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

from gossipreg.client.instance import Instance
from gossipreg.client.picking.balancer import Balancer, Pick
from gossipreg.client.picking.instance_state import InstanceState
from gossipreg.client.picking.options import PickOptions
from gossipreg.client.picking.outcomes import NEUTRAL, SUCCESS, Outcome


def instance(name: str, **changed: Any) -> Instance:
    """An instance that passes, with this id."""
    return replace(Instance(name, "web", f"node-{name}", f"node-{name}", "10.0.0.1", 80), **changed)


def snapshot(names: str, **changed: Any) -> tuple[Instance, ...]:
    """One instance for each word."""
    return tuple(instance(name, **changed) for name in names.split())


def balancer(instances: tuple[Instance, ...], *, seed: int = 1, now: float = 0.0, **options: Any) -> Balancer:
    made = Balancer("web", PickOptions(**options), Random(seed))
    made.update(instances, now)
    return made


def serve(balancer: Balancer, now: float, took_s: float = 0.01, outcome: Outcome = SUCCESS, **how: Any) -> str:
    """One request from its pick to its end, at once; return the id of its instance."""
    pick = balancer.pick(now, **how)
    pick.started = now - took_s
    balancer.ended(pick, outcome, now)
    return pick.instance.id


def shares(balancer: Balancer, count: int, now: float, **how: Any) -> Counter[str]:
    """How often each instance is picked, one request after the other."""
    return Counter(serve(balancer, now, **how) for _ in range(count))


def pick_of(balancer: Balancer, name: str, now: float) -> Pick:
    """A pick of this instance; those of others end as neutral."""
    others: list[InstanceState] = []
    while (pick := balancer.pick(now, avoid=others)).instance.id != name:
        balancer.ended(pick, NEUTRAL, now)
        assert pick.state not in others, f"{name} cannot be picked"
        others.append(pick.state)
    return pick


def fail(balancer: Balancer, name: str, times: int, outcome: Outcome, now: float) -> None:
    """Let so many requests to this instance end in this way."""
    for _ in range(times):
        balancer.ended(pick_of(balancer, name, now), outcome, now)


def hold(balancer: Balancer, name: str, count: int, now: float) -> list[Pick]:
    """Have so many requests in flight at this instance, and none elsewhere."""
    return [pick_of(balancer, name, now) for _ in range(count)]
