"""How soon do all members know that one is paused, and how soon that it is back?

Random members are paused one after the other until all others hold them dead, and then run again. They are stalled, as
by SIGSTOP; with `blocked=1` in the label only their sends and receives block, as in the Lifeguard paper. With `for_s=S`
they pause for this long whatever the others hold: a short pause should make no member hold them dead. `--duration` is
the longest wait for each step; `times=N` in the label is the number of pauses (10).

    first_suspicion, first, known, last, never, mean_suspicion, theory    as of `crash`
    taken_for_dead   (`for_s` only) members that held it dead
    back             from the end of the pause until one other member holds it alive again
    never_back       members that did not in time
"""

from dataclasses import replace
from math import inf

from simulations.detection import Detection, Losses
from simulations.scenario import Case, Figure, Scenario
from simulations.scenarios.crash import DETECTORS, theory
from simulations.world import World


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes)
    rng = world.randomness.of("faults")
    detection, losses = Detection(world), Losses()
    back: list[float] = []
    never_back: list[float] = []
    others, for_s = case.nodes - 1, case.value("for_s", 0)
    stop = world.block if case.value("blocked", 0) else world.stall
    world.run(1.0)
    for _ in range(int(case.value("times", 10))):
        world.run((1 + rng.random()) * case.config.period_s)
        victim, start = rng.choice(hosts), world.now
        detection.about(victim)
        stop(victim)
        if for_s:
            world.run(for_s)
        else:
            world.until(detection.all_know(others), case.duration_s)
        resumed = world.now
        world.resume(victim)
        world.run(case.config.period_s)  # some learn only now that it was declared dead
        world.until(lambda: len(detection.back) == len(detection.dead) and world.converged(), case.duration_s)
        losses.add(detection, start, others)
        back += [at - resumed for at in detection.back.values()]
        never_back.append(len(detection.dead) - len(detection.back))
    taken = Figure("taken_for_dead", "1", tuple(losses.knew))
    never = Figure("never", "1", tuple(others - knew for knew in losses.knew))
    return [
        *losses.figures(),
        taken if for_s else never,
        Figure("back", "s", tuple(back)),
        Figure("never_back", "1", tuple(never_back)),
        *theory(case, losses.first_suspicion),
    ]


def cases(case: Case) -> list[Case]:
    until_known = [replace(case, nodes=nodes, detector=detector) for nodes in (10, 100, 1000) for detector in DETECTORS]
    brief = [replace(case, nodes=100, label=f"for_s={for_s:g}") for for_s in (0.5, 1, 1.5, 2, 3)]
    return until_known + brief


SCENARIO = Scenario(
    "pause",
    "how soon do all members know that one is paused, and that it is back?",
    run,
    Case(duration_s=180.0),
    cases,
    numbers={"times": (1, inf), "blocked": (0, 1), "for_s": (0, inf)},
)
