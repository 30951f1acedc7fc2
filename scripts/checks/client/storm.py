"""The first part of `scripts/check --client`: threads, forks and servers, while their sidecar is restarted.

Judged: no wrong answer, no idempotent request that failed, no worker that hangs, nothing leaked, no child that nobody
waits for, and every program ends when it is told to.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep

from scripts.checks.client.callers import Caller, in_node, threaded
from scripts.checks.client.fleet import Fleet
from scripts.checks.client.holdings import Looks, descendants, unix_inodes
from scripts.checks.client.judge import Judge, reasons, table
from scripts.checks.client.records import Record, Recorder, RecordReader
from scripts.checks.client.restarts import Restarts
from scripts.checks.client.servers import RunningServer, Senders, ServerKind, server_kinds
from scripts.checks.client.stacks import ask_stacks
from scripts.tools.figures import markdown
from scripts.tools.machine import quietness
from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import wait_for

EARLY = (0.2, 0.4)
LATE = (0.85, 1.0)
"""The parts of the run in which processes are looked at. What is made once is there after a fifth."""
LOOK_S = 0.25
LATE_S = 60.0
"""So much longer a run may take, for restarts that a slow machine had no time for."""
TELL_S = 10.0
MAY_FAIL = ("pick",)
"""A pick is one request, which nobody sends again: it fails if its instance has just ended, or answers 503."""


@dataclass(frozen=True)
class StormSize:
    seconds: float = 300.0
    threads: int = 32
    children: int = 8
    restarts: int = 20
    senders: int = 6
    """For each server."""
    seed: int = 1


@dataclass
class StormResult:
    faults: list[str] = field(default_factory=list)
    restarts: int = 0
    tables: str = ""


def storm(size: StormSize) -> StormResult:
    """Run it; progress goes to stderr."""
    with ExitStack() as stack:
        return _Storm(size, stack).run()


class _Storm:
    def __init__(self, size: StormSize, stack: ExitStack) -> None:
        self._size = size
        self._stack = stack
        self._rng = Random(size.seed)
        self._result = StormResult()
        self._sidecars = stack.enter_context(Sidecars())
        hosts = self._sidecars.grow(2)
        self._restarts = Restarts(self._sidecars, size.restarts, size.seconds, self._rng)
        self._restarts.wait_synced({one.name for one in hosts})
        self._fleet = stack.enter_context(Fleet(hosts, self._rng))
        self._records = self._sidecars.folder / "records"
        self._reader = RecordReader(self._records)
        stack.callback(self._reader.close)
        self._judge = Judge(self._fleet.registered, MAY_FAIL)

    def run(self) -> StormResult:
        size = self._size
        machine = quietness()
        home = self._restarts.sidecar
        wait_for(lambda: all(len(home.lookup(name)) == len(ids) // 2 for name, ids in self._fleet.registered.items()))
        servers = [self._server(kind) for kind in server_kinds(self._fleet.size)]
        for server in servers:
            server.wait_ready()
        callers = self._start_callers()
        looks = [Looks(one.name, one.process.pid, one.may_grow) for one in callers]
        looks += [Looks(server.kind.name, server.process.pid, server.kind.may_grow) for server in servers]
        stacks = [*(one.stacks for one in callers), *(server.stacks for server in servers)]
        recorder = Recorder(self._records)
        self._stack.callback(recorder.close)
        wait_for(lambda: self._has_begun(["child", "node"][: len(callers)]), what="the programs call")
        with self._restarts, ExitStack() as sending:
            for server in servers:
                sending.enter_context(Senders(server, recorder, self._rng, size.senders).running())
            hangs = self._watch(looks, stacks)
        if not hangs:
            self._end(callers, servers)
        self._result.faults += self._faults(looks)
        self._result.restarts = self._restarts.done
        self._result.tables = self._tables(looks, machine)
        return self._result

    def _server(self, kind: ServerKind) -> RunningServer:
        server = RunningServer(kind, self._restarts.socket, self._sidecars.folder)
        self._stack.callback(_kill_all, server.process)
        return server

    def _start_callers(self) -> list[Caller]:
        size, socket = self._size, self._restarts.socket
        callers = [threaded(socket, self._records, size.threads, size.children, size.seed)]
        self._stack.callback(_kill_all, callers[0].process)
        if (node := in_node(socket, self._records, size.senders, self._fleet.size)) is not None:
            self._stack.callback(_kill_all, node.process)
            callers.append(node)
        return callers

    def _watch(self, looks: list[Looks], stacks: list[Path]) -> bool:
        """Look at the programs until the time is over. Returns whether some worker hangs."""
        start, told = monotonic(), 0.0
        while (passed := monotonic() - start) < self._size.seconds or self._is_late(passed):
            self._take()
            part = passed / self._size.seconds
            if EARLY[0] <= part < EARLY[1] or LATE[0] <= part:
                inodes = unix_inodes()
                for one in looks:
                    one.look(inodes, early=part < EARLY[1])
            if hanging := self._judge.hanging():
                self._tell_hanging(hanging, looks, stacks)
                return True
            if passed - told >= TELL_S:
                told = passed
                self._tell(passed)
            sleep(LOOK_S)
        return False

    def _has_begun(self, workers: list[str]) -> bool:
        self._take()
        return all(any(worker.startswith(begin) for worker in self._judge.last) for begin in workers)

    def _is_late(self, passed: float) -> bool:
        """Whether restarts are still to be done that a slow machine had no time for."""
        outstanding = self._restarts.done < self._size.restarts and not self._restarts.faults
        return outstanding and passed < self._size.seconds + LATE_S

    def _take(self) -> None:
        records = self._reader.read()
        self._judge.take(record for record in records if record.kind != "ended")
        for record in records:
            if record.kind == "ended":
                self._judge.forget(record.worker)
                self._judge_losses(record)

    def _judge_losses(self, record: Record) -> None:
        """A connection to a sidecar that goes on is never lost. One that leaves may close two: it accepts for a moment
        longer. A child of a fork inherits the number of its parent."""
        begun = self._restarts.done + 1
        if int(record.answer) > 2 * begun:
            self._result.faults.append(
                f"{record.worker} lost its connection {record.answer} times, but only {begun} restarts had begun"
            )

    def _tell(self, passed: float) -> None:
        print(
            f"{passed:.0f} s: {len(self._judge.records)} requests, {self._judge.failures} failed, "
            f"{self._restarts.done} restarts of the sidecar, {self._fleet.changes} changes of instances",
            file=sys.stderr, flush=True,
        )  # fmt: skip

    def _tell_hanging(self, hanging: list[str], looks: list[Looks], stacks: list[Path]) -> None:
        self._result.faults += [f"{worker} hangs" for worker in hanging]
        for one, path in zip(looks, stacks, strict=True):
            print(f"-- {one.name}", ask_stacks(descendants(one.pid), path), sep="\n", file=sys.stderr, flush=True)

    def _end(self, callers: list[Caller], servers: list[RunningServer]) -> None:
        """Every program is told to end, and does."""
        programs: list[Caller | RunningServer] = [*callers, *servers]
        self._result.faults += [fault for one in programs if (fault := one.end())]
        for one in programs:
            self._result.faults += [f"{one.log.stem} said: {fault}" for fault in _tracebacks(one.log)]
        self._take()

    def _faults(self, looks: list[Looks]) -> list[str]:
        faults = [*self._judge.faults(), *self._restarts.faults, *self._fleet.faults]
        if self._restarts.done < self._size.restarts:
            faults.append(f"only {self._restarts.done} of {self._size.restarts} restarts were done in this time")
        for one in looks:
            faults += one.faults()
        return faults

    def _tables(self, looks: list[Looks], machine: str) -> str:
        records = [record for record in self._judge.records if record.kind != "child"]
        rows = [row for one in looks for row in one.rows()]
        return "\n".join(
            [
                f"seed {self._size.seed}; {machine}, load at the end {os.getloadavg()[0]:.2f}; "
                f"{self._restarts.done} restarts of the sidecar, {self._fleet.changes} changes of instances",
                table(records),
                f"failed: {reasons(records)}\n",
                markdown(["held", "at most, early", "at least, late"], rows),
            ]
        )


def _tracebacks(log: Path) -> list[str]:
    """The errors that a program did not expect. Warnings are no faults: each sidecar is a stranger at first."""
    return ["Traceback" + text[:1000] for text in log.read_text().split("Traceback")[1:]]


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """End the program and all that it started, if it is still there."""
    pids = descendants(process.pid) if process.poll() is None else []
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    process.wait()
