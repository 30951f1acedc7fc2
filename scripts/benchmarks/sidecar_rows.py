"""Rows of sidecars alone: lookups, crowds that start at once, partitions, stress."""

import math
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import cast

from gossipreg import Client
from scripts.benchmarks.cluster import Failed, Member
from scripts.benchmarks.run import Figures, Run, Value
from scripts.benchmarks.sidecar_cluster import SidecarCluster
from scripts.benchmarks.views import View
from scripts.tools.figures import percentile
from scripts.tools.network import Firewall
from scripts.tools.sidecars import timed_lookup_ms

LOOKUPS = 1000
"""In one repetition of `lookup`."""
WARM_UP = 200
INSTANCES = 3
"""The instances of the service that is looked up."""
FULL_S = 60.0
SIDES_S = 60.0
EQUAL_S = 60.0
LOOK_S = 0.002
"""Between two looks at the fingerprints, where they are not equal as soon as all views are."""
STRESSED = 4
"""One of this many members is stressed: 8 of 32."""
STOP_S = (0.1, 10.0)
"""How long a stressed member is stopped, and how long it runs, is drawn from here, evenly on a logarithmic scale."""
FREEZE_S = 0.3
"""If the kernel did not run this script for longer, it did not run the sidecars either."""


@contextmanager
def _grown(run: Run) -> Iterator[SidecarCluster]:
    with run.grown() as cluster:
        yield cast(SidecarCluster, cluster)


def lookup(run: Run) -> list[Figures]:
    """One lookup of a service of three instances, from Python, on the sidecar's socket, both on one core."""
    values: list[Value] = []
    cores = os.sched_getaffinity(0)
    with _grown(run) as cluster:
        members = list(cluster.members.values())
        ids = [f"looked-up-{number}" for number in range(INSTANCES)]
        for number, id in enumerate(ids):
            cluster.register(members[number % len(members)], "looked-up", id, 1)
        asked = members[0]
        if not cluster.views.until([asked.name], lambda _, view: view.keys() >= {*ids}, FULL_S):
            raise Failed(f"{asked.name} does not tell what was registered after {FULL_S:g} s")
        try:
            with Client(str(cluster.sidecar(asked.name).socket)) as client:
                for pid in (0, asked.process.pid):
                    os.sched_setaffinity(pid, {max(cores)})
                for rep in range(run.reps):
                    run.progress(f"{cluster.kind}: {rep + 1} of {run.reps} x {LOOKUPS}")
                    _look_up(client, values, WARM_UP if rep == 0 else 0)
        finally:
            os.sched_setaffinity(0, cores)
    return [Figures("lookup", run.n, values, reps=run.reps)]


def _look_up(client: Client, values: list[Value], warm_up: int) -> None:
    for _ in range(warm_up):
        timed_lookup_ms(client, "looked-up")
    assert len(client.call("lookup", name="looked-up")) == INSTANCES
    values += [timed_lookup_ms(client, "looked-up") for _ in range(LOOKUPS)]


def massjoin(run: Run) -> list[Figures]:
    """n started at once with one seed: from the last socket answering until the last member reports all."""
    values: list[Value] = []
    started: list[float] = []
    for rep in range(run.reps):
        with cast(SidecarCluster, run.cluster()) as cluster:
            run.progress(f"{cluster.kind}: {rep + 1} of {run.reps}")
            seed = cluster.start("seed")
            cluster.wait_ready([seed])
            joiners = [cluster.start(f"n{number}") for number in range(run.n)]
            cluster.wait_ready(joiners)
            names = cluster.members.keys()
            came = cluster.views.until(names, _sees(dict.fromkeys(names, names)), FULL_S)
            full = len(came) == len(names)
            values.append(max(0.0, max(came.values()) - _last_ready(joiners)) * 1000 if full else None)
            if full:
                started.append((max(came.values()) - joiners[0].started_at) * 1000)
    return [Figures("massjoin", run.n, values, also={"since_first_start_p50_ms": percentile(started, 0.5)})]


def _sees(wanted: Mapping[str, Set[str]]) -> Callable[[str, View], bool]:
    """Whether a member knows exactly those that it should."""
    return lambda observer, view: view.keys() == wanted[observer]


def _last_ready(members: list[Member]) -> float:
    return max(member.ready_at or 0.0 for member in members)


