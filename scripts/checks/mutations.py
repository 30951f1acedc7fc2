"""Break the core on purpose and see which test fails: `scripts/check --mutations`.

For each entry of `mutations_table.py` the tree is copied, the entry's lines are replaced in the copy, and the tests of
the core, of journals, of sagas and of the laboratory are run there, those that probably catch it first, until one
fails. A mutation that no test catches survives: then a test is missing, or the mutation changes nothing that matters.
The breaks of `simulations/selftest.py`, which a checker of the laboratory must see, stand in the same report.

Results are compared with `mutations.txt` by caught and survived alone, since names of tests change.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from textwrap import dedent, indent
from typing import NamedTuple

from scripts.checks.mutation import Mutation
from scripts.checks.mutations_table import MUTATIONS

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).with_name("mutations.txt")
PURE = Path("gossipreg", "core"), Path("gossipreg", "journal"), Path("gossipreg", "sagas")
COPIED = ("gossipreg", "scripts", "simulations", "tests", "pyproject.toml")

SUITES = ("tests/core", "tests/journal", "tests/sagas", "tests/simulations")
LEFT_OUT = ("test_digest.py",)
"""Digests say that a decision has changed, not that it is wrong: they are written anew with the next one."""
DESELECTED = "tests/simulations/test_checkers.py::test_a_core_broken_on_purpose_is_seen"
"""The same as the second part of the report."""
TIMEOUT_S = 3600
"""A whole run takes three minutes on a quiet machine. A mutation may make a test run without end."""

SURVIVED = "survived"
HEADER = "# What the tests catch, by `scripts/check --mutations --update`: name, then the first test that fails.\n"


class Place(NamedTuple):
    path: Path
    line: int
    """The number of the first line, counted from 0."""
    size: int
    """The number of lines."""
    margin: str
    """Their common indentation."""


class Result(NamedTuple):
    name: str
    by: str | None
    """The first test that failed; None: no test failed."""

    @property
    def said(self) -> str:
        return SURVIVED if self.by is None else f"caught by {self.by}"


def block(text: str) -> str:
    """Whole lines without their common indentation, as the table's texts are compared."""
    return dedent(text).strip("\n").rstrip()


def places(tree: Path, mutation: Mutation) -> list[Place]:
    """All places in the core, the journals and the sagas of this tree that have the lines of this mutation."""
    before = block(mutation.before).splitlines()
    found = []
    for path in sorted(path for part in PURE for path in (tree / part).rglob("*.py")):
        lines = path.read_text().splitlines()
        for at in (at for at, line in enumerate(lines) if line.lstrip() == before[0].lstrip()):
            window = lines[at : at + len(before)]
            if block("\n".join(window)).splitlines() == before:
                margin = window[0][: len(window[0]) - len(before[0])]
                found.append(Place(path, at, len(before), margin))
    return found


def mutated(source: str, place: Place, mutation: Mutation) -> str:
    lines = source.splitlines()
    after = indent(block(mutation.after), place.margin).splitlines()
    lines[place.line : place.line + place.size] = after
    return "\n".join(lines) + "\n"


def apply(tree: Path, mutation: Mutation) -> None:
    """Break the core of this tree. Raises LookupError if the lines are not there exactly once."""
    found = places(tree, mutation)
    if len(found) != 1:
        where = " and ".join(map(str, PURE))
        raise LookupError(f"{mutation.name}: its lines stand {len(found)} times in {where}, not once")
    path = found[0].path
    path.write_text(mutated(path.read_text(), found[0], mutation))


# -- running the tests ------------------------------------------------------------------------------------------------


def in_order(tree: Path, likely: str) -> list[str]:
    """The test files, those with `likely` in their name first."""
    files = [path for suite in SUITES for path in sorted((tree / suite).rglob("test_*.py"))]
    first = sorted((path for path in files if path.name not in LEFT_OUT), key=lambda path: likely not in path.name)
    return [str(path.relative_to(tree)) for path in first]


