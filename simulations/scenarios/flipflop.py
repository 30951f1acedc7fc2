"""Which members are held dead if one in a hundred receives nothing for 20 s, then everything for 20 s, and so on?

From the Rapid paper (Suresh et al. 2018, section 7): 1 % of 1,000 members lose all that is sent to them, in turns of
20 s. Healthy members should never be held dead; the faulty ones should leave the answers and not flap. Keys of the
label: the share `part` of faulty members (0.01), and the seconds of a `turn` (20).
"""

from dataclasses import replace
from math import inf

from simulations.faulty import with_faulty
from simulations.network import into
from simulations.scenario import Case, DetectorName, Figure, Scenario
from simulations.world import World

TURN_S = 20.0


def run(case: Case) -> list[Figure]:
    turn_s = case.value("turn", TURN_S)

    def deaf_in_turns(world: World, faulty: frozenset[int]) -> None:
        end = world.now + case.duration_s
        while world.now < end:
            world.network.rules["deaf"] = into(faulty)
            world.run(min(turn_s, end - world.now))
            del world.network.rules["deaf"]
            world.run(min(turn_s, end - world.now))

    return with_faulty(case, deaf_in_turns)


def cases(case: Case) -> list[Case]:
    """All detectors with 200 members, to compare them; our detector alone with a thousand."""
    detectors: tuple[DetectorName, ...] = "ours", "lifeguard", "swim"
    return [case, *(replace(case, nodes=200, detector=detector, label="part=0.05") for detector in detectors)]


SCENARIO = Scenario(
    "flipflop",
    "which members are held dead if one in a hundred is deaf for 20 s in every 40?",
    run,
    Case(nodes=1000, duration_s=600.0),
    cases,
    numbers={"part": (0, 1), "turn": (0.001, inf)},
    nodes_min=3,
)
