"""A program with many threads that look up, pick and call, and that forks meanwhile:
`python -m scripts.checks.client.threaded SOCKET RECORDS STACKS THREADS CHILDREN SEED`.

Children are forked while the threads are in the middle of their calls. They use the registry that they inherit, end
after a while, and are replaced. Ends with SIGTERM, after all threads and children; the exit code is 1 if a child did
not end well.
"""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from random import Random
from time import perf_counter
from types import FrameType

import gossipreg
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from scripts.checks.client.asking import DEADLINE_S, ask, listed
from scripts.checks.client.fleet import SERVICES
from scripts.checks.client.records import FAILED, Recorder, error_text
from scripts.checks.client.stacks import tell_stacks

LOOKUPS = 200
"""At once, as one record."""
PAUSE_S = 0.15
"""The mean pause of a thread between two things that it does: 32 threads then leave a part of a core to the others."""
CHILD_LIVES_S = (5.0, 20.0)
FORK_EVERY_S = 0.1
"""Children are not forked in one moment, so that threads stand at different places."""


class Worker:
    """What one thread does, until `stop`."""

    def __init__(self, name: str, registry: Registry, recorder: Recorder, rng: Random) -> None:
        self._name = name
        self._services = [registry.service(service) for service in SERVICES]
        self._recorder = recorder
        self._rng = rng

    def run(self, stop: Callable[[float], bool]) -> None:
        """`stop(seconds)` waits so long and says whether to end."""
        while not stop(self._rng.uniform(0, 2 * PAUSE_S)):
            service = self._rng.choice(self._services)
            kind, work = self._rng.choice((("lookup", _lookup), ("pick", _pick), ("call", _call), ("call", _call)))
            start = perf_counter()
            attempts = 0
            try:
                answer, attempts = work(service)
            except Exception as error:  # what a program gets: the judge knows what may be
                answer = error_text(error)
            took_s = perf_counter() - start
            self._recorder.note(
                self._name, kind, took_s / LOOKUPS if kind == "lookup" else took_s, service.name, answer, attempts
            )


def _lookup(service: Service) -> tuple[str, int]:
    for _ in range(LOOKUPS):
        instances = service.instances
    return listed(instances), 0


def _pick(service: Service) -> tuple[str, int]:
    with service.pick(deadline=DEADLINE_S) as instance:
        reply = ask(instance)
    return (reply.text if reply.status == 200 else f"{FAILED}Status{reply.status}: {reply.text}"), 1


def _call(service: Service) -> tuple[str, int]:
    sent = []

    def send(instance: gossipreg.PickedInstance) -> tuple[int, str]:
        sent.append(instance)
        return ask(instance)

    status, text = service.call(send, idempotent=True, deadline=DEADLINE_S)
    return (text if status == 200 else f"{FAILED}Status{status}: {text}"), len(sent)


class Family:
    """The children that are alive, in the parent."""

    def __init__(self, registry: Registry, recorder: Recorder, rng: Random, wanted: int) -> None:
        self.failed = 0
        self._registry = registry
        self._recorder = recorder
        self._rng = rng
        self._wanted = wanted
        self._number = 0
        self._alive: set[int] = set()

    def tend(self) -> None:
        """Wait for those that have ended; fork one if there are too few."""
        while self._alive and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            self._ended(*ended)
        if len(self._alive) < self._wanted:
            self._number += 1
            name, lives_s, rng = f"child {self._number}", self._rng.uniform(*CHILD_LIVES_S), Random(self._rng.random())
            if pid := os.fork():
                self._alive.add(pid)
            else:
                self._live(name, lives_s, rng)

    def end(self) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGTERM)
        while self._alive:
            self._ended(*os.waitpid(-1, 0), told=True)

    def _ended(self, pid: int, status: int, told: bool = False) -> None:
        """`told`: it got SIGTERM, perhaps when it was ending already and had no handler any more."""
        self._alive.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        if code and not (told and code == -signal.SIGTERM):
            self.failed += 1
            self._recorder.note(f"process {pid}", "child", 0.0, "-", f"{FAILED}ExitCode: {code}")

    def _live(self, name: str, lives_s: float, rng: Random) -> None:
        """In the child. It ends as any program does: what is done `atexit` is done."""
        ended, parent = threading.Event(), os.getppid()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        until = perf_counter() + lives_s

        def stop(wait_s: float) -> bool:
            return ended.wait(wait_s) or perf_counter() > until or os.getppid() != parent

        Worker(name, self._registry, self._recorder, rng).run(stop)
        note_end(self._recorder, name, self._registry)
        sys.exit(0)


def note_end(recorder: Recorder, worker: str, registry: Registry) -> None:
    """Note that this worker ends well, and how often its process lost the connection to its sidecar."""
    recorder.note(worker, "ended", 0.0, "-", str(registry.stats()["losses"]))


def main(path: str, records: str, stacks: str, threads: int, children: int, seed: int) -> int:
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks of programs with threads
    tell_stacks(stacks)
    rng, ended = Random(seed), threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    registry, recorder = gossipreg.connect(path, timeout=30), Recorder(records)
    workers = [Worker(f"thread {number}", registry, recorder, Random(rng.random())) for number in range(threads)]
    running = [threading.Thread(target=worker.run, args=(ended.wait,)) for worker in workers]
    for thread in running:
        thread.start()
    family = Family(registry, recorder, rng, children)
    while not ended.wait(FORK_EVERY_S):
        family.tend()
    for thread in running:
        thread.join()
    family.end()
    note_end(recorder, "the parent", registry)
    return 1 if family.failed else 0


if __name__ == "__main__":
    socket_path, records_path, stacks_path, *numbers = sys.argv[1:]
    sys.exit(main(socket_path, records_path, stacks_path, *map(int, numbers)))
