"""Sweeps: the runs of a scenario, spread over cores or machines.

Owns: where a run takes place, and that the outcomes are in the order of the cases, whichever run ended first. So the
output is the same bytes for any number of workers. Never knows: any one scenario, or how figures are used.

There are three implementations of `concurrent.futures.Executor`: this process (`here`), processes of this machine
(`cores`), and the workers of a dask.distributed scheduler (`machines`).
"""

import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from simulations.scenario import Case, CheckFailed, Figure
from simulations.scenarios import all_scenarios

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LOOK_S = 0.5
"""Seconds between two reports of progress while a run is awaited."""
AHEAD = 16
"""The most runs for each worker that have begun or ended while the first of them is awaited."""
_CONNECT_S = 5.0


class CannotSweep(Exception):
    """The workers cannot be used. The message is one line for the user; nothing was run."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run."""

    case: Case
    figures: tuple[Figure, ...] = ()
    failed: CheckFailed | None = None
    """An invariant did not hold."""
    crashed: str = ""
    """The traceback of any other exception, which is a failure too."""

    @property
    def good(self) -> bool:
        return self.failed is None and not self.crashed


@dataclass(frozen=True, slots=True)
class Workers:
    executor: Executor
    count: int
    sources: str = ""
    """The digest of the sources that the workers must have; empty if they cannot have others."""
    ahead: int = AHEAD


def run_case(name: str, case: Case, sources: str = "") -> Outcome:
    """Run one case in this process, which may be a worker."""
    if sources and sources != own_sources():
        return Outcome(case, crashed="this worker has other sources than we: update its checkout and start it again\n")
    try:
        return Outcome(case, tuple(all_scenarios()[name].run(case)))
    except CheckFailed as failed:
        return Outcome(case, failed=failed)
    except Exception:
        return Outcome(case, crashed=traceback.format_exc())


def outcomes(
    workers: Workers, name: str, cases: Iterable[Case], on_progress: Callable[[int], None] = lambda _: None
) -> Generator[Outcome, None, None]:
    """Yield the outcome of each case, in the order of the cases; `on_progress` gets the number of finished runs. Cases
    are taken from the iterable shortly before they run, so it may be endless. Closing the generator ends the sweep:
    runs that have not begun are cancelled."""
    waiting: deque[Future[Outcome]] = deque()
    given = 0

    def first() -> Outcome:
        nonlocal given
        while not waiting[0].done():
            wait((waiting[0],), timeout=_LOOK_S)
            on_progress(given + sum(future.done() for future in waiting))
        on_progress(given + sum(future.done() for future in waiting))
        given += 1
        return waiting.popleft().result()

    on_progress(0)  # one run may take half an hour
    try:
        for case in cases:
            waiting.append(workers.executor.submit(run_case, name, case, workers.sources))
            if len(waiting) >= workers.ahead * workers.count:
                yield first()
        while waiting:
            yield first()
    finally:
        for future in waiting:
            future.cancel()


# -- where ------------------------------------------------------------------------------------------------------------


class _Here(Executor):
    """Calls each submitted function at once, in this process."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        future: Future[_T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def here() -> Iterator[Workers]:
    yield Workers(_Here(), 1, ahead=1)


@contextmanager
def cores(jobs: int, ahead: int = AHEAD) -> Iterator[Workers]:
    """Use this many processes of this machine; they are spawned, so they share no state with this one. A result raises
    BrokenProcessPool if one of them died."""
    executor = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        yield Workers(executor, jobs, ahead=ahead)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    """Let Ctrl-C, which all processes of the terminal receive, end a worker without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def machines(scheduler: str, ahead: int = AHEAD) -> Iterator[Workers]:
    """Use the workers of a dask.distributed scheduler, "host:port" or "tcp://host:port". Each needs this checkout, the
    same sources and one thread: `PYTHONPATH=CHECKOUT dask worker SCHEDULER --nworkers CORES --nthreads 1`."""
    try:
        from distributed import Client
    except ImportError:
        raise CannotSweep("dask.distributed is not installed: pip install -e '.[sim]'") from None
    try:
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise CannotSweep(f"no dask scheduler at {scheduler}: {' '.join(str(error).split())}") from None
    try:
        threads = [count for _, count in sorted(client.nthreads().items())]
        if not threads:
            raise CannotSweep(f"the scheduler at {scheduler} has no workers: start some with `dask worker {scheduler}`")
        if max(threads) > 1:
            raise CannotSweep("each run needs a process of its own: start the workers with --nthreads 1")
        yield Workers(client.get_executor(pure=False, retries=2), len(threads), own_sources(), ahead)
    finally:
        client.close()


@cache
def own_sources() -> str:
    """Return a digest of all sources in this checkout that a run depends on."""
    root = Path(__file__).parent.parent
    digest = sha256()
    for path in sorted([*(root / "gossipreg").rglob("*.py"), *(root / "simulations").rglob("*.py")]):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
