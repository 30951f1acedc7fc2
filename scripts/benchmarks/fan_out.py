"""The row `fan-out`: one change of a service that many processes of one machine watch, each at the local socket."""

import os
import time
from statistics import median
from typing import cast

from gossipreg import Client
from scripts.benchmarks.run import Figures, Run, Value
from scripts.benchmarks.sidecar_cluster import SidecarCluster
from scripts.benchmarks.watching import Watchers
from scripts.tools.machine import cpu_s, private_dirty_kib

WATCHERS = 200
SERVICE = "watched"
REST_S = 0.05
"""Between two changes, so that the cost of one is not part of the next."""
IDLE_S = 5.0


def fan_out(run: Run) -> list[Figures]:
    """From sending a change to a sidecar until the last of 200 processes that watch that service has it.

    `first_ms` is the time of the first one, `cpu_ms` what a change costs the sidecar, `cpu_one_ms` the same with one
    process that watches, `kib` the memory of the sidecar for each connection, `idle_cpu` the CPU time of the sidecar
    while nothing changes, over that without these processes."""
    values: list[Value] = []
    with run.grown() as grown:
        cluster = cast(SidecarCluster, grown)
        sidecar = cluster.sidecar(next(iter(cluster.members)))
        pid, path = sidecar.process.pid, str(sidecar.socket)
        with Client(path) as client:
            client.call("register", name=SERVICE, port=1)
            with Watchers(path, SERVICE, 1) as one:
                _, cpu_one_ms = _changes(run, client, one, pid, [])
            idle_alone, memory = _idle(run, pid), _memory(pid)
            with Watchers(path, SERVICE, WATCHERS) as watchers:
                kib = (_memory(pid) - memory) / WATCHERS
                first_ms, cpu_ms = _changes(run, client, watchers, pid, values)
                idle = _idle(run, pid)
    also: dict[str, float | None] = {
        "first_ms": first_ms,
        "cpu_ms": cpu_ms,
        "cpu_one_ms": cpu_one_ms,
        "kib": kib,
        "idle_cpu": idle / idle_alone,
    }
    return [Figures("fan-out", run.n, values, also=also)]


def _changes(run: Run, client: Client, watchers: Watchers, pid: int, values: list[Value]) -> tuple[float, float]:
    """Make the changes; returns the milliseconds to the first process, and of CPU time for a change (medians)."""
    firsts: list[float] = []
    costs: list[float] = []
    for rep in range(run.reps):
        run.progress(f"fan-out: {rep + 1} of {run.reps}")
        time.sleep(REST_S)
        before, since = cpu_s(pid), time.perf_counter()
        client.call("register", name=SERVICE, port=1, weight=2 + rep % 1000)
        times = watchers.received()
        time.sleep(REST_S)
        costs.append(1000 * (cpu_s(pid) - before))
        firsts.append(1000 * (times[0] - since))
        values.append(1000 * (times[-1] - since))
    client.call("register", name=SERVICE, port=1)
    watchers.received()
    return median(firsts), median(costs)


def _idle(run: Run, pid: int) -> float:
    run.progress("fan-out: nothing changes")
    before = cpu_s(pid)
    time.sleep(IDLE_S)
    return cpu_s(pid) - before


def _memory(pid: int) -> int:
    os.sync()
    return private_dirty_kib(pid)
