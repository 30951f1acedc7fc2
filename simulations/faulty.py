"""A few faulty members among many healthy ones: the common part of `flipflop` and `oneway`.

Owns: which members are faulty, and how the opinions of the healthy ones are judged. Never knows: the fault; the
scenario causes it.
"""

from collections.abc import Callable, Iterable

from simulations.host import Host
from simulations.opinions import Opinions
from simulations.scenario import Case, Figure
from simulations.world import World

PART = 0.01
"""The share of faulty members if the label has no `part=`; at least one member."""
QUIET_S = 3.0
"""Seconds before the fault begins."""


def with_faulty(case: Case, hurt: Callable[[World, frozenset[int]], None]) -> list[Figure]:
    """Form a cluster, choose the faulty members and call `hurt`, which causes the fault and lets the case's duration
    pass; return the figures."""
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes)
    opinions = Opinions(world)
    world.watch(opinions)
    world.run(QUIET_S)
    many = max(1, round(case.value("part", PART) * case.nodes))
    faulty = frozenset(host.number for host in world.randomness.of("faults").sample(hosts, many))
    began = world.now
    hurt(world, faulty)
    return judge(opinions, hosts, faulty, began, case.duration_s)


def judge(
    opinions: Opinions, hosts: Iterable[Host], faulty: frozenset[int], began: float, duration_s: float
) -> list[Figure]:
    """Judge the opinions of the healthy members from `began`: how often each healthy member was held dead by others
    (one sample each), and how often a minute one member changed its opinion of one other."""
    healthy = [host.number for host in hosts if host.number not in faulty]
    lost_by = dict.fromkeys(healthy, 0)
    changes: dict[tuple[int, int], int] = {}
    lost_ever: dict[int, None] = {}
    for change in opinions.changes:
        if change.when < began or change.observer in faulty:
            continue
        pair = change.observer, change.subject
        changes[pair] = changes.get(pair, 0) + 1
        if change.lost and change.subject in faulty:
            lost_ever[change.subject] = None
        elif change.lost:
            lost_by[change.subject] += 1
    at_faulty = sum(one.lost and one.observer in faulty and one.subject not in faulty for one in opinions.changes)
    a_minute = 60.0 / duration_s

    def worst(subjects: Iterable[int]) -> tuple[float, ...]:
        """For each subject, the changes a minute at the observer that changed its opinion of it most often."""
        most = dict.fromkeys(subjects, 0)
        for (_, subject), number in changes.items():
            if subject in most:
                most[subject] = max(most[subject], number)
        return tuple(number * a_minute for number in most.values())

    return [
        Figure("healthy_lost", "1", (float(sum(number > 0 for number in lost_by.values())),)),
        Figure("healthy_lost_by", "1", tuple(float(number) for number in lost_by.values())),
        Figure("healthy_lost_at_faulty", "1", (float(at_faulty),)),
        Figure("changes_about_healthy", "1/min", worst(healthy)),
        Figure("changes_about_faulty", "1/min", worst(sorted(faulty))),
        Figure("faulty_lost", "1", (float(len(lost_ever)),)),
    ]
