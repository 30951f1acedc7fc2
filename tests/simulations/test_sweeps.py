"""Runs are spread over workers, and come back in order."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from simulations import sweeps
from simulations.scenario import Case, CheckFailed, Figure, Scenario, at_seed
from simulations.sweeps import Outcome, Workers

ROOT = Path(__file__).parent.parent.parent


def told(case: Case) -> list[Figure]:
    if case.label == "fails":
        raise CheckFailed(f"an invariant, at seed {case.seed}")
    if case.label == "crashes":
        raise KeyError("no such row")
    return [Figure("seed", "1", (float(case.seed),))]


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "all_scenarios", lambda: {"told": Scenario("told", "what was it told?", told)})


class Backwards(Executor):
    """Does what is submitted in groups, the last first."""

    def __init__(self, group: int) -> None:
        self.group = group
        self.begun = 0
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: fn(*args, **kwargs)))
        if len(self._waiting) == self.group:
            for waiting, call in reversed(self._waiting):
                if waiting.set_running_or_notify_cancel():
                    self.begun += 1
                    waiting.set_result(call())
            self._waiting.clear()
        return future


def seeds_of(found: Iterator[Outcome]) -> list[int]:
    return [outcome.case.seed for outcome in found]


def test_what_is_done_first_waits_for_what_was_asked_first() -> None:
    done: list[int] = []
    cases = [at_seed(Case(), number) for number in range(12)]
    found = list(sweeps.outcomes(Workers(Backwards(4), 1, ahead=4), "told", cases, done.append))
    assert [outcome.case for outcome in found] == cases
    assert [outcome.figures[0].values for outcome in found] == [(float(case.seed),) for case in cases]
    assert done[:2] == [0, 4], "who waits for its turn is done, too"
    assert done[-1] == 12
    assert done == sorted(done)


def test_cases_are_taken_only_a_few_before_they_are_run() -> None:
    taken: list[int] = []

    def endless() -> Iterator[Case]:
        for number in itertools.count():
            taken.append(number)
            yield at_seed(Case(), number)

    found = sweeps.outcomes(Workers(Backwards(3), 1, ahead=3), "told", endless())
    assert [next(found).case.seed for _ in range(4)] == [1, 2, 3, 4]
    found.close()
    assert len(taken) <= 4 + 3


class OnlyTheFirst(Executor):
    """Does the first that is submitted, and never comes to the others."""

    def __init__(self) -> None:
        self.given: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if not self.given:
            future.set_result(fn(*args, **kwargs))
        self.given.append(future)
        return future


def test_who_stops_iterating_ends_the_sweep() -> None:
    executor = OnlyTheFirst()
    found = sweeps.outcomes(Workers(executor, 1, ahead=3), "told", [Case()] * 9)
    assert next(found).good
    assert [future.cancelled() for future in executor.given] == [False, False, False]
    found.close()
    assert [future.cancelled() for future in executor.given] == [False, True, True]


def test_a_failure_comes_back_like_a_figure() -> None:
    failed = sweeps.run_case("told", Case(seed=5, label="fails"))
    assert str(failed.failed) == "an invariant, at seed 5"
    assert not failed.good
    crashed = sweeps.run_case("told", Case(label="crashes"))
    assert "KeyError: 'no such row'" in crashed.crashed
    assert not crashed.good


def test_a_worker_with_other_sources_is_no_help() -> None:
    assert sweeps.run_case("told", Case(), sweeps.own_sources()).good
    assert "other sources" in sweeps.run_case("told", Case(), "those of last week").crashed


def test_processes_find_what_this_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the others know the scenarios that there are
    cases = [Case(nodes=5, seed=seed, duration_s=2.0, label="times=1") for seed in (3, 1, 2)]
    with sweeps.here() as workers:
        mine = list(sweeps.outcomes(workers, "update", cases))
    with sweeps.cores(2) as workers:
        theirs = list(sweeps.outcomes(workers, "update", cases))
    assert mine == theirs
    assert seeds_of(iter(theirs)) == [3, 1, 2]


# -- several machines -------------------------------------------------------------------------------------------------


@pytest.mark.wide
def test_a_scheduler_that_is_not_there_is_said_in_one_line() -> None:
    pytest.importorskip("distributed", reason="the extra `sim` is not installed")
    sweep = [sys.executable, "-m", "simulations", "sweep", "update", "--dask", "127.0.0.1:9"]
    ended = subprocess.run(sweep, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: no dask scheduler at 127.0.0.1:9")
    assert len(ended.stderr.splitlines()) == 1


_WITH_DASK = """
import sys
from distributed import LocalCluster
from simulations.cli import main

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=int(sys.argv[1]), dashboard_address=None) as cluster:
        sys.exit(main([*sys.argv[2:], "--dask", cluster.scheduler_address]))
"""


def with_dask(folder: Path, threads: int, *args: str) -> subprocess.CompletedProcess[str]:
    """A scheduler and two workers, processes of their own, for this one command."""
    script = folder / "with_dask.py"
    script.write_text(_WITH_DASK)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, script, str(threads), *args],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.wide
def test_dask_workers_find_the_same_as_this_process(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `sim` is not installed")
    case = ["sweep", "update", "--nodes", "5", "--runs", "2", "--label", "times=1", "--duration", "3"]
    spread = with_dask(tmp_path, 1, *case, "--out", str(tmp_path / "spread"))
    assert spread.returncode == 0, spread.stderr
    here = [sys.executable, "-m", "simulations", *case, "--jobs", "1", "--out", str(tmp_path / "here")]
    alone = subprocess.run(here, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert spread.stdout == alone.stdout
    lines = (tmp_path / "spread" / "update.jsonl").read_bytes()
    assert lines == (tmp_path / "here" / "update.jsonl").read_bytes()
    assert len(lines.splitlines()) == 2 * 4 * 5


@pytest.mark.wide
def test_workers_with_threads_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `sim` is not installed")
    ended = with_dask(tmp_path, 2, "sweep", "update", "--nodes", "5")
    assert ended.returncode == 2
    assert "--nthreads 1" in ended.stderr
