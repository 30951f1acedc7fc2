"""The rows `start`, `idle` and `massjoin`: what a sidecar takes before anybody uses it."""

import os
import subprocess
import time

from scripts.benchmarks.against.row import Aim, Figure, Measured, Row, Turn
from scripts.benchmarks.cluster import Failed
from scripts.tools.figures import percentile
from scripts.tools.machine import anonymous_kib, cpu_s, loopback_counters
from scripts.tools.wait import wait_for

STARTS = 7
IDLE_MEMBERS = 8
SETTLE_S = 10.0
WINDOW_S = 20.0
JOINERS = 45
JOINED_S = 180.0


def start(turn: Turn) -> Measured:
    """From starting a process until its socket answers, as a multiple of `import trio` in the same environment: time
    and CPU time, the medians of 7."""
    times: list[float] = []
    cpus: list[float] = []
    for _ in range(STARTS):
        bare_s, bare_cpu_s = _import_trio(turn)
        with turn.sidecars() as started:
            one = started.start("n0").wait_ready()
            took_s, used_s = time.perf_counter() - one.started_at, cpu_s(one.process.pid)
        times.append(took_s / bare_s)
        cpus.append(used_s / bare_cpu_s)
    return {"start": percentile(times, 0.5) or 0.0, "start-cpu": percentile(cpus, 0.5) or 0.0}


def _import_trio(turn: Turn) -> tuple[float, float]:
    """The seconds that `import trio` takes, and those of CPU."""
    since = time.perf_counter()
    process = subprocess.Popen([*turn.build.interpreter, "-c", "import trio"], stdin=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"`import trio` failed with {process.returncode}")
    return time.perf_counter() - since, used.ru_utime + used.ru_stime


def idle(turn: Turn) -> Measured:
    """Eight sealed sidecars in which nothing changes: anonymous memory, CPU and bytes a second of each."""
    with turn.sidecars() as started:
        first = started.start("n0").wait_ready()
        everyone = [first, *(started.start(f"n{number}") for number in range(1, IDLE_MEMBERS))]
        for one in everyone[1:]:
            one.wait_ready()
        names = {one.name for one in everyone}
        wait_for(lambda: all(one.alive() >= names for one in everyone))
        time.sleep(SETTLE_S)
        pids = [one.process.pid for one in everyone]
        since, used, sent = time.perf_counter(), [cpu_s(pid) for pid in pids], loopback_counters()[0]
        time.sleep(WINDOW_S)
        passed_s, sent = time.perf_counter() - since, loopback_counters()[0] - sent
        percent = [100 * (cpu_s(pid) - was) / passed_s for pid, was in zip(pids, used, strict=True)]
        found = {
            "idle-memory": percentile([anonymous_kib(pid) / 1024 for pid in pids], 0.5) or 0.0,
            "idle-cpu": sum(percent) / IDLE_MEMBERS,
        }
        return found | ({"idle-bytes": sent / passed_s / IDLE_MEMBERS} if turn.alone else {})


def massjoin(turn: Turn) -> Measured:
    """45 sidecars started at once with one seed: from the first start until all know all, and the CPU time of each
    until then."""
    with turn.sidecars() as started:
        seed = started.start("seed").wait_ready()
        joiners = [started.start(f"n{number}") for number in range(JOINERS)]
        for one in joiners:
            one.wait_ready()
        names = {"seed", *(one.name for one in joiners)}
        wait_for(lambda: all(one.alive() == names for one in [seed, *joiners]), JOINED_S, 0.1)
        took_s = time.perf_counter() - joiners[0].started_at
        used_s = sum(cpu_s(one.process.pid) for one in joiners)
    return {"massjoin": took_s, "massjoin-cpu": used_s / JOINERS}


START = Row(start, (Figure("start", "x import trio", Aim(at_most=1.25)), Figure("start-cpu", "x import trio")), reps=3)
IDLE = Row(
    idle,
    (
        Figure("idle-memory", "MiB", Aim(at_most=19)),
        Figure("idle-cpu", "%", Aim(ratio_at_most=1)),
        Figure("idle-bytes", "B/s", Aim(ratio_at_most=1)),
    ),
    reps=3,
)
MASSJOIN = Row(massjoin, (Figure("massjoin", "s", Aim(ratio_at_most=0.6)), Figure("massjoin-cpu", "s")), reps=3)
