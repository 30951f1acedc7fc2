"""Which members are held dead if one in a hundred loses 80 % of what it receives, or of what it sends?

From the Rapid paper (Suresh et al. 2018, section 7). Detectors flap under a lasting fault of one direction: the faulty
member refutes the suspicions that reach it, or accuses the members whose acks do not. Keys of the label: `way=in` or
`way=out`, the share `part` of faulty members (0.01), and the probability `chance` that a datagram is lost (0.8).
"""

from dataclasses import replace

from simulations.faulty import with_faulty
from simulations.network import into, out_of
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World

CHANCE = 0.8


def run(case: Case) -> list[Figure]:
    rule = {"in": into, "out": out_of}[case.word("way", "in")]

    def lose(world: World, faulty: frozenset[int]) -> None:
        world.network.rules["oneway"] = rule(faulty, case.value("chance", CHANCE))
        world.run(case.duration_s)

    return with_faulty(case, lose)


def cases(case: Case) -> list[Case]:
    return [replace(case, nodes=nodes, label=f"way={way}") for nodes in (100, 1000) for way in ("in", "out")]


SCENARIO = Scenario(
    "oneway",
    "which members are held dead if one in a hundred loses 80 % one way?",
    run,
    Case(nodes=1000, duration_s=600.0, label="way=in"),
    cases,
    words={"way": ("in", "out")},
    numbers={"part": (0, 1), "chance": (0, 1)},
    nodes_min=3,
)
