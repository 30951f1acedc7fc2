"""The second part of `scripts/check --client`: services that call each other while their instances and sidecars die.

First it is quiet, then one after the other an instance is killed, hangs, is restarted, or a sidecar is killed or
stopped; the next when the one before is back. Judged: no order fails, no wrong answer, no hang; and, if asked, that the
p99 of the outages is below P99_TIMES that of the quiet.
"""

import os
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep

from scripts.checks.client.holdings import descendants
from scripts.checks.client.hosts import Program, World
from scripts.checks.client.judge import Judge, reasons, table
from scripts.checks.client.others import Cores, OtherPrograms
from scripts.checks.client.records import Record, RecordReader
from scripts.checks.client.stacks import ask_stacks
from scripts.tools.figures import markdown, percentile
from scripts.tools.machine import quietness

ROOT = Path(__file__).parents[3]
P99_TIMES = 3.0
HANG_S = 3.0
END_S = 30.0
LOOK_S = 0.1


@dataclass(frozen=True)
class OutageSize:
    warm_s: float = 5.0
    """At first: connections, caches and latencies are made. These orders count for nothing but failures."""
    quiet_s: float = 30.0
    outages: int = 24
    seconds: float = 120.0
    """Of the outages, if each of them is over in its time."""
    rate: float = 150.0
    """Orders a second. Each is two requests by the client: to a service, and by that to the other."""
    seed: int = 1
    judge_p99: bool = False


@dataclass
class OutageResult:
    faults: list[str] = field(default_factory=list)
    tables: str = ""


@dataclass
class Outage:
    kind: str
    what: str
    began: float
    ended: float = float("inf")


def outages(size: OutageSize) -> OutageResult:
    """Run it; progress goes to stderr."""
    with World() as world, OtherPrograms() as others:
        return _Run(size, world, others).run()


