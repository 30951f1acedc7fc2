"""How soon do all members know that one has crashed?

Random members crash one after the other, at a random moment within a period, each after all others know of the last
crash. The machine refuses datagrams to the port; with `silent=1` in the label it is silent, as if the host had
vanished. `--duration` is the longest wait for each crash; `times=N` in the label is the number of crashes (10).

    first_suspicion  from the crash until one member suspects it
    first            ... until one member holds it dead
    known            ... until each other member does, a sample each
    last             ... until the last of them does
    never            members that did not in time
    mean_suspicion   the mean of first_suspicion in this run, to compare with theory
    theory           e/(e-1) periods: the mean of random probing in a large cluster (SWIM, 2002, section 3.1), counted
                     in whole periods from the start of the next one to the end of that in which the crash is detected.
                     For wall time add half a period
"""

from dataclasses import replace
from math import e, inf

from simulations.detection import Detection, Losses
from simulations.scenario import Case, DetectorName, Figure, Scenario
from simulations.world import World


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes)
    rng = world.randomness.of("faults")
    detection, losses = Detection(world), Losses()
    never: list[float] = []
    refuses = not case.value("silent", 0)
    world.run(1.0)
    for victim in rng.sample(hosts, min(int(case.value("times", 10)), case.nodes - 1)):
        world.run((1 + rng.random()) * case.config.period_s)
        others, start = len(world.up) - 1, world.now
        detection.about(victim)
        world.crash(victim, refuses=refuses)
        world.until(detection.all_know(others), case.duration_s)
        losses.add(detection, start, others)
        never.append(others - losses.knew[-1])
    return [*losses.figures(), Figure("never", "1", tuple(never)), *theory(case, losses.first_suspicion)]


def theory(case: Case, first_suspicion: list[float]) -> list[Figure]:
    """Return the mean and the expected value, if the detector probes in random order."""
    if case.detector == "ours" or not first_suspicion:
        return []
    mean = sum(first_suspicion) / len(first_suspicion)
    expected = e / (e - 1) * case.config.period_s
    return [Figure("mean_suspicion", "s", (mean,)), Figure("theory", "s", (expected,))]


DETECTORS: tuple[DetectorName, ...] = ("ours", "lifeguard", "swim")


def cases(case: Case) -> list[Case]:
    """Only our detector uses a refused port."""
    kinds: list[tuple[DetectorName, str]] = [("ours", ""), ("ours", "silent=1"), ("lifeguard", ""), ("swim", "")]
    return [
        replace(case, nodes=nodes, detector=detector, label=label)
        for nodes in (10, 100, 1000)
        for detector, label in kinds
    ]


SCENARIO = Scenario(
    "crash",
    "how soon do all members know that one has crashed?",
    run,
    Case(duration_s=180.0),
    cases,
    numbers={"times": (1, inf), "silent": (0, 1)},
)