def first_failure(tree: Path, likely: str = "") -> str | None:
    """The first test that fails in this tree, without its parameters; None if all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    # Without bytecode: a file that changes within a second and keeps its size would not be compiled again.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            [*command, f"--deselect={DESELECTED}", *in_order(tree, likely)],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a test that does not end within {TIMEOUT_S} s"
    if ended.returncode == 0:
        return None
    named = re.search(r"^(?:FAILED|ERROR) ([^\s\[]+)", ended.stdout, re.MULTILINE)
    if named is None:
        raise RuntimeError(f"pytest ended with {ended.returncode} and named no test:\n{ended.stdout}{ended.stderr}")
    return named[1]


def copy_tree(source: Path, target: Path) -> None:
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / name, target / name)


def judge(mutation: Mutation | None) -> tuple[Result, float]:
    """Run the tests on a copy of this checkout with this mutation, or with none; also how long it took, seconds."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gossipreg-mutation-") as folder:
        tree = Path(folder)
        copy_tree(ROOT, tree)
        if mutation is not None:
            apply(tree, mutation)
        by = first_failure(tree, "" if mutation is None else mutation.likely)
    return Result("" if mutation is None else mutation.name, by), time.monotonic() - began


def all_judged(mutations: Sequence[Mutation], jobs: int) -> Iterator[Result]:
    """The results in the order of the table; each is printed when it comes."""
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(judge, mutation) for mutation in mutations]
        for number, done in enumerate(as_completed(running), 1):
            result, took_s = done.result()
            print(f"[{number:2}/{len(running)}] {result.name}: {result.said} ({took_s:.0f} s)", flush=True)
        yield from (one.result()[0] for one in running)


def selftest() -> Iterator[Result]:
    """The breaks of `scripts/simulate selftest`, each with the checkers that may see it first."""
    from simulations.selftest import ALL, fires

    for breaks in ALL:
        seed, _ = fires(*breaks)
        by = " or ".join(breaks[0].fires)
        result = Result(f"selftest: {breaks[0].what}", f"the checker {by}" if seed else None)
        print(f"{result.name}: {result.said}", flush=True)
        yield result


# -- the report -------------------------------------------------------------------------------------------------------


def written(results: Sequence[Result]) -> str:
    width = max(len(result.name) for result in results)
    return HEADER + "".join(f"{result.name:{width}}  {result.said}\n" for result in results)


def kept(text: str) -> dict[str, bool]:
    """By name, whether the mutation was caught."""
    rows = [re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines() if not line.startswith("#")]
    return {name: said != SURVIVED for name, said in rows}


def compared(results: Sequence[Result], before: dict[str, bool]) -> list[str]:
    """One line for each mutation that survives, and one for the whole."""
    lost = {True: "; one did before", False: "; none did before", None: ""}
    lines = [f"no test catches {one.name}{lost[before.get(one.name)]}" for one in results if one.by is None]
    caught = sum(one.by is not None for one in results)
    known = [before[one.name] for one in results if one.name in before]
    return [*lines, f"{caught} of {len(results)} caught; before: {sum(known)} of {len(known)}"]


def main(args: Sequence[str] | None = None) -> int:
    """1 if a mutation survives."""
    parser = argparse.ArgumentParser(prog="scripts/check --mutations", description="What the tests of the core catch.")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--only", action="append", metavar="NAME", help="this one, without the selftest; repeatable")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many test runs at a time (2)")
    parser.add_argument("--update", action="store_true", help=f"write the results to {KEPT.name}")
    given = parser.parse_args(args)
    if given.list:
        print(*(mutation.name for mutation in MUTATIONS), sep="\n")
        return 0
    if given.only and given.update:
        parser.error("--update needs all results")
    names = given.only or [mutation.name for mutation in MUTATIONS]
    chosen = [mutation for mutation in MUTATIONS if mutation.name in names]
    if unknown := set(names) - {mutation.name for mutation in chosen}:
        parser.error(f"no mutation {min(unknown)!r}: see --list")
    if not given.only:
        plain, took_s = judge(None)
        print(f"the core as it is: {plain.said} ({took_s:.0f} s)", flush=True)
        if plain.by is not None:
            return 1
    results = list(all_judged(chosen, given.jobs))
    results += [] if given.only else selftest()
    print(*compared(results, kept(KEPT.read_text())), sep="\n")
    if given.update:
        KEPT.write_text(written(results))
    return 1 if any(one.by is None for one in results) else 0
