"""How long until all tables are full if all members start at once with one seed, and what does the seed send?

One member runs; a second later all others start at the same moment, with its address as their seed. Only links take
time, unless the label has `processing_us=N`: then each datagram takes a member this long, others wait in its socket's
buffer, and datagrams that do not fit there are dropped. `--duration` is the longest wait.

    synced      from the start until a member is synced
    full        ... until it holds all members
    never       members that did not in time
    seed_bytes  bytes that the seed has sent when all are full, with all headers
    bytes_sent  ... that each other member has sent
    dropped     datagrams dropped because a socket's buffer was full
"""

from dataclasses import replace
from math import inf

from gossipreg.core.effects import Effect, Event
from simulations.host import Host
from simulations.observer import Observer
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World


class Filling(Observer):
    def __init__(self, world: World, members: int) -> None:
        self._world, self._members = world, members
        self.synced: dict[int, float] = {}
        """World time, by the number of the member."""
        self.full: dict[int, float] = {}
        world.watch(self)

    def on_effect(self, host: Host, effect: Effect) -> None:
        if type(effect) is Event and effect.kind == "synced":
            self.synced.setdefault(host.number, self._world.now)

    def after(self, host: Host) -> None:
        if host.number not in self.full and len(host.node.ring) == self._members:
            self.full[host.number] = self._world.now


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = [world.add() for _ in range(case.nodes)]
    filling = Filling(world, case.nodes)
    for host in hosts:
        host.processing_s = case.value("processing_us", 0) / 1e6
    seed, joiners = hosts[0], hosts[1:]
    world.start(seed)
    world.run(1.0)
    start = world.now
    for host in joiners:
        world.start(host, [seed])
    world.until(lambda: len(filling.full) == case.nodes, case.duration_s)
    numbers = [one.number for one in joiners]
    sent = [world.traffic([host])[1] for host in hosts]
    return [
        Figure("synced", "s", tuple(filling.synced[of] - start for of in numbers if of in filling.synced)),
        Figure("full", "s", tuple(at - start for at in filling.full.values())),
        Figure("never", "1", (float(case.nodes - len(filling.full)),)),
        Figure("seed_bytes", "B", (float(sent[0]),)),
        Figure("bytes_sent", "B", tuple(float(size) for size in sent[1:])),
        Figure("dropped", "1", (float(sum(host.overflowed for host in hosts)),)),
    ]


def cases(case: Case) -> list[Case]:
    return [replace(case, nodes=nodes) for nodes in (10, 100, 500, 2000)]


SCENARIO = Scenario(
    "massjoin",
    "how long until all tables are full if all members start at once with one seed?",
    run,
    Case(nodes=2000, duration_s=60.0),
    cases,
    numbers={"processing_us": (0, inf)},
)
