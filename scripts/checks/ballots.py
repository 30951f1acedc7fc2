"""The journal's ballots, and decision and undo of a saga, checked with spin: `scripts/check --ballots`.

The models are `simulations/ballots/journal.pml` and `saga.pml`. An *instance* of one has bounds, and spin must find no
violation in all its states. A *mutation* breaks one rule, and spin must find a violation; the shortest is searched
(breadth first).
Seconds are those of one core, for spin, gcc and the search together.
"""

import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "simulations" / "ballots"
JOURNAL = "journal.pml"
SAGA = "saga.pml"
TOOLS = ("spin", "gcc")
TIMEOUT_S = 900
"""For one search on a loaded machine; the longest takes 15 s of a core."""
GCC = ("-w", "-DSAFETY", "-DNOREDUCE", "-DVECTORSZ=512")
"""No cycles are searched, and all steps read global variables, which leaves nothing to partial order reduction."""
BROKEN = 1
USAGE = 2
MISSING = 5


class SearchFailed(Exception):
    """Spin, gcc or the search ended without a result; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    macros: str
    """Names, and names with values, of the head of the model."""
    meaning: str
    mutation: bool = False
    model: str = JOURNAL


@dataclass(frozen=True, slots=True)
class Result:
    states: int
    depth: int
    """Of the longest history that was followed."""
    seconds: float
    violated: str
    """The assertion, or nothing."""
    history: tuple[str, ...]
    """The steps that lead there."""

    @property
    def steps(self) -> int:
        return len(self.history) or self.depth


INSTANCES = (
    Case("elections", "BALLOTS=4 LENGTH=3", "three voters, four candidacies"),
    Case("lost-disk", "BALLOTS=3 LENGTH=3 LOSSES=1", "three voters, one disk is lost"),
    Case("replacement", "REPLACE BALLOTS=3 LENGTH=3", "replacements begun by three leaders"),
    Case("replaced", "REPLACE BALLOTS=2 LENGTH=4", "a replacement, its end, entries after it"),
    Case("never-stuck", "REPLACE STUCK LOSSES=1 BALLOTS=2 LENGTH=3", "after each step somebody can be elected"),
    Case("saga", "STEPS=1 MESSAGES=3", "a saga of one step, three messages at a time", model=SAGA),
    Case("saga-steps", "STEPS=2 MESSAGES=2", "a saga of two steps, two messages at a time", model=SAGA),
)


def _broken(name: str, macros: str, meaning: str, model: str = JOURNAL) -> Case:
    return Case(name, f"{name} {macros}".strip(), meaning, mutation=True, model=model)


def _broken_saga(name: str, meaning: str) -> Case:
    return _broken(name, "STEPS=1", meaning, SAGA)


MUTATIONS = (
    _broken("COUNT_OLDER", "BALLOTS=4 LENGTH=2", "a leader counts entries of older ballots"),
    _broken("COUNT_UNWRITTEN", "", "a leader counts itself before its disk has the entry"),
    _broken("ACT_BEFORE_FIRST", "", "a leader answers before its first entry is committed"),
    _broken("NO_UP_TO_DATE", "", "a vote is given whatever the candidate's log is"),
    _broken("FORGET_PROMISE", "", "a crash takes a promise away"),
    _broken("FORGET_APPEND", "", "an append does not raise the promise"),
    _broken("REUSE_BALLOT", "", "a replica stands twice with one ballot"),
    _broken("RESUME_BALLOT", "", "a restarted leader goes on with its ballot"),
    _broken("VOTE_AFTER_LOSS", "LOSSES=1", "a replica that has lost its disk votes"),
    _broken("NO_LOG_MATCHING", "", "an append is taken whatever entry is before it"),
    _broken("TRUNCATE_ALWAYS", "", "an append that comes late cuts off what follows it"),
    _broken("LEARN_UNMATCHED", "", "a follower takes its own entry for the committed one of that index"),
    _broken("COUNT_LEARNER", "REPLACE", "any two replicas are a majority"),
    _broken("ONE_STEP", "REPLACE", "a replacement is in force at once, without joint majorities"),
    _broken("OLD_ONLY", "REPLACE", "until a replacement ends the old set decides alone"),
    _broken("TWO_AT_ONCE", "REPLACE", "a replacement begins before the one before has ended"),
    _broken(
        "ONE_ENTRY", "REPLACE STUCK", "a replacement ends where it is known to be committed, without a second entry"
    ),
    _broken(
        "SEND_EARLY", "REPLACE STUCK", "a learner, and a replica that leaves, get entries before these are committed"
    ),
    _broken("SILENT_LEADER", "REPLACE STUCK", "a leader keeps its claim though a voter has promised more"),
    _broken("MUTE_LEARNER", "REPLACE STUCK", "a replica that is no voter by its own log does not vote"),
    _broken_saga("REPEAT_UNPROVEN", "a repeat is sent without proof of leadership"),
    _broken_saga("UNDO_EARLY", "undo begins before the abort is committed"),
    _broken_saga("NO_RULE_3", "a participant does what comes after its undo"),
    _broken_saga("COMMIT_OPEN", "a saga commits beside a step that is not done"),
    _broken_saga("ANY_NO_REFUSES", "a no to a repeat is taken for: nothing happened"),
    _broken_saga("FORGET_EARLIER", "the first attempt of a new leader counts as the first of all"),
    _broken_saga("LATE_ATTEMPT", "attempts go on after an abort"),
)


def missing() -> str:
    """What has to be installed first, or nothing."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found: install {' and '.join(absent)} (Debian: same names)" if absent else ""