class _Run:
    def __init__(self, size: OutageSize, world: World, others: OtherPrograms) -> None:
        self._size = size
        self._others = others
        self._world = world
        self._rng = Random(size.seed)
        self._records = world.folder / "records"
        self._stacks = world.folder / "load.stacks"
        self._reader = RecordReader(self._records)
        self._judge = Judge(world.registered())
        self._done: list[Outage] = []
        self._result = OutageResult()

    def run(self) -> OutageResult:
        machine = quietness()
        load = self._load()
        quiet_from = quiet_to = monotonic()
        try:
            self._pass(self._size.warm_s)
            quiet_from = monotonic()
            self._pass(self._size.quiet_s)
            quiet_to = monotonic()
            for number, (kind, what, hurt) in enumerate(self._plan()):
                outage = Outage(kind, what, monotonic())
                self._done.append(outage)
                print(f"{outage.began - quiet_from:.0f} s: {kind} {what}", file=sys.stderr, flush=True)
                hurt()
                self._world.wait_whole()
                outage.ended = monotonic()
                self._pass(max(0.5, quiet_to + (number + 1) * self._size.seconds / self._size.outages - monotonic()))
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self._result.faults.append(str(error))
        finally:
            self._end(load)
            self._take()
            self._reader.close()
        self._result.faults += self._judge.faults()
        self._tell(machine, quiet_from, quiet_to)
        return self._result

    def _load(self) -> subprocess.Popen[bytes]:
        socket = self._world.hosts[0].sidecar.socket
        arguments = [str(socket), str(self._records), str(self._stacks), str(self._size.rate)]
        command = [sys.executable, "-m", "scripts.checks.client.load", *arguments]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)

    def _end(self, load: subprocess.Popen[bytes]) -> None:
        load.terminate()
        try:
            load.wait(END_S)
        except subprocess.TimeoutExpired:
            print(ask_stacks(descendants(load.pid), self._stacks), file=sys.stderr, flush=True)
            self._result.faults.append(f"the program that sends the load has not ended {END_S:g} s after SIGTERM")
            load.kill()
            load.wait()

    def _take(self) -> None:
        self._judge.take(self._reader.read())

    def _pass(self, seconds: float) -> None:
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            self._take()
            if hanging := self._judge.hanging():
                raise AssertionError(f"{', '.join(hanging)} of the load hang")
            sleep(min(left, LOOK_S))

    # -- what is hurt --------------------------------------------------------------------------------------------------

    def _plan(self) -> list[tuple[str, str, Callable[[], None]]]:
        """(kind, what, how) of each outage: all kinds in turn, each at every program or host in turn."""
        programs, hosts = self._rng.sample(self._world.programs, 6), self._rng.sample(self._world.hosts, 3)
        plan: list[tuple[str, str, Callable[[], None]]] = []
        for number in range(self._size.outages):
            turn, kind = divmod(number, 4)
            program, host = programs[(turn + kind) % 6], hosts[turn % 3]
            if kind == 0:
                plan.append(("kill", program.id, lambda one=program: self._kill(one)))  # type: ignore[misc]
            elif kind == 1:
                plan.append(("hang", program.id, lambda one=program: self._hang(one)))  # type: ignore[misc]
            elif kind == 2:
                plan.append(("restart", program.id, lambda one=program: self._restart(one)))  # type: ignore[misc]
            else:
                name = "stop" if turn % 2 else "kill"
                how = host.stop_sidecar if turn % 2 else host.kill_sidecar
                plan.append((f"{name} sidecar", host.name, how))
        return plan

    def _kill(self, program: Program) -> None:
        program.kill()
        self._pass(0.5)
        program.start()

    def _hang(self, program: Program) -> None:
        program.hang()
        self._pass(HANG_S)
        program.resume()

    def _restart(self, program: Program) -> None:
        program.stop()
        program.start()

    # -- what came of it -----------------------------------------------------------------------------------------------

    def _tell(self, machine: str, quiet_from: float, quiet_to: float) -> None:
        records = self._judge.records
        quiet = [one for one in records if _began(one) >= quiet_from and one.at <= quiet_to]
        during = [one for one in records if one.at > quiet_to]
        if not quiet or not during or not self._done:
            self._result.faults.append("no order was answered")
            return
        p99, quiet_p99 = (percentile([one.seconds for one in found], 0.99) or 0.0 for found in (during, quiet))
        taken = _mean([cores.others for cores in self._others.cores(quiet_to, monotonic())])
        if self._size.judge_p99 and p99 > P99_TIMES * quiet_p99:
            self._result.faults.append(
                f"the p99 of the outages is {1000 * p99:.0f} ms, more than {P99_TIMES:g} times that of the quiet, "
                f"{1000 * quiet_p99:.0f} ms; other programs took {taken:.1f} of {os.cpu_count()} cores"
            )
        inner = Counter(program.service for program in self._world.programs for _ in _no_orders(program))
        self._result.tables = "\n".join(
            [
                f"seed {self._size.seed}; {machine}, load at the end {os.getloadavg()[0]:.2f}; "
                f"{len(self._done)} outages, {2 * self._size.rate:g} requests a second",
                table(quiet + during, lambda one: "quiet" if one.at <= quiet_to else "outages"),
                f"p99 of the outages: {p99 / quiet_p99:.1f} times that of the quiet; failed: {reasons(records)}",
                f"requests of the services that failed, so that their callers sent the order again: {dict(inner)}\n",
                self._by_outage(quiet + during, P99_TIMES * quiet_p99),
            ]
        )

    def _by_outage(self, records: list[Record], slow_s: float) -> str:
        """Which orders make the p99: by the kind of outage that was the last to begin when they ended."""
        by_kind: dict[str, list[Record]] = {"quiet": []}
        cores: dict[str, list[Cores]] = {"quiet": self._others.cores(0.0, self._done[0].began)}
        ends = [*(outage.began for outage in self._done[1:]), float("inf")]
        by_kind |= {outage.kind: [] for outage in self._done}
        for outage, end in zip(self._done, ends, strict=True):
            cores.setdefault(outage.kind, []).extend(self._others.cores(outage.began, end))
        for record in records:
            last = bisect_right(self._done, record.at, key=lambda outage: outage.began)
            by_kind[self._done[last - 1].kind if last else "quiet"].append(record)
        times = Counter(outage.kind for outage in self._done)
        rows = [_outage_row(kind, times[kind], found, slow_s, cores[kind]) for kind, found in by_kind.items()]
        slow_title = f"above {1000 * slow_s:.0f} ms"
        titles = ["after", "times", "orders", slow_title, "of them sent again", "p99 ms", "longest ms"]
        return markdown([*titles, "cores of others", "idle: mean", "least"], rows)


def _outage_row(kind: str, times: int, found: list[Record], slow_s: float, cores: list[Cores]) -> list[str]:
    slow = [one for one in found if one.seconds > slow_s]
    cells = [times or "", len(found), len(slow), sum(one.attempts > 1 for one in slow)]
    seconds = [one.seconds for one in found]
    times_ms = [f"{1000 * (percentile(seconds, part) or 0.0):.0f}" for part in (0.99, 1.0)]
    idle = [one.idle for one in cores]
    taken = [f"{figure:.1f}" for figure in (_mean([one.others for one in cores]), _mean(idle), min(idle, default=0.0))]
    return [kind, *map(str, cells), *times_ms, *taken]


def _mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))


def _began(record: Record) -> float:
    return record.at - record.seconds


def _no_orders(program: Program) -> list[str]:
    return [line for line in program.log().splitlines() if ": no order: " in line]
