"""What does it cost when nothing happens?"""

from dataclasses import replace

from simulations.scenario import Case, Figure, Scenario
from simulations.world import World


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes)
    world.run(2 * case.config.period_s)
    before = [world.traffic([host]) for host in hosts]
    world.run(case.duration_s)
    after = [world.traffic([host]) for host in hosts]
    sent = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True)]
    return [
        Figure("bytes_sent", "B/s", tuple(size / case.duration_s for _, size in sent)),
        Figure("packets_sent", "1/s", tuple(datagrams / case.duration_s for datagrams, _ in sent)),
    ]


SIZES = (10, 100, 1000, 10_000)


def cases(case: Case) -> list[Case]:
    return [replace(case, nodes=nodes, duration_s=60.0 if nodes < 5000 else 10.0) for nodes in SIZES]


SCENARIO = Scenario(
    "idle",
    "what does it cost when nothing happens?",
    run,
    Case(nodes=100, duration_s=60.0),
    cases,
    nodes_min=1,
)
