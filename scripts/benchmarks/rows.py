"""The rows that every kind of cluster has: what is done to it, how often, and until when the time runs.

Each takes a `Run` and returns one or more `Figures`. A time ends when the last member that had to learn of the change
did; where one did not within the row's bound, the repetition counts as lost. Rows of sidecars alone are in
`sidecar_rows.py`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from scripts.benchmarks.cluster import Cluster, Member
from scripts.benchmarks.run import Figures, Run, Value
from scripts.benchmarks.views import View
from scripts.tools.figures import percentile
from scripts.tools.machine import cpu_s, loopback_counters, private_dirty_kib

UPDATE_S = 10.0
DETECT_S = 60.0
"""Every death is noticed by then; Serf takes up to 15 s."""
SPREAD_S = 30.0
"""Joins and leaves."""
WINDOW_S = 20.0
"""One repetition of `idle`."""
SETTLE_S = 10.0
"""Between the last start and what is called idle."""


def update(run: Run) -> list[Figures]:
    """From sending a change to one member until the last of the others reports it."""
    values: list[Value] = []
    here: list[float] = []
    with run.grown() as cluster:
        names = list(cluster.members)
        for rep in range(run.reps):
            run.progress(f"{cluster.kind}: {rep + 1} of {run.reps}")
            cluster.listener.rest(0.2 + run.rng.random() * 0.3)
            one = run.rng.choice(names)
            since = time.perf_counter()
            mark = cluster.update(cluster.members[one], rep % 60_000 + 1)
            came = cluster.views.until(names, _has(one, mark), UPDATE_S)
            if (at := came.pop(one, None)) is not None:
                here.append((at - since) * 1000)
            values.append(_last(came, len(names) - 1, since))
    return [Figures("update", run.n, values, also={"here_p50_ms": percentile(here, 0.5)})]


def crash(run: Run) -> list[Figures]:
    """From SIGKILL of one member until the last of the others reports that it is gone. Then it is restarted."""
    return [Figures("crash", run.n, _until_gone(run, lambda _, one: one.signal(signal.SIGKILL), _restart, DETECT_S))]


def leave(run: Run) -> list[Figures]:
    """From asking one member to leave until the last of the others reports that it is gone. Then it is restarted."""
    return [Figures("leave", run.n, _until_gone(run, lambda cluster, one: cluster.leave(one), _restart, SPREAD_S))]


def pause(run: Run) -> list[Figures]:
    """From SIGSTOP of one member until the last of the others reports that it is gone. Then it is resumed."""

    def resume(_: Cluster, one: Member) -> None:
        one.signal(signal.SIGCONT)

    return [Figures("pause", run.n, _until_gone(run, lambda _, one: one.signal(signal.SIGSTOP), resume, DETECT_S))]


Act = Callable[[Cluster, Member], None]


def _until_gone(run: Run, go: Act, come_back: Act, bound_s: float) -> list[Value]:
    """Do `go` to a member, measure until all others report that it is gone, then do `come_back`."""
    values: list[Value] = []
    with run.grown() as cluster:
        for _ in run.repetitions(cluster, values):
            victim = run.rng.choice(list(cluster.members.values())[1:])
            others = [name for name in cluster.members if name != victim.name]
            since = time.perf_counter()
            go(cluster, victim)
            values.append(_last(cluster.views.until(others, _lacks(victim.name), bound_s), len(others), since))
            come_back(cluster, victim)
    return values


def _restart(cluster: Cluster, victim: Member) -> None:
    cluster.end(victim)
    cluster.wait_ready([cluster.start(victim.name)])


def join(run: Run) -> list[Figures]:
    """From a joiner's socket answering until it reports all others; and until the last of the others reports it."""
    full: list[Value] = []
    seen: list[Value] = []
    with run.grown() as cluster:
        others = list(cluster.members)
        for _ in run.repetitions(cluster, full):
            joiner = cluster.start("joiner")
            cluster.wait_ready([joiner])
            assert joiner.ready_at is not None
            came = cluster.views.until(cluster.members, _is_joined(joiner.name, others), SPREAD_S)
            at = came.pop(joiner.name, None)
            full.append(None if at is None else max(0.0, at - joiner.ready_at) * 1000)
            seen.append(_last(came, len(others), joiner.ready_at))
            cluster.leave(joiner)
            cluster.views.until(others, _lacks(joiner.name), SPREAD_S)
            cluster.end(joiner)
    seen += [None] * (len(full) - len(seen))
    return [Figures("join-full", run.n, full), Figures("join-seen", run.n, seen)]