def check_ballots(names: Sequence[str] = ()) -> int:
    """Run everything, or the cases of these names, and print a table. Returns 1 if an instance is violated, or if a
    mutation is not. With names the steps of a violation are printed too."""
    known = [case.name for case in (*INSTANCES, *MUTATIONS)]
    if unknown := [name for name in names if name not in known]:
        print(f"check: no case {unknown[0]!r}: there are {', '.join(known)}", file=sys.stderr)
        return USAGE
    if why := missing():
        print(f"check: {why}", file=sys.stderr)
        return MISSING
    failures = []
    for kind, cases in (("instance", INSTANCES), ("mutation", MUTATIONS)):
        chosen = [case for case in cases if not names or case.name in names]
        if chosen:
            failures += _table(kind, chosen, with_history=bool(names))
    for failure in failures:
        print(failure)
    return BROKEN if failures else 0


def _table(kind: str, cases: Iterable[Case], *, with_history: bool) -> list[str]:
    """Print a line for each; returns what is wrong."""
    failures = []
    total = 0.0
    print(f"{kind:17}{'states':>10}{'steps':>7}{'s':>7}  {'':9}meaning")
    for case in cases:
        try:
            result = search(case)
        except SearchFailed as error:
            failures.append(f"{case.name}: {error}")
            print(f"{case.name:17}{'':24}  failed")
            continue
        total += result.seconds
        verdict = "violated" if result.violated else "holds"
        if case.mutation != bool(result.violated):
            failures.append(
                f"{case.name} survives: no history within {case.macros} shows that it is wrong" if case.mutation
                else f"{case.name}: {result.violated} is violated: {', '.join(result.history)}"
            )  # fmt: skip
        print(f"{case.name:17}{result.states:10,}{result.steps:7}{result.seconds:7.1f}  {verdict:9}{case.meaning}")
        if with_history and result.violated:
            print(f"  {', '.join(result.history)}: {result.violated}")
    print(f"{'':34}{total:7.1f}\n", flush=True)
    return failures


def search(case: Case) -> Result:
    """Search all states of an instance, or those of a mutation up to its shortest violation. Raises SearchFailed."""
    before = _seconds()
    with tempfile.TemporaryDirectory(prefix="gossipreg-ballots-") as name:
        folder = Path(name)
        shutil.copy(MODELS / case.model, folder)
        _run(folder, "spin", "-a", *(f"-D{macro}" for macro in case.macros.split()), case.model)
        # -O1 and -O0: more optimizing takes longer than it saves
        how = ("-O0", "-DBFS") if case.mutation else ("-O1",)
        _run(folder, "gcc", *GCC, *how, "-o", "pan", "pan.c")
        # -m: bound of a history's length; -w: 2^24 places in the hash table; -n: no list of what is not reached
        out = _run(folder, "./pan", "-m100000", "-w24", "-n")
        violated = re.search(r"assertion violated (.*) \(at depth", out)
        result = Result(
            states=_number(r"(\d+) states, stored", out),
            depth=_number(r"depth reached (\d+)", out),
            seconds=_seconds() - before,
            violated=violated[1] if violated else "",
            history=_history(folder, case.model) if violated else (),
        )
        if not violated and (_number(r"errors: (\d+)", out) or "Search not completed" in out or "too small" in out):
            raise SearchFailed(f"the search did not end: {out.strip().splitlines()[0]}")
        return result


def _history(folder: Path, model: str) -> tuple[str, ...]:
    """The steps of the history that spin has found: who, and the name of the step in the model."""
    out = _run(folder, "./pan", "-r")
    actors = dict(re.findall(r"local vars proc (\d+) \(\w+\):\s+byte\s+me:\s+(\d+)", out))
    lines = (MODELS / model).read_text().splitlines()
    steps = []
    for process, number in re.findall(r"proc +(\d+) \(\w+\) .*\[D_STEP(\d+)\]", out):
        heads = [line for line in lines[: int(number)] if line.startswith("inline ")]
        steps.append(f"{actors.get(process, '?')} {heads[-1].removeprefix('inline ').split('(')[0]}")
    return (*steps, "the step that violates it")  # it does not end, so spin does not list it


def _run(folder: Path, *command: str) -> str:
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise SearchFailed(f"{command[0]} did not end within {TIMEOUT_S} s") from None
    if ended.returncode and command[0] != "./pan":
        raise SearchFailed(f"{command[0]} failed: {(ended.stderr or ended.stdout).strip()[:300]}")
    return ended.stdout


def _number(pattern: str, out: str) -> int:
    found = re.search(pattern, out)
    if found is None:
        raise SearchFailed(f"the search says nothing of {pattern!r}: {out.strip()[-300:]!r}")
    return int(found[1])


def _seconds() -> float:
    """Of a core, by the processes that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
