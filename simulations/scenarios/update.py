"""How soon do all other members see a registration?

A random member registers a service, and the run waits until a lookup at each other member would find it. The next one
follows after a second and a random part of another. `--duration` is the longest wait for each; `times=N` in the label
is the number of registrations (10).

    seen        from the registration to the answers of one other member
    last        ... of the last of them
    hops        the number of hops from the owner to a member, by the datagrams that carried it
    redundancy  messages sent that carry it, divided by the number of other members; 1 is the least possible
    never       members that did not see it in time
"""

from dataclasses import replace
from math import inf

from gossipreg.core.effects import Changed, Effect
from gossipreg.model import Address, ChangeKind, Version
from simulations.frames import deltas_of
from simulations.host import Host
from simulations.observer import Observer
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World


class Following(Observer):
    """Follows one registration at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hosts: dict[Address, Host] = {host.address: host for host in world.hosts}
        self._owner = world.hosts[0]
        self._name = ""
        self._version = Version(0, 0)
        self._sender: int | None = None
        """The hops of the sender of the datagram that is being received, if it carries the registration."""
        self.seen: dict[int, float] = {}
        """World time, by the number of the member."""
        self.hops: dict[int, int] = {}
        world.watch(self)

    def about(self, owner: Host, name: str) -> None:
        """Follow the registration of this name, which the owner makes next."""
        self._owner, self._name = owner, name
        own = owner.node.table.own.version
        self._version = Version(own.generation, own.counter + 1)
        self.seen, self.hops, self._sender = {}, {owner.number: 0}, None

    def on_arrival(self, host: Host, datagram: bytes, source: Address) -> None:
        if host.number in self.hops:
            return
        pages = deltas_of(datagram, self._owner.id)
        carries = any(Version(page.generation, page.reached) >= self._version for page in pages)
        self._sender = self.hops.get(self._hosts[source].number) if carries else None

    def on_effect(self, host: Host, effect: Effect) -> None:
        if type(effect) is not Changed or host is self._owner or host.number in self.seen:
            return
        for change in effect.changes:
            if change.kind is ChangeKind.ADDED and change.instance.service.name == self._name:
                self.seen[host.number] = self._world.now
                if self._sender is not None:
                    self.hops[host.number] = self._sender + 1


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes)
    rng = world.randomness.of("workload")
    following = Following(world)
    seen: list[float] = []
    last: list[float] = []
    hops: list[float] = []
    redundancy: list[float] = []
    never: list[float] = []
    others = case.nodes - 1
    world.run(1.0)
    for number in range(int(case.value("times", 10))):
        world.run(rng.random())
        owner, name = rng.choice(hosts), f"update-{number}"
        carried, start = _deltas(world), world.now
        following.about(owner, name)
        world.register(owner, name)
        world.until(lambda: len(following.seen) == others, case.duration_s)
        world.run(1.0)
        times = [(at - start) * 1000 for at in following.seen.values()]
        seen += times
        last += [max(times)] if len(times) == others else []
        hops += [hop for member, hop in following.hops.items() if member != owner.number]
        redundancy.append((_deltas(world) - carried) / others)
        never.append(others - len(times))
    return [
        Figure("seen", "ms", tuple(seen)),
        Figure("last", "ms", tuple(last)),
        Figure("hops", "1", tuple(hops)),
        Figure("redundancy", "1", tuple(redundancy)),
        Figure("never", "1", tuple(never)),
    ]


def _deltas(world: World) -> int:
    """Return the number of deltas that all members have sent so far."""
    return sum(int(host.node.statistics(world.now).get("sent.Delta", 0)) for host in world.hosts)


LOSSES = (0.0, 0.01, 0.05, 0.2)


def cases(case: Case) -> list[Case]:
    return [replace(case, nodes=nodes, loss=loss) for nodes in (10, 100, 1000) for loss in LOSSES]


def long_cases(case: Case) -> list[Case]:
    return [*cases(case), *(replace(case, nodes=10_000, loss=loss) for loss in LOSSES)]


SCENARIO = Scenario(
    "update",
    "how soon do all other members see a registration?",
    run,
    Case(duration_s=30.0),
    cases,
    long_cases,
    numbers={"times": (1, inf)},
)
