"""What does anti-entropy cost under constant changes, and how far are tables from equal?

Each member has a service. In the whole cluster `changes_s` (10) services a second are registered, deregistered or
change their health. The share `hourly` (0.1) of the members is replaced an hour: one crashes, vanishes or leaves, and a
new one joins. Both numbers are keys of the label. After three seconds these figures are taken once a second for
`--duration` seconds, as means over the members:

    comparing          bytes of Buckets, Hashes, Want and Versions (UDP payload of those that arrived)
    buckets, hashes, want, versions    ... of each
    pull, delta, receipt, probing      ... of these; deltas are gossiped updates and pulled rows
    bytes_sent         bytes of everything, with all headers
    unequal            the share of members whose table differs from the most common one
    behind             the number of changed rows of which a member holds an older version than the owner
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import inf
from random import Random

from gossipreg.model import Address, Health
from simulations.frames import sizes
from simulations.host import Host
from simulations.observer import Observer
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World

COMPARING = ("buckets", "hashes", "want", "versions")
OTHERS = {"pull": ("pull",), "delta": ("delta",), "receipt": ("receipt",), "probing": ("probe", "ack")}
_BEFORE_S = 3.0
_CHANGED_S = 10.0
"""Rows that changed within this time count as changed."""


class Bytes(Observer):
    """Counts the bytes of each kind of message as they arrive."""

    def __init__(self, world: World) -> None:
        self.by_kind: Counter[str] = Counter()
        world.watch(self)

    def on_arrival(self, host: Host, datagram: bytes, source: Address) -> None:  # noqa: ARG002 (an Observer's)
        by_kind = self.by_kind
        for kind, size in sizes(datagram):
            by_kind[kind] += size


class Workload:
    """Changes of services and members, at random moments."""

    def __init__(self, world: World, changes_s: float, replaced_s: float) -> None:
        self._world = world
        self._rng = world.randomness.of("workload")
        self._faults = world.randomness.of("faults")
        self._made = 0
        self._extra: list[tuple[Host, str]] = []
        """The services that this workload registered, and their members."""
        self.changed: dict[int, float] = {}
        """The time at which each member's row last changed, by number."""
        self._repeat(self._change, changes_s, self._rng)
        self._repeat(self._replace, replaced_s, self._faults)

    def _repeat(self, call: Callable[[], None], rate: float, rng: Random) -> None:
        """Make the call at random moments, `rate` times a second on average (a Poisson process)."""
        if not rate:
            return

        def again() -> None:
            call()
            self._world.after(rng.expovariate(rate), again)

        self._world.after(rng.expovariate(rate), again)

    def _change(self) -> None:
        world, rng = self._world, self._rng
        self._extra = [(host, id) for host, id in self._extra if host.up and id in host.services]
        what = rng.randrange(3)
        if what == 0 and self._extra:
            host, id = self._extra.pop(rng.randrange(len(self._extra)))
            world.deregister(host, id)
        else:
            host = rng.choice(world.up)
            own = list(host.services)
            if what == 1 and own:
                id = rng.choice(own)
                passes = host.services[id][1] is Health.PASSING
                world.set_health(host, id, Health.CRITICAL if passes else Health.PASSING)
            else:
                self._made += 1
                self._extra.append((host, world.register(host, f"churn-{self._made}")))
        self.changed[host.number] = world.now

    def _replace(self) -> None:
        world, rng = self._world, self._faults
        goes = rng.choice(world.up)
        how = rng.randrange(3)
        if how == 0:
            world.leave(goes)
        else:
            world.crash(goes, refuses=how == 1)
        seed = rng.choice([host for host in world.up if host is not goes])
        world.start(world.add(), [seed])


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    world.form(case.nodes, services=case.nodes)
    workload = Workload(world, case.value("changes_s", 10), case.value("hourly", 0.1) * case.nodes / 3600)
    traffic = Bytes(world)
    world.run(_BEFORE_S)
    samples: dict[str, list[float]] = {
        name: [] for name in ("comparing", *COMPARING, *OTHERS, "bytes_sent", "unequal", "behind")
    }
    for _ in range(max(1, round(case.duration_s))):
        before, sent = traffic.by_kind.copy(), world.traffic()[1]
        world.run(1.0)
        for name, kinds in {"comparing": COMPARING, **{kind: (kind,) for kind in COMPARING}, **OTHERS}.items():
            grown = sum(traffic.by_kind[kind] - before[kind] for kind in kinds)
            samples[name].append(grown / case.nodes)
        samples["bytes_sent"].append((world.traffic()[1] - sent) / case.nodes)
        samples["unequal"].append(_unequal(world))
        samples["behind"].append(_behind(world, workload))
    units = {"unequal": "share", "behind": "rows"}
    return [Figure(name, units.get(name, "B/s"), tuple(values)) for name, values in samples.items()]


def _unequal(world: World) -> float:
    prints = Counter(host.node.fingerprint for host in world.up)
    return 1 - prints.most_common(1)[0][1] / prints.total()


def _behind(world: World, workload: Workload) -> float:
    """Return the mean number of recently changed rows that a member lacks or holds at an older version."""
    owners = [world.hosts[number] for number, at in workload.changed.items() if at >= world.now - _CHANGED_S]
    behind = 0
    for owner in owners:
        if owner.up:
            version = owner.node.table.own.version
            for host in world.up:
                row = host.node.table.rows.get(owner.id)
                behind += row is None or row.version < version
    return behind / len(world.up)


def cases(case: Case) -> list[Case]:
    return [
        replace(case, nodes=nodes, duration_s=duration_s) for nodes, duration_s in ((10, 60), (100, 60), (1000, 10))
    ]


SCENARIO = Scenario(
    "churn",
    "what does anti-entropy cost under constant changes, and how far are tables from equal?",
    run,
    Case(duration_s=60.0),
    cases,
    numbers={"changes_s": (0, inf), "hourly": (0, inf)},
)
