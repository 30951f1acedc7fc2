"""How soon are all tables equal again after restarts, and is there a ghost?

A cluster in which each member has a service; some members end and start again. `--duration` is the longest wait for
equal tables. Keys of the label:

    part=1       the share of members that restart
    apart_s=0    seconds between two restarts; 0: all at the same moment
    down_s=1     seconds for which each is down
    hold_s=0     they announce that they will be back within this time; 0: they crash
    lost=0       1: they lose their state, identity included, so others must forget the old identity
    clock_s=0    the error of their wall clock when they start again

    equal        from the last start until all hold equal tables, in which exactly the running members are alive
    unequal      1 if that took too long
    ghosts       ten seconds later: members that do not run and are alive in a table, summed over all tables
    out          the share of pairs (restart, other member) in which a service of a member that kept its identity left
                 the answers
"""

from dataclasses import replace
from functools import partial
from math import inf

from gossipreg.core.effects import Changed, Effect
from gossipreg.model import ChangeKind, NodeId
from simulations.host import Host
from simulations.observer import Observer
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World


class Answers(Observer):
    """Notes the members whose services leave the answers."""

    def __init__(self, world: World) -> None:
        self.removed: dict[tuple[int, NodeId], None] = {}
        """(observer, owner of the service)"""
        world.watch(self)

    def on_effect(self, host: Host, effect: Effect) -> None:
        if type(effect) is Changed:
            for change in effect.changes:
                if change.kind is ChangeKind.REMOVED and change.instance.node != host.id:
                    self.removed[host.number, change.instance.node] = None


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    lost = bool(case.value("lost", 0))
    hosts = world.form(case.nodes, services=case.nodes, durable=not lost)
    rng = world.randomness.of("faults")
    answers = Answers(world)
    world.run(1.0)
    chosen = rng.sample(hosts, max(1, int(case.value("part", 1) * case.nodes)))
    if lost and len(chosen) == case.nodes:
        chosen.pop()  # a member that has lost its state needs a seed
    stays = next((host for host in hosts if host not in chosen), None)
    apart_s, down_s = case.value("apart_s", 0), case.value("down_s", 1)
    for number, host in enumerate(chosen):
        world.after(number * apart_s, partial(_end, world, host, case))
        seeds = [stays] if stays is not None and lost else []
        world.after(number * apart_s + down_s, partial(_begin, world, host, seeds, case))
    world.run((len(chosen) - 1) * apart_s + down_s)
    start = world.now
    equal = world.until(world.converged, case.duration_s)
    took = world.now - start
    world.run(10.0)
    running = {host.id: None for host in world.up}
    ghosts = sum(id not in running for host in world.up for id in host.node.table.rows if id in host.node.ring)
    kept = sum(id in running for _, id in answers.removed)
    return [
        Figure("equal", "s", (took,) if equal else ()),
        Figure("unequal", "1", (float(not (equal and world.converged())),)),
        Figure("ghosts", "1", (float(ghosts),)),
        Figure("out", "1", () if lost else (kept / (len(chosen) * (case.nodes - 1)),)),
    ]


def _end(world: World, host: Host, case: Case) -> None:
    hold_s = case.value("hold_s", 0)
    if hold_s:
        world.leave(host, hold_s)
    else:
        world.crash(host)


def _begin(world: World, host: Host, seeds: list[Host], case: Case) -> None:
    if host.up:
        world.crash(host)  # it is still leaving
    host.wall_error_ms = int(case.value("clock_s", 0) * 1000)
    world.start(host, seeds)


KINDS = (
    "part=1 apart_s=0.1",
    "part=1 apart_s=0.1 hold_s=30",
    "part=1",
    "part=0.1 lost=1",
    "part=0.9 lost=1",
    "part=0.1 clock_s=-3600",
    "part=0.1 clock_s=3600",
    "part=0.1 lost=1 clock_s=-3600",
    "part=0.1 lost=1 clock_s=3600",
)


def cases(case: Case) -> list[Case]:
    return [replace(case, nodes=nodes, label=label) for nodes in (10, 100) for label in KINDS]


def long_cases(case: Case) -> list[Case]:
    return [*cases(case), *(replace(case, nodes=1000, label=label) for label in KINDS)]


SCENARIO = Scenario(
    "restart",
    "how soon are all tables equal again after restarts, and is there a ghost?",
    run,
    Case(duration_s=60.0),
    cases,
    long_cases,
    numbers={
        "part": (0, 1),
        "apart_s": (0, inf),
        "down_s": (0, inf),
        "hold_s": (0, inf),
        "lost": (0, 1),
        "clock_s": (-inf, inf),
    },
)
