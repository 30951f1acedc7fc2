"""Do ten thousand members behave like a hundred?

A formed cluster for `--duration`, with evenly spread turns: a registration, a crash with a refused port, a crash in
silence, a join by one seed, and a leave, twice. After each turn the run waits until all other members know.

    seen       from a registration until one other member answers with it
    crashed    from a crash with a refused port until one other member holds it dead
    vanished   ... from a crash in silence
    joined     from a start until the joiner holds all members
    never      members that did not learn of a turn in time
    bytes_sent bytes a second, with all headers, that each member sent over the whole time

Ten thousand tables of ten thousand rows take 11 GB, because they share rows until these change (`formed.py`); forming
them takes most of a minute.
"""

import random

from simulations.detection import Detection
from simulations.host import Host
from simulations.scenario import Case, Figure, Scenario
from simulations.scenarios.update import Following
from simulations.world import World

_TURNS = ("register", "crash", "vanish", "join", "leave")
_WAIT_S = 10.0


class _Minute:
    """The turns of one run, and their figures."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world, self._rng = world, rng
        self._following, self._detection = Following(world), Detection(world)
        self.figures: dict[str, list[float]] = {name: [] for name in ("seen", "crashed", "vanished", "joined", "never")}

    def turn(self, kind: str) -> None:
        world = self._world
        one = self._rng.choice(world.up)
        if kind == "register":
            self._register(one)
        elif kind == "join":
            self._join(one)
        elif kind == "leave":
            world.leave(one)
            world.until(lambda: not one.up, _WAIT_S)
        else:
            self._lose(one, refuses=kind == "crash")

    def _register(self, owner: Host) -> None:
        world, others, start = self._world, len(self._world.up) - 1, self._world.now
        self._following.about(owner, f"big-{start:.6f}")
        world.register(owner, f"big-{start:.6f}")
        world.until(lambda: len(self._following.seen) >= others, _WAIT_S)
        times = [(at - start) * 1000 for at in self._following.seen.values()]
        self.figures["seen"] += times
        self.figures["never"].append(others - len(times))

    def _lose(self, victim: Host, *, refuses: bool) -> None:
        world, others, start = self._world, len(self._world.up) - 1, self._world.now
        self._detection.about(victim)
        world.crash(victim, refuses=refuses)
        world.until(self._detection.all_know(others), _WAIT_S)
        times = [at - start for at in self._detection.dead.values()]
        self.figures["crashed" if refuses else "vanished"] += times
        self.figures["never"].append(others - len(times))

    def _join(self, seed: Host) -> None:
        world, members, start = self._world, len(self._world.up) + 1, self._world.now
        joiner = world.add()
        world.start(joiner, [seed])
        full = world.until(lambda: joiner.node.synced and len(joiner.node.ring) == members, _WAIT_S, 0.001)
        self.figures["joined"] += [world.now - start] if full else []
        self.figures["never"].append(0.0 if full else 1.0)


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes)
    minute = _Minute(world, world.randomness.of("faults"))
    start = world.now
    before = [world.traffic([host])[1] for host in hosts]
    for number in range(turns := 2 * len(_TURNS)):
        minute.turn(_TURNS[number % len(_TURNS)])
        world.run(max(0.0, start + (number + 1) * case.duration_s / turns - world.now))
    passed_s = world.now - start
    sent = [(world.traffic([host])[1] - size) / passed_s for host, size in zip(hosts, before, strict=True) if host.up]
    units = {"seen": "ms", "never": "1"}
    return [
        *(Figure(name, units.get(name, "s"), tuple(values)) for name, values in minute.figures.items()),
        Figure("bytes_sent", "B/s", tuple(sent)),
    ]


SCENARIO = Scenario(
    "big",
    "do ten thousand members behave like a hundred?",
    run,
    Case(nodes=10_000, duration_s=60.0),
    nodes_min=10,
)
