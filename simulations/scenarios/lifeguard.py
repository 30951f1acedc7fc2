"""Which members are declared dead if some handle their messages slowly?

The experiments of the Lifeguard paper (Dadgar, Phillips, Currey 2018, section 5): of 128 members `c` are slow, all at
the same times. Interval: slow for `d` seconds, normal for `i`, and again, for two minutes. Threshold (no `i`): slow
once. A false positive is a change of opinion by which a member holds another lost that was never slow; FP- of the paper
are those at observers that were never slow either. A slow member that is held lost is a true failure.

`model=blocked` is the paper's: sends and receives block, timers fire. `model=stalled`: the whole process stands still.
`p` is the time that a datagram takes a slow member (`PROCESSING_S`). simulations/README.md ("Is it right?") says which
details SWIM and Lifeguard needed until they behaved as in the paper.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from simulations import inside
from simulations.full_exchange import FullExchange
from simulations.host import Host
from simulations.opinions import Opinions
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World

QUIET_S = 5.0
"""Seconds before the first anomaly."""
PROCESSING_S = 20e-6
"""The time that a datagram takes a slow member in the blocked model, once it reads again. The paper does not give it;
it is about the time of a system call, a decoding and a lock. A stalled member reads all that waits before a timer
fires."""


def run(case: Case) -> list[Figure]:
    stalled = case.word("model", "blocked") == "stalled"
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes)
    opinions = Opinions(world)
    world.watch(opinions)
    slow = world.randomness.of("faults").sample(hosts, min(int(case.value("c", 1)), case.nodes - 1))
    slow.sort(key=lambda host: host.number)
    for host in slow:
        host.processing_s = 0.0 if stalled else case.value("p", PROCESSING_S)
    exchange = FullExchange(world, () if case.detector == "ours" else hosts)
    world.run(QUIET_S)
    before, began = world.traffic(), world.now
    gap_s = case.value("i", -1.0)  # below 0: slow only once
    _be_slow(world, slow, began + case.duration_s, case.value("d", 1), gap_s, exchange, stalled=stalled)
    after = world.traffic()
    healthy = {host.number for host in hosts} - {host.number for host in slow}
    lost = [change for change in opinions.changes if change.lost and change.subject in healthy]
    figures = [
        Figure("false_positives", "1", (float(len(lost)),)),
        Figure("false_positives_at_healthy", "1", (float(sum(change.observer in healthy for change in lost)),)),
        Figure("messages", "1", (float(after[0] - before[0]),)),
        Figure("bytes", "B", (float(after[1] - before[1]),)),
    ]
    return figures if gap_s >= 0 else figures + _detection(opinions, healthy, slow, began)


def _be_slow(
    world: World, slow: Sequence[Host], end: float, for_s: float, gap_s: float, exchange: FullExchange, *, stalled: bool
) -> None:
    """Make all of them slow for `for_s` and normal for `gap_s`, repeatedly until the end; `gap_s` below 0: once."""
    while world.now < end:
        for host in slow:
            if stalled:
                world.stall(host)
            else:
                world.block(host)
                inside.block_prober(host.node, world.now, blocked=True)
        world.run(min(for_s, end - world.now))
        for host in slow:
            inside.block_prober(host.node, world.now, blocked=False)
            world.resume(host)
        exchange.go_on()
        world.run(end - world.now if gap_s < 0 else min(gap_s, end - world.now))


def _detection(opinions: Opinions, healthy: set[int], slow: Sequence[Host], began: float) -> list[Figure]:
    """Return when the first and the last of the healthy members held each slow member lost."""
    first, last, undetected = [], [], 0
    for host in slow:
        known: dict[int, float] = {}
        for change in opinions.changes:
            if change.lost and change.subject == host.number and change.observer in healthy:
                known.setdefault(change.observer, change.when - began)
        if known:
            first.append(min(known.values()))
        else:
            undetected += 1
        if len(known) == len(healthy):
            last.append(max(known.values()))
    return [
        Figure("first_detection", "s", tuple(first)),
        Figure("full_dissemination", "s", tuple(last)),
        Figure("undetected", "1", (float(undetected),)),
    ]


SLOW = (1, 4, 8, 16, 32)
FOR_S = (0.128, 0.512, 2.048, 8.192, 16.384, 32.768)
GAPS_S = (0.001, 0.004, 0.016, 0.064, 0.256, 1.024, 4.096, 16.384)


def _grid(case: Case, model: str) -> list[Case]:
    return [replace(case, label=f"c={c} d={d:g} i={i:g} model={model}") for c in SLOW for d in FOR_S for i in GAPS_S]


def _thresholds(case: Case, model: str) -> list[Case]:
    return [replace(case, label=f"c={c} d={d:g} model={model}") for c in SLOW for d in FOR_S]


def cases(case: Case) -> list[Case]:
    """200: of the blocked intervals every other one, of the stalled ones every sixth, of the thresholds every other
    one, in a pattern in which each value meets most of the others."""
    blocked = [one for at, one in enumerate(_grid(case, "blocked")) if (at + at // 8 + at // 48) % 2 == 0]
    stalled = [one for at, one in enumerate(_grid(case, "stalled")) if (at + at // 8 + at // 48) % 6 == 0]
    once = [one for model in ("blocked", "stalled") for at, one in enumerate(_thresholds(case, model)) if at % 2 == 0]
    return blocked + stalled + once


def long_cases(case: Case) -> list[Case]:
    return [one for model in ("blocked", "stalled") for one in _grid(case, model) + _thresholds(case, model)]


SCENARIO = Scenario(
    "lifeguard",
    "which members are declared dead if some handle their messages slowly?",
    run,
    Case(nodes=128, duration_s=120.0, label="c=4 d=8.192 i=0.064 model=blocked"),
    cases,
    long_cases,
    {"model": ("blocked", "stalled")},
    {"c": (0, inf), "d": (0.001, inf), "i": (0, inf), "p": (0, 1)},
    nodes_min=3,
)