def start(run: Run) -> list[Figures]:
    """From starting the process of a member without seeds until its socket answers; beside what `import trio` takes."""
    values: list[Value] = []
    bare: list[float] = []
    for rep in range(run.reps):
        with run.cluster() as cluster:
            run.progress(f"{cluster.kind}: {rep + 1} of {run.reps}")
            since = time.perf_counter()
            with run.stop.held():
                subprocess.run([sys.executable, "-c", "import trio"], check=True)
            bare.append((time.perf_counter() - since) * 1000)
            one = cluster.start("n0")
            cluster.wait_ready([one])
            assert one.ready_at is not None
            values.append((one.ready_at - one.started_at) * 1000)
    trio_ms = percentile(bare, 0.5)
    times = percentile([value for value in values if value is not None], 0.5)
    ratio = times / trio_ms if times and trio_ms else None
    return [Figures("start", 1, values, also={"import_trio_p50_ms": trio_ms, "times_import_trio": ratio})]


def idle(run: Run) -> list[Figures]:
    """Windows of 20 s in which nothing changes and no client asks: bytes and CPU; then private dirty memory, a node."""
    rates: list[Value] = []
    packets: list[float] = []
    cpu: list[Value] = []
    with run.grown() as cluster:
        cluster.close_streams()
        run.progress(f"{cluster.kind}: letting {run.n} settle")
        cluster.listener.rest(SETTLE_S)
        pids = [member.process.pid for member in cluster.members.values()]
        for rep in range(run.reps):
            run.progress(f"{cluster.kind}: window {rep + 1} of {run.reps}")
            since, before, ran = time.perf_counter(), loopback_counters(), [cpu_s(pid) for pid in pids]
            cluster.listener.rest(WINDOW_S)
            passed_s, after = time.perf_counter() - since, loopback_counters()
            rates.append((after[0] - before[0]) / passed_s / run.n)
            packets.append((after[1] - before[1]) / passed_s / run.n)
            cpu += [100 * (cpu_s(pid) - was) / passed_s for pid, was in zip(pids, ran, strict=True)]
        os.sync()
        memory: list[Value] = [private_dirty_kib(pid) / 1024 for pid in pids]
    sent = Figures("idle-bytes", run.n, rates, "B/s", also={"packets_per_s": percentile(packets, 0.5)})
    used = [Figures("idle-cpu", run.n, cpu, "%"), Figures("idle-memory", run.n, memory, "MiB")]
    return [sent, *used] if run.alone else used


# -- what a view has to be ---------------------------------------------------------------------------------------------


def _has(subject: str, mark: str) -> Callable[[str, View], bool]:
    return lambda _, view: view.get(subject) == mark


def _lacks(subject: str) -> Callable[[str, View], bool]:
    return lambda _, view: subject not in view


def _is_joined(joiner: str, others: list[str]) -> Callable[[str, View], bool]:
    """At the joiner: everyone is there. At the others: the joiner is."""
    return lambda observer, view: (view.keys() >= {*others, joiner}) if observer == joiner else joiner in view


def _last(came: dict[str, float], wanted: int, since: float) -> Value:
    """Milliseconds until the last of all that were wanted."""
    return max(0.0, max(came.values()) - since) * 1000 if came and len(came) == wanted else None