# -- partitions --------------------------------------------------------------------------------------------------------


def partition(run: Run) -> list[Figures]:
    """Two halves have declared each other dead, and each has changed something: from the heal until all tables are
    equal."""
    firewall = Firewall()
    if not firewall.works:
        raise Failed("partitions need root, a network namespace of their own, and nft")
    values: list[Value] = []
    with _grown(run) as cluster:
        for rep in run.repetitions(cluster, values):
            names = list(cluster.members)
            run.rng.shuffle(names)
            a, b = names[: len(names) // 2], names[len(names) // 2 :]
            if not firewall.cut(*([cluster.sidecar(name).port("gossip") for name in half] for half in (a, b))):
                raise Failed("nft took no rule: is another program using the firewall of this namespace?")
            side = {name: frozenset(half) for half in (a, b) for name in half}
            apart = cluster.views.until(names, _sees(side), SIDES_S)
            for half in (a, b):
                cluster.update(cluster.members[half[0]], rep + 1)
            cluster.listener.rest(1 + run.rng.random())
            since = time.perf_counter()
            firewall.heal()
            values.append(_until_equal(cluster, since, rep + 1, (a[0], b[0])) if len(apart) == len(names) else None)
    return [Figures("partition", run.n, values)]


def _until_equal(cluster: SidecarCluster, since: float, mark: int, changed: tuple[str, str]) -> Value:
    """All views are complete and have both changes; then all fingerprints are equal, as they mostly are by then."""
    names = cluster.members.keys()
    came = cluster.views.until(
        names,
        lambda _, view: view.keys() == names and all(view[name] == str(mark) for name in changed),
        EQUAL_S,
    )
    if len(came) < len(names):
        return None
    at = max(came.values())
    while not _equal(cluster):
        at = time.perf_counter()
        if at - since > EQUAL_S:
            return None
        cluster.listener.rest(LOOK_S)
    return (at - since) * 1000


def _equal(cluster: SidecarCluster) -> bool:
    return len({cluster.sidecar(name).call("info")["fingerprint"] for name in cluster.members}) == 1


# -- stress ------------------------------------------------------------------------------------------------------------


class _Stressed:
    """A member that is paused and resumed, in turns."""

    def __init__(self, member: Member, rng: random.Random, now: float) -> None:
        self.member = member
        self._rng = rng
        self.stopped = False
        self.due = now + self._draw_s()

    def turn(self, now: float) -> None:
        self.stopped = not self.stopped
        self.member.signal(signal.SIGSTOP if self.stopped else signal.SIGCONT)
        self.due = now + self._draw_s()

    def _draw_s(self) -> float:
        return math.exp(self._rng.uniform(*map(math.log, STOP_S)))


def stress(run: Run) -> list[Figures]:
    """A quarter of the members are paused and resumed at random. Lost: how often a member that was never paused
    declared another dead that was never paused either."""
    at_well = at_ill = stops = freezes = 0
    with _grown(run) as cluster:
        members = list(cluster.members.values())
        start = now = time.perf_counter()
        chosen = run.rng.sample(members, max(1, len(members) // STRESSED))
        stressed = [_Stressed(member, run.rng, now) for member in chosen]
        ill = {member.name for member in chosen}

        def gone(observer: str, subject: str) -> None:
            nonlocal at_well, at_ill
            at_well += subject not in ill and observer not in ill
            at_ill += subject not in ill and observer in ill

        cluster.views.gone = gone
        while now < start + run.seconds:
            run.progress(
                f"{cluster.kind}: {now - start:.0f} of {run.seconds:.0f} s, {stops} stops, {at_well} false deaths"
            )
            due = min(start + run.seconds, *(one.due for one in stressed))
            cluster.listener.rest(max(0.0, due - now))
            now = time.perf_counter()
            freezes += now - due > FREEZE_S
            for one in stressed:
                if one.due <= now < start + run.seconds:
                    one.turn(now)
                    stops += one.stopped
        for one in stressed:
            one.member.signal(signal.SIGCONT)
        cluster.settle()
    figures = Figures("stress", run.n, [], "false deaths", lost=at_well, reps=stops)
    figures.also = {"false_at_stressed": float(at_ill), "freezes": float(freezes), "seconds": run.seconds}
    return [figures]
